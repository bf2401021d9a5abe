"""The look at what is alive: every list is asked, every token is looked up once, and only what fits is kept."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.documents import get
from orchestrator.errors import StrongroomError
from orchestrator.incident.ground import LOOKUP, NO_SUCH_TOKEN, may_update
from orchestrator.incident.model import Blast, Credential
from orchestrator.live.bulk import Ask, Reply, send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from orchestrator.documents import Json, Spec
    from orchestrator.incident.ground import Ground
    from orchestrator.incident.model import Lister, Look, Rule, Scope

ACCESSORS = "auth/token/accessors"
_MADE = "auth/token/create"
_TRIES, _PAUSE = 5, 0.2
_DENIED, _ABSENT = 403, 404
_KEPT = (
    "accessor",
    "display_name",
    "entity_id",
    "expire_time",
    "identity_policies",
    "issue_time",
    "meta",
    "orphan",
    "path",
    "policies",
)


class Unclear(StrongroomError):  # noqa: N818 - the name is the sentence: the answer is unclear
    """An answer that says neither that something lives nor that it is dead."""


def blast(ground: Ground, scope: Scope, *, revoked: bool = False) -> Blast:
    """What of the scope lives now, which `revoked` says was revoked before."""
    tokens, started = _Tokens(ground), time.monotonic()
    lists = [(one, ground.inside(one.namespace).server.list(one.path.rstrip("/"))) for one in scope.listers]
    found = {
        one.key: one
        for one in (*living(ground, scope.singles, revoked=revoked), *_listed(ground, lists), *tokens.cut(scope.rules))
    }
    requests = tokens.requests + len(scope.singles) + sum(1 + len(names) * bool(one.fits) for one, names in lists)
    took = time.monotonic() - started
    return Blast(
        tuple(found.values()),
        tokens.seen,
        requests,
        took,
        orphans=tuple(tokens.orphans),
        children=tuple(tokens.children),
        spared=tuple(tokens.spared),
    )


def _listed(ground: Ground, lists: Iterable[tuple[Lister, Sequence[str]]]) -> Iterator[Credential]:
    """What stands in the lists; where a list holds others' too, what of it is the scope's."""
    for lister, names in lists:
        found = (lister.made(name) for name in names)
        yield from found if lister.fits is None else _fitting(ground, lister.fits, found)


def _fitting(
    ground: Ground, fits: Callable[[Spec], tuple[bool, Spec]], listed: Iterable[Credential]
) -> Iterator[Credential]:
    """Those of a list of many sources' that live and that this source gave out, or may have."""
    for one, reply in _asked(ground, listed):
        if _is_no_more(reply) or not is_alive(one.look, reply):
            continue
        may, facts = fits(reply.data)
        told = ground.told(one)
        if told or (may and told is None):
            yield replace(one, facts=facts)


def _is_no_more(reply: Reply) -> bool:
    """Whether it went since it was listed."""
    return reply.status == _ABSENT


