"""Runbooks are whole, their commands exist, their drills pass, and a walk goes on where it was."""

from __future__ import annotations

import io
import json
import re
import shlex
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.commands import check
from orchestrator.commands import runbook as commands
from orchestrator.errors import ConfigInvalid, Refused, StrongroomError
from orchestrator.incident.journal import FILE, read
from orchestrator.incident.runbooks import drill, drills, runbook, sheet
from orchestrator.incident.runbooks.walk import walk
from orchestrator.incident.runbooks.walker import Walk
from orchestrator.incident.scope import CLOSES
from orchestrator.live.server import Denied
from orchestrator.local import servers
from tasks import namespace
from tests.incident.scene import NAME
from tests.incident.voice import Words
from tests.support import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.live.server import Server
    from tests.incident.scene import Scene

BOOKS = sheet.load_all(REPOSITORY)
DRILLED = [one.name for one in BOOKS if one.drill != runbook.NONE]
TEXTS = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md"), *(REPOSITORY / "runbooks").glob("*.md")]
COMMAND = r"(?:^\s*(?:- |\$ |run: )?|`)({} [a-z][^`\n]*)"
BODY = "\n".join(f"## {name}\n\ntext\n" for name in sheet.HEADINGS)
HEAD = "title: Something leaked\nclose: none\ntell: [nobody]\ndrill: none\nbecause: it is a test\n"
BY_HAND = f"{HEAD}steps: [{{say: Look.}}, {{say: Look again., run: bao status, see: it is open.}}]\n"
CUT = """\
title: Something leaked
asks: {role: {question: Which?, kind: path, example: auth/approle/payments}}
targets: {role: "{role}"}
close: hard
proofs: [SecretID, token]
steps: [{do: status}, {say: "Look at {role}."}, {do: preflight}, {do: revoke}, {do: verify}, {do: undo-close}]
tell: [nobody]
drill: approle-secret-id
"""
LEAKED_TOKEN = """\
title: A token leaked
asks: {token: {question: Where is it?, kind: secret, example: prompt}}
targets: {token: "{token}"}
close: none
proofs: [token]
steps: [{do: preflight}, {do: revoke}]
tell: [nobody]
drill: token
"""
KILLED = """\
import json, os, signal, sys
from pathlib import Path
from orchestrator.incident.runbooks import sheet
from orchestrator.incident.journal import Journal
from orchestrator.incident.runbooks.walk import walk
from orchestrator.incident.runbooks.walker import Walk
from tests.incident.voice import Words

root, name, environ, deadly = json.loads(sys.stdin.read())
write = Journal.write

def dying(journal, what, **data):
    found = write(journal, what, **data)
    if [what, data.get("number"), data.get("state")] == deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return found

Journal.write = dying
book = sheet.load(Path(root), "leak")
walk(Walk(Path(root), environ, book, "INC-7", name, Words({"role": "auth/approle/payments"})))
"""


def written(root: Path, head: str, body: str = BODY, name: str = "leak") -> Path:
    """A runbook in a project of its own."""
    folder = root / runbook.FOLDER
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.md").write_text(f"---\n{head}---\n\n{body}")
    return root


def quoted(program: str) -> Iterator[tuple[str, str]]:
    """Every command of a program that a text of ours tells to type, with its file and line."""
    for path in TEXTS:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for found in re.finditer(COMMAND.format(program), line):
                yield f"{path.relative_to(REPOSITORY)}:{number}", found[1].strip().rstrip('"')


def test_every_runbook_is_right() -> None:
    assert sheet.problems(REPOSITORY) == []
    assert len(BOOKS) == len(list((REPOSITORY / "runbooks").glob("*.md")))


def test_each_drill_is_of_a_runbook() -> None:
    assert {one.drill for one in BOOKS} - {runbook.NONE} == drills.names()


def test_every_command_of_ours_that_is_told_to_be_typed_exists() -> None:
    tasks = {name: one for one in namespace.to_contexts() for name in (one.name, *one.aliases)}
    wrong = []
    for place, command in quoted("invoke"):
        name, *words = shlex.split(command.partition(" #")[0])[1:]
        task = tasks.get(name)
        flags = {*task.flag_names(), *task.inverse_flags} if task else set()
        said = [word.partition("=")[0] for word in words if word.startswith("-") and word != "-"]
        unknown = [one for one in said if one not in flags and one not in {"--help", "-h"}]
        if task is None or unknown:
            wrong.append(f"{place}: {command}: {', '.join(unknown) or 'no such task'}")

    assert wrong == []


