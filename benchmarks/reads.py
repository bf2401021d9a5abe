"""How many token accessors a second are looked up and revoked, as ratios to load generators and to threads with hvac.

Run: python benchmarks/reads.py [requests]. It starts an embedded stack of its own (Raft, which syncs each write to
disk) and ends it. Of `hey` (Go) and `wrk` (C) it takes those on PATH; both ask for one accessor again and again.
"""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import hvac  # noqa: TID251 - the peer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from orchestrator.live.bulk import Ask, Line, send  # noqa: E402 - after the path
from orchestrator.local import stack as local  # noqa: E402

TURNS, THREADS = 3, 16
LOOKUP, REVOKE = "auth/token/lookup-accessor", "auth/token/revoke-accessor"
LUA = "wrk.method = 'POST'\nwrk.body = '{body}'\nwrk.headers['X-Vault-Token'] = '{token}'\n"


if TYPE_CHECKING:
    Generator = Callable[[Line, Path, str, int], float]


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        running = local.up(Path(folder))
        try:
            measure(Line(running.address, running.token), Path(folder), count)
        finally:
            local.down(Path(folder))


def measure(line: Line, folder: Path, count: int) -> None:
    accessors, reader = made(line, count), reading(line)
    reads: dict[str, Callable[[], float]] = {
        "pipelines": lambda: pipelined(reader, LOOKUP, accessors),
        **{name: partial(run, reader, folder, accessors[0], count) for name, run in generators().items()},
        "hvac, 16 threads": lambda: by_hvac(reader, LOOKUP, accessors[: count // 5]),
    }
    show(f"lookup-accessor, {count} of them", medians(reads))
    few = count // 10
    writes = {
        "pipelines": lambda: pipelined(line, REVOKE, made(line, few)),
        "hvac, 16 threads": lambda: by_hvac(line, REVOKE, made(line, few)),
    }
    show(f"revoke-accessor, {few} of them", medians(writes))


def reading(line: Line) -> Line:
    """With a token that may do nothing else, for an hour: hey takes it only as an argument, which others can see.

    It is without the policy `default`, with which OpenBao 2.7 answers the same requests at a third of the rate.
    """
    policy = f'path "{LOOKUP}" {{ capabilities = ["update"] }}'
    may = {"policies": ["lookup"], "no_default_policy": True, "ttl": "1h"}
    asks = [Ask("PUT", "sys/policies/acl/lookup", {"policy": policy})], [Ask("POST", "auth/token/create-orphan", may)]
    replies = [reply for batch in asks for _, reply in send(line, batch)]
    return replace(line, token=replies[-1].content["auth"]["client_token"])


def medians(ways: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """The rate of each way: they take turns, as the machine has other work too."""
    turns = [{name: run() for name, run in ways.items()} for _ in range(TURNS)]
    return {name: statistics.median(turn[name] for turn in turns) for name in ways}


def show(title: str, rates: dict[str, float]) -> None:
    print(title)
    for name, rate in rates.items():
        print(f"  {name:18} {rate:7.0f}/s   pipelines are {rates['pipelines'] / rate:5.2f} times as fast")


def made(line: Line, count: int) -> list[str]:
    """The accessors of so many new tokens."""
    asks = (Ask("POST", "auth/token/create-orphan", {"policies": ["default"]}) for _ in range(count))
    return [str(reply.content["auth"]["accessor"]) for _, reply in send(line, asks)]


def pipelined(line: Line, path: str, accessors: list[str]) -> float:
    began = time.perf_counter()
    statuses = {reply.status for _, reply in send(line, (Ask("POST", path, {"accessor": one}) for one in accessors))}
    rate = len(accessors) / (time.perf_counter() - began)
    if not statuses <= {200, 204}:
        raise SystemExit(f"{path} is refused: {statuses}")
    return rate


def by_hvac(line: Line, path: str, accessors: list[str]) -> float:
    client = hvac.Client(line.address, token=line.token)
    client.session.trust_env = False
    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda one: client.write_data(path, data={"accessor": one}), accessors))
    return len(accessors) / (time.perf_counter() - began)


def generators() -> dict[str, Generator]:
    known: dict[str, Generator] = {"hey": by_hey, "wrk": by_wrk}
    found = {name: run for name, run in known.items() if shutil.which(name)}
    if not found:
        print("neither hey nor wrk is on PATH: no load generator to compare with")
    return found


def by_hey(line: Line, folder: Path, accessor: str, count: int) -> float:
    body = folder / "body.json"
    body.write_text(json.dumps({"accessor": accessor}))
    load = ["-n", str(count), "-c", str(THREADS), "-m", "POST", "-D", str(body), "-H", f"X-Vault-Token: {line.token}"]
    said = output(["hey", *load, f"{line.address}/v1/{LOOKUP}"])
    return rate_in(said, well=f"[200]\t{count} responses" in said)


def by_wrk(line: Line, folder: Path, accessor: str, count: int) -> float:
    script = folder / "lookup.lua"
    script.touch(mode=0o600)
    script.write_text(LUA.format(body=json.dumps({"accessor": accessor}), token=line.token))
    seconds = max(1, count // 5000)
    load = ["-t", "1", "-c", str(THREADS), "-d", str(seconds), "-s", str(script)]
    said = output(["wrk", *load, f"{line.address}/v1/{LOOKUP}"])
    return rate_in(said, well="Non-2xx" not in said)


def rate_in(said: str, *, well: bool) -> float:
    if not well:
        raise SystemExit(f"not every request was answered:\n{said}")
    return float(re.findall(r"Requests/sec:\s+([0-9.]+)", said)[0])


def output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
