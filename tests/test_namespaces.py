"""Namespaces inside namespaces, from YAML to proof and back, on a real server."""

from __future__ import annotations

import random
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import project
from tests.test_commands import NAME, Project, kill, shop, started

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["shop"]  # the fixture
pytestmark = [pytest.mark.server, pytest.mark.usefixtures("namespaces")]


@pytest.fixture
def nested(shop: Project) -> Iterator[tuple[Project, str]]:
    """A namespace, one in it, and one in that."""
    top = next(iter(shop.document["secrets"])).rpartition("-")[0]
    shop.document.clear()
    shop.document["namespaces"] = {
        f"{top}/sub/deep": {"custom_metadata": {"owner": "deep"}},
        top: {"custom_metadata": {"owner": "top"}},
        f"{top}/sub": {},
    }
    shop.declare(shop.document)
    yield shop, top
    shop.document["namespaces"] = {}
    shop.declare(shop.document)
    shop.invoke("apply", "-e", NAME, "--yes", "--no-verify", "--many", "--destroy", "all")


def metadata(shop: Project, inside: str, name: str) -> Any:  # noqa: ANN401 - any JSON
    found = shop.api.read(f"sys/namespaces/{name}", inside)
    return None if found is None else found["custom_metadata"]


def ours(shop: Project, top: str) -> list[dict[str, Any]]:
    return [one for one in shop.answer("drift")["drift"] if one["object"].startswith(f"namespaces/{top}")]


def test_they_are_applied_proved_and_then_as_declared(nested: tuple[Project, str]) -> None:
    shop, top = nested
    done = shop.invoke("apply", "-e", NAME, "--yes")
    again = shop.invoke("plan", "-e", NAME)

    assert done.returncode == 0, done.stdout + done.stderr
    assert again.stdout == "no changes\n"
    assert ours(shop, top) == []
    assert metadata(shop, f"{top}/sub", "deep") == {"owner": "deep"}


def test_a_change_of_a_nested_one_is_one_planned_change_and_one_drift(nested: tuple[Project, str]) -> None:
    shop, top = nested
    shop.applied()
    shop.api.call("PATCH", "sys/namespaces/deep", {"custom_metadata": {"owner": "stranger"}}, f"{top}/sub")
    found, changes = ours(shop, top), shop.answer("plan")["changes"]
    shop.applied()
    title = f"namespaces/{top}/sub/deep"

    assert [(one["object"], one["setting"]) for one in found] == [(title, "custom_metadata")]
    assert [(one["object"], one["action"]) for one in changes] == [(title, "update")]
    assert metadata(shop, f"{top}/sub", "deep") == {"owner": "deep"}


def test_a_declared_change_of_a_nested_one_arrives(nested: tuple[Project, str]) -> None:
    shop, top = nested
    shop.applied()
    shop.document["namespaces"][f"{top}/sub"] = {"custom_metadata": {"tier": "1"}}
    shop.document["namespaces"][f"{top}/sub/deep"] = {}
    shop.declare(shop.document)
    shop.applied()

    assert metadata(shop, top, "sub") == {"tier": "1"}
    assert metadata(shop, f"{top}/sub", "deep") == {}


def test_children_that_nobody_declared_are_found_at_every_level(nested: tuple[Project, str]) -> None:
    shop, top = nested
    shop.applied()
    places = (top, f"{top}/sub", f"{top}/sub/deep")
    for inside in places:
        shop.api.call("POST", "sys/namespaces/stranger", {}, inside)
    found = [one["object"] for one in ours(shop, top)]
    for inside in places:
        shop.api.call("DELETE", "sys/namespaces/stranger", None, inside)

    assert found == sorted(f"namespaces/{inside}/stranger" for inside in places)