def test_revoke_takes_no_letter_but_that_of_the_environment() -> None:
    revoke = next(one for one in namespace.to_contexts() if one.name == "revoke")

    assert [flag for flag in revoke.flag_names() if not flag.startswith("--")] == ["-e"]


@pytest.mark.server
def test_every_command_of_the_server_that_is_told_to_be_typed_exists(tmp_path: Path) -> None:
    program = servers.find(tmp_path, servers.BUILT_IN).program
    helps: dict[str, str] = {}
    wrong = []
    for place, command in quoted("bao"):
        words = shlex.split(command)[1:]
        plain = [word for word in words if not word.startswith("-")]
        asked = " ".join(plain)
        if asked not in helps:
            done = subprocess.run([program, *plain, "-h"], capture_output=True, text=True, check=False, timeout=30)
            helps[asked] = done.stdout + done.stderr
        usage = re.match(r"Usage: bao((?: [a-z-]+)+)(?! <subcommand>)(?: |$)", helps[asked])
        known = usage is not None and plain[: len(usage[1].split())] == usage[1].split()
        flags = [word.partition("=")[0] for word in words if word.startswith("-") and word != "-"]
        if not known or any(f"  {flag}" not in helps[asked] for flag in flags):
            wrong.append(f"{place}: {command}")

    assert wrong == []
    assert len(helps) > len(BOOKS)


def test_all_that_is_wrong_with_a_runbook_is_told_at_once(tmp_path: Path) -> None:
    head = """\
title: Something leaked
clos: hard
targets: {rol: "{role}"}
proofs: [tokens]
steps: [{do: revok}, {say: Look., do: verify}, {run: bao status}]
tell: [the owner of {role]
drill: tokn
"""
    body = BODY.replace("## Proof", "## Evidence")

    with pytest.raises(ConfigInvalid) as wrong:
        sheet.load(written(tmp_path, head.replace("[the owner of {role]", '"the owner of {role"'), body), "leak")

    assert str(wrong.value).splitlines() == [
        (
            "runbooks/leak.md:1:1: the headings (##) are Meaning, Impact, Diagnosis, Mitigation, Evidence; expected "
            "Meaning, Impact, Diagnosis, Mitigation, Proof"
        ),
        "runbooks/leak.md:2:1: `targets:`, `proofs:` and a step `do: revoke` come together, or none of them",
        "runbooks/leak.md:2:1: close is missing",
        "runbooks/leak.md:2:1: {role} is used, and `asks:` has no role",
        "runbooks/leak.md:3:1: clos: no word of a runbook here; did you mean 'close'?",
        "runbooks/leak.md:4:11: rol: no flag of `invoke revoke`; did you mean 'role'?",
        "runbooks/leak.md:5:9: proofs: 'tokens' is not known; did you mean 'token'?",
        "runbooks/leak.md:6:14: do: 'revok' is not known; did you mean 'revoke'?",
        "runbooks/leak.md:6:22: a step has either `do:`, a command of ours, or `say:`, what a person does",
        "runbooks/leak.md:6:48: a step has either `do:`, a command of ours, or `say:`, what a person does",
        "runbooks/leak.md:7:7: 'the owner of {role': expected '}' before end of string; write {{ for a brace",
        "runbooks/leak.md:8:8: drill: 'tokn' is not known; did you mean 'token'?",
    ]


def test_a_mistake_in_the_yaml_of_a_runbook_stands_where_it_is(tmp_path: Path) -> None:
    written(tmp_path, "title: [\n")

    with pytest.raises(ConfigInvalid, match=r"^runbooks/leak\.md:3:1: not YAML"):
        sheet.load(tmp_path, "leak")


def test_a_file_without_front_matter_is_no_runbook(tmp_path: Path) -> None:
    written(tmp_path, "")
    (tmp_path / "runbooks/leak.md").write_text(BODY)

    assert [str(one) for one in sheet.problems(tmp_path)] == [
        "runbooks/leak.md:1:1: no front matter; begin with a line `---`, YAML, and a line `---`"
    ]


def test_validate_checks_the_runbooks_too(tmp_path: Path) -> None:
    (tmp_path / "vault-config/environments").mkdir(parents=True)
    written(tmp_path, HEAD)

    with pytest.raises(ConfigInvalid) as wrong:
        check.validate(tmp_path, ["none"])

    assert "runbooks/leak.md:2:1: steps is missing" in str(wrong.value).splitlines()


