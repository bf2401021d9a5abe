"""What could be lost on the way to a snapshot's data, when somebody was killed, is elsewhere, or had a wrong clock."""

from __future__ import annotations

import datetime as dt
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster import beginning, keys, nodes, recover
from orchestrator.cluster.machines import local
from orchestrator.cluster.snapshots import find, fresh
from orchestrator.cluster.snapshots.ground import ground, now
from orchestrator.commands import recover as recoveries
from orchestrator.commands import snapshots as commands
from orchestrator.errors import Refused, StrongroomError
from orchestrator.local import files
from tests.cluster.house import NAME, STATIC, declared, standing
from tests.cluster.saving import kept, listed, quiet, restore, snapshots, take

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.cluster.snapshots.restore import Intended
    from tests.cluster.house import House

pytestmark = pytest.mark.server
FAR = "far"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    root = tmp_path_factory.mktemp("attacked")
    with standing(root, declared(size=1, snapshots=snapshots(root, keep=1))) as house:
        with house.session() as session:
            session.server.write("sys/mounts/kv", {"type": "kv"})
            session.server.write("kv/before", {"value": "1"})
        yield house


@pytest.fixture(autouse=True)
def _nothing_kept(house: House) -> None:
    shutil.rmtree(kept(house), ignore_errors=True)


@pytest.fixture
def far(house: House) -> House:
    """The same node, as one that somebody else starts, and nobody from here."""
    said = declared("2.7.2", STATIC, size=1, snapshots=snapshots(house.root))
    for key in ("run", "audit"):
        del said[key]
    ca = f".strongroom/clusters/{NAME}/ca/ca.crt"
    said |= {
        "cluster": FAR,
        "nodes": {"n1": {"address": house.cluster.nodes[0].host_port}},
        "listener": {"tls": {"certificate": "node.crt", "key": "node.key", "ca": ca}},
    }
    (house.root / f"vault-config/clusters/{FAR}.yaml").write_text(json.dumps(said))
    access = json.loads((house.root / "vault-config/environments/access.yaml").read_text())
    (house.root / "vault-config/environments/far-access.yaml").write_text(
        json.dumps({**access, "environment": "far-access", "cluster": FAR})
    )
    shutil.copytree(house.root / "policies/access", house.root / "policies/far-access", dirs_exist_ok=True)
    said["init"] = {**said["init"], "apply": "far-access"}
    (house.root / f"vault-config/clusters/{FAR}.yaml").write_text(json.dumps(said))
    return house


def values(house: House) -> tuple[str, ...]:
    with house.session() as session:
        return session.server.list("kv/")


def test_what_was_saved_before_a_restore_can_be_restored_though_only_one_is_kept(house: House) -> None:
    take(house)
    with house.session() as session:
        session.server.write("kv/after", {"value": "2"})
    saved = restore(house).before
    gone = values(house)
    assert saved is not None
    back = restore(house, saved.name)
    again = values(house)
    taken = commands.snapshot(house.root, NAME, house.environ, quiet)
    with house.session() as session:
        session.server.delete("kv/after")

    assert (gone, again) == (("before",), ("after", "before"))
    assert back.differences == ()
    assert saved.name in taken.dropped


def test_nodes_that_somebody_began_since_a_restore_was_killed_are_not_wiped(house: House) -> None:
    take(house)
    notes = files.private_folder(local.folder(house.root, NAME) / "snapshots/restoring")
    (notes / fresh.BEGUN).touch()
    with house.session() as session:
        session.server.write("kv/younger", {"value": "2"})
    intended: list[Intended] = []
    restored = commands.restored(
        house.root, NAME, house.environ, quiet, "", empty=False, to="", yes="", show=intended.append, ask=quiet
    )

    assert [(one.leader, one.emptied) for one in intended] == [("n1", ())]
    assert restored.before is not None
    assert restored.before.holds["keys"] == ("kv/: 2",)
    assert values(house) == ("before",)
    assert not notes.exists()


def test_one_of_a_time_to_come_is_not_the_newest(house: House) -> None:
    one = take(house)
    later = replace(one, name=f"{NAME}-20990101T000000Z-9.snap", taken=(now() + dt.timedelta(days=3)).isoformat())
    shutil.copy(kept(house) / one.name, kept(house) / later.name)
    (kept(house) / f"{later.name}.json").write_text(json.dumps(asdict(later)))
    old = replace(one, taken=(now() - dt.timedelta(hours=7)).isoformat())
    (kept(house) / f"{one.name}.json").write_text(json.dumps(asdict(old)))
    shown = listed(house)
    due = commands.snapshot(house.root, NAME, house.environ, quiet, if_due=True)

    assert [row.wrong.partition(" dated ")[0] for row in shown.rows] == ["a clock was wrong: it is", ""]
    assert (shown.code, due.manifest is None) == (1, False)


def test_commands_have_copies_of_their_own_and_those_of_killed_ones_go(house: House) -> None:
    one = take(house)
    there = ground(house.root, NAME, house.environ, quiet)
    copies = files.private_folder(there.home / "copies")
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    for pid in (ended.pid, os.getppid()):
        (copies / str(pid)).mkdir()
        (copies / str(pid) / "a.snap").touch()
    with find.found(there, one.name):
        during = sorted(path.name for path in copies.iterdir())
    after = [path.name for path in copies.iterdir()]
    shutil.rmtree(copies)

    assert during == sorted(map(str, (os.getpid(), os.getppid())))
    assert after == [str(os.getppid())]


