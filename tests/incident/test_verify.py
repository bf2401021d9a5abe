"""Any byte of evidence that was changed is found, without a server."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.commands import evidence as commands
from orchestrator.errors import Refused, StrongroomError
from orchestrator.incident import seal, sign
from orchestrator.incident.journal import Journal, Line
from orchestrator.incident.verify import verify
from tests.incident import written

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PEM, OPENSSH = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.OpenSSH


def private_key(path: Path, form: serialization.PrivateFormat = PEM) -> str:
    """A new ed25519 key in a file, as --sign names it."""
    content = Ed25519PrivateKey.generate().private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    path.write_bytes(content)
    return f"file:{path}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished incident, sealed and signed."""
    found = tmp_path / "incidents/INC-7"
    written.small(found)
    seal.seal(found, private_key(tmp_path / "key.pem"), None, written.clock())
    return found


def faults(folder: Path) -> list[str]:
    return [str(one) for one in verify(folder).faults]


def flipped(content: bytes, place: int) -> bytes:
    """The same with another byte at one place: a carriage return for the end of a line, as readers may take it so."""
    flip = 0x07 if content[place] == ord("\n") else (0x01, 0x20, 0x80)[place % 3]
    return content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :]


def lines(folder: Path) -> list[str]:
    return (folder / "journal.jsonl").read_text().splitlines(keepends=True)


def test_what_nobody_changed_is_whole(folder: Path) -> None:
    found = verify(folder)

    assert (found.code, found.faults, found.lines) == (0, (), 8)
    assert found.signed_by == seal.signed_by(folder)


@pytest.mark.parametrize(
    "name", ["journal.jsonl", "manifest.json", "signature.json", "blast-1.json", "report.md", "report.html"]
)
def test_a_flip_of_any_byte_is_found(folder: Path, name: str) -> None:
    path = folder / name
    content = path.read_bytes()
    step = 1 if name in {"journal.jsonl", "manifest.json", "signature.json"} else 97  # a hash covers the others whole
    missed = []
    for place in range(0, len(content), step):
        path.write_bytes(flipped(content, place))
        if verify(folder).code != 1:
            missed.append(place)

    assert missed == []


def test_a_flip_of_any_byte_of_an_unfinished_journal_is_found_but_for_the_last_end_of_line(folder: Path) -> None:
    for name in (seal.MANIFEST, seal.SIGNATURE):
        (folder / name).unlink()
    path = folder / "journal.jsonl"
    content = path.read_bytes()
    missed = []
    for place in range(len(content)):
        path.write_bytes(flipped(content, place))
        if verify(folder).code != 1:
            missed.append(place)

    assert missed == [len(content) - 1]


def test_a_line_that_was_removed(folder: Path) -> None:
    kept = lines(folder)
    (folder / "journal.jsonl").write_text("".join(kept[:2] + kept[3:]))

    assert faults(folder) == [
        "journal.jsonl: this file was changed",
        "journal.jsonl:3: this line does not follow the one before it",
    ]


def test_two_lines_that_were_swapped(folder: Path) -> None:
    kept = lines(folder)
    (folder / "journal.jsonl").write_text("".join([*kept[:2], kept[3], kept[2], *kept[4:]]))

    assert faults(folder) == [
        "journal.jsonl: this file was changed",
        *(f"journal.jsonl:{number}: this line does not follow the one before it" for number in (3, 4, 5)),
    ]


def test_an_end_that_was_cut_off(folder: Path) -> None:
    (folder / "journal.jsonl").write_text("".join(lines(folder)[:-2]))

    assert faults(folder) == [
        "journal.jsonl: this file was changed",
        "journal.jsonl:7: the end is cut off: the manifest knows 8 lines",
    ]


def test_a_line_that_was_edited_is_the_only_one_to_blame(folder: Path) -> None:
    kept = lines(folder)
    kept[1] = kept[1].replace('"tokens":3', '"tokens":4')
    (folder / "journal.jsonl").write_text("".join(kept))

    assert faults(folder) == [
        "journal.jsonl: this file was changed",
        "journal.jsonl:2: this line was changed after it was written",
    ]


def test_lines_that_came_after_the_manifest(folder: Path) -> None:
    journal = Journal(folder, written.clock())
    journal.write("resumed", who="ada")

    assert faults(folder)[1] == (
        "journal.jsonl:9: from here on 1 line came after the manifest: a run that is not finished, or somebody who "
        "wrote them; read them, then seal again with incident.report"
    )