def test_a_manual_step_without_a_terminal_stops_and_the_next_run_goes_on(tmp_path: Path) -> None:
    written(tmp_path, BY_HAND)

    def stopped(*done: str) -> Refused:
        with pytest.raises(Refused) as wrong:
            commands.walked(tmp_path, "leak", {}, "dev", "INC-7", done=done)
        return wrong.value

    again = "waits for a person; when it is done: invoke runbook leak --incident INC-7 --done"
    assert (stopped().code, str(stopped())) == (4, f"step 1 {again} 1")
    assert str(stopped("1")) == f"step 2 {again} 2"
    assert str(stopped("1")) == f"step 2 {again} 2"
    assert commands.walked(tmp_path, "leak", {}, "dev", "INC-7", done=["2", "3"]).code == 0
    lines = list(read(tmp_path / "incidents/INC-7" / FILE))
    assert [(line.data["number"], line.data["state"], line.data["words"]) for line in lines if line.what == "step"] == [
        (1, "done", "done (said with --done 1)"),
        (2, "done", "done (said with --done 2)"),
        (3, "done", "done (said with --done 3)"),
    ]


def test_the_report_of_a_runbook_that_cuts_nothing_says_where_it_is(tmp_path: Path) -> None:
    book = sheet.load(written(tmp_path, BY_HAND), "leak")
    report = tmp_path / "incidents/INC-7/report.md"

    def head() -> str:
        return " ".join(report.read_text().partition("**")[2].partition("**")[0].split())

    with pytest.raises(Refused):
        commands.walked(tmp_path, "leak", {}, "dev", "INC-7", done=["1"])
    assert head() == (
        "UNFINISHED: the runbook leak is at step 1, and nothing was cut. To go on: invoke runbook leak --incident INC-7"
    )
    walk(Walk(tmp_path, {}, book, "INC-7", "dev", Words()))

    assert head() == "The runbook leak was walked to its end, and nothing was to be cut."


def test_what_was_skipped_is_kept_with_its_reason(tmp_path: Path) -> None:
    book = sheet.load(written(tmp_path, BY_HAND), "leak")

    walked = walk(Walk(tmp_path, {}, book, "INC-7", "dev", Words(said="skip because it is a drill")))

    assert (walked.code, walked.skipped) == (2, tuple(f"{one}: skip because it is a drill" for one in (1, 2, 3)))


def test_other_steps_are_not_walked_under_the_same_incident(tmp_path: Path) -> None:
    walk(Walk(tmp_path, {}, sheet.load(written(tmp_path, BY_HAND), "leak"), "INC-7", "dev", Words()))
    book = sheet.load(written(tmp_path, BY_HAND.replace("say: Look.", "say: Look there.")), "leak")

    with pytest.raises(Refused) as wrong:
        walk(Walk(tmp_path, {}, book, "INC-7", "dev", Words()))

    assert str(wrong.value) == (
        "runbook leak has other steps than when INC-7 was begun: bring the old file back, "
        "or walk the new one as an incident of another name"
    )


def test_a_token_is_no_answer_and_stands_in_no_journal(tmp_path: Path) -> None:
    written(tmp_path, CUT)
    token = "hvs." + "CanaryCanaryCanaryCanary"

    with pytest.raises(StrongroomError) as wrong:
        commands.walked(tmp_path, "leak", {}, "dev", "INC-7", said=[f"role={token}"])

    assert str(wrong.value) == (
        "role: this is a token itself, which would stand in the journal; write where it is to be read"
    )
    assert not (tmp_path / "incidents").exists()


def test_a_drill_is_stamped_in_one_line(tmp_path: Path) -> None:
    written(tmp_path, BY_HAND.replace("drill: none\nbecause: it is a test\n", "drill: sealed\n"))
    done = drill.Drilled("leak", "openbao 2.7.2", 4.2, (), (), (), tmp_path)
    before = sheet.load(tmp_path, "leak").digest

    drill.stamp(tmp_path, done)
    once = (tmp_path / "runbooks/leak.md").read_text()
    drill.stamp(tmp_path, done)
    found = sheet.load(tmp_path, "leak")

    assert (tmp_path / "runbooks/leak.md").read_text() == once
    assert {**found.drilled, "at": ""} == {"at": "", "server": "openbao 2.7.2", "seconds": 4.2, "result": "passed"}
    assert found.digest == before


