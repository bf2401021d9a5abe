"""Plan, apply and drift of many objects, as ratios to the same writes and reads made one by one over HTTP.

Run: python benchmarks/apply.py [policies]. It starts an embedded stack of its own in a temporary folder and ends it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from orchestrator.commands.drift import drift  # noqa: E402 - after the path
from orchestrator.commands.plan import Asked, apply, plan  # noqa: E402
from orchestrator.local import stack as local  # noqa: E402
from orchestrator.terraform.provider.api import Api  # noqa: E402
from tests.support import POLICY, project  # noqa: E402


def timed(what: Callable[[], object]) -> float:
    started = time.perf_counter()
    what()
    return time.perf_counter() - started


def silent(_: object) -> None:
    """Nobody looks on."""


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        running = local.up(root)
        try:
            measure(root, running, count)
        finally:
            local.down(root)


def measure(root: Path, running: local.Stack, count: int) -> None:
    api = Api(running.address, running.token)
    names = [f"p{number}" for number in range(count)]
    raw_write = timed(lambda: [api.call("POST", f"sys/policies/acl/raw-{name}", {"policy": POLICY}) for name in names])
    raw_read = timed(lambda: [api.read(f"sys/policies/acl/raw-{name}") for name in names])
    for name in names:
        api.call("DELETE", f"sys/policies/acl/raw-{name}", None)
    api.close()
    (root / "policies").mkdir()
    for name in names:
        (root / "policies" / f"{name}.hcl").write_text(POLICY)
    environ = project(root, running, "bench", {}, backend={"pg": {}})
    asked = Asked(many=True, verify=False)
    rows = {
        "apply, with its second plan": (timed(lambda: apply(root, "bench", environ, silent, silent, asked)), raw_write),
        "plan of no changes": (timed(lambda: plan(root, "bench", environ, silent, None)), raw_read),
        "drift": (timed(lambda: drift(root, "bench", environ)), raw_read),
    }
    print(f"{count} policies; one by one over HTTP: write {raw_write:.2f} s, read {raw_read:.2f} s")
    for name, (seconds, raw) in rows.items():
        print(f"{name:28} {seconds:6.2f} s   {seconds / raw:5.2f} times the same requests one by one")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
