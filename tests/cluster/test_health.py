"""How a cluster does: each thing that is wrong is told, and what could not be asked is told as such."""

from __future__ import annotations

import base64
import json
import os
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.cluster import keys as keys_
from orchestrator.cluster import nodes
from orchestrator.cluster.doctor import examine
from orchestrator.cluster.doctor import show as doctor_show
from orchestrator.cluster.doctor.model import Examined, Result
from orchestrator.cluster.health import key_service, show
from orchestrator.cluster.health.asking import Unknown, within
from orchestrator.cluster.health.facts import Autopilot, Certificate, Facts, Inside, KeyService, NodeFacts, Peer, Room
from orchestrator.cluster.health.judge import Health, judge
from orchestrator.cluster.machines import local
from orchestrator.cluster.nodes import Seen
from orchestrator.commands import health
from orchestrator.declared import Cluster, Node, Seal
from orchestrator.errors import StrongroomError
from orchestrator.live import probe
from orchestrator.live.probe import Said
from tests.cluster import proxy as proxies
from tests.cluster.house import NAME, STATIC, House, declared, standing
from tests.cluster.proxy import HANG, REFUSE
from tests.support import REPOSITORY
from tests.test_json import keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestrator.documents import Json

NODES = tuple(Node(name, f"10.0.{number}.11") for number, name in enumerate(("n1", "n2", "n3"), 1))
CLUSTER = Cluster("prod", "openbao", "2.7.2", nodes=NODES, seal=Seal("static"))
TLS = {"certificate": "node.crt", "key": "node.key", "ca": "ca.crt"}
WELL: dict[str, Json] = {"initialized": True, "sealed": False, "type": "static", "version": "2.7.2"}


def told(found: Health) -> list[str]:
    return [f"{one.about}: {one.text}" for one in found.findings]


def node(one: Node, *, leads: bool = False) -> NodeFacts:
    url = f"https://{one.host_port}"
    leader = "https://10.0.1.11:8200"
    said = Said(200, {"leader_address": leader, "raft_applied_index": 7})
    seen = Seen(one, url, Said(200 if leads else 429, {**WELL, "standby": not leads}), Said(200, WELL))
    shown = Certificate(90.0, (one.host,), "CN=us", "", "TLSv1.3")
    return NodeFacts(seen, said, Said(403, {"errors": ["permission denied"]}), shown, 0.0, Room(1 << 30, 1 << 31))


def facts(**more: Json) -> Facts:
    """A cluster that is well but for what is said."""
    peers = tuple(Peer(one.name, one.host_port, voter=True, leader=one.name == "n1") for one in NODES)
    autopilot = Autopilot(True, 1, dict.fromkeys(("n1", "n2", "n3"), "1s"), dict.fromkeys(("n1", "n2", "n3"), True))  # noqa: FBT003
    inside = Inside("approle", peers, autopilot, ())
    found = Facts(CLUSTER, tuple(node(one, leads=one.name == "n1") for one in NODES), None, inside, {}, None)
    return replace(found, **more)


def changed(name: str, **more: Json) -> tuple[NodeFacts, ...]:
    return tuple(replace(one, **more) if one.name == name else one for one in facts().nodes)


def test_a_cluster_with_nothing_wrong_is_healthy() -> None:
    assert judge(facts()) == Health("healthy", ())
    assert judge(facts()).code == 0


