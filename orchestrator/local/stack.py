"""The embedded stack as a whole: up, down, status, reset. Everything it makes is in `.strongroom/stack`."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from orchestrator.errors import Refused, StrongroomError
from orchestrator.local import bao, files, postgres, process, servers

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from orchestrator.local.servers import Server

POSTGRES = "postgres"
_CHOICES = 3


@dataclass(frozen=True)
class Stack:
    """What a running stack offers; `folder` is where its Vault or OpenBao runs, with the audit log."""

    address: str
    token: str = field(repr=False)
    postgres: str
    postgres_password: str = field(repr=False)
    server: str
    version: str
    started: bool
    folder: Path | None = None


@dataclass(frozen=True)
class Part:
    """One server of the stack; its state is running, sealed or stopped."""

    name: str
    address: str
    version: str
    pid: int | None
    state: str


@dataclass(frozen=True)
class State:
    """What outlives a stop: database addresses kept inside Vault name the port, so ports are kept too."""

    choice: str = ""
    server: str = servers.BUILT_IN
    version: str = ""
    cluster: str = ""
    port: int = 0
    cluster_port: int = 0
    postgres_port: int = 0
    postgres_version: str = ""
    ready: bool = False


def up(root: Path, server: str | None = None) -> Stack:
    """Start what does not run, from whatever state an earlier start or crash left."""
    home = files.private_folder(root.absolute() / ".strongroom")
    with _locked(root) as lock:
        state = _state(root) or State(cluster=f"strongroom-{secrets.token_hex(8)}")
        choice = servers.chosen(server, state.choice)
        running = current(root)
        if running is not None and choice == state.choice:
            return running
        program = servers.find(home, choice)
        wanted = replace(state, choice=choice, server=program.product, version=program.version)
        _check_switch(root, state, wanted)
        if running is not None and (state.server, state.version) == (wanted.server, wanted.version):
            _save(root, wanted)
            return running
        servers.fetch(program, lock)
        return _start(root, state, wanted, program, lock)


def current(root: Path) -> Stack | None:
    """The stack when it runs and is unsealed."""
    state = _state(root)
    if state is None or not state.ready:
        return None
    node, database = _node(root, state), _database(root, state)
    token, password = bao.token(node), postgres.password(database)
    if token is None or password is None or not postgres.is_running(database) or not bao.is_active(node):
        return None
    return _stack(root, state, token, password, started=False)


def down(root: Path) -> tuple[str, ...]:
    """Stop what runs; the names of what was stopped."""
    if not _folder(root).exists():
        return ()
    with _locked(root):
        return _stop(root)


def status(root: Path) -> tuple[Part, ...]:
    state = _state(root) or State()
    node, database = _node(root, state), _database(root, state)
    pid, answer = process.alive(node.folder), bao.health(node)
    server = "stopped" if answer is None else "sealed" if answer[1]["sealed"] else "running"
    storage = "running" if postgres.is_running(database) else "stopped"
    return (
        Part(state.server, f"http://127.0.0.1:{state.port}" if state.port else "", state.version, pid, server),
        Part(
            POSTGRES,
            f"127.0.0.1:{state.postgres_port}" if state.postgres_port else "",
            state.postgres_version,
            process.alive(database.folder),
            storage,
        ),
    )


def reset(root: Path) -> None:
    """Stop the stack and delete its data; fetched servers stay."""
    if not _folder(root).parent.exists():
        return
    with _locked(root):
        _stop(root)
        files.remove(_folder(root))


def environment(stack: Stack) -> dict[str, str]:
    """The variables by which Vault's and Terraform's own tools find the stack."""
    storage = f"{postgres.USER}:{stack.postgres_password}@{stack.postgres}/{postgres.DATABASES[0]}"
    return {
        "VAULT_ADDR": stack.address,
        "VAULT_TOKEN": stack.token,
        "LOCAL_OIDC": f"{stack.address}/v1/identity/oidc/provider/default",
        "LOCAL_POSTGRES": stack.postgres,
        "LOCAL_POSTGRES_PASSWORD": stack.postgres_password,
        "PG_CONN_STR": f"postgres://{storage}?sslmode=disable",
    }


def _start(root: Path, state: State, wanted: State, program: Server, lock: int) -> Stack:
    """Start both; a port that somebody took between our choice and the server's bind is chosen anew."""
    for _ in range(_CHOICES - 1):
        try:
            return _start_once(root, state, wanted, program, lock)
        except StrongroomError as error:
            if "ddress already in use" not in str(error):
                raise
        state = wanted = _state(root) or wanted
    return _start_once(root, state, wanted, program, lock)


