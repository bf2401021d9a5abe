"""What breaks around a cluster: status names it, what was acknowledged stays, and the cluster heals when it ends."""

from __future__ import annotations

import signal
import socketserver
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster import nodes
from orchestrator.cluster.health import key_service
from orchestrator.cluster.machines import beside, local
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
    from orchestrator.documents import Json

pytestmark = pytest.mark.server


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


def key_service_at(proxy: Proxy) -> str:
    return f"{NAME}: the key service of the seal awskms at http://127.0.0.1:{proxy.port}"


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
    assert told(found)[0].startswith(f"{key_service_at(proxy)} refuses connections; ")
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
    assert told(found)[0] == (
        f"{key_service_at(proxy)} refuses connections; "
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
        f"{key_service_at(proxy)} does not answer within 2 s; " + "no node can take over or unseal until it does"
    )
    assert told(found)[1].startswith(f"{NAME}: no node leads, as the key service does not do its part: n")
    assert lost == []


def test_a_key_that_was_disabled_is_told_before_any_node_needs_it(kms: tuple[House, Proxy]) -> None:
    house, proxy = kms
    seal = house.cluster.seal
    client = key_service.aws_client(
        str(seal.settings["endpoint"]), seal, beside.seal_secrets(house.root, house.declared, {})
    )
    key = client.describe_key(KeyId=seal.settings["kms_key_id"])["KeyMetadata"]["KeyId"]
    client.disable_key(KeyId=key)
    try:
        found = status(house)
    finally:
        client.enable_key(KeyId=key)

    assert found.code == 1
    assert told(found) == [
        (
            f"{key_service_at(proxy)} answers; the key {key} is Disabled; "
            "what runs goes on, but no node can take over or unseal after a restart"
        )
    ]


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of its own, which can be filled; the test is skipped where nobody may mount one."""
    place.mkdir(mode=0o700)
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield place
    finally:
        subprocess.run(["/bin/umount", str(place)], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return filler


def stopped(node: Node, line: str) -> bool:
    """Whether it no longer takes part: it cannot keep raft's log, or has ended as it could not apply an entry."""
    lags = line.startswith(f"{node.name}: is ") and line.endswith(" entries behind the leader and does not catch up")
    return lags or (line.startswith(f"{node.name}: has ended: ") and "no space left on device" in line)


def test_a_node_whose_disk_is_full_is_told_and_comes_back_when_there_is_room(kms: tuple[House, Proxy]) -> None:
    house, _ = kms
    standby = next(one.node for one in nodes.look(house.cluster) if not one.active)
    here = local.folder(house.root, NAME) / "nodes" / standby.name
    with writing(house) as writer, house.control() as control:
        control.stop(standby)
        control.wipe(standby)
        with small_disk(here / "data") as disk:
            try:
                control.start(standby)
                until(house, lambda found: found.word == "healthy")
                filler = fill(disk)
                found = until(house, lambda one: any(stopped(standby, line) for line in told(one)))
                writer.wait_for(20)
                filler.unlink()
                control.start(standby)
                again = until(house, lambda one: one.word == "healthy")
                writer.stop()
                lost = writer.lost()
            finally:
                control.stop(standby)
        control.start(standby)

    assert found.code == 1
    assert f"{standby.name}: its disk is full: 0 KiB of it are left" in told(found)
    assert told(again) == []
    assert lost == []


class Swallow(socketserver.BaseRequestHandler):
    """A collector of audit logs that keeps nothing."""

    def handle(self) -> None:
        while self.request.recv(65536):
            pass


@contextmanager
def collectors() -> Iterator[tuple[Proxy, Proxy]]:
    """Two ways to one collector, each of which can be shut."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Swallow) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = int(server.server_address[1])
        try:
            with proxies.before(port) as one, proxies.before(port) as other:
                yield one, other
        finally:
            server.shutdown()


def test_audit_devices_that_fail_are_told_though_health_says_200(tmp_path: Path) -> None:
    with collectors() as (one, other):
        audit: Json = {
            name: {"type": "socket", "address": f"127.0.0.1:{proxy.port}", "socket_type": "tcp"}
            for name, proxy in (("one", one), ("other", other))
        }
        with standing(tmp_path, declared("2.7.2", STATIC, size=1, audit=audit)) as house:
            whole = status(house)
            one.set(REFUSE)
            half = until(house, lambda found: found.code == 1)
            other.set(REFUSE)
            none = until(house, lambda found: found.code == 5)
            seen = nodes.look(house.cluster)
            one.set(PASS)
            other.set(PASS)
            again = until(house, lambda found: found.code == 0)

    assert told(whole) == []
    assert told(half) == [
        f"n1: audit device one fails: its collector at 127.0.0.1:{one.port} does not take connections"
    ]
    assert told(none) == [
        (
            "n1: every request is refused with 500, though health says 200: no audit device takes what it is given; "
            "make room or bring the collector back, nothing else is wrong"
        )
    ]
    assert [node.health.status for node in seen] == [200]
    assert told(again) == []