@pytest.mark.parametrize(
    ("found", "code", "lines"),
    [
        (
            facts(nodes=tuple(node(one, leads=one.name != "n3") for one in NODES)),
            1,
            ["prod: n1 and n2 both say that they lead; ask again"],
        ),
        (
            facts(nodes=tuple(node(one) for one in NODES), inside=Unknown("no node leads")),
            5,
            ["prod: no node leads; an election takes some seconds"],
        ),
        (facts(nodes=changed("n2", skew=-7.0)), 1, ["n2: its clock is 7 s behind of this machine's"]),
        (facts(nodes=changed("n2", room=Room(4096, 1 << 30))), 1, ["n2: its disk is full: 4 KiB of it are left"]),
        (
            facts(nodes=changed("n3", certificate=Certificate(3.2, (), "CN=us", "", "TLSv1.3"))),
            1,
            ["n3: its TLS certificate ends in 3 days; renew it"],
        ),
        (
            facts(nodes=changed("n3", certificate=Certificate(-2.0, (), "CN=us", "expired", "TLSv1.3"))),
            1,
            ["n3: its TLS certificate ended 2 days ago"],
        ),
        (
            facts(nodes=changed("n1", recorded=Said(500, {"errors": ["internal error"]})), inside=Unknown("refused")),
            5,
            [
                (
                    "n1: every request is refused with 500, though health says 200: no audit device takes what it is "
                    "given; make room or bring the collector back, nothing else is wrong"
                )
            ],
        ),
        (
            facts(nodes=changed("n1", recorded=Said(500, {"errors": ["local node not active"]}))),
            0,
            [],
        ),
        (facts(lag={"n1": 0, "n2": 12}), 1, ["n2: is 12 entries behind the leader and does not catch up"]),
        (
            facts(nodes=changed("n2", leader=Said(200, {"leader_address": "https://10.0.9.9:8200"}))),
            1,
            ["n2: takes https://10.0.9.9:8200 for the leader"],
        ),
        (
            facts(inside=Unknown("the login is refused")),
            2,
            ["prod: members and audit devices were not asked for: the login is refused"],
        ),
        (
            facts(key=KeyService("http://kms", "bad", "refuses connections")),
            1,
            [
                (
                    "prod: the key service of the seal static at http://kms refuses connections; what runs goes on, "
                    "but no node can take over or unseal after a restart"
                )
            ],
        ),
        (facts(key=KeyService("http://kms:1", "unknown", "is not known from here")), 0, []),
    ],
)
def test_what_is_wrong_is_told_and_weighed(found: Facts, code: int, lines: list[str]) -> None:
    judged = judge(found)

    assert told(judged) == lines
    assert judged.code == code


def test_what_hangs_is_not_waited_for() -> None:
    def never() -> str:
        time.sleep(60)
        return "late"

    def fails() -> str:
        raise StrongroomError("refused")

    found = within(0.2, {"quick": lambda: "here", "never": never, "fails": fails})

    assert found == {"quick": "here", "never": Unknown("no answer within 0 s"), "fails": Unknown("refused")}


