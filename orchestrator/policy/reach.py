"""Who reaches a path: what policies grant together there, decided as the server decides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.policy.live import Unreadable
from orchestrator.policy.parse import CAPABILITIES, Policy
from orchestrator.policy.patterns import Rank, is_exact, rank
from orchestrator.policy.templates import filled, is_template, may_cover

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.documents import Json
    from orchestrator.policy.live import LivePolicies
    from orchestrator.policy.parse import Rule
    from orchestrator.policy.templates import Entity

EVERYTHING = frozenset(CAPABILITIES) - {"deny"}
ROOT = "root"
_LISTING = frozenset({"list", "scan"})
_DIFFER = "OpenBao and Vault heed different patterns of these policies where a list is asked for"
_VERSIONED = ("data", "metadata", "delete", "destroy", "undelete")  # KV v2 keeps one secret under each of them


@dataclass(frozen=True)
class Rights:
    """What may be done at a path: `perhaps` besides holds what cannot be told from here, and `doubts` say why."""

    sure: frozenset[str] = frozenset()
    perhaps: frozenset[str] = frozenset()
    doubts: tuple[str, ...] = ()

    @property
    def granted(self) -> frozenset[str]:
        """With what is not sure: after a leak, perhaps is yes."""
        return self.sure | self.perhaps


@dataclass(frozen=True)
class _Step:
    """One look for a rule; the first look that finds some decides."""

    path: str
    exactly: bool


def _exact(path: str) -> _Step:
    return _Step(path, exactly=True)


def _loose(path: str) -> _Step:
    return _Step(path, exactly=False)


@dataclass(frozen=True)
class _Hit:
    """A rule that covers the path; with a `doubt`, perhaps."""

    order: tuple[int, Rank | None]
    capabilities: frozenset[str]
    doubt: str = ""


def capabilities(
    policies: LivePolicies, path: str, entity: Entity | None = None, now: datetime | None = None
) -> Rights:
    """What a token with exactly these policies may do at an API path, as `sys/capabilities` of OpenBao tells it.

    Without an entity, or a time for rules that expire, what hangs on it is a perhaps; the empty entity is none at all.
    """
    path = path.lstrip("/")
    bare = path.removesuffix("/")
    steps = (_exact(path), _exact(bare), _loose(path), _loose(bare))
    return _Question(policies, steps, EVERYTHING, now).answer(frozenset(policies), entity)


def reaching(
    policies: LivePolicies, path: str, wanted: Iterable[str] = ("read",), now: datetime | None = None
) -> dict[str, Rights]:
    """The policies each of which by itself grants some of what is wanted at an API path."""
    reach = Reach(policies, path, wanted, now)
    found = {name: reach.of((name,)) for name in sorted(policies)}
    return {name: rights for name, rights in found.items() if rights.granted}


class Reach:
    """What tokens get of what is wanted at one API path: each distinct set of policies is decided once.

    A list or a scan is a request at the path with a slash behind it, whether or not it is written here.
    """

    def __init__(
        self, policies: LivePolicies, path: str, wanted: Iterable[str] = ("read",), now: datetime | None = None
    ) -> None:
        path, words = path.lstrip("/"), frozenset(wanted)
        self._plain = _Question(policies, (_exact(path), _loose(path)), words - _LISTING, now)
        openbao, vault = _listings(path)
        self._openbao = _Question(policies, openbao, words & _LISTING, now)
        self._vault = _Question(policies, vault, words & _LISTING, now)
        self._open = frozenset((*self._plain.open, *self._openbao.open))
        self._known: dict[frozenset[str], Rights] = {}

    def of(self, names: Iterable[str], entity: Entity | None = None) -> Rights:
        """What a token gets whose policies, its own and its identity's, have these names.

        A name that no live policy has grants nothing, as on the server.
        """
        held = frozenset(names)
        if entity is not None and not held.isdisjoint(self._open):
            return self._answer(held, entity)
        if held not in self._known:
            self._known[held] = self._answer(held, None)
        return self._known[held]

    def _answer(self, held: frozenset[str], entity: Entity | None) -> Rights:
        plain, one, other = (
            question.answer(held, entity) if question.wanted else Rights()
            for question in (self._plain, self._openbao, self._vault)
        )
        sure = plain.sure | (one.sure & other.sure)
        differ = (_DIFFER,) if one.granted != other.granted else ()
        doubts = dict.fromkeys((*plain.doubts, *one.doubts, *other.doubts, *differ))
        return Rights(sure, (plain.granted | one.granted | other.granted) - sure, tuple(doubts))


def _listings(path: str) -> tuple[tuple[_Step, ...], tuple[_Step, ...]]:
    """Where a list looks for its rule: OpenBao heeds a pattern for the path with its slash first, Vault the other."""
    bare = path.removesuffix("/")
    exact = _exact(f"{bare}/"), _exact(bare)
    return (*exact, _loose(f"{bare}/"), _loose(bare)), (*exact, _loose(bare), _loose(f"{bare}/"))


class _Question:
    """One request at one path: the rules of all policies that it can meet."""

    def __init__(
        self, policies: LivePolicies, steps: tuple[_Step, ...], wanted: frozenset[str], now: datetime | None
    ) -> None:
        self.steps, self.wanted = steps, wanted
        self.hits: dict[str, tuple[_Hit, ...]] = {}
        self.open: dict[str, tuple[tuple[Rule, str], ...]] = {}
        for name, policy in policies.items():
            rules = [] if isinstance(policy, Unreadable) else list(_standing(name, policy, now))
            closed = [one for one in rules if not is_template(one[0].path)]
            opened = [one for one in rules if is_template(one[0].path) and self._perhaps(*one)]
            self.hits[name] = (*_unknown(name, policy), *(hit for one in closed for hit in self._found(*one)))
            if opened:
                self.open[name] = tuple(opened)

    def answer(self, held: frozenset[str], entity: Entity | None) -> Rights:
        if ROOT in held:
            return Rights(self.wanted)
        hits = [hit for name in sorted(held) for hit in (*self.hits.get(name, ()), *self._opened(name, entity))]
        sure = [hit for hit in hits if not hit.doubt]
        first = max((hit.order for hit in sure), key=_key, default=None)
        granted = _merged(hit.capabilities for hit in sure if hit.order == first)
        doubtful = [hit for hit in hits if hit.doubt and (first is None or hit.order[0] >= first[0])]
        certain = granted.intersection(*(_merged((hit.capabilities,)) for hit in doubtful)) & self.wanted
        possible = (granted.union(*(hit.capabilities for hit in doubtful)) & self.wanted) - certain
        doubts = tuple(dict.fromkeys(hit.doubt for hit in doubtful)) if possible else ()
        return Rights(certain, possible, doubts)

    def _opened(self, name: str, entity: Entity | None) -> Iterator[_Hit]:
        for rule, doubt in self.open.get(name, ()):
            path = rule.path if entity is None else filled(rule.path, entity)
            if path is None:
                continue
            if is_template(path):
                here = f'policy {name}, path "{rule.path}": what its template stands for is not known'
                yield from self._perhaps(replace(rule, path=path), doubt or here)
            else:
                yield from self._found(replace(rule, path=path.removeprefix("/")), doubt)

    def _found(self, rule: Rule, doubt: str) -> Iterator[_Hit]:
        for number, step in enumerate(self.steps):
            place = None if step.exactly else rank(rule.path, step.path)
            exact = is_exact(rule.path)
            if (exact and step.exactly and rule.path == step.path) or (not exact and place):
                yield _Hit((-number, place), frozenset(rule.capabilities), doubt)

    def _perhaps(self, rule: Rule, doubt: str) -> tuple[_Hit, ...]:
        return tuple(
            _Hit((-number, None), frozenset(rule.capabilities), doubt)
            for number, step in enumerate(self.steps)
            if may_cover(step.path, rule.path, exactly=step.exactly)
        )


def _key(order: tuple[int, Rank | None]) -> tuple[int, tuple[Json, ...]]:
    return order[0], order[1] or ()


def _merged(granted: Iterable[frozenset[str]]) -> frozenset[str]:
    """Equal patterns give what each of them gives, and nothing when one denies."""
    every = frozenset().union(*granted)
    return frozenset() if "deny" in every else every


def _unknown(name: str, policy: Policy | Unreadable) -> tuple[_Hit, ...]:
    if isinstance(policy, Policy):
        return ()
    return (_Hit((0, None), EVERYTHING | {"deny"}, f"policy {name} cannot be read: {policy.why}"),)


def _standing(name: str, policy: Policy, now: datetime | None) -> Iterator[tuple[Rule, str]]:
    """The rules that have not expired, each with the doubt whether it has."""
    for rule in policy.rules:
        ends = rule.settings.get("expiration")
        moment = _moment(ends)
        if ends is None or (now and moment and now < moment):
            yield rule, ""
        elif not now or not moment:
            yield rule, f'policy {name}, path "{rule.path}": whether it has expired ({ends}) is not known'


def _moment(said: Json) -> datetime | None:
    try:
        text = str(said)
        found = datetime.fromtimestamp(int(text), UTC) if text.isdigit() else datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo else None


def inside(policy: Policy, namespace: str) -> Policy:
    """The policy of a namespace as the root sees it: its rules open paths of that namespace alone."""
    prefix = f"{namespace.strip('/')}/" if namespace.strip("/") else ""
    return Policy(tuple(replace(rule, path=prefix + rule.path) for rule in policy.rules))


def api_paths(path: str, mounts: Mapping[str, Mapping[str, Json]]) -> tuple[str, ...]:
    """The API paths of what people call `apps/payments/db`, the one that holds the value first.

    `mounts` is what `sys/mounts` answers. A path that already names one of a secret's API paths means the same secret.

    >>> api_paths("apps/payments/db", {"apps/": {"type": "kv", "options": {"version": "2"}}})[:2]
    ('apps/data/payments/db', 'apps/metadata/payments/db')
    """
    path = path.lstrip("/").removeprefix("v1/")
    mount = max((one for one in mounts if one.endswith("/") and path.startswith(one)), key=len, default="")
    if not mount or (mounts[mount].get("options") or {}).get("version") != "2":
        return (path,)
    rest = path.removeprefix(mount)
    head, _, below = rest.partition("/")
    return tuple(f"{mount}{part}/{below if head in _VERSIONED and below else rest}" for part in _VERSIONED)
