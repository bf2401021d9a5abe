"""One environment's Terraform folder: what is rendered into it, and which provider runs in it."""

from __future__ import annotations

import fcntl
import json
import shlex
import socket
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.context import STATE
from orchestrator.errors import Refused, StrongroomError
from orchestrator.instances import variable
from orchestrator.terraform import binary, run
from orchestrator.terraform.carry import PROGRAM
from orchestrator.terraform.render import render

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.context import Context
    from orchestrator.documents import Json
    from orchestrator.instances import Instance

RENDERED = "rendered.tf.json"
OFFICIAL, OFFLINE, AUTO = "official", "offline", "auto"
_ASK_AGAIN_AFTER = 3600.0
_LOCK_PATIENCE = 60.0
_PACKAGE = Path(__file__).parents[2]


def folder(context: Context) -> Path:
    return folder_of(context.root, context.environment.name)


def folder_of(root: Path, environment: str) -> Path:
    """Where Terraform works for an environment, and keeps its state unless a backend does."""
    return root / STATE / "terraform" / environment


@contextmanager
def locked(context: Context) -> Iterator[None]:
    """The folder for ourselves; whoever is killed lets go of it."""
    place = folder(context)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    deadline = time.monotonic() + _LOCK_PATIENCE
    (place / ".lock").touch(mode=0o600)
    with (place / ".lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StrongroomError(
                        f"another plan or apply of {context.environment.name} is still at work after "
                        f"{_LOCK_PATIENCE:.0f} s; wait for it, or end it"
                    ) from None
                time.sleep(0.1)
        yield


def write(context: Context, rendered: Iterable[Instance], adopted: Iterable[tuple[Instance, str]] = ()) -> None:
    """The hand-written files, the backend, and what the YAML renders to; nothing of an older run."""
    place = folder(context)
    for old in (*place.glob("*.tf"), *place.glob("*.tf.json")):
        old.unlink()
    for source in sorted((context.root / "terraform").glob("*.tf")):
        _private(place / source.name, source.read_text(encoding="utf-8"))
    _json(place / "backend.tf.json", {"terraform": {"backend": _backend(context)}})
    _json(place / "home.tf.json", {"output": {"home": {"value": context.home}}})
    _json(place / RENDERED, render(tuple(rendered), adopted))


def check_home(context: Context, state: Mapping[str, Json]) -> None:
    """A state that was made on another server, or in another namespace, is not to be taken for this one's."""
    home = state.get("outputs", {}).get("home", {}).get("value")
    if home in (None, context.home):
        return
    raise Refused(
        f"the Terraform state of {context.environment.name} belongs to another place: it was made on cluster "
        f"{home['cluster_id']}, namespace {home['namespace'] or 'root'}; this is cluster {context.home['cluster_id']}, "
        f"namespace {context.home['namespace'] or 'root'}. Correct VAULT_ADDR and VAULT_NAMESPACE; if that server is "
        "gone for good, give the environment a new state (another `schema_name` or path in the cluster's backend)"
    )


def _backend(context: Context) -> dict[str, Json]:
    """The declared backend; a database keeps each environment in a schema of its own."""
    declared = {name: dict(settings or {}) for name, settings in context.environment.cluster.terraform.backend.items()}
    if "pg" in declared:
        declared["pg"].setdefault("schema_name", f"strongroom_{context.environment.name}".replace("-", "_"))
    return declared or {"local": {"path": "terraform.tfstate"}}


def ready(context: Context) -> tuple[run.Workspace, str]:
    """The folder initialised, and the provider that runs there: the official one where it can be had and may run."""
    wanted = context.environment.cluster.terraform.provider
    if wanted == OFFLINE or (wanted == AUTO and not _may_be_had(context)):
        return _initialised(context, OFFLINE)
    try:
        return _initialised(context, OFFICIAL)
    except run.ProviderUnavailable:
        if wanted != AUTO:
            raise
        _private(_no_registry(context), "")
        return _initialised(context, OFFLINE)


def _no_registry(context: Context) -> Path:
    return folder(context) / ".no-registry"


def _check_backend(context: Context) -> None:
    settings = context.environment.cluster.terraform.backend.get("pg")
    if settings is not None and not (settings.get("conn_str") or {"PG_CONN_STR", "PGHOST"} & set(context.environ)):
        raise StrongroomError("the state's backend is pg, and PG_CONN_STR is not set; set it to the database's address")


def _may_be_had(context: Context) -> bool:
    """Whether it is worth asking Terraform for the official provider; after a refusal, not for an hour."""
    mark = _no_registry(context)
    if mark.exists() and time.time() - mark.stat().st_mtime < _ASK_AGAIN_AFTER:
        return False
    if _has_mirror(context.environ) or _answers(run.REGISTRIES[0]):
        return True
    _private(mark, "")
    return False


def _has_mirror(environ: Mapping[str, str]) -> bool:
    """Whether providers may come another way than straight from the registry: a mirror, a cache, a proxy."""
    home = Path(environ.get("HOME", "/nonexistent"))
    places = (environ.get("TF_CLI_CONFIG_FILE", ""), environ.get("TF_PLUGIN_CACHE_DIR", ""))
    known = (home / ".terraformrc", home / ".terraform.d", *(Path(place) for place in places if place))
    proxies = {name.lower() for name, value in environ.items() if value}
    return any(place.exists() for place in known) or bool({"https_proxy", "all_proxy"} & proxies)


def _answers(host: str) -> bool:
    """Terraform itself would wait ten times as long for a network that swallows packets."""
    try:
        socket.create_connection((host, 443), timeout=1.0).close()
    except OSError:
        return False
    return True


def _initialised(context: Context, provider: str) -> tuple[run.Workspace, str]:
    workspace = _workspace(context, provider)
    run.init(workspace)
    return workspace, provider


def _workspace(context: Context, provider: str) -> run.Workspace:
    state = context.root / STATE
    _check_backend(context)
    extra = {
        **{name: value for name, value in context.environ.items() if name.startswith("PG")},
        **context.session.environ(),
        **{f"TF_VAR_{variable(key)}": value for key, value in context.secrets.items()},
        PROGRAM: _program(state / "bin" / "strongroom-carry", "orchestrator.terraform.carry"),
    }
    if provider == OFFLINE:
        extra["TF_DISABLE_PLUGIN_TLS"] = "1"  # the provider listens on a socket in a folder of its owner's
    return run.Workspace(
        folder(context),
        binary.find(context.environ, state / "bin"),
        binary.environment(context.environ, extra),
        _offline_provider(state) if provider == OFFLINE else None,
    )


def _offline_provider(state: Path) -> Path:
    """The folder with a program by the name that Terraform looks for."""
    place = state / "provider"
    _program(place / "terraform-provider-vault", "orchestrator.terraform.provider")
    return place


def _program(path: Path, module: str) -> str:
    code = (
        f"import runpy, sys; sys.path.insert(0, {str(_PACKAGE)!r}); runpy.run_module({module!r}, run_name='__main__')"
    )
    binary.write_program(path, f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -c {shlex.quote(code)}\n")
    return str(path.absolute())


def _json(path: Path, document: Json) -> None:
    _private(path, json.dumps(document, indent=1, sort_keys=True))


def _private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
