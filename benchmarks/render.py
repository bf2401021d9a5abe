"""Loading, validating and rendering, as a ratio to only parsing the same YAML, over three sizes of environment.

Run: python benchmarks/render.py [objects ...]. Each figure is the best of some turns, each in a process of its own.
"""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml  # noqa: TID251 - the yardstick

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from orchestrator.catalog import CATALOG  # noqa: E402 - after the path
from orchestrator.config.load import load  # noqa: E402
from orchestrator.config.tree import FOLDER  # noqa: E402
from orchestrator.instances import instances  # noqa: E402
from orchestrator.terraform.render import render  # noqa: E402
from tests.support import POLICY  # noqa: E402

KINDS = ("approle", "jwt", "userpass", "database", "kv-v2", "pki", "ssh", "transit")
COPIES = 10  # of an example's objects in each mount
SIZES = (100, 1_000, 10_000)
TURNS = 3


def write(root: Path, count: int) -> None:
    """A project with one environment of about that many objects, mounts among them."""
    for folder in (FOLDER, "vault-config/clusters", "policies"):
        (root / folder).mkdir(parents=True)
    (root / "vault-config/clusters/bench.yaml").write_text("{cluster: bench, server: openbao, version: 2.7.2}")
    (root / "policies/payments-read.hcl").write_text(POLICY)
    document: dict[str, Any] = {"environment": "bench", "cluster": "bench"}
    written = 0
    while written < count:
        for kind in (CATALOG[name] for name in KINDS):
            mount = _mount(kind.example)
            document.setdefault(kind.family, {})[f"{kind.name}-{written}"] = mount
            written += 1 + sum(len(mount.get(one.key, ())) if not one.single else 1 for one in kind.objects)
    text = yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False)
    (root / FOLDER / "bench.yaml").write_text(text)


def _mount(example: Any) -> dict[str, Any]:  # noqa: ANN401 - any kind's example
    """The example with some copies of each of its named objects, which name the copies beside them."""
    copies = [_copy(example, number, _names(example)) for number in range(COPIES)]
    keys = [key for key in example if any(copy[key] != copies[0][key] for copy in copies)]
    return {**copies[0], **{key: {name: one for copy in copies for name, one in copy[key].items()} for key in keys}}


def _names(example: Any) -> set[str]:  # noqa: ANN401 - any kind's example
    inside = [part for part in example.values() if isinstance(part, dict)]
    return {name for part in inside for name, one in part.items() if isinstance(one, dict)}


def _copy(value: Any, number: int, names: set[str]) -> Any:  # noqa: ANN401 - any YAML
    if isinstance(value, dict):
        return {_copy(key, number, names): _copy(one, number, names) for key, one in value.items()}
    if isinstance(value, list):
        return [_copy(one, number, names) for one in value]
    return f"{value}-{number}" if value in names else value


def parse(root: Path) -> int:
    gc.disable()  # as `load` does: what the collector takes grows faster than the file
    return len(yaml.load((root / FOLDER / "bench.yaml").read_text(), Loader=yaml.CSafeLoader))


def whole(root: Path) -> int:
    environment = load(root, "bench", None)
    render(instances(environment))
    return len(environment.declarations)


WAYS: dict[str, Callable[[Path], int]] = {"parse": parse, "whole": whole}


def measure(way: str, warm: Path, root: Path) -> None:
    """Print the processor's seconds, the process's peak in MB, and the count; a small one before warms up."""
    WAYS[way](warm)
    started = time.process_time()
    count = WAYS[way](root)
    print(json.dumps([time.process_time() - started, _peak(), count]))


def _peak() -> float:
    """From the kernel: what `getrusage` says is the parent's, where that was larger."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0


def best(way: str, warm: Path, root: Path) -> tuple[float, float, int]:
    words = [sys.executable, __file__, way, str(warm), str(root)]
    return min(tuple(json.loads(subprocess.check_output(words))) for _ in range(TURNS))


def main(sizes: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        warm = Path(folder) / "warm"
        write(warm, SIZES[0])
        print("objects    only parsed      loaded, validated, rendered")
        for size in sizes:
            root = Path(folder) / str(size)
            write(root, size)
            (parsed, parse_peak, _), (done, peak, count) = best("parse", warm, root), best("whole", warm, root)
            times = f"{parsed:6.3f} s {parse_peak:4.0f} MB   {done:6.3f} s {peak:4.0f} MB"
            print(f"{count:7,}  {times}   {done / parsed:4.1f} times   {done / count * 1e6:4.0f} µs each")


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in WAYS:
        measure(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main([int(size) for size in sys.argv[1:]] or list(SIZES))