def test_who_began_a_cluster_second_is_not_told_to_delete_what_the_first_one_has(
    house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The other one came between our look at the nodes and our request."""
    for name in ("_refuse_initialised", "_refuse_stale_login"):
        monkeypatch.setattr(beginning, name, quiet)
    cluster = replace(house.cluster, init=replace(house.cluster.init, keys=str(tmp_path / "keys")))
    second = beginning.Ground(house.root, cluster, None, house.environ, lambda _, __: None, quiet)
    with pytest.raises(StrongroomError) as caught:
        beginning.begin(second)

    assert str(caught.value).endswith("is already initialized")
    assert not (tmp_path / "keys" / keys.UNFINISHED).exists()
    assert values(house) == ("before",)


def test_a_role_id_of_another_cluster_is_not_taken_for_that_of_a_new_one(house: House) -> None:
    found = beginning.Ground(house.root, house.cluster, None, house.environ, lambda _, __: None, quiet)
    secret = local.folder(house.root, NAME) / "login/secret-id"
    secret.rename(secret.with_name("away"))
    with pytest.raises(Refused) as caught:
        beginning._refuse_stale_login(found)  # noqa: SLF001 - nothing may be begun to see it
    secret.with_name("away").rename(secret)

    assert str(caught.value) == (
        f".strongroom/clusters/{NAME}/login/role-id is there before the cluster is, so it is the login of another one; "
        "move it away, or name another file in `login:`"
    )


def test_nothing_is_sent_where_the_nodes_cannot_be_started_again_from_here(far: House) -> None:
    one = take(far)
    file = far.root / "foreign.snap"  # without its manifest nobody knows whose keys are in it
    shutil.copy(kept(far) / one.name, file)
    with far.session() as session:
        session.server.write("kv/younger", {"value": "2"})
    with pytest.raises(Refused) as caught:
        commands.restored(
            far.root, FAR, far.environ, quiet, str(file), empty=False, to="", yes="", show=quiet, ask=quiet
        )
    there = values(far)
    with far.session() as session:
        session.server.delete("kv/younger")

    assert str(caught.value) == (
        f'cluster {FAR}: nobody here can stop a node; declare how, such as `control: {{stop: [ssh, "{{host}}", ...]}}`'
    )
    assert there == ("before", "younger")


def recovered(house: House, name: str, survivor: str) -> str:
    with pytest.raises(Refused) as caught:
        recoveries.recovered(house.root, name, house.environ, quiet, survivor, yes="", show=quiet, ask=quiet)
    return str(caught.value)


def test_a_recovery_elsewhere_says_what_to_do_only_where_nobody_leads(far: House) -> None:
    (node,) = far.cluster.nodes
    leads, unknown = recovered(far, FAR, "n1"), recovered(far, FAR, "n9")
    with far.control() as control:
        control.stop(control.cluster.nodes[0])
    told = recovered(far, FAR, "n1")
    far.start(node)

    assert leads == f"n1 leads cluster {FAR}: nothing has to be recovered"
    assert unknown == f"cluster {FAR} declares no node n9; it has n1"
    data = "/opt/openbao/data"
    peers = json.dumps([{"id": "n1", "address": f"127.0.0.1:{node.port + 1}", "non_voter": False}])
    assert told.splitlines() == [
        (
            f"nobody leads cluster {FAR} (n1 silent, index unknown), and its data is not in folders of this machine; "
            "there:"
        ),
        "1. stop every node, and see that none of them runs",
        f"2. on n1, copy {data} away, and have {data}/raft/peers.json, readable to the server, say",
        f"   {peers}",
        f"3. start n1 alone, and see that it leads: invoke cluster.status -c {FAR}",
        f"4. on each other node, move {data} away, make it anew and empty, and start the node: it joins",
        "Never start a node with what you moved away: it would answer with old data",
    ]


def test_a_recovery_deletes_nothing_that_it_put_aside_though_it_was_killed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def go() -> recover.Recovered:
        with house.control() as control:
            control.stop(control.cluster.nodes[0])
        return recoveries.recovered(house.root, NAME, house.environ, quiet, "n1", yes="", show=quiet, ask=quiet)

    died = []
    for name in ("_copy", "_answers"):
        with monkeypatch.context() as patched:
            patched.setattr(recover, name, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            child = multiprocessing.get_context("fork").Process(target=go)
            child.start()
            child.join(60)
            died.append(child.exitcode)
    once = [path.name for path in go().kept]
    twice = [path.name for path in go().kept]
    leads = recovered(house, NAME, "n1")

    assert died == [-signal.SIGKILL] * 2
    assert (once, twice) == (["data.before"], ["data.before", "data.before-2"])
    assert leads == f"n1 leads cluster {NAME}: nothing has to be recovered"
    assert nodes.wait_for_leader(house.cluster).active
    assert values(house) == ("before",)
