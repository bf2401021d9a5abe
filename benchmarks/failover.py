"""From the loss of a leader to the first write through our front, as a ratio to the election that the server needs.

Run: python benchmarks/failover.py [kills]. It starts a cluster of three nodes in a temporary folder and ends it.
The election is over when some node's health is 200, as a tight poll of every node sees it in a process of its own.
"""

from __future__ import annotations

import http.client
import multiprocessing
import ssl
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from orchestrator.declared import Cluster, Node
    from orchestrator.live.server import Server

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from orchestrator.errors import Unreachable  # noqa: E402 - after the path
from orchestrator.live import trust  # noqa: E402
from tests.cluster.house import House, declared, standing  # noqa: E402
from tests.support import POLICY  # noqa: E402

GOAL = 1.3


def main(kills: int) -> None:
    with tempfile.TemporaryDirectory() as folder, standing(Path(folder), declared()) as house:
        house.wait_until_voters()
        rounds = [measured(house) for _ in range(kills)]
    for election, write in rounds:
        print(f"election {election:5.2f} s   first write {write:5.2f} s   {write / election:4.2f} times")
    ratio = statistics.median(write / election for election, write in rounds)
    print(f"median {ratio:.2f} times the election alone; at most {GOAL} is the goal")


def measured(house: House) -> tuple[float, float]:
    """Seconds from a kill to the end of the election, and to the first write that was acknowledged after it."""
    leader = house.leader()
    others = [one for one in house.cluster.nodes if one.name != leader.name]
    receiving, sending = multiprocessing.Pipe(duplex=False)
    watcher = multiprocessing.get_context("spawn").Process(target=watch, args=(house.cluster, others, sending))
    with house.session() as session:
        watcher.start()
        receiving.recv()  # it polls
        write(session.server, time.monotonic())
        killed = time.monotonic()
        house.kill(leader)
        written = write(session.server, killed)
    elected = receiving.recv()
    watcher.join()
    house.start(leader)
    return elected - killed, written - killed


def write(server: Server, since: float) -> float:
    """When a write is acknowledged that was sent after this moment."""
    while True:
        try:
            server.write("sys/policies/acl/benchmark", {"policy": POLICY}, again=True)
        except Unreachable:
            continue
        if time.monotonic() > since:
            return time.monotonic()


def watch(cluster: Cluster, nodes: list[Node], told: Connection) -> None:
    """Tell when the first of these nodes leads."""
    found: list[float] = []
    told.send(0.0)
    threads = [threading.Thread(target=poll, args=(cluster, node, found)) for node in nodes]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    told.send(min(found))


def poll(cluster: Cluster, node: Node, found: list[float]) -> None:
    context = trust.context(cluster.ca_cert) if cluster.scheme == "https" else ssl.create_default_context()
    connection = http.client.HTTPSConnection(node.host, node.port, context=context)
    while not found:
        connection.request("GET", "/v1/sys/health")
        reply = connection.getresponse()
        reply.read()
        if reply.status == http.HTTPStatus.OK:
            found.append(time.monotonic())
    connection.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
