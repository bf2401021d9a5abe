"""Loading, validating and rendering, as a ratio to only parsing the same YAML, over three sizes of environment.

Run: python benchmarks/render.py [objects ...]. Each figure is the best of some turns, each in a process of its own.
"""

from __future__ import annotations

import copy
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
    from collections.abc import Callable, Mapping

    from orchestrator.model import Field, Kind

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from orchestrator.catalog import FAMILIES  # noqa: E402 - after the path
from orchestrator.config.load import load  # noqa: E402
from orchestrator.config.tree import FOLDER  # noqa: E402
from orchestrator.documents import get, put  # noqa: E402
from orchestrator.instances import instances  # noqa: E402
from orchestrator.terraform.render import render  # noqa: E402
from tests.support import POLICY  # noqa: E402

KINDS = {"auth": ("approle", "jwt", "userpass"), "secrets": ("database", "kv-v2", "pki", "ssh", "transit")}
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
        for kind in (FAMILIES[family][name] for family, names in KINDS.items() for name in names):
            mount = _mount(kind)
            document.setdefault(kind.family, {})[f"{kind.name}-{written}"] = mount
            written += 1 + sum(len(mount.get(one.key, ())) if not one.single else 1 for one in kind.objects)
    text = yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False)
    (root / FOLDER / "bench.yaml").write_text(text)


def _mount(kind: Kind) -> dict[str, Any]:
    """The example with some copies of each of its named objects, which name the copies beside them."""
    mount: dict[str, Any] = copy.deepcopy(dict(kind.example))
    several = {one.key: one for one in kind.objects if not one.single and one.key in mount}
    names = {name for key in several for name in mount[key]}
    for one in kind.objects:
        held = mount.get(one.key, {})
        if one.key in several:
            copies = ((name, number, held[name]) for number in range(COPIES) for name in held)
            mount[one.key] = {f"{name}-{n}": _copy(spec, n, one.settings, names) for name, n, spec in copies}
        elif held:
            mount[one.key] = _copy(held, 0, one.settings, names)
    return mount


def _copy(spec: Any, number: int, fields: Mapping[str, Field], names: set[str]) -> Any:  # noqa: ANN401 - any YAML
    """Settings that name the objects of the same number."""
    spec = copy.deepcopy(spec)
    for setting, field in fields.items():
        said = get(spec, setting)
        if field.names and said is not None:
            several = [
                f"{one}-{number}" if one in names else one for one in ([said] if isinstance(said, str) else said)
            ]
            put(spec, setting, several[0] if isinstance(said, str) else several)
    return spec


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
