"""What people, other programs, and bad moments do to the life of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster import keys
from orchestrator.commands import cluster as commands
from orchestrator.config import clusters
from orchestrator.errors import ConfigInvalid, StrongroomError
from orchestrator.live import probe
from tests.cluster.house import NAME, STATIC, declared, standing, written
from tests.support import no_progress

if TYPE_CHECKING:
    from pathlib import Path

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
