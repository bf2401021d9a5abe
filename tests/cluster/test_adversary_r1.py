"""What people, other programs, and bad moments do to the life of a cluster."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster import beginning, keys, lead
from orchestrator.cluster.machines import choose, local
from orchestrator.commands import cluster as commands
from orchestrator.commands.health import status
from orchestrator.config import clusters
from orchestrator.declared import Cluster, Listener, Node, Tls
from orchestrator.errors import ConfigInvalid, Refused, StrongroomError, Unreachable
from orchestrator.live import probe
from orchestrator.live.session import connect
from orchestrator.local import files, process
from tests.cluster.house import NAME, STATIC, declared, standing, written
from tests.support import no_progress

if TYPE_CHECKING:
    from orchestrator.documents import Json


def test_two_clusters_do_not_keep_their_keys_in_one_folder(tmp_path: Path) -> None:
    init: Json = {"apply": "access", "role": "strongroom", "keys": "keys"}
    house = written(tmp_path, declared(init=init))
    other = (tmp_path / f"vault-config/clusters/{NAME}.yaml").read_text().replace('"keys": "keys"', '"keys": "./keys/"')
    (tmp_path / "vault-config/clusters/other.yaml").write_text(other)

    with pytest.raises(ConfigInvalid) as caught:
        clusters.named(house.root, NAME, house.environ)
    assert [one.message for one in caught.value.problems] == [
        "init/keys: keys is where cluster other has its keys; name a folder of its own"
    ]


@pytest.mark.server
def test_a_cluster_that_somebody_else_initialises_meanwhile_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    house = written(tmp_path, declared("2.7.2", STATIC, size=1))
    answers = []

    def tell(line: str) -> None:
        if line.startswith("initialising"):
            cluster = house.cluster
            body: dict[str, Json] = {"recovery_shares": 1, "recovery_threshold": 1}
            url, ca = cluster.url(cluster.nodes[0]), cluster.ca_cert
            answers.append(probe.ask(url, "sys/init", ca=ca, method="PUT", body=body, seconds=60))

    try:
        with pytest.raises(StrongroomError) as caught:
            commands.up(house.root, NAME, house.environ, tell, no_progress)
        unfinished = (keys.folder(house.root, house.cluster) / keys.UNFINISHED).exists()
        again = house.up()
        alive = probe.ask(
            again.seen[0].url,
            "auth/token/lookup-self",
            ca=house.cluster.ca_cert,
            token=str(answers[0].document["root_token"]),
        )
    finally:
        house.down()

    assert str(caught.value) == "n1: sys/init is refused: Vault is already initialized"
    assert unfinished is False
    assert alive.ok


@pytest.mark.server
def test_up_opens_stored_data_neither_with_an_older_server_nor_under_another_name(tmp_path: Path) -> None:
    with standing(tmp_path, declared("2.7.2", STATIC, size=1)) as house:
        house.down()
        house.write(declared("2.6.2", STATIC, size=1))
        with pytest.raises(Refused) as older:
            house.up()
        house.write(declared("2.7.2", STATIC, size=1, nodes={"m1": {"zone": "a"}}))
        with pytest.raises(Refused) as renamed:
            house.up()
        home = local.folder(house.root, NAME)
        there = sorted(path.name for path in (home / "nodes").iterdir())
        house.write(declared("2.7.2", STATIC, size=1))
        raised = house.up()

    assert str(older.value) == (
        "n1 ran openbao 2.7.2 last, and 2.6.2 is older: it cannot be trusted with what a newer one stored. "
        "Declare 2.7.2 or newer, or restore a snapshot into a new cluster"
    )
    assert str(renamed.value) == (
        "n1: holds data of cluster house, and its file does not name it any more, while m1 is new and empty; "
        "write it back, or delete the data: invoke cluster.down -c house --wipe"
    )
    assert there == ["n1"]
    assert raised.begun is None


def test_a_member_that_the_file_no_longer_names_is_told_when_its_cluster_starts(tmp_path: Path) -> None:
    house = written(tmp_path, declared("2.7.2", STATIC, size=1))
    for name in ("n1", "n9"):
        stored = local.folder(tmp_path, NAME) / "nodes" / name / "data/raft/raft.db"
        stored.parent.mkdir(parents=True)
        stored.write_text("CurrentTerm")
    told = list[str]()
    with house.control() as control:
        control.place(told.append)

    line = "n9: holds data of cluster house, and its file does not name it any more: "
    assert told == [f"{line}take it out by invoke cluster.leave -c house --node n9, or write it back"]


def test_whoever_waited_for_the_lock_of_a_cluster_that_is_wiped_meanwhile_does_not_work_beside_the_next(
    tmp_path: Path,
) -> None:
    home = files.private_folder(tmp_path / "home")
    goes_on, order = threading.Event(), list[str]()

    def opened() -> int:
        links = [str(one.readlink()) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
        return links.count(str(home / "lock"))

    def waiting() -> None:
        with files.locked(home / "lock", 20.0):
            order.append("waited")
            goes_on.wait(20)

    thread = threading.Thread(target=waiting)
    with files.locked(home / "lock", 20.0):
        thread.start()
        assert process.until(lambda: opened() > 1 or None, 20.0)
        files.remove(home)
    assert process.until(lambda: bool(order) or None, 20.0)
    try:
        with pytest.raises(StrongroomError, match="has held this stack"), files.locked(home / "lock", 0.1):
            order.append("beside it")
    finally:
        goes_on.set()
        thread.join()

    assert order == ["waited"]


@pytest.mark.server
def test_a_cluster_whose_file_is_gone_is_taken_down_and_what_it_wrote_elsewhere_is_told(tmp_path: Path) -> None:
    init: Json = {"apply": "access", "role": "strongroom", "shares": 3, "threshold": 2, "keys": "keys"}
    login: Json = {"approle": {"role_id": "file:login/role-id", "secret_id": "file:login/secret-id"}}
    said = declared("2.7.2", STATIC, size=1, init=init, login=login)
    file = tmp_path / f"vault-config/clusters/{NAME}.yaml"
    told = list[str]()
    with standing(tmp_path, said) as house:
        file.unlink()
        stopped = commands.down(tmp_path, NAME, house.environ, wipe=False, agree=lambda: None)
        with pytest.raises(StrongroomError):
            commands.down(tmp_path, f"../clusters/{NAME}", house.environ, wipe=True, agree=lambda: None)
        house.write(said)
        with pytest.raises(Unreachable) as asleep:
            connect(house.declared, "", house.environ, tmp_path)
        house.up()
        commands.down(tmp_path, NAME, house.environ, wipe=True, agree=lambda: None, tell=told.append)
    there = [path.name for path in (tmp_path / ".strongroom/clusters" / NAME).iterdir()]

    assert stopped == ("n1",)
    assert str(asleep.value) == "cluster house does not run; start it: invoke cluster.up -c house"
    line = "left, as it is not in the cluster's folder: keys, login/role-id, login/secret-id; "
    assert told == [f"{line}move it away before the next up"]
    assert there == ["lock"]


@pytest.mark.server
def test_what_up_leaves_as_it_is_and_what_it_could_not_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = list[str]()
    with standing(tmp_path, declared("2.7.2", STATIC, size=1)) as house:
        house.write(declared("2.7.2", {"static": {"current_key_id": "k2", "current_key": "file:///local"}}, size=1))
        commands.up(house.root, NAME, house.environ, told.append, no_progress)
        before = status(house.root, NAME, house.environ)[0].begins
        place = keys.folder(house.root, house.declared)
        keys.save_token(place, "left by a beginning that was killed")
        after = status(house.root, NAME, house.environ)[0].begins
        keys.forget_token(place)
        with lead.session(house.root, house.declared, {**house.environ, "VAULT_SKIP_VERIFY": "perhaps"}) as led:
            who = led.who
        house.down()
        monkeypatch.setattr(beginning, "PATIENCE", 3.0)
        with pytest.raises(Unreachable) as caught:
            house.up()

    assert (before, after) == ("", str(place))
    assert who == "approle (default, strongroom)"
    assert told == ["n1: runs what was declared before; change it by invoke cluster.upgrade -c house"]
    first, *log = str(caught.value).splitlines()
    assert first == ("cluster house: every node unseals itself: not within 3 s; n1: sealed; the log of n1 ends with:")
    assert any("unknown key id for data: `k1`" in line for line in log)


def test_nodes_are_not_called_silent_where_the_file_of_their_ca_is_missing(tmp_path: Path) -> None:
    tls = Tls("node.crt", "node.key", "tls/ca.crt")
    far = Cluster("far", "openbao", "2.7.2", nodes=(Node("n1", "10.0.1.11"),), listener=Listener(tls=tls))
    with pytest.raises(StrongroomError) as caught:
        choose.placed(tmp_path, far)

    assert str(caught.value) == (
        f"cluster far: the CA's file {tmp_path}/tls/ca.crt is not there, by which its nodes are trusted; "
        "put it back, or correct listener/tls/ca"
    )