def test_children_in_a_namespace_of_another_environment_are_its_own_business(nested: tuple[Project, str]) -> None:
    shop, top = nested
    shop.applied()
    project(shop.root, shop.running, "team", {"namespace": f"{top}/sub/deep", "namespaces": {"theirs": {}}})
    done = shop.invoke("apply", "-e", "team", "--yes")
    found = ours(shop, top)
    again = shop.invoke("drift", "-e", "team")
    (shop.root / "vault-config/environments/team.yaml").unlink()
    shop.api.call("DELETE", "sys/namespaces/theirs", None, f"{top}/sub/deep")

    assert done.returncode == 0, done.stdout + done.stderr
    assert found == []
    assert "theirs" not in again.stdout


def test_a_lost_state_is_found_again(nested: tuple[Project, str]) -> None:
    shop, top = nested
    shop.applied()
    identity = (shop.api.read("sys/namespaces/deep", f"{top}/sub") or {})["uuid"]
    (shop.root / f".strongroom/terraform/{NAME}/terraform.tfstate").unlink()
    shop.api.call("PATCH", "sys/namespaces/deep", {"custom_metadata": {"owner": "stranger"}}, f"{top}/sub")
    shop.applied()
    again = shop.invoke("plan", "-e", NAME)

    assert again.stdout == "no changes\n"
    assert (shop.api.read("sys/namespaces/deep", f"{top}/sub") or {})["uuid"] == identity
    assert metadata(shop, f"{top}/sub", "deep") == {"owner": "deep"}


def test_one_that_was_deleted_by_hand_with_all_below_it_is_told_and_made_again(nested: tuple[Project, str]) -> None:
    shop, top = nested
    shop.applied()
    for inside, name in ((f"{top}/sub", "deep"), (top, "sub")):
        shop.api.call("DELETE", f"sys/namespaces/{name}", None, inside)
        _wait_until_gone(shop, inside, name)
    found = ours(shop, top)
    shop.applied()

    assert [(one["object"], one["live"]) for one in found] == [
        (f"namespaces/{top}/sub", "absent"),
        (f"namespaces/{top}/sub/deep", "absent"),
    ]
    assert metadata(shop, f"{top}/sub", "deep") == {"owner": "deep"}


def _wait_until_gone(shop: Project, inside: str, name: str) -> None:
    deadline = time.monotonic() + 30
    while shop.api.read(f"sys/namespaces/{name}", inside) is not None:
        assert time.monotonic() < deadline


def test_they_are_destroyed_from_the_innermost_out_and_only_when_named(nested: tuple[Project, str]) -> None:
    shop, top = nested
    shop.applied()
    shop.document["namespaces"] = {}
    shop.declare(shop.document)
    refused = shop.invoke("apply", "-e", NAME, "--yes", "--no-verify")
    done = shop.invoke("apply", "-e", NAME, "--yes", "--no-verify", "--destroy", f"namespaces/{top}")

    assert refused.returncode == 4
    assert f"--destroy namespaces/{top}/sub/deep" in refused.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    assert shop.api.read(f"sys/namespaces/{top}") is None


def test_one_level_is_destroyed_and_the_rest_stays(nested: tuple[Project, str]) -> None:
    shop, top = nested
    shop.applied()
    del shop.document["namespaces"][f"{top}/sub/deep"]
    shop.declare(shop.document)
    done = shop.invoke("apply", "-e", NAME, "--yes", "--no-verify", "--destroy", f"namespaces/{top}/sub/deep")

    assert done.returncode == 0, done.stdout + done.stderr
    assert shop.api.read("sys/namespaces/deep", f"{top}/sub") is None
    assert metadata(shop, top, "sub") == {}


def test_killed_at_any_moment_the_next_apply_ends_clean(nested: tuple[Project, str]) -> None:
    shop, top = nested
    for turn in range(8):
        running = started(shop)
        try:
            running.communicate(timeout=random.uniform(0.2, 2.0))  # noqa: S311 - no secret
        except subprocess.TimeoutExpired:
            kill(running.pid, everything=turn % 2 == 0)
            running.communicate()
    shop.applied()
    again = shop.invoke("plan", "-e", NAME)

    assert again.stdout == "no changes\n"
    assert metadata(shop, f"{top}/sub", "deep") == {"owner": "deep"}
