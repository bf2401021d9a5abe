"""What status and doctor tell of a cluster, and what they name as the cause when something around it breaks."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socketserver
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.cluster import keys as keys_
from orchestrator.cluster import nodes
from orchestrator.cluster.doctor import show as doctor_show
from orchestrator.cluster.doctor.model import Result
from orchestrator.cluster.health import key_service, show
from orchestrator.cluster.machines import beside, local
from orchestrator.commands import health
from orchestrator.live import probe
from orchestrator.local import files, process
from tests.cluster import proxy as proxies
from tests.cluster.house import KMS, NAME, STATIC, House, declared, standing, written
from tests.cluster.proxy import HANG, PASS, REFUSE, Proxy
from tests.cluster.writer import writing
from tests.support import REPOSITORY
from tests.test_json import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestrator.cluster.doctor.model import Examined
    from orchestrator.cluster.health.facts import Facts
    from orchestrator.cluster.health.judge import Health
    from orchestrator.cluster.nodes import Seen
    from orchestrator.declared import Node
    from orchestrator.documents import Json

pytestmark = pytest.mark.server
TLS: Json = {"certificate": "node.crt", "key": "node.key", "ca": "ca.crt"}


def told(found: Health) -> list[str]:
    return [f"{one.about}: {one.text}" for one in found.findings]


def looked(house: House) -> tuple[Facts, Health]:
    return health.status(house.root, NAME, house.environ)


def status(house: House) -> Health:
    return looked(house)[1]


def until(house: House, ready: Callable[[Health], bool], seconds: float = 40.0) -> Health:
    """What status says once it is so."""
    deadline = time.monotonic() + seconds
    while not ready(found := status(house)):
        assert time.monotonic() < deadline, told(found)
    return found


def healed(house: House) -> None:
    """Everything started again that ended, and all of it open and led."""
    with house.control() as control:
        for node in house.cluster.nodes:
            control.start(node)
    nodes.wait(house.cluster, "all are open and one leads", whole, 40.0)


def whole(seen: Sequence[Seen]) -> bool:
    return sorted(one.word for one in seen) == ["leader", "standby", "standby"]


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


def documented(page: str, command: str) -> Any:  # noqa: ANN401 - any JSON
    """The JSON block that follows a command on the page."""
    text = (REPOSITORY / page).read_text().partition(f"\n`{command}`")[2]
    block = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert block
    return json.loads(block[1])


def test_a_healthy_cluster_is_told_with_all_that_is_documented(kms: tuple[House, Proxy]) -> None:
    house, _ = kms
    until(house, lambda found: found.word == "healthy")
    document = show.document(*looked(house))

    expected = documented("docs/json.md", "invoke cluster.status")
    lists: dict[str, Json] = {"findings": [], "snapshot": None}
    assert keys({**json.loads(json.dumps(document)), **lists}) == keys({**expected, **lists})
    assert [(one["voter"], one["lag"], one["unknown"]) for one in document["nodes"]] == [(True, 0, {})] * 3
    assert [(one["name"], one["works"]) for one in document["audit"]] == [("file", True), ("second", True)]
    assert document["key"]["works"] is True
    assert (document["failure_tolerance"], document["autopilot_healthy"]) == (1, True)


def test_status_waits_for_no_other_command(kms: tuple[House, Proxy]) -> None:
    house, _ = kms
    with house.control():
        found, _ = looked(house)

    assert len(found.leaders) == 1


def test_without_a_login_status_says_what_it_could_not_ask(kms: tuple[House, Proxy]) -> None:
    house, _ = kms
    login: Json = {"token": {"token": "env:NOBODY_SET_THIS"}}
    house.write(declared("2.6.2", KMS, login=login))
    try:
        found, judged = looked(house)
    finally:
        house.write(declared("2.6.2", KMS))

    assert judged.code == 2
    assert told(judged) == [
        (
            f"{NAME}: members and audit devices were not asked for: "
            "env:NOBODY_SET_THIS is not set; export NOBODY_SET_THIS"
        )
    ]
    assert {one["voter"] for one in show.document(found, judged)["nodes"]} == {None}


def test_members_that_nobody_declares_are_told(kms: tuple[House, Proxy]) -> None:
    house, _ = kms
    leader = nodes.wait_for_leader(house.cluster).node
    only: Json = {name: said for name, said in declared()["nodes"].items() if name == leader.name}
    house.write(declared("2.6.2", KMS, nodes=only))
    try:
        found, judged = looked(house)
    finally:
        house.write(declared("2.6.2", KMS))

    others = sorted({"n1", "n2", "n3"} - {leader.name})
    where = {one["name"]: one["address"] for one in show.document(found, judged)["peers"]}
    assert judged.code == 1
    assert told(judged) == [
        f"{NAME}: raft has a member {name} at {where[name]} that nobody declares" for name in others
    ]


def test_a_sealed_node_and_one_that_is_gone_are_told(kms: tuple[House, Proxy]) -> None:
    house, _ = kms
    one = nodes.wait_for_leader(house.cluster)
    other = next(seen for seen in nodes.look(house.cluster) if not seen.active)
    ca = house.cluster.ca_cert
    with house.session() as session:  # only a leader can be sealed
        assert probe.ask(one.url, "sys/seal", ca=ca, token=session.token, method="PUT", body={}).ok
    nodes.wait(house.cluster, "another leads", lambda seen: nodes.leader(seen) is not None, 30.0)
    sealed, judged = looked(house)
    with house.control() as control:
        control.stop(one.node)
    healed(house)
    with house.control() as control:
        control.stop(other.node)
    gone, judged_gone = looked(house)
    healed(house)

    assert (judged.code, judged_gone.code) == (1, 1)
    assert f"{one.node.name}: is sealed" in told(judged)
    assert any(line.startswith(f"{other.node.name}: has ended: ") for line in told(judged_gone))
    assert [said.seen.word for said in sealed.nodes if said.name == one.node.name] == ["sealed"]
    assert [said.seen.word for said in gone.nodes if said.name == other.node.name] == ["silent"]


def examined(house: House, *rules: str) -> dict[str, Examined]:
    found = health.doctor(house.root, NAME, house.environ, ",".join(rules))
    return {one.check.rule: one for one in found}


def test_the_doctor_finds_nothing_wrong_with_how_we_make_clusters(kms: tuple[House, Proxy]) -> None:
    house, _ = kms
    found = examined(house)
    document = doctor_show.document(NAME, tuple(found.values()))

    ill = {rule: one.verdict for rule, one in found.items() if one.verdict != "ok"}
    as_root = {"account": "bad"} if os.geteuid() == 0 else {}
    assert ill == {
        **as_root,
        "lease-ttl": "warning",  # nobody declares one here
        "rate-limits": "warning",
        "generate-root": "warning",
        "rekey": "warning",
        "audit-sorts": "warning",
        "own-program": "warning",
        "zones": "warning",
        "snapshots": "warning",
        "version": "warning",  # 2.6.2 is not the newest
        "seal-key": "warning",  # an emulated key does not turn
        "drill": "unknown",
    }
    assert all(result.fix for one in found.values() for result in one.results if result.verdict in {"bad", "warning"})
    assert keys(document) == keys(documented("docs/json.md", "invoke cluster.doctor"))


def test_anybody_can_begin_a_root_token_at_a_standby_and_the_doctor_knows(kms: tuple[House, Proxy]) -> None:
    """What forwards requests lets pass what its own listener refuses; a token made that way is found alive."""
    house, _ = kms
    before = examined(house, "generate-root", "root-tokens")
    standby = next(one for one in nodes.look(house.cluster) if not one.active)
    token = root_token(standby.url, house)
    try:
        during = examined(house, "root-tokens")["root-tokens"]
    finally:
        probe.ask(standby.url, "auth/token/revoke-self", ca=house.cluster.ca_cert, token=token, method="POST", body={})
    after = examined(house, "root-tokens")["root-tokens"]

    refusing = [one.about for one in before["generate-root"].results if one.verdict == "ok"]
    leader = nodes.wait_for_leader(house.cluster).node.name
    assert refusing == [leader]
    assert (before["root-tokens"].verdict, during.verdict, after.verdict) == ("ok", "bad", "ok")
    assert re.fullmatch(r"accessor \w+, root, never ends", during.results[0].evidence)
    assert token not in repr(during)


def root_token(url: str, house: House) -> str:
    def ask(path: str, body: dict[str, Json]) -> Mapping[str, Json]:
        said = probe.ask(url, path, ca=house.cluster.ca_cert, method="PUT", body=body)
        assert said.ok, said.words
        return said.document

    begun = ask("sys/generate-root/attempt", {})
    for share in keys_.bare(keys_.folder(house.root, house.declared), "recovery")[:2]:
        done = ask("sys/generate-root/update", {"key": share, "nonce": begun["nonce"]})
    raw = base64.b64decode(done["encoded_token"] + "==")
    return bytes(one ^ other for one, other in zip(raw, begun["otp"].encode(), strict=True)).decode()


def test_the_doctor_finds_files_that_others_may_read(kms: tuple[House, Proxy]) -> None:
    house, _ = kms
    path = local.folder(house.root, NAME) / "nodes" / "n1" / "server.hcl"
    path.chmod(0o644)
    try:
        found = examined(house, "file-modes")["file-modes"]
    finally:
        path.chmod(0o600)

    assert found.verdict == "bad"
    assert [one for one in found.results if one.verdict == "bad"] == [
        Result("bad", f"{path} has mode 0644", f"chmod go= {path}", "n1")
    ]


def test_what_only_the_machine_of_a_node_knows_is_unknown_elsewhere(kms: tuple[House, Proxy]) -> None:
    house, _ = kms
    cluster = house.cluster
    elsewhere: dict[str, Json] = {one.name: {"address": one.host_port} for one in cluster.nodes}
    audit: Json = {"file": {"path": "/var/log/bao/audit.log"}}
    said = declared("2.6.2", KMS, nodes=elsewhere, ca_cert=cluster.ca_cert, listener={"tls": TLS}, audit=audit)
    del said["run"]
    house.write(said)
    try:
        found = examined(house, "account", "core-dumps", "swap", "file-modes", "audit-work", "voters")
    finally:
        house.write(declared("2.6.2", KMS))

    assert {rule: one.verdict for rule, one in found.items()} == {
        "account": "unknown",
        "core-dumps": "unknown",
        "swap": "unknown",
        "file-modes": "unknown",
        "audit-work": "unknown",
        "voters": "ok",
    }


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
    assert told(found)[0] == (
        f"{key_service_at(proxy)} answers; the key {key} is Disabled; "
        "what runs goes on, but no node can take over or unseal after a restart"
    )


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
        try:
            with small_disk(here / "data") as disk:
                try:
                    control.start(standby)
                    nodes.wait(house.cluster, "it has joined", whole, 40.0)
                    filler = fill(disk)
                    found = until(house, lambda one: any(stopped(standby, line) for line in told(one)))
                    writer.wait_for(20)
                    filler.unlink()
                    control.start(standby)
                    again = until(house, lambda one: not any(stopped(standby, line) for line in told(one)))
                    writer.stop()
                    lost = writer.lost()
                finally:
                    control.stop(standby)
        finally:
            control.start(standby)

    assert found.code == 1
    assert f"{standby.name}: its disk is full: 0 KiB of it are left" in told(found)
    assert not any("disk" in line for line in told(again))
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
