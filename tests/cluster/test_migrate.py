"""A seal left for another while somebody writes: nothing is lost, wherever it is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster import keys, migrate, nodes, shares
from orchestrator.commands import cluster_keys
from orchestrator.errors import Refused, StrongroomError
from orchestrator.local import process
from tests.cluster.house import KMS, NAME, SHAMIR, STATIC, TRANSIT, House, declared, standing
from tests.cluster.writer import writing
from tests.support import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.cluster.migrate import Migrated
    from orchestrator.documents import Json

pytestmark = [pytest.mark.server, pytest.mark.long]

OTHER_KMS: dict[str, Json] = {"awskms": {"region": "eu-central-1", "kms_key_id": "alias/other"}}
OTHER_TRANSIT: dict[str, Json] = {"transit": {**TRANSIT["transit"], "key_name": "other"}}
ROTATED: dict[str, Json] = {
    "static": {
        "current_key_id": "k2",
        "current_key": "file:///local",
        "previous_key_id": "k1",
        "previous_key": "file:///before",
    }
}
OTHER_STATIC: dict[str, Json] = {"static": {"current_key_id": "k2", "current_key": "file:///local"}}


@pytest.fixture(scope="module", name="static")
def fixture_static(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One node that opens itself; the last tests take its seal away."""
    with standing(tmp_path_factory.mktemp("static"), declared("2.7.2", STATIC, size=1)) as found:
        yield found


