"""Terraform, driven: init, plan, show, apply. The only user of python-terraform."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import TYPE_CHECKING, Any

from python_terraform import IsFlagged  # noqa: TID251 - the one module that may
from python_terraform import Terraform as Driver  # noqa: TID251 - the one module that may

from orchestrator.terraform.failure import ProviderUnavailable, blotter, failure
from orchestrator.terraform.stream import Diagnostic, is_message, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import FrameType

    from orchestrator.terraform.binary import Terraform
    from orchestrator.terraform.stream import Event, Progress

__all__ = [
    "PlanResult",
    "ProviderUnavailable",
    "Workspace",
    "apply",
    "init",
    "plan",
    "providers_schema",
    "show",
    "state",
]

PARALLELISM = 50
LOCK_TIMEOUT = "60s"
CHANGED = 2  # plan's -detailed-exitcode: done, and there are changes
STAMP = ".terraform/strongroom-init"  # goes with the folder whose making it vouches for
CLI_CONFIG = "strongroom.tfrc"
REGISTRIES = ("registry.terraform.io", "registry.opentofu.org")
NOWHERE = {"Network": "unix", "String": "/nonexistent"}
OVERRIDES = """\
provider_installation {
  dev_overrides {
    "hashicorp/vault" = %s
  }
  direct {}
}
"""


@dataclass(frozen=True)
class Workspace:
    """One environment's Terraform folder, and what runs there."""

    folder: Path
    terraform: Terraform
    environ: Mapping[str, str] = field(repr=False)  # the child's whole environment, from `binary.environment`
    offline_provider: Path | None = None  # the folder of our terraform-provider-vault; None is the official one


@dataclass(frozen=True)
class PlanResult:
    changes: bool


def init(workspace: Workspace) -> None:
    """The backend made ready and the official provider fetched; skipped when nothing changed since."""
    workspace.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stamp, vouched = workspace.folder / STAMP, _fingerprint(workspace)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == vouched:
        return
    _follow(_without_download(workspace), _nobody, "init")
    _write_private(stamp, vouched)


def plan(
    workspace: Workspace,
    out: Path,
    progress: Progress,
    *,
    refresh: bool = True,
    destroy: bool = False,
    anew: Sequence[str] = (),
) -> PlanResult:
    """The plan, saved to `out`; refresh=False believes the state, what is `anew` is replaced in any case."""
    code = _follow(
        workspace,
        progress,
        "plan",
        detailed_exitcode=IsFlagged,
        out=out.absolute(),
        refresh=refresh,
        destroy=IsFlagged if destroy else None,
        replace=list(anew) or None,
        parallelism=PARALLELISM,
        lock_timeout=LOCK_TIMEOUT,
    )
    return PlanResult(changes=code == CHANGED)


def apply(workspace: Workspace, plan: Path, progress: Progress) -> None:
    """Exactly what the saved plan says."""
    saved = str(plan.absolute())
    _follow(workspace, progress, "apply", saved, parallelism=PARALLELISM, lock_timeout=LOCK_TIMEOUT)


def show(workspace: Workspace, plan: Path) -> dict[str, Any]:
    """A saved plan as Terraform's JSON."""
    return _read(workspace, "show", str(plan.absolute()), no_color=IsFlagged, json=IsFlagged)


def state(workspace: Workspace) -> dict[str, Any]:
    """What Terraform knows, as its state file has it; empty before the first apply."""
    return _read(workspace, "state pull")


def providers_schema(workspace: Workspace) -> dict[str, Any]:
    """The schemas of the providers this folder uses."""
    return _read(workspace, "providers schema", json=IsFlagged)


class _Driver(Driver):  # type: ignore[misc]
    """python-terraform, with a process that can be followed.

    Its own `cmd` logs each command and its output, gives the child either our environment or none, leaves it in our
    process group, and puts `-synchronous=false` on Terraform's command line when asked not to wait.
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(working_dir=str(workspace.folder), terraform_bin_path=workspace.terraform.command)
        self.environ = _environ(workspace)

    def cmd(self, cmd: str, *args: str, **options: object) -> Popen[str]:
        # A group of its own: a Ctrl-C reaches us alone, and Terraform once, through the relay; twice would make it
        # drop the state's lock and what it has not yet written. The mask: plans and states are for their owner.
        return Popen(
            self.generate_cmd_string(cmd, *args, **options),
            cwd=self.working_dir,
            env=self.environ,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            encoding="utf-8",
            errors="replace",
            process_group=0,
            umask=0o077,
        )

    def read_state_file(self, file_path: str | None = None) -> None:
        """Not read: the state is Terraform's."""


