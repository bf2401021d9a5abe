"""Live objects that give out credentials, found by the names that people write."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from orchestrator.catalog import SYSTEM
from orchestrator.catalog.shared import leases
from orchestrator.incident.ground import kind_of, made
from orchestrator.incident.look import Unclear
from orchestrator.incident.model import Close, Credential, Gone, Lister, Rule, Scope, within
from orchestrator.incident.origin import Origin
from orchestrator.live.bulk import send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from orchestrator.documents import Spec
    from orchestrator.incident.ground import Ground
    from orchestrator.live.bulk import Ask, Reply
    from orchestrator.model import Kind, Object, Write

_MOUNTED = ("auth", "secrets")
_NOTHING = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND}
_LEASES = "sys/leases/lookup/"
_SECONDS = len("2026-01-31T12:00:00")


def mounted(ground: Ground, value: str) -> tuple[str, str]:
    """The family and the path of the mount that a person names, with or without the family in front."""
    found = _mount(ground, value.strip("/"))
    if found is None or found[2]:
        raise Gone(f"mount {value}: there is none{within(ground.namespace)}; the mounts are: {_mounts(ground)}")
    return found[0], found[1]


def _mount(ground: Ground, value: str) -> tuple[str, str, str] | None:
    """Family, mount and the rest of a path: the longest mount that it begins with."""
    for family in _MOUNTED:
        for said in (value.removeprefix(f"{family}/"), *([] if family == "auth" else [value])):
            if family == "auth" and not value.startswith("auth/"):
                continue
            fits = [path for kind, path in ground.mounts if kind == family and f"{said}/".startswith(f"{path}/")]
            if fits:
                longest = max(fits, key=len)
                return family, longest, said[len(longest) :].strip("/")
    return None


def is_mounted(ground: Ground, value: str) -> bool:
    """Whether a path is a mount, or below one."""
    return _mount(ground, value) is not None and "//" not in value


def mounts(ground: Ground) -> str:
    return f"the mounts are: {_mounts(ground)}"


def _mounts(ground: Ground) -> str:
    return ", ".join(f"{'auth/' if family == 'auth' else ''}{path}" for family, path in sorted(ground.mounts))


def _giving(kind: Kind, *, alone: bool = False) -> Iterator[Object]:
    """The objects of which something can leak; `alone`, also those that are cut only where they are named."""
    for one in kind.objects:
        if one.gives or (one.renew and one.renew.ends and (alone or not one.renew.alone)):
            yield one


def named(ground: Ground, value: str) -> list[Origin]:
    """The live objects of that name: `auth/approle/payments`, `database/roles/orders-read`, `tokens/ci`."""
    said = value.strip("/")
    found = [one for one in _candidates(ground, said) if _is_there(ground, one)]
    if not found:
        raise Gone(f"role {value}: there is none{within(ground.namespace)}; {_known(ground, said)}")
    return found


def _is_there(ground: Ground, one: Origin) -> bool:
    """Whether it lives, and is of its sort where several stand at one path."""
    live = ground.server.read(one.path)
    constants = one.object.parts[0].resource.constants
    return live is not None and all(live.get(name, value) == value for name, value in constants.items())


def _candidates(ground: Ground, said: str) -> Iterator[Origin]:
    place = _mount(ground, said)
    if place and (kind := kind_of(ground, place[0], place[1])):
        yield from (Origin(kind, one, place[1], name) for one, name in _meant(kind, place[2]))
    first, _, rest = said.partition("/")
    if first in SYSTEM:
        yield from (Origin(SYSTEM[first], one, "", name) for one, name in _meant(SYSTEM[first], rest))


def _meant(kind: Kind, said: str) -> Iterator[tuple[Object, str]]:
    """The sorts of objects that a name may be of, whether its sort stands in front of it or not."""
    sort, _, name = said.removeprefix("map/").partition("/")
    known = list(_giving(kind, alone=True)) if name else []
    sorts = [one for one in known if sort in {one.key, one.list.rpartition("/")[2]}]
    for one in sorts or _giving(kind):
        meant = name if sorts else said
        if meant and (sorts or "/" not in meant):
            yield one, meant.lower() if one.lower else meant


def _known(ground: Ground, said: str) -> str:
    place = _mount(ground, said)
    if place is None:
        return f"the mounts are: {_mounts(ground)}"
    kind = kind_of(ground, place[0], place[1])
    if kind is None or not any(_giving(kind)):
        return "nothing on that mount gives out credentials"
    return f"those on {place[1]} are: {', '.join(one.name for one in on(ground, place[0], place[1])) or 'none'}"


def on(ground: Ground, family: str, mount: str) -> list[Origin]:
    """Every live object on a mount that gives out credentials."""
    kind = kind_of(ground, family, mount)
    if kind is None:
        return []
    return [
        Origin(kind, one, mount, name)
        for one in _giving(kind)
        if one.list
        for name in ground.server.list(one.list.format(mount=mount))
    ]


def leasing(ground: Ground, path: str) -> list[Origin]:
    """The live objects whose leases stand at a path, or below it."""
    place = _mount(ground, path)
    return [
        one
        for one in (on(ground, place[0], place[1]) if place else ())
        if any(one.filled(gives.list).startswith(f"{_LEASES}{path}/") for gives in one.object.gives)
    ]


def shut(ground: Ground, family: str, mount: str) -> Iterator[Close]:
    """What shuts a whole mount at once, where its kind has such a thing."""
    kind = kind_of(ground, family, mount)
    if kind and kind.shut:
        title, path = f"{family}/{mount}", kind.shut.path.format(mount=mount)
        yield Close(title, ground.namespace, path, kind.shut.data, "no new tokens")


def shut_all(ground: Ground, family: str, mount: str) -> tuple[Close, ...]:
    """What shuts every object of a mount by itself."""
    closes = (one.close(ground.namespace, one.live(ground.server)) for one in on(ground, family, mount))
    return tuple(one for one in closes if one)


def leases_below(ground: Ground, path: str) -> Iterator[Lister]:
    """A lister for each folder of leases below a path; a folder that is empty lists nothing."""
    origins = leasing(ground, path)
    known = {lister.path: lister for one in origins for lister in one.listers(ground, one.live(ground.server))}
    yield from (known.get(lister.path, lister) for lister in _leases_below(ground, path))


def _leases_below(ground: Ground, path: str) -> Iterator[Lister]:
    where = f"{_LEASES}{path}"
    keys = ground.server.list(where)
    if any(not key.endswith("/") for key in keys) or not keys:
        yield Lister(f"{where}/", ground.namespace, partial(lease, ground, path))
    for key in keys:
        if key.endswith("/"):
            yield from _leases_below(ground, f"{path}/{key.rstrip('/')}")


def lease(ground: Ground, path: str, key: str) -> Credential:
    """A lease below a path, whatever it is of."""
    return made(ground, leases(path), path, str.format, key)


def by_accessor(ground: Ground, value: str) -> Scope:
    """What an accessor names that is not a token's: a SecretID, by asking every role that could have given it."""
    asked = [
        (one, made(ground, gives, one.title, one.filled, value))
        for family, mount in ground.mounts
        if family == "auth"
        for one in on(ground, family, mount)
        for gives in one.object.gives
        if gives.list
    ]
    owners = {id(single.look.ask): (one, single) for one, single in asked}
    for ask, reply in send(ground.line, [single.look.ask for _, single in asked]):
        one, single = owners[id(ask)]
        if _knows(ask, reply, single.look.gone):
            return _given(ground, one, single, reply.data)
    raise Gone(f"SecretID accessor {value}: no role{within(ground.namespace)} knows it; it expired, or is destroyed")


