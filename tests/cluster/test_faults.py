"""What breaks around a cluster: status names it, what was acknowledged stays, and the cluster heals when it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster import nodes
from orchestrator.cluster.machines import local
from orchestrator.commands import health
from orchestrator.local import files, process
from tests.cluster import proxy as proxies
from tests.cluster.house import KMS, NAME, STATIC, House, declared, standing, written
from tests.cluster.proxy import HANG, PASS, REFUSE, Proxy
from tests.cluster.writer import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.cluster.health.judge import Health
    from orchestrator.declared import Node

pytestmark = pytest.mark.server
MEBI = 1 << 20


def told(found: Health) -> list[str]:
    return [f"{one.about}: {one.text}" for one in found.findings]


def status(house: House) -> Health:
    _, found = health.status(house.root, NAME, house.environ)
    return found


def until(house: House, ready: Callable[[Health], bool], seconds: float = 40.0) -> Health:
    """What status says once it is so."""
    deadline = time.monotonic() + seconds
    while not ready(found := status(house)):
        assert time.monotonic() < deadline, told(found)
    return found


def healed(house: House) -> Health:
    """Everything started again that ended, and well again."""
    with house.control() as control:
        for node in house.cluster.nodes:
            control.start(node)
    return until(house, lambda found: found.word == "healthy")


def killed_leader(house: House) -> Node:
    leader = nodes.wait_for_leader(house.cluster).node
    process.stop(local.folder(house.root, NAME) / "nodes" / leader.name, signal.SIGKILL)
    return leader


@pytest.fixture(scope="module")
def kms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Proxy]]:
    """Three nodes whose KMS is behind a proxy from the first start on."""
    house = written(tmp_path_factory.mktemp("faults"), declared("2.6.2", KMS))
    with house.control() as control:
        control.place()
    port = local.folder(house.root, NAME) / "emulator" / "port"
    with proxies.before(int(port.read_text())) as proxy:
        files.write(port, str(proxy.port))
        try:
            house.up()
            house.wait_until_voters()
            yield house, proxy
        finally:
            house.down()


@contextmanager
def broken(proxy: Proxy, mode: str) -> Iterator[None]:
    proxy.set(mode)
    try:
        yield
    finally:
        proxy.set(PASS)


def key_service(proxy: Proxy, said: str) -> str:
    return f"{NAME}: the key service of the seal awskms at http://127.0.0.1:{proxy.port} {said}; "


def test_a_node_that_starts_while_the_kms_refuses_is_told_with_its_cause(kms: tuple[House, Proxy]) -> None:
    house, proxy = kms
    standby = next(one.node for one in nodes.look(house.cluster) if not one.active)
    with writing(house) as writer:
        with broken(proxy, REFUSE):
            with house.control() as control:
                control.stop(standby)
                control.start(standby)
            here = local.folder(house.root, NAME) / "nodes" / standby.name
            assert process.until(lambda: process.alive(here) is None or None, 30.0)
            found = status(house)
        healed(house)
        writer.wait_for(5)
        writer.stop()
        lost = writer.lost()

    assert found.code == 1
    assert told(found)[0].startswith(key_service(proxy, "refuses connections"))
    assert any(line.startswith(f"{standby.name}: has ended: Error configuring seal") for line in told(found))
    assert lost == []


def test_a_leader_is_lost_while_the_kms_refuses(kms: tuple[House, Proxy]) -> None:
    house, proxy = kms
    with writing(house) as writer:
        with broken(proxy, REFUSE):
            leader = killed_leader(house)
            nodes.wait(house.cluster, "another leads", lambda seen: nodes.leader(seen) is not None, 60.0)
            found = status(house)
            writer.wait_for(5)
        healed(house)
        writer.stop()
        lost = writer.lost()

    assert found.code == 1
    assert told(found)[0] == key_service(proxy, "refuses connections") + (
        "what runs goes on, but no node can take over or unseal after a restart"
    )
    assert any(line.startswith(f"{leader.name}: ") for line in told(found))
    assert lost == []


def test_a_hanging_kms_is_named_in_place_of_no_leader(kms: tuple[House, Proxy]) -> None:
    house, proxy = kms
    with writing(house) as writer:
        with broken(proxy, HANG):
            killed_leader(house)
            found = until(house, lambda one: any("is elected and waits for it" in line for line in told(one)))
        healed(house)
        writer.wait_for(5)
        writer.stop()
        lost = writer.lost()

    assert found.code == 5
    assert told(found)[0] == (
        key_service(proxy, "does not answer within 2 s") + "no node can take over or unseal until it does"
    )
    assert told(found)[1].startswith(f"{NAME}: no node leads, as the key service does not do its part: n")
    assert lost == []