def test_every_fault_is_told_at_once(folder: Path) -> None:
    (folder / "report.md").write_text("all is well\n")
    (folder / "report.html").unlink()
    (folder / "more").mkdir()
    (folder / "more/added.txt").write_text("hello")
    (folder / ".hidden").write_text("")
    (folder / "lock").write_text("hidden here")
    (folder / "blast-1.json").unlink()
    (folder / "blast-1.json").symlink_to("journal.jsonl")

    assert faults(folder) == [
        ".hidden: this file was added: the manifest does not know it",
        "blast-1.json: this file is not the one that journal.jsonl:2 tells of",
        "blast-1.json: this is no file any more, but something in its place",
        "lock: this file was added: the manifest does not know it",
        "more/added.txt: this file was added: the manifest does not know it",
        "report.html: this file is missing",
        "report.md: this file was changed",
    ]


def test_a_manifest_that_was_edited_with_its_file(folder: Path) -> None:
    (folder / "report.md").write_text("all is well\n")
    manifest = json.loads((folder / seal.MANIFEST).read_text())
    manifest["files"] = {name: seal.described(folder / name) for name in manifest["files"]}
    (folder / seal.MANIFEST).write_text(seal.text(manifest))

    assert faults(folder) == ["signature.json:1: the signature is wrong: the manifest is not the one that was signed"]


def test_a_manifest_that_is_written_otherwise(folder: Path) -> None:
    manifest = (folder / seal.MANIFEST).read_text()
    (folder / seal.MANIFEST).write_text(manifest.replace('  "lines": 8', '  "lines":  8'))

    assert faults(folder)[0] == "manifest.json:23: this line is not as it was written"


def test_signed_by_another_key(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    seal.seal(tmp_path / "copy", private_key(tmp_path / "thief.pem"), None, written.clock())
    mine = sign.signer(f"file:{tmp_path / 'key.pem'}", None).public

    assert verify(tmp_path / "copy").code == 0
    theirs = (verify(tmp_path / "copy").signed_by or {})["fingerprint"]
    told = f"another key than the one that was given: {theirs} signed, not {sign.fingerprint(mine)}"
    assert [one.text for one in verify(tmp_path / "copy", mine).faults] == [told]
    (folder / seal.SIGNATURE).write_bytes((tmp_path / "copy" / seal.SIGNATURE).read_bytes())
    assert faults(folder) == [
        "signature.json:1: it tells another key or time than the manifest that it signs",
        "signature.json:1: the signature is wrong: the manifest is not the one that was signed",
    ]


def test_a_signature_that_was_taken_away(folder: Path, tmp_path: Path) -> None:
    (folder / seal.SIGNATURE).unlink()

    assert faults(folder) == [
        f"signature.json: the signature is missing: the manifest must be signed by file:{tmp_path / 'key.pem'}"
    ]


def test_unsigned_evidence_is_whole_unless_a_key_is_asked_for(tmp_path: Path) -> None:
    written.small(tmp_path / "INC-7")
    seal.seal(tmp_path / "INC-7", "", None, written.clock())
    key = Ed25519PrivateKey.generate().public_key()

    assert (verify(tmp_path / "INC-7").code, verify(tmp_path / "INC-7").signed_by) == (0, None)
    assert [str(one) for one in verify(tmp_path / "INC-7", key).faults] == [
        "signature.json: the signature is missing: the manifest must be signed by the key that was given"
    ]


def test_what_is_unfinished_is_neither_whole_nor_broken(tmp_path: Path) -> None:
    journal = written.small(tmp_path / "INC-7")
    journal.path.write_text("".join(lines(tmp_path / "INC-7")[:5]) + '{"at":')

    found = verify(tmp_path / "INC-7")

    assert found.code == 2
    assert found.said == "unfinished: the chain is whole up to line 5; half a line follows, as a kill leaves it"


def test_a_manifest_that_was_taken_away_from_its_signature(folder: Path) -> None:
    (folder / seal.MANIFEST).unlink()

    assert verify(folder).code == 1
    assert verify(folder).said == "finished, and never sealed: the chain is whole up to line 8"


def test_a_report_made_again_leaves_the_signature(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    seal.seal(folder, "", None, written.clock())

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_signature_that_no_longer_fits_is_never_dropped_in_silence(folder: Path, tmp_path: Path) -> None:
    journal = Journal(folder, written.clock())
    journal.write("undoing", who="ada", closes=[])

    with pytest.raises(Refused, match="has changed since: say --sign to sign it again, or --unsigned"):
        commands.report(tmp_path, {}, "INC-7")

    assert commands.report(tmp_path, {}, "INC-7", f"file:{tmp_path / 'key.pem'}").signer is not None
    assert verify(folder).code == 0
    assert commands.report(tmp_path, {}, "INC-7", unsigned=True).signer is None
    assert verify(folder).signed_by is None


def test_a_report_made_anew_covers_nothing_up(tmp_path: Path) -> None:
    folder = tmp_path / "incidents/INC-7"
    written.small(folder)
    commands.report(tmp_path, {}, "INC-7")
    (folder / "report.md").write_text("all is well\n")
    (folder / "added.txt").write_text("hello")

    with pytest.raises(Refused) as told:
        commands.report(tmp_path, {}, "INC-7")

    assert str(told.value) == (
        "INC-7 is not as it was sealed; --unsigned seals what is there now\n"
        "added.txt: this file was added: the manifest does not know it"
    )
    (folder / "added.txt").unlink()
    assert commands.report(tmp_path, {}, "INC-7").finished
    assert verify(folder).code == 0


@pytest.mark.parametrize("field", ["number", "at", "what", "data", "before"])
def test_a_line_of_other_types_is_no_line_though_its_hash_is_right(tmp_path: Path, field: str) -> None:
    journal = written.small(tmp_path / "INC-7")
    last = json.loads(journal.lines[-1].text())
    del last["hash"]
    body = {**last, field: ["strange"]}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    line = Line(**body, hash=hashlib.sha256(canonical.encode()).hexdigest())
    journal.path.write_text("".join(lines(tmp_path / "INC-7")[:-1]) + line.text())

    assert faults(tmp_path / "INC-7") == ["journal.jsonl:8: this line was changed after it was written"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 99) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from([seal.MANIFEST, seal.SIGNATURE]), st.data(), ANYTHING)
def test_whatever_stands_in_a_manifest_or_a_signature_is_judged(
    folder: Path, name: str, data: st.DataObject, value: object
) -> None:
    content = (folder / name).read_text()
    document = json.loads(content)
    place = data.draw(st.sampled_from(sorted(document)))
    if isinstance(document[place], dict) and data.draw(st.booleans()):
        document[place][data.draw(st.sampled_from(sorted(document[place])))] = value
    else:
        document[place] = value
    (folder / name).write_text(seal.text(document))

    found = verify(folder)
    (folder / name).write_text(content)

    assert found.code == (1 if seal.text(document) != content else 0)


def test_a_copy_is_verified_by_its_path(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "elsewhere")
    public = tmp_path / "public.pem"
    public.write_text(sign.pem(sign.signer(f"file:{tmp_path / 'key.pem'}", None).public))

    assert commands.verified(tmp_path, str(tmp_path / "elsewhere"), str(public)).code == 0
    with pytest.raises(StrongroomError, match=r"^--key .*manifest\.json: there is no public key in it"):
        commands.verified(tmp_path, "INC-7", str(folder / "manifest.json"))
    with pytest.raises(StrongroomError, match="there is no journal, so there is nothing to verify"):
        commands.verified(tmp_path, "INC-8")


def _ecdsa() -> bytes:
    return _pem(ec.generate_private_key(ec.SECP256R1()))


def _rsa() -> bytes:
    return _pem(rsa.generate_private_key(65537, 2048))


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, PEM, serialization.NoEncryption())


