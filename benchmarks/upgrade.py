"""How long nobody's writes are acknowledged during a rolling upgrade, as a ratio to one step-down of the same cluster.

Run: python benchmarks/upgrade.py [turns]. It starts a cluster of three nodes and ends it. The first upgrade is from
OpenBao 2.6.2 to 2.7.2, later ones change the configuration alone: every node is replaced in the same way.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from orchestrator.commands import cluster_nodes as commands  # noqa: E402 - after the path
from tests.cluster.house import NAME, STATIC, House, declared, standing  # noqa: E402 - after the path
from tests.cluster.writer import Writer, writing  # noqa: E402 - after the path

if TYPE_CHECKING:
    from collections.abc import Callable

TURNS = 3
SLEEP = 11.0  # who stepped down does not lead again, and takes no order, for ten seconds


def main(turns: int) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        standing(Path(folder), declared("2.6.2", STATIC)) as house,
    ):
        house.settle()
        asked = commands.Asked(house.root, NAME, house.environ, lambda _: None)
        with writing(house) as writer:
            found = [turn(house, writer, asked, number) for number in range(turns)]
        if lost := writer.lost():
            raise SystemExit(f"{len(lost)} acknowledged writes are lost")
    show(found, len(writer.acknowledged))


def turn(house: House, writer: Writer, asked: commands.Asked, number: int) -> tuple[float, float]:
    """The longest gap of a step-down, and of an upgrade."""
    alone = longest(writer, lambda: commands.step_down(asked))
    time.sleep(SLEEP)
    house.write(declared("2.7.2", STATIC, telemetry={"prometheus_retention": f"{24 + number}h"}))
    whole = longest(writer, lambda: commands.upgraded(asked, lambda _: None))
    time.sleep(SLEEP)
    print(f"turn {number + 1}: step-down {alone:.2f} s, upgrade {whole:.2f} s, ratio {whole / alone:.2f}")
    return alone, whole


def longest(writer: Writer, work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    writer.wait_for(20)
    return max(writer.gaps(since=began))


def show(found: list[tuple[float, float]], written: int) -> None:
    alone, whole = (statistics.median(one) for one in zip(*found, strict=True))
    print(f"median: step-down {alone:.2f} s, upgrade {whole:.2f} s, ratio {whole / alone:.2f} (goal: at most 1.5)")
    print(f"{written} acknowledged writes, none lost")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else TURNS)
