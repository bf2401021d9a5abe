"""What may happen to the processes of a cluster, with nothing lost that was acknowledged."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster import nodes
from orchestrator.cluster.machines import local
from orchestrator.local import process
from tests.cluster.house import KMS, NAME, declared, standing
from tests.cluster.writer import writing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.declared import Node
    from tests.cluster.house import House

pytestmark = [pytest.mark.server, pytest.mark.long]

TIMES = 20


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with standing(tmp_path_factory.mktemp("survival"), declared("2.6.2", KMS)) as house:
        house.wait_until_voters()
        yield house


def another(house: House, node: Node) -> None:
    """Return when another node leads than this one."""

    def leads(seen: object) -> bool:
        found = nodes.leader(seen) if isinstance(seen, tuple) else None
        return found is not None and found.node.name != node.name

    nodes.wait(house.cluster, f"another node than {node.name} leads", leads, 60.0)


def peers(house: House) -> dict[str, bool]:
    """The nodes that the leader counts, and which of them vote."""
    with house.session() as session:
        found = session.server.read("sys/storage/raft/configuration") or {}
    return {one["node_id"]: one["voter"] for one in found["config"]["servers"]}


def take(ports: list[int]) -> ExitStack:
    """Somebody else listens there until the end."""
    stack = ExitStack()
    for port in ports:
        other = stack.enter_context(socket.socket())
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((local.HOST, port))
        other.listen()
    return stack


def test_twenty_leaders_killed_under_load_lose_nothing(house: House) -> None:
    with writing(house) as writer:
        for _ in range(TIMES):
            leader = house.leader()
            house.kill(leader)
            another(house, leader)
            writer.wait_for(3)
            house.start(leader)
    assert writer.lost() == []
    assert len(writer.acknowledged) >= 3 * TIMES
    assert peers(house) == {"n1": True, "n2": True, "n3": True}


def test_a_follower_that_was_wiped_comes_back_with_everything(house: House) -> None:
    with writing(house) as writer:
        writer.wait_for(20)
        follower = next(one for one in house.cluster.nodes if one.name != house.leader().name)
        house.kill(follower)
        with house.control() as control:
            control.wipe(follower)
        house.start(follower)
        house.wait_until_voters()
        leader = house.leader()
        house.kill(leader)  # from now on its word is needed
        another(house, leader)
        writer.wait_for(5)
        house.start(leader)
    assert writer.lost() == []
    assert peers(house) == {"n1": True, "n2": True, "n3": True}


def test_a_power_cut_loses_nothing(house: House) -> None:
    with writing(house) as writer:
        writer.wait_for(20)
        emulator = local.folder(house.root, NAME) / "emulator"
        for pid in [*map(house.pid, house.cluster.nodes), process.alive(emulator)]:
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        house.up()
        writer.wait_for(5)
    assert writer.lost() == []
    assert peers(house) == {"n1": True, "n2": True, "n3": True}


def test_a_leader_that_hangs_is_replaced_and_leads_no_second_cluster(house: House) -> None:
    with writing(house) as writer:
        writer.wait_for(10)
        leader = house.leader()
        house.kill(leader, signal.SIGSTOP)
        try:
            another(house, leader)
            writer.wait_for(10)
        finally:
            house.kill(leader, signal.SIGCONT)
        writer.wait_for(10)
        nodes.wait(house.cluster, "one node leads", lambda seen: [one.word for one in seen].count("leader") == 1, 30.0)
    assert writer.lost() == []
    assert house.leader().name != leader.name


@pytest.mark.parametrize("taken", [{"n2"}, {"n1", "n2", "n3"}], ids=["of one node", "of all nodes"])
def test_nodes_whose_ports_are_taken_find_each_other_on_new_ones(taken: set[str], house: House) -> None:
    with writing(house) as writer:
        writer.wait_for(5)
    before = {one.name: one.port for one in house.cluster.nodes}
    house.down()
    with take([before[name] for name in taken]):
        house.up()
        leader = house.leader()
        house.kill(leader)  # whoever is elected next was found where it is now
        another(house, leader)
        house.start(leader)
    writer.cluster = house.cluster

    assert {one.name for one in house.cluster.nodes if before[one.name] != one.port} == taken
    assert writer.lost() == []
    assert peers(house) == {"n1": True, "n2": True, "n3": True}
