"""docker-compose.yml as we read it where no Compose is installed; and what differs from clone to clone."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster.machines.compose import description, ways
from orchestrator.cluster.machines.compose.control import Compose
from orchestrator.config import clusters
from orchestrator.errors import ConfigInvalid, StrongroomError
from tests.support import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


def _read(root: Path, text: str, **variables: str) -> description.Description:
    (root / description.FILE).write_text(text)
    return description.read(root, variables)


def test_our_own_is_read_whole() -> None:
    found = description.read(REPOSITORY, {"BAO_2_PORT": "8200", "BAO_2_VERSION": "2.7.2"})

    assert list(found.services) == ["kms", "postgresql", "bao-1", "bao-2", "bao-3"]
    assert found.services["bao-1"].image == "strongroom/openbao:2.6.2"
    assert found.services["bao-2"].image == "strongroom/openbao:2.7.2"
    assert found.services["bao-2"].options["ports"] == {"8200/tcp": ["127.0.0.1", 8200]}
    assert found.services["bao-3"].options["ports"] == {"8200/tcp": ["127.0.0.1", 0]}
    assert {mount.volume for service in found.services.values() for mount in service.mounts} == set(found.volumes)


def test_every_container_of_ours_is_held_in() -> None:
    for service in description.read(REPOSITORY, {}).services.values():
        options = service.options
        assert options["user"] == "10001:10001"
        assert options["read_only"] is True
        assert options["cap_drop"] == ["ALL"]
        assert options["security_opt"] == ["no-new-privileges:true"]
        assert options["mem_limit"] == options["memswap_limit"]
        assert all(host == "127.0.0.1" for host, _ in options.get("ports", {}).values())


def test_a_word_that_is_not_known_is_never_passed_over(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        _read(tmp_path, "services:\n  a:\n    image: x\n    privileged: false\nsecrets: {}\n")

    hint = "unknown to the way without Compose; take it out, or install `docker compose`"
    assert str(caught.value).splitlines() == [
        f"docker-compose.yml:4:5: services/a/privileged: {hint}",
        f"docker-compose.yml:5:1: secrets: {hint}",
    ]


def test_a_variable_of_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        _read(tmp_path, 'services:\n  a:\n    image: "$NAME"\n')

    wanted = "`$` begins something else than ${NAME} or ${NAME:-default}; write $$ for the character itself"
    assert str(caught.value) == f"docker-compose.yml:3:12: {wanted}"


def test_a_service_comes_after_those_it_waits_for(tmp_path: Path) -> None:
    text = "services:\n  a: {image: x, depends_on: {b: {}}}\n  b: {image: x, depends_on: {c: {}}}\n  c: {image: x}\n"
    found = _read(tmp_path, text)

    assert [one.name for one in description.in_order(found.services, ("a", "b", "c"))] == ["c", "b", "a"]
    assert [one.name for one in description.in_order(found.services, ("b",))] == ["b"]


def test_two_clones_have_projects_of_their_own(tmp_path: Path) -> None:
    declared = clusters.named(REPOSITORY, "compose", {})
    roots = [tmp_path / name / "strongroom" for name in ("a", "b")]
    projects = {Compose(root, declared, 0, {}).project for root in roots}

    assert len(projects) == 2
    assert Compose(roots[0], declared, 0, {"COMPOSE_PROJECT_NAME": "mine"}).project == "mine"


def test_env_fixes_what_the_environment_does_not(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / description.FILE, tmp_path)
    (tmp_path / ".env").write_text("# mine\nCOMPOSE_PROJECT_NAME='from-file'\nSTRONGROOM_IMAGES=here\n")
    declared = clusters.named(REPOSITORY, "compose", {})
    found = Compose(tmp_path, declared, 0, {"STRONGROOM_IMAGES": "there"})

    assert found.project == "from-file"
    assert found.description.services["kms"].image == "there/kms"


def test_a_way_that_does_not_exist_is_refused() -> None:
    with pytest.raises(StrongroomError) as caught:
        ways.found({"STRONGROOM_COMPOSE": "podman"}, "unix:///nowhere")

    known = "docker compose, docker-compose, sdk"
    assert str(caught.value) == f"STRONGROOM_COMPOSE=podman: unknown; write one of {known}, or leave it out"
