"""Live objects that give out credentials, found by the names that people write."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from orchestrator.catalog import SYSTEM
from orchestrator.catalog.shared import leases
from orchestrator.documents import get
from orchestrator.incident.ground import function, kind_of, made
from orchestrator.incident.model import Accounts, Close, Credential, Gone, Lister, Rule, Scope, Turn, within
from orchestrator.live.bulk import send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.documents import Json, Spec
    from orchestrator.incident.ground import Ground
    from orchestrator.live.server import Server
    from orchestrator.model import Field, Gives, Kind, Object, Write
    from orchestrator.shapes import Shape

_MOUNTED = ("auth", "secrets")
_LEASES = "sys/leases/lookup/"
_SECONDS = len("2026-01-31T12:00:00")
_HARDLY = {"rate": 0.0001, "interval": 3600}


@dataclass(frozen=True)
class Origin:
    """A live object that gives out credentials: a role, a user, a key."""

    kind: Kind
    object: Object
    mount: str
    name: str

    @property
    def title(self) -> str:
        key = "" if self.object.key == self.kind.name else self.object.key
        return "/".join(part for part in (self.kind.family_path, self.mount, key, self.name) if part)

    @property
    def path(self) -> str:
        """Where its settings stand."""
        resource = self.object.parts[0].resource
        return resource.path.format(**{resource.mount: self.mount, resource.name: self.name})

    def filled(self, template: str, **more: Json) -> str:
        return template.format(**{**more, "mount": self.mount, "name": self.name})

    def live(self, server: Server) -> Spec:
        """Its settings as the server tells them."""
        return server.read(self.path) or {}

    def whole(self, server: Server) -> Spec:
        """All that the server tells of it, wherever that stands."""
        resource = self.object.parts[0].resource
        names = {resource.mount: self.mount, resource.name: self.name}
        answers = [server.read(path.format(**names)) for path in resource.read_paths]
        return {name: value for answer in answers for name, value in (answer or {}).items()}

    def close(self, namespace: str, live: Spec) -> Close | None:
        only = self.object.shut_only
        change = {name: value for name, value in self.object.shut.items() if only.get(name, {}).items() <= live.items()}
        if not change:
            return None
        attributes = self.object.parts[0].resource.attributes()
        apis = Counter(one.api for one in attributes)  # what two settings share is neither's alone
        return Close(
            self.title,
            namespace,
            self.path,
            change,
            f"no new {self.what}",
            whole=not self.object.merges,
            fixed=frozenset(one.api for one in attributes if _is_fixed(one.field)),
            sent={one.api: partial(_sent, one.shape) for one in attributes if apis[one.api] == 1},
            opens=self._opens,
        )

    @property
    def _opens(self) -> bool:
        """Whether what a thief would come in with is dead after the cut: of a login that is so where it is renewed."""
        return self.object.renew is not None or not any(one.says for one in self.object.gives)

    @property
    def what(self) -> str:
        """What it gives out, in the words of people."""
        return " and ".join(dict.fromkeys(f"{one.what}s" for one in self.object.gives))

    def soft(self, namespace: str) -> Iterator[Close]:
        """Holding back instead of shutting: a quota that lets one through an hour and client address."""
        for one in self.object.gives:
            if limited := self._limited(one):
                path = "/".join(part for part in (namespace, limited["path"]) if part)
                name = sha256(f"{path} {limited}".encode()).hexdigest()[:12]
                change = {**limited, "path": path, **_HARDLY}
                stops = f"more than one new {one.what} an hour and client address"
                yield Close(
                    self.title,
                    "",
                    f"sys/quotas/rate-limit/strongroom-{name}",
                    change,
                    stops,
                    soft=True,
                    opens=self._opens,
                )

    def _limited(self, gives: Gives) -> dict[str, str]:
        """What a quota names: the path that gives it out, with the role where one path serves several."""
        return {name: self.filled(text) for name, text in gives.held.items()}

    def given(self, live: Spec) -> list[Gives]:
        """What it gives out as its settings are."""
        return [one for one in self.object.gives if one.where(live)]

    def rules(self, namespace: str, live: Spec) -> list[Rule]:
        return [Rule(self.title, namespace, self._matcher(one, live)) for one in self.given(live) if one.says]

    def _matcher(self, gives: Gives, live: Spec) -> Callable[[Spec], bool]:
        """What tells its tokens; a name may stand as somebody typed it, where the server takes it in any case."""
        tests = [
            (path, text, self.object.lower and "{name}" in text, self.filled(text, **live).removesuffix("*"))
            for path, text in gives.says.items()
        ]

        def matches(facts: Spec) -> bool:
            return all(_fits(get(facts, path), text, wanted, folded) for path, text, folded, wanted in tests)

        return matches

    def listers(self, ground: Ground, live: Spec) -> list[Lister]:
        return [
            Lister(
                self.filled(one.list),
                ground.namespace,
                partial(made, ground, one, self.title, self.filled),
                partial(function(one.fits), live) if one.fits else None,
            )
            for one in self.given(live)
            if one.list
        ]

    def accounts(self, namespace: str) -> Iterator[Accounts]:
        """What it made in a system that can be asked."""
        if self.object.witness:
            yield Accounts(self.object.witness, self.object.key, self.title, namespace, self.mount, self.name)

    def turns(self, ground: Ground) -> Iterator[Turn]:
        """How what leaked of it is replaced."""
        renew = self.object.renew
        if renew:
            ask, (path, key) = ground.ask(renew.write, self.filled), renew.stamp
            stamp = (self.filled(path), key)
            yield Turn(
                self.title,
                ground.namespace,
                renew.what,
                ask,
                renew.ends,
                renew.wrapped,
                stamp,
                renew.stops,
                renew.warns,
            )

    def is_known_as(self, found: str, live: Spec) -> bool:
        """Whether identity calls who logs in by it so."""
        text = self.object.alias
        return _fits(found, text, self.filled(text, **live), self.object.lower and "{name}" in text)

    def untold(self, server: Server, live: Spec) -> Iterator[str]:
        """What of it nobody can find, and what to do about that."""
        for one in self.given(live):
            path, setting, word = (self.filled(text, **live) for text in one.telling)
            if one.untold:
                yield f"{one.what}s of {self.title} are not told apart: {self.filled(one.untold, **live)}"
            elif path and word not in ((server.read(path) or {}).get(setting) or [word]):
                yield (
                    f"{one.what}s of {self.title} are not told apart: {path} leaves {word} out of {setting}; name all "
                    f"of --mount auth/{self.mount}"
                )


def _is_fixed(field: Field) -> bool:
    """Whether no write may carry it: it is the server's own, or was said once and need not be said again."""
    return field.output or (field.replace and not field.required)