def _knows(ask: Ask, reply: Reply, gone: Iterable[str] = ()) -> bool:
    """Whether a role knows what it was asked for; nothing at all is the answer for what is another role's."""
    if reply.ok or reply.status in _NOTHING or any(word in reply.said for word in gone):
        return reply.ok
    raise Unclear(f"{ask.path}: {reply.said}")


def by_value(ground: Ground, value: str) -> str | None:
    """The id of the credential that has a value, by asking every object that could have given it."""
    for family, mount in ground.mounts:
        for one in on(ground, family, mount) if family == "auth" else ():
            for gives in one.object.gives:
                if gives.by_value and (found := _asked(ground, one, gives.by_value, gives.by_value_id, value)):
                    return found
    return None


def _asked(ground: Ground, one: Origin, write: Write, name: str, value: str) -> str | None:
    ask = ground.ask(write, partial(one.filled, id=value))
    for _, reply in send(ground.line, [ask]):
        if _knows(ask, reply):
            return str(reply.data[name])
    return None


def _given(ground: Ground, one: Origin, single: Credential, facts: Spec) -> Scope:
    since = str(facts.get("creation_time", ""))
    told = one.rules(ground.namespace, one.live(ground.server))
    rules = tuple(Rule(rule.source, rule.namespace, _since(rule, since)) for rule in told)
    note = f"{one.title}: the server does not tell which SecretID a token came by: all since {since} are cut"
    return Scope(rules=rules, singles=(single,), turns=tuple(one.turns(ground)), notes=(note,))


def _since(rule: Rule, since: str) -> Callable[[Spec], bool]:
    """By whole seconds: the fractions that a server tells are of different lengths."""
    return lambda facts: rule.matches(facts) and str(facts.get("issue_time", ""))[:_SECONDS] >= since[:_SECONDS]
