"""How a cluster does: each thing that is wrong is told, and what could not be asked is told as such."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster.doctor import examine
from orchestrator.cluster.doctor.model import Examined, Result
from orchestrator.cluster.health import key_service
from orchestrator.cluster.health.asking import Unknown, within
from orchestrator.cluster.health.facts import Autopilot, Certificate, Facts, Inside, KeyService, NodeFacts, Room
from orchestrator.cluster.health.judge import Health, judge
from orchestrator.cluster.nodes import Seen
from orchestrator.cluster.raft import Peer
from orchestrator.declared import Cluster, Node, Seal
from orchestrator.errors import StrongroomError
from orchestrator.live.probe import Said
from tests.cluster import proxy as proxies
from tests.cluster.proxy import HANG, REFUSE

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.documents import Json

NODES = tuple(Node(name, f"10.0.{number}.11") for number, name in enumerate(("n1", "n2", "n3"), 1))
CLUSTER = Cluster("prod", "openbao", "2.7.2", nodes=NODES, seal=Seal("static"))
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


def empty(one: Node) -> NodeFacts:
    said = Said(200, {"initialized": False, "sealed": True})
    return replace(node(one), seen=replace(node(one).seen, seal=said, health=replace(said, status=501)))


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
        (
            facts(nodes=tuple(map(empty, NODES)), inside=Unknown("no node leads")),
            5,
            [
                "prod: no node leads: every node is empty; begin it: invoke cluster.init -c prod",
                *(f"{one.name}: is empty: it has not joined" for one in NODES),
            ],
        ),
        (
            facts(begins="keys"),
            1,
            [
                (
                    "prod: its beginning has not ended, and its root token may lie in keys; end it: "
                    "invoke cluster.init -c prod"
                )
            ],
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


AWS: dict[str, Json] = {"region": "r", "kms_key_id": "alias/k"}
TRANSIT: dict[str, Json] = {"key_name": "u", "mount_path": "transit/"}
SIGNED = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


@pytest.mark.parametrize(
    ("kind", "settings", "secrets", "mode", "said"),
    [
        ("awskms", AWS, SIGNED, REFUSE, "refuses connections"),
        ("awskms", AWS, SIGNED, HANG, "does not answer within 2 s"),
        ("awskms", AWS, {}, REFUSE, "refuses connections"),
        ("transit", TRANSIT, {"VAULT_TOKEN": "t"}, REFUSE, "refuses connections"),
        ("transit", TRANSIT, {"VAULT_TOKEN": "t"}, HANG, "does not answer within 2 s"),
        ("transit", TRANSIT, {}, REFUSE, "refuses connections"),
    ],
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
