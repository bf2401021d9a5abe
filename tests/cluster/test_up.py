"""A cluster of our own, from nothing to a login that works, and to nothing again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster import keys, nodes
from orchestrator.errors import Unreachable
from orchestrator.local import process
from tests.cluster.house import KMS, NAME, SHAMIR, STATIC, TRANSIT, declared, standing, written

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.documents import Json

pytestmark = pytest.mark.server


@pytest.mark.parametrize(
    ("version", "seal", "told"),
    [
        ("2.6.2", KMS, "awskms"),
        ("2.7.2", STATIC, "static"),
        ("2.7.2", TRANSIT, "transit"),
        ("2.7.2", SHAMIR, "shamir"),
    ],
    ids=["awskms", "static", "transit", "shamir"],
)
def test_a_new_cluster_is_one_that_serves(version: str, seal: Json, told: str, tmp_path: Path) -> None:
    with standing(tmp_path, declared(version, seal)) as house:
        seen = nodes.look(house.cluster)
        with house.session() as session:
            who = session.who
        again = house.up()

    assert {one.seal_type for one in seen} == {told}
    assert sorted(one.word for one in seen) == ["leader", "standby", "standby"]
    assert who == "approle (default, strongroom)"
    assert again.begun is None


def test_down_leaves_no_process(tmp_path: Path) -> None:
    with standing(tmp_path, declared("2.7.2", TRANSIT, size=1)) as house:
        home = tmp_path / f".strongroom/clusters/{NAME}"
        folders = [path.parent for path in home.rglob("pid")]
        running = [one.name for one in folders if process.alive(one) is not None]

    left = [pid for one in folders for pid in process.inhabitants(one)]
    assert sorted(running) == ["n1", "unsealer"]
    assert left == []
    with pytest.raises(Unreachable):
        nodes.wait_for_leader(house.cluster, 0.1)


def test_the_root_token_is_on_no_disk_once_it_is_dead(tmp_path: Path) -> None:
    with standing(tmp_path, declared("2.7.2", STATIC, size=1)) as house:
        place = keys.folder(house.root, house.cluster)

    assert sorted(path.name for path in place.iterdir()) == ["recovery-1.key", "recovery-2.key", "recovery-3.key"]
    assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o600}


def test_a_second_cluster_does_not_overwrite_keys(tmp_path: Path) -> None:
    house = written(tmp_path, declared("2.7.2", STATIC, size=1))
    place = tmp_path / f".strongroom/clusters/{NAME}/keys"
    place.mkdir(parents=True)
    (place / "recovery-1.key").write_text("somebody's only copy")
    try:
        with pytest.raises(Exception, match="which may be the only copy of a cluster's keys") as caught:
            house.up()
    finally:
        house.down()

    assert caught.type.__name__ == "Refused"
    assert (place / "recovery-1.key").read_text() == "somebody's only copy"
