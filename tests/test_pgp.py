"""A holder's key is read before anything is initialised: a server finds out too late."""

from __future__ import annotations

import random
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster import keys, pgp
from orchestrator.declared import Beginning, Cluster
from orchestrator.errors import StrongroomError
from orchestrator.local import files
from tests.support import REPOSITORY, needs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS = REPOSITORY / "tests/examples/clusters/keys"


@pytest.fixture(name="home")
def fixture_home(tmp_path: Path) -> Iterator[Path]:
    folder = files.private_folder(tmp_path / "gnupg")
    yield folder
    subprocess.run([needs("gpgconf"), "--homedir", str(folder), "--kill", "all"], check=False, capture_output=True)


def gpg(home: Path, *words: str) -> bytes:
    command = [needs("gpg"), "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback"]
    return subprocess.run([*command, "--passphrase", "", *words], capture_output=True, check=True, timeout=60).stdout


def made(home: Path, *more: str, subkey: bool = True) -> str:
    """A key that signs, with a subkey that encrypts; its fingerprint."""
    gpg(home, *more, "--quick-generate-key", "x@example.org", "ed25519", "sign", "never")
    (line, *_) = re.findall(rb"^fpr:+(\w+):", gpg(home, "--with-colons", "--list-keys"), re.MULTILINE)
    if subkey:
        gpg(home, *more, "--quick-add-key", line.decode(), "cv25519", "encr", "1y")
    return str(line.decode())


def test_armour_is_taken_off(home: Path) -> None:
    name = made(home)
    bare, armoured = gpg(home, "--export", name), gpg(home, "--export", "--armor", name)

    assert pgp.public(armoured) == pgp.public(bare)
    assert pgp.public(armoured).content == bare
    assert pgp.public(bare).ends is not None


def test_a_private_key_is_told_from_a_public_one(home: Path) -> None:
    name = made(home)
    for armour in ([], ["--armor"]):
        with pytest.raises(pgp.NoPublicKeyError, match="holds a private key; export the public one alone"):
            pgp.public(gpg(home, *armour, "--export-secret-keys", name))


def test_a_key_that_only_signs_is_refused(home: Path) -> None:
    with pytest.raises(pgp.NoPublicKeyError, match="can sign and not be encrypted to; add a subkey for encryption"):
        pgp.public(gpg(home, "--export", made(home, subkey=False)))


def test_a_key_that_has_ended_is_refused_before_the_cluster_begins(home: Path, tmp_path: Path) -> None:
    (tmp_path / "ada.asc").write_bytes(gpg(home, "--export", made(home, "--faked-system-time", "20200101T000000")))
    cluster = Cluster("x", "openbao", "2.7.2", init=Beginning(holders={"ada": "ada.asc"}))

    with pytest.raises(StrongroomError) as caught:
        keys.holders(tmp_path, cluster)
    assert str(caught.value) == (
        f"{tmp_path}/ada.asc, the key of ada, is no longer valid; have ada extend it and export it anew"
    )


def test_a_damaged_key_is_refused_or_read_and_never_a_crash() -> None:
    dice = random.Random(19)  # noqa: S311 - the same damage every time
    whole = pgp.public((KEYS / "ada.asc").read_bytes()).content
    outcomes: set[type] = set()
    for _ in range(2000):
        damaged = bytearray(whole[: dice.randrange(1, len(whole) + 1)])
        for _ in range(dice.randrange(4)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        try:
            outcomes.add(type(pgp.public(bytes(damaged))))
        except pgp.NoPublicKeyError as error:
            outcomes.add(type(error))

    assert outcomes == {pgp.Public, pgp.NoPublicKeyError}
