"""An examination: what the checks need is asked first, then each of them looks."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.cluster import nodes
from orchestrator.cluster.doctor import access, host, process, records, standing, transport
from orchestrator.cluster.doctor.model import (
    BAD,
    NOT_OF_THIS_MACHINE,
    OK,
    UNKNOWN,
    WARNING,
    Examined,
    Patient,
    Token,
    unknown,
)
from orchestrator.cluster.health import gather, key_service
from orchestrator.cluster.health.asking import Unknown, within
from orchestrator.cluster.machines import beside
from orchestrator.errors import StrongroomError
from orchestrator.live import bulk, probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestrator.cluster.doctor.model import Check, Result
    from orchestrator.cluster.doctor.process import Process
    from orchestrator.cluster.health.facts import Facts
    from orchestrator.declared import Cluster, Node
    from orchestrator.documents import Json
    from orchestrator.live.probe import Said
    from orchestrator.live.session import Session

CHECKS: tuple[Check, ...] = (
    *access.CHECKS,
    *records.CHECKS,
    *transport.CHECKS,
    *host.CHECKS,
    *standing.CHECKS,
)
CODES = {BAD: 1, WARNING: 2, UNKNOWN: 2, OK: 0}
_ALL = 10.0
_CONFIG = "sys/config/state/sanitized"
_PATHS = (
    _CONFIG,
    "sys/auth",
    "sys/mounts",
    "sys/auth/token/tune",
    "sys/policies/acl/default",
    "sys/quotas/rate-limit?list=true",
    "identity/mfa/login-enforcement?list=true",
    "sys/storage/raft/autopilot/configuration",
    "sys/loggers",
    "sys/config/cors",
)
_OK = 200
_NONE = {404, 405}  # nothing there, or no such endpoint
_LISTED = "auth/token/accessors"


def chosen(only: str) -> tuple[Check, ...]:
    """The checks of these rules, or all of them; a rule that is none is an error."""
    known = {one.rule: one for one in CHECKS}
    names = [name for name in only.replace(",", " ").split() if name]
    if wrong := [name for name in names if name not in known]:
        raise StrongroomError(f"--only {', '.join(wrong)}: there is no such rule; write some of {', '.join(known)}")
    return tuple(known[name] for name in names) if names else CHECKS


def examine(patient: Patient, checks: Sequence[Check]) -> tuple[Examined, ...]:
    """What each check finds; one without an answer in time is unknown."""
    found = within(_ALL, {one.rule: _looking(one, patient) for one in checks})
    return tuple(Examined(one, _results(found[one.rule])) for one in checks)


def _looking(check: Check, patient: Patient) -> Callable[[], tuple[Result, ...]]:
    return lambda: tuple(check.look(patient))


def _results(found: tuple[Result, ...] | Unknown) -> tuple[Result, ...]:
    return (unknown(found),) if isinstance(found, Unknown) else found


def code(found: Sequence[Examined]) -> int:
    """1 when something is bad, 2 when something should be better or is not known, 0 when all is well."""
    return min((CODES[one.verdict] for one in found if CODES[one.verdict]), default=0)


def receive(root: Path, declared: Cluster, environ: Mapping[str, str]) -> Patient:
    """All that the checks look at, asked once."""
    facts = gather.facts(root, declared, environ)
    secrets = beside.seal_secrets(root, declared, environ)
    inside = within(_ALL, {"": lambda: _inside(root, facts, environ)})[""]
    answers, direct, tokens = inside if not isinstance(inside, Unknown) else _nothing(inside)
    return Patient(
        root,
        declared,
        facts,
        answers,
        direct,
        tokens,
        {node.name: _process(root, declared, node) for node in declared.nodes},
        within(
            gather.ALL,
            {one.name: partial(beside.is_current, root, declared, environ, one) for one in facts.cluster.nodes},
        ),
        within(gather.ALL, {"": lambda: key_service.turns(facts.cluster.seal, secrets)})[""],
    )


Inside = tuple["dict[str, Said | Unknown]", "dict[str, Said | Unknown]", "tuple[Token, ...] | Unknown"]


def _nothing(why: Unknown) -> Inside:
    return dict.fromkeys(_PATHS, why), {}, why


def _process(root: Path, declared: Cluster, node: Node) -> Process | Unknown:
    if beside.folder(root, declared, node) is None:
        return Unknown(NOT_OF_THIS_MACHINE)
    pid = beside.pid(root, declared, node)
    if pid is None:
        return Unknown("it does not run")
    try:
        return process.look(pid)
    except (OSError, KeyError) as error:
        return Unknown(f"/proc does not show it ({type(error).__name__})")


def _inside(root: Path, facts: Facts, environ: Mapping[str, str]) -> Inside:
    """What the leader tells a login of the cluster."""
    with gather.session(root, facts, environ) as session:
        ca, token = nodes.trusted(facts.cluster), session.token

        def ask(url: str, path: str) -> Said:
            return probe.ask(url, path, ca=ca, token=token, seconds=gather.ONE)

        leader = session.address
        answers = within(gather.ALL, {path: partial(ask, leader, path) for path in _PATHS})
        direct = within(gather.ALL, {one.name: partial(ask, one.seen.url, _CONFIG) for one in facts.nodes})
        tokens = within(gather.ALL, {"": lambda: tuple(_tokens(session))})[""]
    return answers, direct, tokens


def _tokens(session: Session) -> Iterator[Token]:
    """Every living token of every namespace, by its accessor."""
    spaces = ["", *_namespaces(session)]
    listed = bulk.send(_line(session), [bulk.Ask("LIST", _LISTED, None, one) for one in spaces])
    asks = []
    for ask, reply in listed:
        if reply.status not in {*_NONE, _OK}:
            raise StrongroomError(f"{_LISTED}{_inside_of(ask.namespace)}: status {reply.status}")
        keys = (reply.content.get("data") or {}).get("keys") or ()
        asks += [bulk.Ask("POST", "auth/token/lookup-accessor", {"accessor": key}, ask.namespace) for key in keys]
    for ask, reply in bulk.send(_line(session), asks):
        if reply.status == _OK:  # any other one ended between the two questions
            yield _token(reply.content["data"], ask.namespace)


def _line(session: Session) -> bulk.Line:
    return replace(bulk.line(session), patience=gather.ONE)


def _inside_of(namespace: str) -> str:
    return f" in namespace {namespace}" if namespace else ""


def _namespaces(session: Session) -> Iterator[str]:
    """Those of all levels; none on a server that has no namespaces."""
    level = [""]
    while level:
        asks = [bulk.Ask("LIST", "sys/namespaces", None, one) for one in level]
        level = []
        for ask, reply in bulk.send(_line(session), asks):
            if reply.status not in {*_NONE, _OK}:
                raise StrongroomError(f"sys/namespaces{_inside_of(ask.namespace)}: status {reply.status}")
            names = (reply.content.get("data") or {}).get("keys") or ()
            level += ["/".join(part for part in (ask.namespace, str(one).strip("/")) if part) for one in names]
        yield from level


def _token(said: Mapping[str, Json], namespace: str) -> Token:
    return Token(
        str(said.get("accessor")),
        tuple(map(str, [*(said.get("policies") or ()), *(said.get("identity_policies") or ())])),
        str(said.get("display_name") or "token"),
        int(said.get("ttl") or 0),
        said.get("expire_time") is None,
        int(said.get("period") or 0),
        namespace,
    )
