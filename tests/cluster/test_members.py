"""Nodes that come and go, and a key in shares: sealed and opened by hand."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster import keys, lead, members, nodes, opening, raft
from orchestrator.commands import cluster_nodes as commands
from orchestrator.commands.cluster_nodes import Asked
from orchestrator.errors import Refused, StrongroomError
from tests.cluster.house import NAME, SHAMIR, House, declared, standing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.cluster.members import Leaving
    from orchestrator.cluster.sealing import Sealing

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with standing(tmp_path_factory.mktemp("members"), declared("2.7.2", SHAMIR)) as found:
        found.settle()
        yield found


def asked(house: House, *ways: str, told: list[str] | None = None) -> Asked:
    return Asked(house.root, NAME, house.environ, (told if told is not None else []).append, ways)


def agreed(_: Leaving | Sealing) -> None:
    """Tests have said what they want."""


def words(house: House) -> dict[str, str]:
    return {one.node.name: one.word for one in nodes.look(house.cluster)}


def leader_of(house: House) -> str:
    return nodes.wait_for_leader(house.cluster).node.name


def peers(house: House) -> set[tuple[str, bool]]:
    with lead.session(house.root, house.declared, house.environ) as led:
        return {(one.name, one.voter) for one in led.do(raft.peers)}


def share_files(house: House) -> list[str]:
    place = keys.folder(house.root, house.cluster)
    return [f"file:{path}" for path in sorted(place.glob("unseal-*.key"))]


@pytest.fixture
def sealed(house: House) -> str:
    """A standby that was sealed."""
    name = next(name for name in ("n1", "n2", "n3") if name != leader_of(house))
    (shut,) = commands.seal(asked(house), name, agreed, all_=False)
    assert (shut.node, shut.how) == (name, "restarted, and so sealed")
    return name


def test_shares_of_several_people_open_a_node_one_after_the_other(house: House, sealed: str) -> None:
    first, second, _ = share_files(house)
    found = [commands.unseal(asked(house, way), "") for way in (first, first, second)]

    assert [(one.node, one.sealed, one.progress, one.threshold) for (one,) in found] == [
        (sealed, True, 1, 2),
        (sealed, True, 1, 2),
        (sealed, False, 0, 2),
    ]
    assert commands.unseal(asked(house), "") == ()


def test_a_wrong_share_is_named_by_its_place_and_the_right_ones_open_the_node(
    house: House, sealed: str, tmp_path: Path
) -> None:
    wrong, value = tmp_path / "ada", base64.b64encode(bytes(range(33))).decode()
    wrong.write_text(f"{value}\n")
    told: list[str] = []
    ways = [f"file:{wrong}", *share_files(house)[:2]]
    (found,) = commands.unseal(asked(house, *ways, told=told), sealed)

    assert (found.sealed, found.wrong) == (False, (f"{wrong}, line 1",))
    assert told == [f"{sealed}: unsealed; no share of its key: {wrong}, line 1"]


def test_shares_that_do_not_fit_what_others_gave_are_said_to(house: House, sealed: str, tmp_path: Path) -> None:
    wrong = tmp_path / "ada"
    wrong.write_text(base64.b64encode(bytes(range(33))).decode())
    commands.unseal(asked(house, f"file:{wrong}"), sealed)
    (found,) = commands.unseal(asked(house, share_files(house)[0]), sealed)
    (after,) = commands.unseal(asked(house), sealed)

    assert (found.sealed, found.progress) == (True, 0)
    assert opening.told(found) == (
        f"{sealed}: sealed, 0 of 2 shares; the shares do not fit ({found.why}): one or more are wrong, of these or of "
        "those that were given before, and all of them are to be given again"
    )
    assert not after.sealed


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("not a share!", "{place}, line 1: this is no share of a key, which is hex or base64 of 16 bytes or more"),
        ("\n\n", "--keys file:{place}: there is nothing in it"),
    ],
)
def test_what_is_no_share_is_not_sent(house: House, content: str, why: str, tmp_path: Path) -> None:
    place = tmp_path / "share"
    place.write_text(content)
    with pytest.raises(StrongroomError) as caught:
        commands.unseal(asked(house, f"file:{place}"), "")

    assert str(caught.value) == why.format(place=place)


def test_a_share_is_never_an_argument(house: House) -> None:
    with pytest.raises(StrongroomError) as caught:
        commands.unseal(asked(house, "c2VjcmV0LXNoYXJl"), "")

    assert str(caught.value) == (
        "--keys: a share is never an argument, where every process of this machine sees it; "
        "write `-` for stdin, `file:PATH`, or `prompt`"
    )


def test_an_upgrade_asks_for_all_the_shares_before_it_stops_a_node(house: House) -> None:
    house.write(declared("2.7.2", SHAMIR, telemetry={"prometheus_retention": "48h"}))
    with pytest.raises(Refused) as caught:
        commands.plan(asked(house, share_files(house)[0]))
    enough = commands.plan(asked(house, *share_files(house)[:2]))
    house.write(declared("2.7.2", SHAMIR))

    assert str(caught.value) == (
        "each node takes 2 shares to be opened again, and 1 is given: give all of them by --keys"
    )
    assert {step.why for step in enough.steps} == {"another configuration"}


def test_the_leadership_goes_to_another_node(house: House) -> None:
    before = leader_of(house)
    handed = commands.step_down(asked(house))

    assert handed.before == before
    assert handed.after == leader_of(house) != before


def test_the_node_that_would_end_the_service_is_not_sealed(house: House, sealed: str) -> None:
    leader = leader_of(house)
    with pytest.raises(Refused) as caught:
        commands.seal(asked(house), leader, agreed, all_=False)
    with pytest.raises(Refused) as gone:
        commands.leave(asked(house), leader, agreed)
    commands.unseal(asked(house), "")

    assert str(caught.value) == (
        f"without {leader}, 1 of 3 voters are open, and it takes 2: nobody would serve. "
        "Say --all if that is what you want"
    )
    assert str(gone.value) == (
        f"without {leader} the cluster loses its quorum, as {sealed} does not serve; "
        "bring that back first, or let that one leave"
    )


def test_a_node_that_left_is_dead_and_empty_and_may_join_again(house: House) -> None:
    name = next(name for name in ("n2", "n3") if name != leader_of(house))
    left = commands.leave(asked(house), name, agreed)
    after, gone = peers(house), words(house)[name]
    empty = not (house.root / f".strongroom/clusters/{NAME}/nodes/{name}/data").exists()
    now = commands.join(asked(house), name)

    rest = {"n1", "n2", "n3"} - {name}
    assert (left.voters, left.leads, left.declared) == (tuple(sorted(rest)), False, True)
    assert after == {(name, True) for name in rest}
    assert (gone, empty) == ("silent", True)
    assert now.voters == {"n1", "n2", "n3"} == now.alive


def test_a_removed_node_is_not_taken_back_with_what_it_holds(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    name = next(name for name in ("n2", "n3") if name != leader_of(house))
    with lead.session(house.root, house.declared, house.environ) as led:
        led.do(lambda server: raft.remove(server, name))
    with pytest.raises(Refused) as caught:
        commands.join(asked(house), name)
    house.kill(house.cluster.nodes[int(name[1]) - 1])
    monkeypatch.setattr(members, "VOTES", 1.0)
    with pytest.raises(Refused) as started:
        commands.join(asked(house), name)
    state = words(house)[name]
    commands.leave(asked(house), name, agreed)

    assert (str(started.value), state) == (str(caught.value), "silent")
    assert str(caught.value) == (
        f"{name} holds data already and is no peer of cluster {NAME}, so it would serve what is stale; "
        f"have it stopped and wiped first: invoke cluster.leave -c {NAME} --node {name}"
    )
    assert words(house)[name] == "silent"


def test_a_peer_that_the_file_no_longer_names_leaves_also_while_it_leads(house: House) -> None:
    (name,) = (name for name, voter in peers(house) if name != "n1")
    if leader_of(house) == "n1":
        commands.step_down(asked(house))
    house.write(declared("2.7.2", SHAMIR, size=1))
    left = commands.leave(asked(house), name, agreed)
    with pytest.raises(StrongroomError) as caught:
        commands.leave(asked(house), name, agreed)
    with pytest.raises(Refused) as last:
        commands.leave(asked(house), "n1", agreed)

    assert (left.voters, left.leads, left.declared) == (("n1",), True, False)
    assert str(caught.value) == f"{name} is neither a peer of cluster {NAME} nor declared there; peers are n1"
    assert str(last.value) == "n1 is the only voter: the cluster would be gone. To end it: invoke cluster.down --wipe"
    assert peers(house) == {("n1", True)}


def test_a_node_that_is_new_in_the_file_joins(house: House) -> None:
    house.write(declared("2.7.2", SHAMIR, nodes={"n1": None, "n4": {"zone": "b"}, "n5": {"zone": "c"}}))
    now = commands.join(asked(house), "n4")

    assert now.voters == {"n1", "n4"} == now.alive


def test_sealing_all_leaves_nothing_open(house: House) -> None:
    leader = leader_of(house)
    shut = commands.seal(asked(house), "", agreed, all_=True)
    after = words(house)
    commands.unseal(asked(house), "")

    other = "n1" if leader == "n4" else "n4"
    assert [(one.node, one.how) for one in shut] == [(leader, "sealed"), (other, "restarted, and so sealed")]
    assert after == {leader: "sealed", other: "sealed", "n5": "silent"}
    assert leader_of(house) in {leader, other}
