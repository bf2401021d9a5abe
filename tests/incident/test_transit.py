"""A leaked transit key is turned over; old versions are refused only where they are named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.errors import StrongroomError
from orchestrator.incident.story import story
from orchestrator.live.server import Rejected

if TYPE_CHECKING:
    from tests.incident.scene import Scene

pytestmark = pytest.mark.server
TEXT = "bGVhaw=="
TYPES = ("aes256-gcm96", "ed25519", "ecdsa-p256", "hmac", "rsa-2048")


def key(scene: Scene, name: str, type_: str = "aes256-gcm96", **settings: Any) -> None:  # noqa: ANN401 - any setting
    size = {"key_size": 32} if type_ == "hmac" else {}
    scene.server.write(f"transit/keys/{name}", {"type": type_, **size, **settings})


@pytest.fixture
def scene(scene: Scene) -> Scene:
    scene.server.write("sys/mounts/transit", {"type": "transit"})
    key(scene, "orders")
    key(scene, "other")
    return scene


def encrypted(scene: Scene, name: str, **more: Any) -> str:  # noqa: ANN401 - any setting
    return str(scene.server.write(f"transit/encrypt/{name}", {"plaintext": TEXT, **more})["ciphertext"])


def decrypts(scene: Scene, name: str, ciphertext: str) -> bool:
    try:
        found = scene.server.write(f"transit/decrypt/{name}", {"ciphertext": ciphertext})
    except Rejected as error:
        if "disallowed by policy (too old)" in error.words:
            return False
        raise
    return bool(found["plaintext"] == TEXT)


def settings(scene: Scene, name: str) -> tuple[int, int, int]:
    live = scene.server.read(f"transit/keys/{name}") or {}
    return live["latest_version"], live["min_encryption_version"], live["min_decryption_version"]


def test_a_key_is_turned_once_and_what_it_encrypted_is_still_read(scene: Scene) -> None:
    old = encrypted(scene, "orders")

    first = scene.cut(("transit-key", "transit/orders"))
    again = scene.cut(("transit-key", "transit/orders"))
    resumed = scene.resume()

    stays = "rewrap what it encrypted, then name it: --transit-key transit/orders@1"
    assert [one.cut.left for one in (first, again, resumed)] == [{"key version transit/orders@1": stays}] * 3
    assert settings(scene, "orders") == (2, 2, 1)
    assert decrypts(scene, "orders", old)
    assert encrypted(scene, "orders").startswith("vault:v2:")
    with pytest.raises(Rejected, match="less than the minimum encryption key version"):
        encrypted(scene, "orders", key_version=1)
    assert settings(scene, "other") == (1, 0, 1)


def test_a_version_that_is_named_is_refused_and_others_are_read(scene: Scene) -> None:
    old, other = encrypted(scene, "orders"), encrypted(scene, "other")

    outcome = scene.cut(("transit-key", "transit/orders@1"))

    assert (outcome.code, outcome.cut.left) == (0, {})
    assert not decrypts(scene, "orders", old)
    assert decrypts(scene, "orders", encrypted(scene, "orders"))
    assert decrypts(scene, "other", other)
    assert settings(scene, "orders") == (2, 2, 2)
    assert [(one.what, one.title, one.dead) for one in outcome.proofs] == [
        ("key version", "1 key version", True),
        ("ciphertext", "1 old ciphertext", True),
        ("hmac", "1 old hmac", True),
    ]
    (note,) = outcome.notes
    assert note == (
        "secrets/transit/keys/orders: what is encrypted under version 1 or an older one CANNOT BE READ afterwards, and "
        "what is signed by it is not accepted, till somebody undoes it; it cannot be rewrapped then either"
    )


@pytest.mark.parametrize("type_", TYPES)
def test_a_version_of_each_type_is_tried_by_what_it_is_good_for(scene: Scene, type_: str) -> None:
    key(scene, "typed", type_)

    outcome = scene.cut(("transit-key", "transit/typed@1"))

    tried = {
        "aes256-gcm96": ["ciphertext", "hmac"],
        "rsa-2048": ["ciphertext", "signature", "hmac"],
        "hmac": ["hmac"],
    }
    assert outcome.code == 0
    assert [one.what for one in outcome.proofs] == ["key version", *tried.get(type_, ["signature", "hmac"])]
    assert all("disallowed by policy" in one.said for one in outcome.proofs[1:])


def test_a_derived_key_is_tried_with_a_context(scene: Scene) -> None:
    key(scene, "derived", derived=True)

    outcome = scene.cut(("transit-key", "transit/derived@1"))

    assert [(one.what, one.dead) for one in outcome.proofs] == [("key version", True), ("ciphertext", True)]


def test_an_older_version_is_refused_without_a_new_one(scene: Scene) -> None:
    for _ in range(2):
        scene.server.write("transit/keys/orders/rotate", {})
    old, current = encrypted(scene, "orders", key_version=1), encrypted(scene, "orders")

    outcome = scene.cut(("transit-key", "transit/orders@2"))

    assert outcome.code == 0
    assert settings(scene, "orders") == (3, 3, 3)
    assert not decrypts(scene, "orders", old)
    assert decrypts(scene, "orders", current)


def test_first_turned_then_rewrapped_then_refused(scene: Scene) -> None:
    old = encrypted(scene, "orders")
    scene.cut(("transit-key", "transit/orders"))
    new = str(scene.server.write("transit/rewrap/orders", {"ciphertext": old})["ciphertext"])

    outcome = scene.cut(("transit-key", "transit/orders@1"))

    assert (outcome.code, settings(scene, "orders")) == (0, (2, 2, 2))
    assert [(one.what, one.dead) for one in outcome.proofs][1:] == [("ciphertext", True), ("hmac", True)]
    assert (decrypts(scene, "orders", old), decrypts(scene, "orders", new)) == (False, True)


def test_an_undo_reads_old_ciphertext_again(scene: Scene) -> None:
    old = encrypted(scene, "orders")
    scene.cut(("transit-key", "transit/orders@1"))

    assert [one.title for one in story(scene.folder).still_shut] == ["secrets/transit/keys/orders"]
    assert scene.undo() == ["secrets/transit/keys/orders"]
    assert story(scene.folder).still_shut == ()
    assert settings(scene, "orders") == (2, 0, 1)
    assert decrypts(scene, "orders", old)


def test_a_look_turns_nothing(scene: Scene) -> None:
    found = scene.look(("transit-key", "transit/orders@1")).blast

    assert found is not None
    assert [one.id for one in found.credentials] == ["transit/orders@1"]
    assert settings(scene, "orders") == (1, 0, 1)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("transit/none", "--transit-key transit/none: there is none; those on transit are: orders, other"),
        ("transit/orders@2", "--transit-key transit/orders@2: there is no version 2; the last one is 1"),
        ("aes/orders", "--transit-key aes/orders: it is on none of the mounts that have such: transit"),
        (
            "transit/orders@last",
            (
                "--transit-key transit/orders@last: write MOUNT/PATH, or MOUNT/PATH@3 for a version that goes though "
                "in use"
            ),
        ),
    ],
)
def test_a_key_that_is_none_is_told(scene: Scene, value: str, said: str) -> None:
    with pytest.raises(StrongroomError) as wrong:
        scene.look(("transit-key", value))

    assert str(wrong.value) == said