def test_a_mistake_of_ours_in_a_question_is_not_taken_for_an_unknown() -> None:
    with pytest.raises(ZeroDivisionError):
        within(1.0, {"one": lambda: 1 // 0})


@pytest.mark.parametrize(
    ("mode", "said"), [(REFUSE, "refuses connections"), (HANG, "does not answer within 2 s")], ids=["refuse", "hang"]
)
@pytest.mark.parametrize(
    ("kind", "settings", "secrets"),
    [
        ("awskms", {"region": "r", "kms_key_id": "alias/k"}, {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}),
        ("awskms", {"region": "r", "kms_key_id": "alias/k"}, {}),
        ("transit", {"key_name": "u", "mount_path": "transit/"}, {"VAULT_TOKEN": "t"}),
        ("transit", {"key_name": "u", "mount_path": "transit/"}, {}),
    ],
    ids=["signed", "unsigned", "encrypting", "asking"],
)
def test_a_key_service_that_does_not_answer_is_told(
    kind: str, settings: dict[str, Json], secrets: dict[str, str], mode: str, said: str
) -> None:
    with proxies.before(1) as proxy:
        proxy.set(mode)
        address = f"http://127.0.0.1:{proxy.port}"
        where = {"awskms": "endpoint", "transit": "address"}[kind]
        found = key_service.look(Seal(kind, {**settings, where: address}), secrets)

    assert found == KeyService(address, "bad", said)


def test_a_key_service_with_a_name_of_another_network_is_unknown() -> None:
    address = "http://kms.invalid:5000"
    settings: dict[str, Json] = {"region": "r", "kms_key_id": "alias/k", "endpoint": address}
    signed = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}

    expected = KeyService(address, "unknown", "is not known by that name from here, so it was not asked")
    assert [key_service.look(Seal("awskms", settings), one) for one in ({}, signed)] == [expected, expected]


def test_a_key_in_a_file_must_be_readable(tmp_path: Path) -> None:
    (tmp_path / "k").write_bytes(b"k" * 32)
    places = [f"file://{tmp_path}/k", f"file://{tmp_path}/none", f"file://{tmp_path}"]
    found = [key_service.look(Seal("static", {"current_key_id": "1", "current_key": one}), {}) for one in places]

    assert [(one.state, one.said) for one in found if one] == [
        ("ok", "can be read"),
        ("unknown", "lies on the nodes, and not here"),
        ("bad", "cannot be read: Is a directory"),
    ]


def test_people_are_no_key_service() -> None:
    assert key_service.look(Seal("shamir"), {}) is None


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with standing(tmp_path_factory.mktemp("health"), declared("2.7.2", STATIC)) as found:
        found.wait_until_voters()
        yield found


def looked(house: House) -> tuple[Facts, Health]:
    return health.status(house.root, NAME, house.environ)


def until_well(house: House) -> Facts:
    deadline = time.monotonic() + 40
    while True:
        found, judged = looked(house)
        if judged.word == "healthy":
            return found
        assert time.monotonic() < deadline, told(judged)


def documented(page: str, command: str) -> Any:  # noqa: ANN401 - any JSON
    """The JSON block that follows a command on the page."""
    text = (REPOSITORY / page).read_text().partition(f"\n`{command}`")[2]
    block = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert block
    return json.loads(block[1])


@pytest.mark.server
def test_a_healthy_cluster_is_told_with_all_that_is_documented(house: House) -> None:
    found = until_well(house)
    document = show.document(found, judge(found))

    expected = documented("docs/json.md", "invoke cluster.status")
    lists: dict[str, Json] = {"findings": [], "snapshot": None}
    assert keys({**json.loads(json.dumps(document)), **lists}) == keys({**expected, **lists})
    assert [(one["voter"], one["lag"], one["unknown"]) for one in document["nodes"]] == [(True, 0, {})] * 3
    assert [(one["name"], one["works"]) for one in document["audit"]] == [("file", True), ("second", True)]
    assert document["key"]["works"] is True
    assert (document["failure_tolerance"], document["autopilot_healthy"]) == (1, True)


@pytest.mark.server
def test_status_waits_for_no_other_command(house: House) -> None:
    with house.control():
        found, _ = looked(house)

    assert len(found.leaders) == 1


@pytest.mark.server
def test_without_a_login_status_says_what_it_could_not_ask(house: House) -> None:
    login: Json = {"token": {"token": "env:NOBODY_SET_THIS"}}
    house.write(declared("2.7.2", STATIC, login=login))
    try:
        found, judged = looked(house)
    finally:
        house.write(declared("2.7.2", STATIC))

    assert judged.code == 2
    assert told(judged) == [
        (
            f"{NAME}: members and audit devices were not asked for: "
            "env:NOBODY_SET_THIS is not set; export NOBODY_SET_THIS"
        )
    ]
    assert {one["voter"] for one in show.document(found, judged)["nodes"]} == {None}


@pytest.mark.server
def test_members_that_nobody_declares_are_told(house: House) -> None:
    leader = nodes.wait_for_leader(house.cluster).node
    only: Json = {name: said for name, said in declared()["nodes"].items() if name == leader.name}
    house.write(declared("2.7.2", STATIC, nodes=only))
    try:
        found, judged = looked(house)
    finally:
        house.write(declared("2.7.2", STATIC))

    others = sorted({"n1", "n2", "n3"} - {leader.name})
    where = {one["name"]: one["address"] for one in show.document(found, judged)["peers"]}
    assert judged.code == 1
    assert told(judged) == [
        f"{NAME}: raft has a member {name} at {where[name]} that nobody declares" for name in others
    ]


@pytest.mark.server
def test_a_sealed_node_and_one_that_is_gone_are_told(house: House) -> None:
    one = nodes.wait_for_leader(house.cluster)
    other = next(seen for seen in nodes.look(house.cluster) if not seen.active)
    ca = house.cluster.ca_cert
    with house.session() as session:  # only a leader can be sealed
        assert probe.ask(one.url, "sys/seal", ca=ca, token=session.token, method="PUT", body={}).ok
    nodes.wait(house.cluster, "another leads", lambda seen: nodes.leader(seen) is not None, 30.0)
    sealed, judged = looked(house)
    with house.control() as control:
        control.stop(one.node)
        control.start(one.node)
    until_well(house)
    with house.control() as control:
        control.stop(other.node)
    gone, judged_gone = looked(house)
    with house.control() as control:
        control.start(other.node)
    until_well(house)

    assert (judged.code, judged_gone.code) == (1, 1)
    assert f"{one.node.name}: is sealed" in told(judged)
    assert any(line.startswith(f"{other.node.name}: has ended: ") for line in told(judged_gone))
    assert [said.seen.word for said in sealed.nodes if said.name == one.node.name] == ["sealed"]
    assert [said.seen.word for said in gone.nodes if said.name == other.node.name] == ["silent"]


def examined(house: House, *rules: str) -> dict[str, Examined]:
    found = health.doctor(house.root, NAME, house.environ, ",".join(rules))
    return {one.check.rule: one for one in found}


@pytest.mark.server
def test_the_doctor_finds_nothing_wrong_with_how_we_make_clusters(house: House) -> None:
    until_well(house)
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
        "drill": "unknown",
    }
    assert all(result.fix for one in found.values() for result in one.results if result.verdict in {"bad", "warning"})
    assert keys(document) == keys(documented("docs/json.md", "invoke cluster.doctor"))


