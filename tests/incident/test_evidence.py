"""Evidence of real incidents: no secret in it, signed by a key of the server, opened again only on a word."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.commands import evidence as commands
from orchestrator.commands import incident
from orchestrator.commands.check import incident_rights
from orchestrator.errors import Refused, StrongroomError
from orchestrator.incident import seal, sign
from orchestrator.incident.journal import Journal, read
from orchestrator.incident.verify import verify
from tests.incident.scene import NAME, Scene
from tests.incident.written import GOOD, verified_by_openssl
from tests.support import REPOSITORY, postgres

if TYPE_CHECKING:
    from orchestrator.local.stack import Stack

pytestmark = pytest.mark.server
PAYMENTS = ("role", "auth/approle/payments")
TITLE = "auth/approle/roles/payments"


def invoke(scene: Scene, *words: str, given: str = "") -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """The command as people type it, and every argv that was seen of it and its children while it ran."""
    shutil.copy(REPOSITORY / "tasks.py", scene.root / "tasks.py")
    command = [sys.executable, "-m", "invoke", *words]
    files = [(scene.root / name).open("w+") for name in ("stdin", "stdout", "stderr")]
    files[0].write(given)
    files[0].seek(0)
    seen = set()
    with subprocess.Popen(
        command,
        cwd=scene.root,
        env={**scene.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=files[0],
        stdout=files[1],
        stderr=files[2],
        start_new_session=True,
    ) as running:
        while running.poll() is None:
            seen |= _argvs(running.pid)
    texts = []
    for file in files:
        file.seek(0)
        texts.append(file.read())
        file.close()
    (scene.root / "stdin").unlink()
    return subprocess.CompletedProcess(command, running.returncode, texts[1], texts[2]), seen


def _argvs(session: int) -> set[str]:
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if int((path / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                found.add((path / "cmdline").read_text())
        except OSError:
            continue  # it ended
    return found


def database(scene: Scene) -> dict[str, Any]:
    """A user of a real database: what the server hands out."""
    _, _, rest = postgres(scene.running).partition("@")
    scene.server.write("sys/mounts/database", {"type": "database"})
    scene.server.write(
        "database/config/orders",
        {
            "plugin_name": "postgresql-database-plugin",
            "allowed_roles": "*",
            "connection_url": f"postgresql://{{{{username}}}}:{{{{password}}}}@{rest}",
            "username": "strongroom",
            "password": scene.running.postgres_password,
        },
    )
    made = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"
    scene.server.write("database/roles/read", {"db_name": "orders", "creation_statements": made, "default_ttl": "1h"})
    return dict(scene.server.read("database/creds/read") or {})


def said(scene: Scene) -> dict[str, Any]:
    """What the role says; an empty list and nothing are the same to a server."""
    return {name: value or None for name, value in (scene.server.read("auth/approle/role/payments") or {}).items()}


def test_no_secret_is_in_the_evidence_nor_in_what_is_printed_nor_in_an_argv(scene: Scene) -> None:
    scene.approle("payments")
    held = scene.secret_id("payments")
    login = scene.login("payments")["client_token"]
    leaked = scene.token("default", meta={"team": "payments"})
    wrapped = scene.server.write("auth/approle/role/payments/secret-id", {}, wrap="1h")["token"]
    password = database(scene)["password"]
    own = scene.environ["VAULT_TOKEN"]
    canaries = [held["secret_id"], login, leaked, wrapped, password, own, scene.running.postgres_password]
    words = ("revoke", "--incident", "INC-7", "-e", NAME, "--role", PAYMENTS[1], "--mount", "database", "--token", "-")

    looked, _ = invoke(scene, *words, "--dry-run", "--format", "json", given=f"{leaked}\n")
    digest = json.loads(looked.stdout)["digest"]
    done, argvs = invoke(scene, *words, "--yes", digest, given=f"{leaked}\n")

    assert done.returncode == 2, done.stdout + done.stderr  # nobody declared the connection: it cannot be asked
    written = {path.name: path.read_text() for path in scene.folder.iterdir()}
    assert {"journal.jsonl", "blast-1.json", "report.md", "report.html", "manifest.json"} <= written.keys()
    assert any("--yes" in one for one in argvs)
    told = {**written, "look": looked.stdout + looked.stderr, "run": done.stdout + done.stderr, "argv": str(argvs)}
    assert [(name, one) for name, text in told.items() for one in canaries if one in text] == []
    assert [scene.lives(one) for one in (login, leaked)] == [False, False]
    assert verify(scene.folder).code == 0


@pytest.fixture
def log(scene: Scene, stack_root: Path) -> Path:
    if scene.running.server == "vault":
        pytest.skip("the embedded stack gives an audit log to OpenBao alone")
    return stack_root / ".strongroom/stack/vault/audit.log"


def test_the_audit_lines_of_what_was_cut_are_kept_without_what_was_logged_as_it_is(scene: Scene, log: Path) -> None:
    scene.approle("payments", "orders", token_policies="apps")
    scene.server.write("sys/policies/acl/apps", {"policy": 'path "apps/*" { capabilities = ["create", "update"] }'})
    scene.server.write("sys/mounts/apps", {"type": "kv", "options": {"version": "1"}})
    scene.server.write("sys/mounts/apps/tune", {"audit_non_hmac_request_keys": ["password"]})
    thief, other = (scene.login(role) for role in ("payments", "orders"))
    for number, login in enumerate((thief, other)):
        scene.server.as_token(login["client_token"]).write(f"apps/{number}", {"password": f"canary-{number}-4be1"})

    outcome = scene.cut(PAYMENTS, logs=[log])

    kept = [json.loads(line) for line in (scene.folder / "audit.jsonl").read_text().splitlines()]
    assert outcome.code == 0
    assert {one["accessor"] for one in kept} == {thief["accessor"]}
    mine = [(one["by"], one["entry"]["type"], one["entry"]["request"]["path"]) for one in kept]
    assert (True, "request", "apps/0") in mine
    assert (False, "request", "auth/token/revoke-accessor") in mine
    assert "canary-0-4be1" in log.read_text()
    assert all("canary" not in path.read_text() for path in scene.folder.iterdir())
    logged = log.read_text().splitlines()
    assert all(one["entry"]["request"]["id"] in logged[one["line"] - 1] for one in kept)
    assert f"kept {len(kept)} lines about 1 token of the log" in " ".join(
        (scene.folder / "report.md").read_text().split()
    )
    assert verify(scene.folder).code == 0
    (scene.folder / "audit.jsonl").write_text("")
    assert "audit.jsonl: this file was changed" in [str(one) for one in verify(scene.folder).faults]


def test_a_log_of_another_server_is_told_and_hinders_nothing(scene: Scene, tmp_path: Path) -> None:
    scene.approle("payments")
    token = scene.login("payments")["client_token"]
    (tmp_path / "foreign.log").write_text('{"type":"request","auth":{"accessor":"hmac-sha256:00"}}\n')

    outcome = scene.cut(PAYMENTS, logs=[tmp_path / "foreign.log"])

    why = next(line.data["why"] for line in read(scene.folder / "journal.jsonl") if line.what == "not logged")
    assert "is known to have written it" in why
    assert (outcome.code, scene.lives(token), verify(scene.folder).code) == (0, False, 0)


@pytest.mark.parametrize("sort", ["ed25519", "ecdsa-p256", "ecdsa-p521", "rsa-2048"])
def test_a_transit_key_signs_and_its_public_key_verifies_offline(scene: Scene, sort: str, tmp_path: Path) -> None:
    scene.approle("payments")
    scene.login("payments")
    scene.server.write("sys/mounts/secure/transit", {"type": "transit"})
    scene.server.write("secure/transit/keys/releases", {"type": sort})
    scene.server.write("secure/transit/keys/releases/rotate", {})

    outcome = scene.cut(PAYMENTS, sign="transit:secure/transit/releases")
    (tmp_path / "PUBLIC.pem").write_text(json.loads((scene.folder / seal.SIGNATURE).read_text())["public_key"])
    found = commands.verified(scene.root, "INC-7", str(tmp_path / "PUBLIC.pem"))

    assert (outcome.code, outcome.notes, found.faults) == (0, (), ())
    assert found.signed_by is not None
    assert found.signed_by["key"] == "transit:secure/transit/releases"
    assert found.signed_by["fingerprint"] in (scene.folder / "report.md").read_text()
    assert verified_by_openssl(scene.folder) in GOOD
    content = (scene.folder / seal.MANIFEST).read_bytes()
    (scene.folder / seal.MANIFEST).write_bytes(content.replace(b'"size": ', b'"size": 1', 1))
    assert "the signature is wrong: the manifest is not the one that was signed" in [
        one.text for one in verify(scene.folder).faults
    ]


@pytest.mark.parametrize(
    ("way", "problem"),
    [
        ("transit:transit/none", "there is no key none on transit"),
        (
            "transit:transit/sealing",
            "a key of type aes256-gcm96 cannot sign evidence; ed25519, ecdsa and rsa keys can, which are not derived",
        ),
    ],
)
def test_a_key_that_cannot_sign_is_told_before_anything_is_done(scene: Scene, way: str, problem: str) -> None:
    scene.approle("payments")
    token = scene.login("payments")["client_token"]
    scene.server.write("sys/mounts/transit", {"type": "transit"})
    scene.server.write("transit/keys/sealing", {"type": "aes256-gcm96"})

    with pytest.raises(StrongroomError) as told:
        scene.cut(PAYMENTS, sign=way)

    assert str(told.value) == f"--sign {way}: {problem}"
    assert scene.lives(token)
    assert not scene.folder.exists()


def test_the_key_that_the_yaml_names_signs_and_never_stops_a_revocation(
    stack: Stack,
    tmp_path: Path,
    namespaces: None,  # noqa: ARG001 - it skips where there are none
) -> None:
    scene = Scene.on(stack, tmp_path, {"evidence": {"sign": "transit:transit/releases"}})
    scene.approle("payments", "orders")

    without = scene.cut(PAYMENTS)
    scene.server.write("sys/mounts/transit", {"type": "transit"})
    scene.server.write("transit/keys/releases", {"type": "ed25519"})
    again = scene.cut(("role", "auth/approle/orders"))

    told = "--sign transit:transit/releases: there is no key releases on transit"
    assert (without.code, without.notes) == (0, (f"the evidence is not signed: {told}",))
    assert f"the evidence will not be signed as the YAML says: {told}" in [one.text for one in scene.shown[0].problems]
    assert again.notes == ()
    assert (verify(scene.folder).signed_by or {})["key"] == "transit:transit/releases"


def test_the_rights_that_are_printed_are_enough_to_sign(
    stack: Stack,
    tmp_path: Path,
    namespaces: None,  # noqa: ARG001 - it skips where there are none
) -> None:
    document = {"auth": {"approle": {"type": "approle"}}, "evidence": {"sign": "transit:transit/releases"}}
    scene = Scene.on(stack, tmp_path, document)
    scene.approle("payments")
    scene.server.write("sys/mounts/transit", {"type": "transit"})
    scene.server.write("transit/keys/releases", {"type": "ed25519"})
    scene.server.write("sys/policies/acl/on-call", {"policy": incident_rights(tmp_path, NAME)})

    outcome = scene.cut(PAYMENTS, token=scene.token("on-call"))

    assert (outcome.code, outcome.notes) == (0, ())
    assert verify(scene.folder).signed_by is not None


def test_a_key_that_goes_away_meanwhile_leaves_the_evidence_unsigned_and_says_so(scene: Scene) -> None:
    scene.approle("payments")
    scene.server.write("sys/mounts/transit", {"type": "transit"})
    scene.server.write("transit/keys/releases", {"type": "ed25519"})

    outcome = scene.cut(
        PAYMENTS,
        sign="transit:transit/releases",
        agree=lambda _: scene.server.delete("sys/mounts/transit"),
    )

    assert outcome.code == 0
    assert [note.partition(": ")[0] for note in outcome.notes] == ["the evidence is not signed"]
    assert (verify(scene.folder).code, verify(scene.folder).signed_by) == (0, None)
    assert "UNSIGNED" in (scene.folder / "report.md").read_text()


def test_what_was_signed_is_signed_again_when_it_is_opened(scene: Scene) -> None:
    scene.approle("payments")
    before = said(scene)
    scene.server.write("sys/mounts/transit", {"type": "transit"})
    scene.server.write("transit/keys/releases", {"type": "ed25519"})
    scene.cut(PAYMENTS, sign="transit:transit/releases")
    key = sign.signer("transit:transit/releases", scene.server).public

    assert scene.undo() == [TITLE]

    assert said(scene) == before
    assert verify(scene.folder, key).faults == ()
    assert [line.what for line in read(scene.folder / "journal.jsonl")][-3:] == ["finished", "undoing", "reopened"]
    assert scene.undo() == []
    assert verify(scene.folder, key).faults == ()


def test_an_unfinished_incident_is_opened_only_on_a_word(scene: Scene) -> None:
    scene.approle("payments")
    scene.cut(PAYMENTS)
    Journal(scene.folder).write("resumed", who="somebody")

    with pytest.raises(
        Refused, match=r"INC-7 is not finished, so what leaked may still be used: .* or say --unfinished"
    ):
        scene.undo()
    done, _ = invoke(scene, "incident.undo-close", "INC-7")
    assert (done.returncode, "INC-7 is not finished" in done.stderr) == (4, True)

    undo = incident.Undo(unfinished=True)
    assert incident.undo_close(scene.root, "", scene.environ, "INC-7", undo) == [TITLE]
    assert verify(scene.folder).code == 1  # its manifest is older than its journal


def test_a_person_is_shown_what_would_be_opened_and_asked(scene: Scene) -> None:
    scene.approle("payments")
    scene.cut(PAYMENTS)

    refused, _ = invoke(scene, "incident.undo-close", "INC-7")
    done, _ = invoke(scene, "incident.undo-close", "INC-7", "--yes", "--format", "json")

    assert refused.returncode == 4
    assert f"  ○ {TITLE} in namespace {scene.namespace}, shut since 20" in refused.stdout
    assert (done.returncode, json.loads(done.stdout)) == (0, {"opened": [TITLE]})


def test_the_commands_answer_without_a_server_or_any_configuration(scene: Scene) -> None:
    scene.approle("payments")
    scene.cut(PAYMENTS)
    shutil.rmtree(scene.root / "vault-config")

    answers = {
        word: invoke(scene, *word.split(), "--format", "json")[0]
        for word in ("incident.status INC-7", "incident.list", "incident.report INC-7", "incident.verify INC-7")
    }

    assert {word: done.returncode for word, done in answers.items()} == dict.fromkeys(answers, 0)
    assert json.loads(answers["incident.status INC-7"].stdout)["next"] == "invoke incident.undo-close INC-7"
    assert [one["state"] for one in json.loads(answers["incident.list"].stdout)] == ["proven dead"]
    assert json.loads(answers["incident.report INC-7"].stdout)["files"] == ["report.md", "report.html", "manifest.json"]
    assert json.loads(answers["incident.verify INC-7"].stdout)["faults"] == []
    (scene.folder / "report.md").write_text("all is well")
    changed, _ = invoke(scene, "incident.verify", "INC-7")
    assert changed.returncode == 1
    assert changed.stdout.splitlines()[0] == "INC-7/report.md: this file was changed"