@pytest.fixture(scope="module", name="single")
def fixture_single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One node that people open."""
    with standing(tmp_path_factory.mktemp("single"), declared("2.6.2", SHAMIR, size=1)) as found:
        yield found


def seal_of(house: House) -> Json:
    """The seal that its file says."""
    return json.loads((house.root / f"vault-config/clusters/{NAME}.yaml").read_text())["seal"]


def asked(house: House, told: list[str], ways: tuple[str, ...] = ()) -> cluster_keys.Asked:
    return cluster_keys.Asked(house.root, NAME, house.environ, told.append, lambda _: None, ways)


def moved(house: House, ways: tuple[str, ...] = ()) -> tuple[Migrated, list[str]]:
    told: list[str] = []
    ground = cluster_keys.moving(asked(house, told, ways))
    return cluster_keys.migrate_seal(ground, lambda _: None), told


def killed_after(house: House, effects: int) -> tuple[bool, str]:
    """Whether a migration was killed after so many effects, and what it said."""
    script = [sys.executable, str(Path(__file__).with_name("stepwise.py")), str(house.root), NAME, str(effects)]
    ran = subprocess.run(
        script, cwd=REPOSITORY, env={**house.environ, "PYTHONPATH": "."}, capture_output=True, text=True, check=False
    )
    assert ran.returncode in {0, -signal.SIGKILL}, ran.stderr
    return ran.returncode != 0, ran.stdout + ran.stderr


def secrets_of(house: House) -> list[str]:
    place = keys.folder(house.root, house.declared)
    return [path.read_text().strip() for path in place.glob("*.key")]


def names_of(house: House) -> list[str]:
    return sorted(path.name for path in keys.folder(house.root, house.declared).iterdir())


def restarted(house: House) -> None:
    """Every node ended and started again as it is installed."""
    with house.control() as control:
        for node in control.cluster.nodes:
            control.stop(node)
        for node in control.cluster.nodes:
            control.start(node)
        nodes.wait(control.cluster, "everybody answers", lambda seen: all(one.answers for one in seen), 30.0)


def killed_everywhere(house: House, size: int, stride: int) -> None:
    """From shares to a KMS, killed after each `stride` effects more than the time before, until nothing is left."""
    shares_before = secrets_of(house)
    house.write(declared("2.6.2", KMS, size=size, migrate_from=SHAMIR))
    said, effects, killed = "", 0, True
    with writing(house) as writer:
        while killed:
            effects += stride
            killed, output = killed_after(house, effects)
            said += output
        writer.wait_for(5)
    lost = writer.lost()
    house.write(declared("2.6.2", KMS, size=size))
    restarted(house)
    seen = nodes.wait(house.cluster, "all unseal themselves", lambda found: not any(o.sealed for o in found), 30.0)

    assert effects // stride >= 3
    assert lost == []
    assert len(writer.acknowledged) > 20
    assert {one.seal_type for one in seen} == {"awskms"}
    assert names_of(house) == ["recovery-1.key", "recovery-2.key", "recovery-3.key"]
    assert not [share for share in shares_before if share in said]


def test_a_migration_killed_after_any_step_is_finished_by_running_it_again(single: House) -> None:
    killed_everywhere(single, 1, 1)


def test_three_nodes_go_on_wherever_their_migration_was_killed(tmp_path: Path) -> None:
    with standing(tmp_path, declared("2.6.2", SHAMIR)) as house:
        house.wait_until_voters()
        killed_everywhere(house, 3, 5)


def goes(house: House, version: str, seal: Json, before: Json = None) -> None:
    """Its one node goes to another seal, and a second run does nothing."""
    house.write(declared(version, seal, size=1, **({"migrate_from": before} if before else {})))
    done, _ = moved(house)
    again, _ = moved(house)
    (seen,) = nodes.look(house.cluster)

    assert (done.settled, again.settled) == (("n1",), ())
    assert (seen.seal_type, seen.word) == (next(iter(seal)), "leader")


def test_one_node_goes_to_another_kms_key_which_alone_opens_it_and_to_shares(single: House) -> None:
    house = single
    if seal_of(house) != KMS:
        goes(house, "2.6.2", KMS, seal_of(house))
    goes(house, "2.6.2", OTHER_KMS, KMS)
    house.write(declared("2.6.2", OTHER_KMS, size=1))
    with house.control() as control:
        place = control.home / "emulator"
        known = json.loads((place / "keys.json").read_text())
        (place / "keys.json").write_text(json.dumps([one for one in known if one["alias"] == "alias/other"]))
        process.stop(place, signal.SIGTERM)
        control.prepare()
    restarted(house)
    seen = nodes.wait_for_leader(house.cluster, 30.0)
    goes(house, "2.6.2", SHAMIR, OTHER_KMS)
    names = names_of(house)

    assert seen.seal_type == "awskms"
    assert names == ["unseal-1.key", "unseal-2.key", "unseal-3.key"]


def test_a_seal_that_the_cluster_does_not_have_is_not_left(static: House) -> None:
    told = []
    for file in (declared("2.7.2", SHAMIR, size=1), declared("2.7.2", SHAMIR, size=1, migrate_from=TRANSIT)):
        static.write(file)
        with pytest.raises(Refused) as caught:
            moved(static)
        told.append(str(caught.value))
    seen = nodes.look(static.cluster)[0]

    assert told == [
        (
            f"cluster {NAME} is sealed by static, and declares shamir; write `migrate_from: {{static: ...}}` beside "
            "`seal:`, so that it can be left"
        ),
        "`migrate_from:` says transit, but the nodes are sealed otherwise (n1: static); correct it",
    ]
    assert seen.word == "leader"


def test_a_dry_run_says_each_step_and_takes_none(static: House) -> None:
    static.write(declared("2.7.2", SHAMIR, size=1, migrate_from=STATIC))
    found = migrate.planned(cluster_keys.moving(asked(static, [])))
    static.write(declared("2.7.2", STATIC, size=1))
    seen = nodes.look(static.cluster)[0]

    assert found.stands == (("n1", "on the old seal"),)
    assert found.steps == (
        "save a snapshot",
        "start n1 with both seals, and unseal it with the shares of the old one",
        "start each node with the new seal alone, the leader last, and see it open",
    )
    assert seen.seal_type == "static"


def test_one_node_goes_to_a_new_static_key_to_transit_and_to_another_key_of_it(static: House) -> None:
    goes(static, "2.7.2", ROTATED)
    goes(static, "2.7.2", TRANSIT, OTHER_STATIC)
    goes(static, "2.7.2", OTHER_TRANSIT, TRANSIT)
    with static.session() as session:
        who = session.who

    assert who == "approle (default, strongroom)"
    assert names_of(static) == ["recovery-1.key", "recovery-2.key", "recovery-3.key"]


def test_shares_that_do_not_fit_are_told_before_a_node_is_stopped(
    static: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = static
    goes(house, "2.7.2", SHAMIR, seal_of(house))
    wrong = tmp_path / "wrong"
    wrong.write_text("\n".join(["11" * 33, "22" * 33]))
    lying = keys.folder(house.root, house.declared) / "unseal-3.key"
    mixed = tmp_path / "mixed"
    mixed.write_text(f"{'11' * 33}\n{lying.read_text()}{lying.with_name('unseal-1.key').read_text()}")
    house.write(declared("2.7.2", STATIC, size=1, migrate_from=SHAMIR))
    with pytest.raises(Refused) as early:
        moved(house, (f"file:{wrong}",))
    untouched = nodes.look(house.cluster)[0]
    with monkeypatch.context() as patched:
        patched.setattr(migrate, "_try_shares", lambda *_: None)
        with pytest.raises(StrongroomError) as late:
            moved(house, (f"file:{wrong}",))
    sealed = nodes.look(house.cluster)[0]
    house.write(declared("2.7.2", SHAMIR, size=1))
    opened = shares.hand(house.cluster, house.cluster.nodes[0], shares.lying(lying.parent, "unseal"))
    nodes.wait_for_leader(house.cluster)
    house.write(declared("2.7.2", STATIC, size=1, migrate_from=SHAMIR))
    done, _ = moved(house, (f"file:{mixed}",))

    where = f"{wrong}, line 1, {wrong}, line 2"
    assert str(early.value) == f"the unseal shares ({where}) do not fit; nothing has changed"
    assert untouched.word == "leader"
    assert str(late.value).startswith(f"n1: the shares do not open it ({where}): ")
    assert str(late.value).endswith(
        "\nn1 has its old seal again, and is sealed: take `migrate_from:` out and write the old seal, and let the "
        f"holders open it: invoke cluster.unseal -c {NAME} --node n1"
    )
    assert (sealed.seal_type, sealed.sealed) == ("shamir", True)
    assert opened.sealed is False
    assert done.settled == ("n1",)
