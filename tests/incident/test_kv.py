"""Of a leaked secret the old versions are destroyed; the one in use goes when it is named, or followed by another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from orchestrator.incident.run import Outcome
    from tests.incident.scene import Scene

pytestmark = pytest.mark.server
PATH = "apps/payments/db"


@pytest.fixture
def scene(scene: Scene) -> Scene:
    scene.server.write("sys/mounts/apps", {"type": "kv", "options": {"version": "2"}})
    scene.server.write("sys/mounts/legacy", {"type": "kv", "options": {"version": "1"}})
    for path in ("payments/db", "orders/db"):
        for number in range(1, 4):
            put(scene, path, number)
    return scene


def put(scene: Scene, path: str, number: int) -> None:
    scene.server.write(f"apps/data/{path}", {"data": {"password": f"canary-{number}"}})


def readable(scene: Scene, path: str) -> list[int]:
    """The versions in which something stands."""
    newest = (scene.server.read(f"apps/metadata/{path}") or {})["current_version"]
    found = (
        (number, scene.server.read(f"apps/data/{path}", query=f"version={number}")) for number in range(1, newest + 1)
    )
    return [number for number, one in found if one and one["data"]]


def proofs(outcome: Outcome) -> list[tuple[str, bool | None, str]]:
    return [(one.title, one.dead, one.said) for one in outcome.proofs]


@pytest.mark.parametrize("value", [PATH, "apps/data/payments/db", "secrets/apps/payments/db"])
def test_old_versions_are_destroyed_and_the_one_in_use_is_named(scene: Scene, value: str) -> None:
    outcome = scene.cut(("kv", value))

    stays = f"it is in use: write a new one, and run this again; or have it destroyed with --kv {PATH}@3"
    assert outcome.code == 1
    assert outcome.cut.left == {f"secret version {PATH}@3": stays}
    assert (readable(scene, "payments/db"), readable(scene, "orders/db")) == ([3], [1, 2, 3])
    assert proofs(outcome) == [
        (f"secret version {PATH}@3", None, stays),
        ("2 secret versions", True, "each looked up again: the server knows none of them"),
        ("2 old versions", True, "read again: no data"),
    ]


def test_run_again_after_a_new_one_it_destroys_what_was_in_use(scene: Scene) -> None:
    scene.cut(("kv", PATH))
    put(scene, "payments/db", 4)

    again = scene.cut(("kv", PATH))
    once_more = scene.cut(("kv", PATH))

    assert [(one.code, one.cut.left) for one in (again, once_more)] == [(0, {})] * 2
    assert readable(scene, "payments/db") == [4]


def test_resumed_after_a_new_one_it_spares_that(scene: Scene) -> None:
    scene.cut(("kv", PATH))
    put(scene, "payments/db", 4)

    assert scene.resume().code == 0
    assert readable(scene, "payments/db") == [4]


def test_a_version_that_is_named_goes_though_in_use(scene: Scene) -> None:
    outcome = scene.cut(("kv", f"{PATH}@1,3"))

    assert outcome.code == 0
    assert readable(scene, "payments/db") == [2]
    assert outcome.notes == (
        f"secrets/{PATH}: version 3 is in use: whoever reads it finds nothing till a new one is written",
    )


def test_a_deleted_version_lives_as_it_can_be_brought_back(scene: Scene) -> None:
    scene.server.write("apps/delete/payments/db", {"versions": [1]})

    scene.cut(("kv", f"{PATH}@1"))
    scene.server.write("apps/undelete/payments/db", {"versions": [1]})

    assert readable(scene, "payments/db") == [2, 3]


def test_versions_that_were_dropped_meanwhile_are_dead(scene: Scene) -> None:
    scene.cut(("kv", PATH))
    scene.server.write("apps/metadata/payments/db", {"max_versions": 2})
    for number in range(4, 8):
        put(scene, "payments/db", number)

    assert scene.resume().code == 0
    assert readable(scene, "payments/db") == [6, 7]


def test_a_secret_without_versions_lives_and_is_named(scene: Scene) -> None:
    scene.server.write("legacy/payments", {"password": "canary"})

    outcome = scene.cut(("kv", "legacy/payments"))

    stays = "this mount keeps no versions: write a new value over it by hand, or delete it"
    assert (outcome.code, outcome.cut.left) == (1, {"secret legacy/payments": stays})
    assert outcome.notes == (f"secrets/legacy/payments: {stays}; whether that was done is not told here",)


def test_no_value_is_in_the_evidence(scene: Scene) -> None:
    scene.cut(("kv", PATH))

    assert not [file.name for file in scene.folder.iterdir() if "canary-" in file.read_text()]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("apps/payments/none", "--kv apps/payments/none: there is no such secret on apps"),
        (f"{PATH}@9", f"--kv {PATH}@9: there is no version 9; the last one is 3"),
        ("none/payments", "--kv none/payments: it is on none of the mounts that have such: apps, legacy"),
        ("legacy/payments@1", "--kv legacy/payments: this mount keeps no versions; name the path alone"),
        ("legacy/payments", "--kv legacy/payments: there is no such secret on legacy"),
    ],
)
def test_a_secret_that_is_none_is_told(scene: Scene, value: str, said: str) -> None:
    with pytest.raises(StrongroomError) as wrong:
        scene.look(("kv", value))

    assert str(wrong.value) == said
