"""How long it takes to find one role's tokens among very many, and with how many requests.

Run: python benchmarks/blast.py [tokens]. It starts an embedded stack of its own and ends it. The peer is `hey` (Go),
where it is on PATH: it sends as many lookups, all of them for one accessor.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.reads import LOOKUP, THREADS, by_hey, generators, made, reading  # noqa: E402 - after the path
from orchestrator.live.bulk import Ask, Line, send  # noqa: E402
from orchestrator.local import stack as local  # noqa: E402
from tests.support import declare  # noqa: E402

LEAKED = 100
COMMAND = """\
import json, os, resource, sys
from pathlib import Path
from orchestrator.commands import incident
asked = incident.Asked("BENCH", [("role", "tokens/roles/leaked")], dry_run=True)
found = incident.revoke(Path(sys.argv[1]), "bench", dict(os.environ), asked, lambda _: None, lambda *_: None).blast
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"found": len(found), "looked": found.tokens, "requests": found.requests, "peak": peak}))
"""


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        running = local.up(root)
        try:
            measure(root, running, count)
        finally:
            local.down(root)


def measure(root: Path, running: local.Stack, count: int) -> None:
    line = Line(running.address, running.token)
    accessors = made(line, count - LEAKED)
    role = Ask("POST", "auth/token/roles/leaked", {"allowed_policies": "default", "orphan": True})
    asks = [role, *(Ask("POST", "auth/token/create/leaked", {}) for _ in range(LEAKED))]
    for batch in (asks[:1], asks[1:]):
        list(send(line, batch))
    declare(root, {"server": {"product": running.server, "version": running.version}}, "bench", {})
    reader = reading(line)
    seconds, said = looked(root, line)
    print(
        f"{said['found']} of {said['looked']} tokens found in {seconds:.1f} s with {said['requests']} requests, "
        f"{said['looked'] / seconds:.0f} tokens a second, {said['peak']} MB at most"
    )
    if "hey" in generators():
        rate = by_hey(reader, root, accessors[0], len(accessors) // THREADS * THREADS)  # it sends whole rounds
        ratio = said["looked"] / seconds / rate
        print(f"hey: {rate:.0f} times {LOOKUP} a second; ours, from command to answer, is {ratio:.2f} of it")


def looked(root: Path, line: Line) -> tuple[float, dict[str, int]]:
    environ = {"PATH": "/usr/bin:/bin", "VAULT_ADDR": line.address, "VAULT_TOKEN": line.token, "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, str(root)], env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - began, json.loads(done.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
