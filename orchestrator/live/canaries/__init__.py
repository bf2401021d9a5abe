"""Proof after an apply: every declared object that can be tried is tried, and nothing is left behind."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.live.canaries.trial import Mount, Proof, Trial
from orchestrator.live.server import Unclear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.declared import Declaration, Environment
    from orchestrator.live.server import Server

__all__ = ["Mount", "Proof", "Trial", "prove"]

_AT_A_TIME = 16


def prove(
    environment: Environment,
    server: Server,
    resolve: Callable[[str], str],
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Proof, ...]:
    """One proof for each declared object that can be tried, in the order declared; a failed one is not raised."""
    trials = [trial for mount in _mounts(environment, server, resolve) for trial in _trials(mount)]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return tuple(pool.map(lambda trial: _tried(trial, clock), trials))


def _mounts(environment: Environment, server: Server, resolve: Callable[[str], str]) -> Iterator[Mount]:
    """The declarations by mount; those that stand beside all mounts by kind."""
    groups: dict[tuple[str, str], list[Declaration]] = {}
    for declaration in environment.declarations:
        groups.setdefault((declaration.kind.id, declaration.mount), []).append(declaration)
    for (_, name), declarations in groups.items():
        yield Mount(declarations[0].kind, name, tuple(declarations), server, resolve)


def _trials(mount: Mount) -> Iterator[Trial]:
    """What the kind's own canary would try; `canary` names it as `module:function`."""
    if mount.kind.canary:
        module, _, name = mount.kind.canary.partition(":")
        yield from getattr(import_module(module), name)(mount)


def _tried(trial: Trial, clock: Callable[[], float]) -> Proof:
    started, reason = clock(), ""
    try:
        _run(trial)
    except StrongroomError as error:
        reason = str(error)
    return Proof(trial.title, trial.what, clock() - started, not reason, reason)


def _run(trial: Trial) -> None:
    """Try it, and once more where an answer was lost with a leader: what that made ends with its own ttl."""
    try:
        trial.run()
    except Unclear:
        trial.run()