def _start_once(root: Path, state: State, wanted: State, program: Server, lock: int) -> Stack:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - a running stack needs none

    if (state.server, state.version) != (wanted.server, wanted.version):
        bao.stop(_node(root, state))
    files.private_folder(_folder(root))
    wanted = _with_ports(root, replace(wanted, ready=False))
    _save(root, wanted)
    with ThreadPoolExecutor(2) as pool:
        opened = pool.submit(bao.start, _node(root, wanted), program, lock)
        stored = pool.submit(postgres.start, _database(root, wanted), lock)
    token, storage = opened.result(), stored.result()
    done = replace(wanted, postgres_version=storage.version, ready=True)
    _save(root, done)
    return _stack(root, done, token, storage.password, started=True)


def _with_ports(root: Path, state: State) -> State:
    """The ports of last time, or new ones from the kernel where a stopped server's port is taken."""
    port, cluster_port, postgres_port = process.free_ports(3)
    node, database = _node(root, state), _database(root, state)
    if process.alive(node.folder) is None and not (process.is_free(node.port) and process.is_free(node.cluster_port)):
        state = replace(state, port=port, cluster_port=cluster_port)
    if process.alive(database.folder) is None and not process.is_free(database.port):
        state = replace(state, postgres_port=postgres_port)
    return state


def _check_switch(root: Path, state: State, wanted: State) -> None:
    """Storage opens in the same product of the same or a later version."""
    if not bao.has_data(_node(root, state)):
        return
    if state.server != wanted.server or not servers.upgrades(state.version, wanted.version):
        raise Refused(
            f"the data in {_folder(root)} is of {state.server} {state.version}, which {wanted.server} {wanted.version} "
            f"may not open; run `invoke reset` to delete it and start anew, or go on with {state.choice}"
        )


def _stop(root: Path) -> tuple[str, ...]:
    state = _state(root) or State()
    stopped = {
        state.server: bao.stop(_node(root, state)),
        POSTGRES: postgres.stop(_database(root, state)),
    }
    return tuple(name for name, was_running in stopped.items() if was_running)


def _stack(root: Path, state: State, token: str, password: str, *, started: bool) -> Stack:
    return Stack(
        address=f"http://127.0.0.1:{state.port}",
        token=token,
        postgres=f"127.0.0.1:{state.postgres_port}",
        postgres_password=password,
        server=state.server,
        version=state.version,
        started=started,
        folder=_node(root, state).folder,
    )


def _folder(root: Path) -> Path:
    return root.absolute() / ".strongroom" / "stack"


def _locked(root: Path) -> AbstractContextManager[int]:
    return files.locked(_folder(root).with_name("stack.lock"))


def _node(root: Path, state: State) -> bao.Node:
    return bao.Node(_folder(root) / "vault", state.cluster, state.port, state.cluster_port)


def _database(root: Path, state: State) -> postgres.Database:
    return postgres.Database(_folder(root) / POSTGRES, state.postgres_port)


def _state(root: Path) -> State | None:
    path = _folder(root) / "state.json"
    saved = files.read(path)
    try:
        return None if saved is None else State(**json.loads(saved))
    except (ValueError, TypeError) as error:
        raise StrongroomError(f"{path} cannot be understood: {error}; run `invoke reset`") from error


def _save(root: Path, state: State) -> None:
    files.write(_folder(root) / "state.json", json.dumps(asdict(state), indent=2))