@pytest.mark.server
def test_anybody_can_begin_a_root_token_at_a_standby_and_the_doctor_knows(house: House) -> None:
    """What forwards requests lets pass what its own listener refuses; a token made that way is found alive."""
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


@pytest.mark.server
def test_the_doctor_finds_files_that_others_may_read(house: House) -> None:
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


@pytest.mark.server
def test_what_only_the_machine_of_a_node_knows_is_unknown_elsewhere(house: House) -> None:
    cluster = house.cluster
    elsewhere: dict[str, Json] = {one.name: {"address": one.host_port} for one in cluster.nodes}
    audit: Json = {"file": {"path": "/var/log/bao/audit.log"}}
    said = declared("2.7.2", STATIC, nodes=elsewhere, ca_cert=cluster.ca_cert, listener={"tls": TLS}, audit=audit)
    del said["run"]
    house.write(said)
    try:
        found = examined(house, "account", "core-dumps", "swap", "file-modes", "audit-work", "voters")
    finally:
        house.write(declared("2.7.2", STATIC))

    assert {rule: one.verdict for rule, one in found.items()} == {
        "account": "unknown",
        "core-dumps": "unknown",
        "swap": "unknown",
        "file-modes": "unknown",
        "audit-work": "unknown",
        "voters": "ok",
    }


def test_a_rule_that_is_none_is_refused() -> None:
    with pytest.raises(StrongroomError) as caught:
        examine.chosen("voters, coredumps")

    assert str(caught.value).startswith("--only coredumps: there is no such rule; write some of root-tokens, ")


def test_every_rule_has_a_name_of_its_own_and_a_question() -> None:
    rules = [one.rule for one in examine.CHECKS]

    assert len(set(rules)) == len(rules)
    assert all(one.question.endswith("?") for one in examine.CHECKS)


@pytest.mark.parametrize(
    ("verdicts", "code"), [((), 0), (("ok",), 0), (("warning", "unknown"), 2), (("warning", "bad"), 1)]
)
def test_the_worst_result_is_the_exit_code(verdicts: tuple[str, ...], code: int) -> None:
    found = [Examined(examine.CHECKS[0], (Result(one, "seen"),)) for one in verdicts]

    assert examine.code(found) == code
