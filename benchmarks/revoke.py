"""A leaked role cut and proven dead, as a ratio to the server's own program used by hand for the same set.

Run: python benchmarks/revoke.py [tokens ...]. It starts an embedded stack of its own (Raft, which syncs each write to
disk) and ends it. Each token of one role among ten others holds five leases; by hand, `bao token revoke -accessor` for
each, sixteen at a time, then `bao lease revoke -prefix`, which cuts the leases of the other roles as well.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.documents import Json

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from orchestrator.live.bulk import Ask, Line, Reply, send  # noqa: E402 - after the path
from orchestrator.local import servers  # noqa: E402
from orchestrator.local import stack as local  # noqa: E402
from tests.support import declare  # noqa: E402

LEASES, OTHERS, BYSTANDERS, AT_A_TIME = 5, 10, 20, 16
DOOR = {"key_type": "otp", "default_user": "ops", "cidr_list": "127.0.0.0/8"}
POLICY = 'path "ssh/creds/*" { capabilities = ["create", "update"] }'
BY_HAND = f"""\
set -e
xargs -P {AT_A_TIME} -n 1 "$BAO" token revoke -accessor < "$1" > /dev/null
"$BAO" lease revoke -prefix -sync ssh/creds/door-leaked > /dev/null
"""
COMMAND = """\
import json, os, resource, sys
from pathlib import Path
from orchestrator.commands import incident
asked = incident.Asked("BENCH-" + sys.argv[2], [("role", "auth/approle/" + sys.argv[2])])
found = incident.revoke(Path(sys.argv[1]), "bench", dict(os.environ), asked, lambda _: None, lambda *_: None)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"code": found.code, "peak": peak, "found": len(found.found), "looked": found.found.tokens}))
"""


@dataclass(frozen=True)
class Bench:
    """A stack with a project on it."""

    root: Path
    running: local.Stack
    line: Line

    @property
    def environ(self) -> dict[str, str]:
        found = {"PATH": "/usr/bin:/bin", "VAULT_ADDR": self.line.address, "VAULT_TOKEN": self.line.token}
        return {**found, "BAO_ADDR": self.line.address, "BAO_TOKEN": self.line.token, "PYTHONPATH": str(ROOT)}

    def ask(self, asks: Iterable[Ask]) -> Iterator[Reply]:
        for ask, reply in send(self.line, asks):
            if reply.status >= 300:  # noqa: PLR2004 - everything above is a failure
                raise SystemExit(f"{ask.path}: {reply}")
            yield reply

    def write(self, path: str, body: Mapping[str, Json]) -> Reply:
        return next(self.ask([Ask("POST", path, body)]))

    def plant(self, role: str, count: int) -> list[str]:
        """So many tokens of a role, each with its leases; their accessors."""
        self.write(f"ssh/roles/door-{role}", DOOR)
        self.write(f"auth/approle/role/{role}", {"token_policies": ["doors"], "bind_secret_id": False, **WIDE})
        identity = next(self.ask([Ask("GET", f"auth/approle/role/{role}/role-id")])).content["data"]["role_id"]
        logins = (Ask("POST", "auth/approle/login", {"role_id": identity}) for _ in range(count))
        made = [reply.content["auth"] for reply in self.ask(logins)]
        for auth in made:
            mine = Line(self.line.address, auth["client_token"])
            list(send(mine, [Ask("POST", f"ssh/creds/door-{role}", {"ip": "127.0.0.1"})] * LEASES))
        return [str(auth["accessor"]) for auth in made]


WIDE = {"token_bound_cidrs": ["127.0.0.0/8"], "token_ttl": "1h"}


def main(counts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        running = local.up(root)
        try:
            measure(Bench(root, running, Line(running.address, running.token)), counts)
        finally:
            local.down(root)


def measure(bench: Bench, counts: list[int]) -> None:
    declare(bench.root, {"server": {"product": bench.running.server, "version": bench.running.version}}, "bench", {})
    bench.write("sys/auth/approle", {"type": "approle"})
    bench.write("sys/mounts/ssh", {"type": "ssh"})
    bench.write("sys/policies/acl/doors", {"policy": POLICY})
    for number in range(OTHERS):
        bench.plant(f"other-{number}", BYSTANDERS)
    for count in counts:
        compare(bench, count)


def compare(bench: Bench, count: int) -> None:
    accessors = bench.plant("leaked", count)
    by_hand = timed(bench, ["bash", "-c", BY_HAND, "bash", str(listed(bench, accessors))])[0]
    bench.plant(f"role-{count}", count)
    ours, said = timed(bench, [sys.executable, "-c", COMMAND, str(bench.root), f"role-{count}"])
    outcome = json.loads(said)
    if outcome["code"] or outcome["found"] != count:
        raise SystemExit(f"not all is dead: {outcome}")
    print(
        f"{count:6} tokens with {LEASES} leases each: {ours:6.2f} s to proven dead ({count / ours:5.0f} a second), "
        f"{ours / by_hand:5.3f} of {by_hand:.1f} s by hand; {outcome['looked']} tokens looked at; "
        f"{outcome['peak']} MB at most"
    )


def listed(bench: Bench, accessors: list[str]) -> Path:
    path = bench.root / "accessors"
    path.write_text("\n".join(accessors) + "\n")
    return path


def timed(bench: Bench, command: list[str]) -> tuple[float, str]:
    environ = {**bench.environ, "BAO": str(servers.find(bench.root, servers.BUILT_IN).program)}
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - began, done.stdout


if __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]] or [1000])