@pytest.mark.server
@pytest.mark.parametrize("deadly", [("step", 2, "done"), ("closed", None, None), ("finished", None, None)])
def test_killed_anywhere_it_goes_on_where_it_was(scene: Scene, deadly: tuple[Any, ...]) -> None:
    scene.approle("payments", "orders")
    leaked = [scene.login("payments")["client_token"] for _ in range(3)]
    other = scene.login("orders")["client_token"]
    book = sheet.load(written(scene.root, CUT), "leak")
    given = json.dumps([str(scene.root), NAME, scene.environ, deadly])

    died = subprocess.run([sys.executable, "-c", KILLED], input=given.encode(), cwd=REPOSITORY, check=False, timeout=60)
    voice = Words()
    walked = walk(Walk(scene.root, scene.environ, book, "INC-7", NAME, voice))

    lines = list(read(walked.folder / FILE))
    done = [line.data["number"] for line in lines if line.what == "step" and line.data["state"] == "done"]
    assert died.returncode == -signal.SIGKILL
    assert (walked.code, done) == (0, [1, 2, 3, 4, 5, 6, 7])
    assert (voice.asked, voice.by_hands) == ([], [7])
    assert [line.what for line in lines].count("agreed") == 1
    assert [scene.lives(token) for token in (*leaked, other)] == [False, False, False, True]


@pytest.mark.server
def test_a_yes_to_something_else_is_no_yes_to_the_runbook(scene: Scene) -> None:
    scene.approle("payments", "orders")
    leaked, other = (scene.login(role)["client_token"] for role in ("payments", "orders"))
    book = sheet.load(written(scene.root, CUT), "leak")
    words = Words({"role": "auth/approle/payments"})
    with pytest.raises(Refused):
        walk(Walk(scene.root, scene.environ, book, "INC-7", NAME, words, yes="0" * 12))
    scene.cut(("role", "auth/approle/orders"))
    voice = Words()

    assert (scene.lives(leaked), scene.lives(other)) == (True, False)
    assert walk(Walk(scene.root, scene.environ, book, "INC-7", NAME, voice)).code == 0
    assert (voice.agreed, scene.lives(leaked)) == (1, False)


@pytest.mark.server
def test_a_leaked_token_is_read_once_and_written_down_nowhere(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    leaked = scene.token("default")
    monkeypatch.setattr("sys.stdin", io.StringIO(leaked))
    book = sheet.load(written(scene.root, LEAKED_TOKEN), "leak")

    walked = walk(Walk(scene.root, scene.environ, book, "INC-7", NAME, Words({"token": "-"})))

    assert (walked.code, scene.lives(leaked)) == (0, False)
    assert not [one for one in scene.root.rglob("*") if one.is_file() and leaked in one.read_text()]


@pytest.mark.server
def test_root_tokens_are_cut_but_for_the_one_that_cuts(scene: Scene) -> None:
    top = scene.server.in_namespace("")
    made = [str(top.write("auth/token/create-orphan", {"policies": ["root"]})["client_token"]) for _ in range(2)]
    alike = str(top.write("auth/token/create-orphan", {"policies": ["root-ca"], "ttl": "1h"})["client_token"])
    own = (top.read("auth/token/lookup-self") or {})["accessor"]

    outcome = scene.cut(("policy", "root"))

    assert (outcome.code, outcome.shut) == (0, ())
    assert outcome.found.spared[0] == f"token {own}: it is your own (policies/root)"
    assert [lives(top, token) for token in (*made, alike, scene.running.token)] == [False, False, True, True]
    assert outcome.notes[0] == (
        "policy root cannot be shut: whoever holds enough unseal or recovery keys can make a new root token"
    )


@pytest.mark.server
def test_root_is_not_cut_by_a_token_that_could_die_with_it(scene: Scene) -> None:
    top = scene.server.in_namespace("")
    child = str(top.write("auth/token/create", {"policies": ["root"]})["client_token"])

    with pytest.raises(Refused) as wrong:
        scene.cut(("policy", "root"), token=child)

    assert str(wrong.value) == (
        "policy root: your own token has a parent, which may be a root token, and yours would die with it; "
        "come in by a login, or with an orphan"
    )
    assert lives(top, child)


def lives(server: Server, token: str) -> bool:
    """Whether a server takes a token in the namespace that it belongs to."""
    try:
        return server.as_token(token).read("auth/token/lookup-self") is not None
    except Denied:
        return False


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with our runbooks, where drills leave their evidence."""
    root = tmp_path_factory.mktemp("drills")
    (root / runbook.FOLDER).symlink_to(REPOSITORY / runbook.FOLDER)
    return root


@pytest.mark.server
@pytest.mark.parametrize("name", DRILLED)
def test_exactly_what_leaked_is_dead_after_the_drill(place: Path, name: str, request: pytest.FixtureRequest) -> None:
    found = drill.drill(place, name, request.config.getoption("--server"))

    assert found.wrong == ()
    assert found.passed
    assert (found.folder / FILE).exists()


def test_every_word_of_a_runbook_is_explained() -> None:
    text = (REPOSITORY / "docs/runbooks.md").read_text()

    assert [one for one in (*sheet.WORDS, *runbook.DOES, *runbook.KINDS, *CLOSES) if f"`{one}`" not in text] == []
