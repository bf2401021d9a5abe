"""Three nodes of which two are lost, and what a snapshot or a survivor gives back; a bucket, and a network apart."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster import nodes
from orchestrator.cluster.machines import local
from orchestrator.commands import recover
from orchestrator.errors import Refused
from orchestrator.local import apart, process
from tests.cluster.house import KMS, NAME, declared, standing
from tests.cluster.saving import drill, listed, quiet, restore, snapshots, take
from tests.cluster.writer import writing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.house import House

pytestmark = [pytest.mark.server, pytest.mark.long]


def _lose_two(house: House) -> None:
    """Kill two nodes, the leader among them, and all that they have."""
    house.wait_until_voters()
    leader = house.leader()
    others = [node for node in house.cluster.nodes if node.name != leader.name]
    for node in (leader, others[0]):
        house.kill(node)
    with house.control() as control:
        for node in (leader, others[0]):
            control.stop(node)
            control.wipe(node)
    nodes.wait(house.cluster, "nobody leads", lambda seen: nodes.leader(seen) is None, 30.0)


def test_nothing_that_the_snapshot_has_is_lost_when_two_of_three_nodes_are(tmp_path: Path) -> None:
    with standing(tmp_path, declared(snapshots=snapshots(tmp_path))) as house:
        with pytest.raises(Refused) as led:
            recover.recovered(tmp_path, NAME, house.environ, quiet, "n1", yes="", show=quiet, ask=quiet)
        leader = house.leader().name
        with writing(house) as writer:
            writer.wait_for(50)
        one = take(house)
        _lose_two(house)
        with pytest.raises(Refused) as held:
            restore(house)
        restored = restore(house, empty=True)
        lost = writer.lost()
        seen = nodes.look(house.cluster)

    assert str(led.value) == f"{leader} leads cluster {NAME}: nothing has to be recovered"
    assert str(held.value).startswith(f"cluster {NAME} has no leader, and not all of its nodes are empty: ")
    assert (restored.differences, restored.intended.found.manifest) == ((), one)
    assert sorted(one.word for one in seen) == ["leader", "standby", "standby"]
    assert len(writer.acknowledged) >= 50
    assert lost == []


def test_a_bucket_beside_the_kms_keeps_snapshots_and_a_drill_opens_them_with_that_kms(tmp_path: Path) -> None:
    kept = {"every": "1h", "keep": 1, "to": "s3://saved/below/this"}
    with standing(tmp_path, declared("2.6.2", KMS, size=1, snapshots=kept)) as house:
        first, second = take(house), take(house)
        rows = listed(house, check=True).rows
        drilled = drill(house)
        home = local.folder(tmp_path, NAME)
        runs = process.alive(home / "emulator") is not None

    assert first.key_id.startswith("arn:aws:kms:eu-central-1:")
    assert [(row.manifest, row.wrong) for row in rows] == [(second, "")]
    assert (drilled.wrong, drilled.snapshot, drilled.apart) == ((), second.name, apart.possible())
    assert runs
    assert sorted(path.name for path in (home / "snapshots").iterdir()) == ["drill.json", "lock"]


def test_a_network_apart_has_only_the_ports_that_it_is_given() -> None:
    if not apart.possible():
        pytest.skip("no network namespace may be made here")
    with socket.create_server(("127.0.0.1", 0)) as known, socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=_greet, args=(known,), daemon=True).start()
        port, closed = (one.getsockname()[1] for one in (known, other))
        with apart.apart([port]):
            with socket.create_connection(("127.0.0.1", port), 5) as reached:
                said = reached.recv(5)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", closed), 5)
            with pytest.raises(OSError, match="unreachable"):
                socket.create_connection(("192.0.2.1", 443), 5)
        socket.create_connection(("127.0.0.1", closed), 5).close()

    assert said == b"hello"


def _greet(listener: socket.socket) -> None:
    reached, _ = listener.accept()
    reached.sendall(b"hello")
    reached.close()