class _Tokens:
    """The tokens of the namespaces that rules speak of, each looked up once."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.seen = 0
        self.requests = 0
        self.spared: list[str] = []
        self.orphans: list[Credential] = []
        self.children: list[Credential] = []

    def cut(self, rules: Iterable[Rule]) -> Iterator[Credential]:
        by_namespace: dict[str, list[Rule]] = {}
        for rule in rules:
            by_namespace.setdefault(rule.namespace, []).append(rule)
        for namespace, inside in by_namespace.items():
            yield from self._cut(self.ground.inside(namespace), inside)

    def _may_look(self, ground: Ground) -> bool:
        """Whether a refusal is about the token, and not about us: a child made while its parent died leaves a name."""
        return may_update(ground.server, LOOKUP)

    def _cut(self, ground: Ground, rules: list[Rule]) -> Iterator[Credential]:
        accessors = ground.server.list(ACCESSORS)
        self.requests += 1 + len(accessors)
        asks = (Ask("POST", LOOKUP, {"accessor": one}, ground.namespace) for one in accessors)
        for ask, reply in _answers(ground, asks):
            ground.renew()
            if reply.status == _DENIED and not _says(reply, NO_SUCH_TOKEN) and self._may_look(ground):
                self.spared.append(f"accessor {(ask.body or {})['accessor']}: it is listed, and has no token any more")
                continue
            facts = _facts(ask, reply)
            if facts is None:
                continue
            self.seen += 1
            rule = next((rule for rule in rules if rule.matches(facts)), None)
            if rule and ground.is_me(facts):
                self.spared.append(f"token {facts['accessor']}: it is your own ({rule.source})")
            elif rule:
                yield replace(_kept(ground, rule.source, facts), proof=rule.proof)
            elif str(facts.get("path")).startswith(_MADE) and not ground.is_me(facts):
                (self.orphans if facts.get("orphan") else self.children).append(_kept(ground, "", facts))


def _answers(ground: Ground, asks: Iterable[Ask]) -> Iterator[tuple[Ask, Reply]]:
    """Each with its answer; one that is refused is asked again: so is a token that ends at this very moment."""
    refused: list[tuple[Ask, Reply]] = []
    for number in range(_TRIES):
        if number:
            time.sleep(_PAUSE)
            asks, refused = [ask for ask, _ in refused], []
        for ask, reply in send(ground.line, asks):
            if reply.status == _DENIED and not _says(reply, NO_SUCH_TOKEN):
                refused.append((ask, reply))
            else:
                yield ask, reply
        if not refused:
            return
    yield from refused


def _kept(ground: Ground, source: str, facts: Mapping[str, Json]) -> Credential:
    return ground.token(facts["accessor"], source, {name: facts[name] for name in _KEPT if name in facts})


def _facts(ask: Ask, reply: Reply) -> Mapping[str, Json] | None:
    """What a lookup tells; None for one that ended since it was listed."""
    if reply.ok:
        return reply.data
    if _says(reply, NO_SUCH_TOKEN):
        return None
    raise Unclear(f"{ask.path}: {reply.said}")


def _says(reply: Reply, gone: Iterable[str]) -> bool:
    return any(one in reply.said for one in gone)


def is_alive(look: Look, reply: Reply) -> bool:
    """Whether a credential lives, by the answer to its look."""
    if reply.ok:
        content = dict(reply.content)
        is_past = look.past and int(get(content, look.past) or 0) > look.version
        return not (is_past or (look.flag and get(content, look.flag)))
    if _says(reply, look.lives):
        return True
    if _says(reply, look.gone) or (reply.status == _ABSENT and not look.flag and not reply.content.get("errors")):
        return False
    raise Unclear(f"{look.ask.path}: {reply.said}")


def living(ground: Ground, credentials: Iterable[Credential], *, revoked: bool = False) -> Iterator[Credential]:
    """Those that live, asked one by one; of what was not revoked yet also those of which nobody can tell."""
    every = list(credentials)
    yield from (one for one in every if one.file)  # nothing on the server tells of it
    answers = looked(ground, [one for one in every if not one.file])
    yield from (one for one, alive in answers if alive is True or (alive and not revoked))


def looked(ground: Ground, credentials: Iterable[Credential]) -> Iterator[tuple[Credential, bool | str]]:
    """Each with whether it lives, or the reason why that cannot be told."""
    for one, reply in _asked(ground, credentials):
        try:
            yield one, is_alive(one.look, reply)
        except Unclear as error:
            yield one, str(error)


def _asked(ground: Ground, credentials: Iterable[Credential]) -> Iterator[tuple[Credential, Reply]]:
    """Each with the answer to its look."""
    waiting: dict[int, Credential] = {}

    def asks() -> Iterator[Ask]:
        for one in credentials:
            waiting[id(one.look.ask)] = one
            yield one.look.ask

    for ask, reply in send(ground.line, asks()):
        ground.renew()
        yield waiting.pop(id(ask)), reply