def _fits(found: Json, template: str, wanted: str, folded: bool) -> bool:  # noqa: FBT001 - called here alone
    text = str(found or "")
    if folded:
        text, wanted = text.lower(), wanted.lower()
    return text.startswith(wanted) if template.endswith("*") else text == wanted


def _sent(shape: Shape, value: Json) -> Json:
    """An answer's value as a request takes it, where that is another type."""
    if not isinstance(value, list | dict):
        return value
    wanted = shape.send(shape.canon(value))
    return value if isinstance(wanted, type(value)) else wanted


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
        if reply.ok:
            one, single = owners[id(ask)]
            return _given(ground, one, single, reply.data)
    raise Gone(f"SecretID accessor {value}: no role{within(ground.namespace)} knows it; it expired, or is destroyed")


def by_value(ground: Ground, value: str) -> str | None:
    """The id of the credential that has a value, by asking every object that could have given it."""
    for family, mount in ground.mounts:
        for one in on(ground, family, mount) if family == "auth" else ():
            for gives in one.object.gives:
                if gives.by_value and (found := _asked(ground, one, gives.by_value, value)):
                    return found
    return None


def _asked(ground: Ground, one: Origin, write: Write, value: str) -> str | None:
    ask = ground.ask(write, partial(one.filled, id=value))
    for _, reply in send(ground.line, [ask]):
        if reply.ok:
            return str(reply.data[write.keys[0]])
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