class _Relay:
    """Signals on their way to Terraform: the first asks it to finish and unlock, the second kills it."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self.process: Popen[str] | None = None

    def __call__(self, number: int, _frame: FrameType | None = None) -> None:
        self.received.append(number)
        self.deliver()

    def deliver(self) -> None:
        if not self.received or self.process is None or self.process.poll() is not None:
            return
        if len(self.received) == 1:
            self.process.send_signal(self.received[0])
        else:
            os.killpg(self.process.pid, signal.SIGKILL)


@dataclass(frozen=True)
class _Run:
    """A command under way; stderr grows while it runs."""

    process: Popen[str]
    stdout: Iterable[str]
    stderr: list[str]


@contextmanager
def _running(workspace: Workspace, command: str, *args: str, **options: object) -> Iterator[_Run]:
    """A command, left only when it has ended and let go of the state's lock, whatever happens meanwhile."""
    with _relayed() as relay, _started(workspace, relay, command, *args, **options) as run:
        listener = threading.Thread(target=lambda: run.stderr.extend(run.process.stderr or ()))
        listener.start()
        try:
            yield run
        except BaseException:
            relay(signal.SIGINT)
            raise
        finally:
            for _ in run.stdout:  # a closed pipe would kill Terraform before it unlocks
                pass
            listener.join()


@contextmanager
def _started(workspace: Workspace, relay: _Relay, command: str, *args: str, **options: object) -> Iterator[_Run]:
    with _Driver(workspace).cmd(command, *args, **options) as process:
        relay.process = process
        relay.deliver()
        yield _Run(process, process.stdout or (), [])


@contextmanager
def _relayed() -> Iterator[_Relay]:
    """SIGINT and SIGTERM go to Terraform first, and take their usual course when it has ended."""
    relay = _Relay()
    if threading.current_thread() is not threading.main_thread():  # only the main thread hears signals
        yield relay
        return
    usual = {number: signal.signal(number, relay) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield relay
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
    if relay.received:
        signal.raise_signal(relay.received[0])


def _follow(workspace: Workspace, progress: Progress, command: str, *args: str, **options: object) -> int:
    """The exit code of a command that tells its events as it goes; its errors raised, all of them."""
    diagnostics: list[Diagnostic] = []
    words: list[str] = []
    blot = blotter(workspace.environ)
    with _running(workspace, command, *args, input=False, no_color=IsFlagged, json=IsFlagged, **options) as run:
        for line in run.stdout:
            event = parse(line)
            if isinstance(event, Diagnostic):
                event = replace(event, summary=blot(event.summary), detail=blot(event.detail))
                diagnostics.append(event)
            if event is not None:
                progress(event)
            elif not is_message(line):
                words.append(line)
    code = run.process.returncode
    if code not in ({0, CHANGED} if "detailed_exitcode" in options else {0}):
        raise failure(f"{command} exited with {code}", diagnostics, blot("".join(words + run.stderr)))
    return code


def _read(workspace: Workspace, command: str, *args: str, **options: object) -> dict[str, Any]:
    """The one JSON document a command prints."""
    with _running(workspace, command, *args, **options) as run:
        document = "".join(run.stdout)
    if code := run.process.returncode:
        said = blotter(workspace.environ)("".join(run.stderr))
        raise failure(f"{command} exited with {code}", [], said)
    answer: dict[str, Any] = json.loads(document or "{}")
    return answer


def _fingerprint(workspace: Workspace) -> str:
    """What an init depends on: the `terraform` blocks, the Terraform, and where the provider comes from."""
    terraform = workspace.terraform
    blocks = [_terraform_block(file) for file in _sources(workspace.folder)]
    facts = [blocks, terraform.command, terraform.version, str(workspace.offline_provider)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _sources(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.tf"), *folder.glob("*.tf.json")])


def _terraform_block(file: Path) -> object:
    """The `terraform` block of rendered JSON; the whole of anything written by hand."""
    text = file.read_text(encoding="utf-8")
    return json.loads(text).get("terraform") if file.name.endswith(".tf.json") else text


def _environ(workspace: Workspace) -> dict[str, str]:
    """The workspace's environment, with Terraform's own configuration: ours, or the user's if there is one."""
    environ = {name: value for name, value in workspace.environ.items() if name != "TF_CLI_CONFIG_FILE"}
    users = Path(workspace.environ.get("TF_CLI_CONFIG_FILE", "")).absolute()
    if workspace.offline_provider is not None:
        environ["TF_CLI_CONFIG_FILE"] = str(_overrides(workspace.folder, workspace.offline_provider))
    elif users.is_file():
        environ["TF_CLI_CONFIG_FILE"] = str(users)
    return environ


def _overrides(folder: Path, provider: Path) -> Path:
    """The file that puts our provider in hashicorp/vault's place."""
    file = folder.absolute() / CLI_CONFIG
    _write_private(file, OVERRIDES % json.dumps(str(provider.absolute())))
    return file


def _without_download(workspace: Workspace) -> Workspace:
    """The same workspace for `init`, which would ask the registry even for a provider that is overridden.

    Terraform leaves alone a provider that says it already runs; nothing connects to it during init.
    """
    if workspace.offline_provider is None:
        return workspace
    running = {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True, "Addr": NOWHERE}
    attached = json.dumps({f"{registry}/hashicorp/vault": running for registry in REGISTRIES})
    return replace(workspace, environ={**workspace.environ, "TF_REATTACH_PROVIDERS": attached})


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def _nobody(_event: Event) -> None:
    """Init has nothing to tell but its errors."""
