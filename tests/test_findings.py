"""What a secret scanner found: each value once, told by its shape, with every place."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import ConfigInvalid, StrongroomError
from orchestrator.incident.findings import Finding, read
from orchestrator.incident.recognise import told
from orchestrator.live.wire import open_server
from tests.support import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.local.stack import Stack

EXAMPLES = REPOSITORY / "tests/examples/findings"
TOKEN = "hvs" + ".CAESI" + "aB3dEf6h" * 11  # joined here, so that no scanner takes this file for a leak
BATCH = "hvb" + ".AAAAAQ" + "aB3-Ef_h" * 20
SECRET_ID = "5f0c3d11-6a7b-4c8d-9e0f-a1b2c3d4e5f6"
ROLE_ID = "0c1d2e3f-1a2b-4c3d-8e4f-f6e5d4c3b2a1"
KEYS = tuple(base64.b64encode(bytes(range(first, first + 33))).decode() for first in (7, 99))
BLOCK = "MIIBqz7+/" * 6
PRIVATE = "-----BEGIN RSA PRIV" + f"ATE KEY-----\\n{BLOCK}\\n-----END RSA PRIV" + "ATE KEY-----"
VALUES = {
    "token": TOKEN,
    "batch": BATCH,
    "secret": SECRET_ID,
    "role": ROLE_ID,
    "key1": KEYS[0],
    "key2": KEYS[1],
    "private": PRIVATE,
}
FORMS = "SARIF 2.1.0, or the JSON of gitleaks, betterleaks, trufflehog or Kingfisher"


def example(folder: Path, name: str) -> Path:
    """An example with its values in place."""
    text = (EXAMPLES / name).read_text()
    for key, value in VALUES.items():
        text = text.replace(f"@{key}@", value)
    report = folder / name
    report.write_text(text)
    return report


def test_gitleaks_json_is_read(tmp_path: Path) -> None:
    assert read(example(tmp_path, "gitleaks.json")) == (
        Finding(
            "token",
            TOKEN,
            ("deploy/run.sh:12, commit 0123456789ab", "README.md:40, commit fedcba987654"),
            ("vault-service-token",),
        ),
        Finding("role-id", ROLE_ID, ("app.yaml:3",), ("generic-api-key",)),
        Finding("secret-id", SECRET_ID, ("app.yaml:3",), ("generic-api-key",)),
        Finding("unknown", "s.MaxConnectionBytesPerSec", ("dist/app.min.js:1",), ("vault-service-token",)),
        Finding("redacted", "", ("hidden.yaml:9",), ("generic-api-key",)),
    )


def test_sarif_is_read_wherever_the_value_is(tmp_path: Path) -> None:
    assert read(example(tmp_path, "sarif.json")) == (
        Finding("batch-token", BATCH, ("ci.yml:7, commit 0123456789ab",), ("vault-batch-token",)),
        Finding("token", TOKEN, ("wiki.html",), ("token-in-message",)),
        Finding("absent", "", ("dark.txt:2",), ("nothing-said",)),
        Finding("unseal-key", KEYS[0], ("init.json:1",), ("keys",)),
        Finding("unseal-key", KEYS[1], ("init.json:1",), ("keys",)),
    )


def test_trufflehog_lines_are_read_and_what_it_logs_between_them_is_not(tmp_path: Path) -> None:
    place = "app.env:4, commit 0123456789ab"

    assert read(example(tmp_path, "trufflehog.jsonl")) == (
        Finding("role-id", ROLE_ID, (place,), ("HashiCorpVaultAuth",)),
        Finding("secret-id", SECRET_ID, (place,), ("HashiCorpVaultAuth",)),
        Finding("token", TOKEN, ("notes.txt:2",), ("HashiCorpVaultToken",)),
        Finding("private-key", PRIVATE.replace("\\n", "\n"), ("https://git.example.org/x#L9:9",), ("PrivateKey",)),
    )


def test_kingfisher_json_is_read(tmp_path: Path) -> None:
    assert read(example(tmp_path, "kingfisher.json")) == (
        Finding("token", TOKEN, ("deploy/run.sh:12, commit 0123456789ab",), ("kingfisher.vault.1",)),
    )


def test_a_report_in_the_encoding_of_another_shell_is_read(tmp_path: Path) -> None:
    report = example(tmp_path, "kingfisher.json")
    plain = read(report)
    text = report.read_text()

    for encoding in ("utf-16", "utf-8-sig"):
        report.write_bytes(text.encode(encoding))
        assert read(report) == plain


def test_a_report_of_nothing_holds_nothing(tmp_path: Path) -> None:
    report = tmp_path / "none.json"
    for text in ("[]", '{"version": "2.1.0", "runs": [{"results": []}]}', '{"findings": []}'):
        report.write_text(text)
        assert read(report) == ()


def test_no_value_shows_when_a_finding_is_printed(tmp_path: Path) -> None:
    shown = repr(read(example(tmp_path, "gitleaks.json")))

    assert [value for value in VALUES.values() if value in shown] == []


def test_all_that_makes_no_sense_is_told_at_once_without_any_value(tmp_path: Path) -> None:
    report = example(tmp_path, "malformed.jsonl")

    with pytest.raises(ConfigInvalid) as caught:
        read(report)

    keys = "expected the keys RuleID and Secret (gitleaks), DetectorName and Raw (trufflehog) or finding (Kingfisher)"
    assert str(caught.value).splitlines() == [
        f"{report}:1:1: expected a text at Raw",
        f"{report}:2:1: expected a text at Secret",
        f"{report}:3:1: [0]: expected an object; a report is {FORMS}",
        f"{report}:4:1: {keys}",
        f"{report}:5:1: runs[0].results: expected a list, as SARIF 2.1.0 has",
        f"{report}:5:1: runs[1].results[0]: expected an object",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", f":1:1: the file is empty; expected {FORMS}"),
        (b"canary-5d20", f":1:1: no JSON; expected {FORMS}"),
        (b"\xff\x00\xfe canary-5d20", f":1:1: not a text; expected {FORMS}"),
        (b'{"Raw": "x", "DetectorName": "y"}\ncanary-5d20', f":2:1: no JSON; expected {FORMS}"),
        (b"[" * 99_999, f":1:1: nested too deep; expected {FORMS}"),
        (b'{"runs": {}}', ":1:1: runs: expected a list, as SARIF 2.1.0 has"),
        (b'{"finding": []}', ":1:1: expected rule and finding, as Kingfisher writes them"),
        (
            b'{"runs": [{"results": [{"locations": [{"physicalLocation": "canary-5d20"}]}]}]}',
            ":1:1: runs[0].results[0]: expected a physicalLocation",
        ),
    ],
)
def test_a_file_that_is_no_report_is_refused_in_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    report = tmp_path / "report"
    report.write_bytes(content)

    with pytest.raises(ConfigInvalid) as caught:
        read(report)

    assert str(caught.value) == f"{report}{message}"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StrongroomError) as caught:
        read(tmp_path / "none")

    assert str(caught.value) == (
        f"{tmp_path}/none: cannot be read: No such file or directory; name the scanner's report"
    )


LEGACY = "s" + ".aB3dEf6hIj9lMn2pQr5tUv8x"
SSH = "AAAAC3NzaC1lZDI1NTE5AAAAI" + "aB3dEf6h" * 4
SHAPES = {
    f"export VAULT_TOKEN={TOKEN}": [("token", TOKEN)],
    f'{{"client_token":"{LEGACY}"}}': [("token", LEGACY)],
    f"curl -H 'X-Vault-Token: {LEGACY}.p5ikEb'": [("token", f"{LEGACY}.p5ikEb")],
    f"tokens: {LEGACY}, {TOKEN}.": [("token", LEGACY), ("token", TOKEN)],
    f"b.{'aB3-Ef_h' * 20}": [("batch-token", f"b.{'aB3-Ef_h' * 20}")],
    "hvr" + f".{'aB3dEf6h' * 4}": [("recovery-token", "hvr" + f".{'aB3dEf6h' * 4}")],
    f"SECRET_ID={SECRET_ID}": [("secret-id", SECRET_ID)],
    f"secret_id_accessor: {SECRET_ID}": [("secret-id-accessor", SECRET_ID)],
    f"role-id={ROLE_ID} secretId={SECRET_ID}": [("role-id", ROLE_ID), ("secret-id", SECRET_ID)],
    f"vault approle {ROLE_ID}": [("approle-id", ROLE_ID)],
    f"accessor  {LEGACY[2:]}": [("accessor", LEGACY[2:])],
    f"Unseal Key 1: {KEYS[0]}": [("unseal-key", KEYS[0])],
    KEYS[0]: [("unseal-key", KEYS[0])],
    f"-----BEGIN CERTIFICATE-----\n{BLOCK}\n-----END CERTIFICATE-----": [
        ("certificate", f"-----BEGIN CERTIFICATE-----\n{BLOCK}\n-----END CERTIFICATE-----")
    ],
    f"ssh-ed25519 {SSH} ada@example.org": [("ssh-key", f"ssh-ed25519 {SSH}")],
    f"ssh-ed25519-cert-v01@openssh.com {SSH}= ada": [("ssh-certificate", f"ssh-ed25519-cert-v01@openssh.com {SSH}=")],
    "-----BEGIN OPENSSH PRIV" + f"ATE KEY-----\n{BLOCK}": [
        ("ssh-key", "-----BEGIN OPENSSH PRIV" + f"ATE KEY-----\n{BLOCK}")
    ],
}


@pytest.mark.parametrize("text", SHAPES)
def test_a_value_is_told_by_its_shape(text: str) -> None:
    assert list(told(text)) == SHAPES[text]


@pytest.mark.parametrize(
    "text",
    [
        "var t=s.MaxConnectionBytesPerSec,n=s.getElementsByClassNameA1(x)",
        "this.s.aB3dEf6hIj9lMn2pQr5tUv8x",
        "e=r.dispatchEventListenerNow",
        f"request id {ROLE_ID}",
        f"integrity sha256-{KEYS[0][:43]}=",
        "0123456789abcdef0123456789abcdef01234567",
        "hvs.short",
        "-----BEGIN PUBLIC KEY-----",
        "an accessor of the property",
    ],
)
def test_what_only_looks_like_a_secret_is_none(text: str) -> None:
    assert told(text) == ()


@pytest.mark.server
def test_what_a_real_server_issues_is_told(stack: Stack) -> None:
    root = open_server(stack.address, "", stack.token)
    service = root.write("auth/token/create", {"policies": ["default"]})
    batch = root.write("auth/token/create", {"policies": ["default"], "type": "batch"})
    issued = {
        "token": str(service["client_token"]),
        "batch-token": str(batch["client_token"]),
        "accessor": str(service["accessor"]),
    }
    told_of = {sort: told(f"accessor={value}" if sort == "accessor" else value) for sort, value in issued.items()}
    root.request("POST", "auth/token/revoke-accessor", {"accessor": issued["accessor"]})

    assert told_of == {sort: ((sort, value),) for sort, value in issued.items()}