def _locked() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, PEM, serialization.BestAvailableEncryption(b"canary")
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (_ecdsa, "this is no ed25519 key; make one: openssl genpkey -algorithm ed25519"),
        (_rsa, "this is no ed25519 key; make one: openssl genpkey -algorithm ed25519"),
        (_locked, "the key has a passphrase, which nobody may be there to type; name one without"),
        (lambda: b"hello", "there is no private key in it that can be read; PEM and OpenSSH are"),
    ],
)
def test_a_file_without_such_a_key(tmp_path: Path, content: Callable[[], bytes], problem: str) -> None:
    (tmp_path / "key").write_bytes(content())

    with pytest.raises(StrongroomError) as told:
        sign.signer(f"file:{tmp_path / 'key'}", None)

    assert str(told.value) == f"--sign file:{tmp_path / 'key'}: {problem}"


@pytest.mark.parametrize("way", ["releases", "file:", "transit:releases", "kms:a/b", "transit:/releases"])
def test_what_names_no_key(way: str) -> None:
    with pytest.raises(StrongroomError, match="this names no key; write transit:MOUNT/KEY, or file:PATH"):
        sign.signer(way, None)


def test_an_openssh_key_signs(tmp_path: Path) -> None:
    written.small(tmp_path / "INC-7")
    seal.seal(tmp_path / "INC-7", private_key(tmp_path / "id", OPENSSH), None, written.clock())

    assert verify(tmp_path / "INC-7").code == 0


def test_what_the_report_says_verifies_the_signature_without_us(folder: Path) -> None:
    assert written.verified_by_openssl(folder) in written.GOOD
