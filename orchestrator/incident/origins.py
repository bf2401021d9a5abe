"""Live objects that give out credentials, found by the names that people write."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from orchestrator.catalog import SYSTEM
from orchestrator.catalog.shared import leases
from orchestrator.documents import get
from orchestrator.incident.ground import function, kind_of, made
from orchestrator.incident.model import Close, Credential, Gone, Lister, Rule, Scope
from orchestrator.live.bulk import send
from orchestrator.shapes import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.documents import Json, Spec
    from orchestrator.incident.ground import Ground
    from orchestrator.model import Gives, Kind, Object, Write

_MOUNTED = ("auth", "secrets")
_FOUND = 200
_SECONDS = len("2026-01-31T12:00:00")
_LEASES = "sys/leases/lookup/"
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

    def filled(self, template: str, **more: str) -> str:
        return template.format(mount=self.mount, name=self.name, **more)

    def close(self, ground: Ground) -> Close | None:
        change = self._change(ground)
        if not change:
            return None
        what = " and ".join(dict.fromkeys(f"{one.what}s" for one in self.object.gives))
        return Close(
            self.title,
            ground.namespace,
            self.path,
            change,
            f"no new {what}",
            whole=True,
            fixed=frozenset(self._fixed()),
        )

    def _change(self, ground: Ground) -> dict[str, Json]:
        only = self.object.shut_only
        live = (ground.server.read(self.path) or {}) if only else {}
        return {name: value for name, value in self.object.shut.items() if only.get(name, {}).items() <= live.items()}

    def _fixed(self) -> Iterator[str]:
        """What no write may carry: what is the server's own, or what is said once and need not be said again."""
        for one in self.object.parts[0].resource.attributes():
            if one.field.output or (one.field.replace and not one.field.required):
                yield one.api

    def soft(self, namespace: str) -> Iterator[Close]:
        """Holding back instead of shutting: a quota that lets one through an hour and client address."""
        for one in self.object.gives:
            if limited := self._limited(one):
                path = "/".join(part for part in (namespace, limited["path"]) if part)
                name = sha256(f"{path} {limited}".encode()).hexdigest()[:12]
                change = {**limited, "path": path, **_HARDLY}
                stops = f"more than one new {one.what} an hour and client address"
                yield Close(self.title, "", f"sys/quotas/rate-limit/strongroom-{name}", change, stops, soft=True)

    def _limited(self, gives: Gives) -> dict[str, str]:
        """What a quota names: the path that gives it out, with the role where one path serves several."""
        if any(path.startswith("meta.") for path in gives.says):
            return {"path": f"auth/{self.mount}/", "role": self.name}
        if gives.says:
            return {"path": self.filled(gives.says["path"])}
        leased = self.filled(gives.list)
        return {"path": leased.removeprefix(_LEASES).strip("/")} if leased.startswith(_LEASES) else {}

    def rules(self, namespace: str) -> list[Rule]:
        return [Rule(self.title, namespace, self._matcher(one)) for one in self.object.gives if one.says]

    def _matcher(self, gives: Gives) -> Callable[[Spec], bool]:
        says = {path: self.filled(text) for path, text in gives.says.items()}
        return lambda facts: all(get(facts, path) == text for path, text in says.items())

    def listers(self, ground: Ground) -> list[Lister]:
        return [
            Lister(
                self.filled(one.list),
                ground.namespace,
                partial(made, ground, one, self.title, self.filled),
                partial(function(one.fits), ground.server.read(self.path) or {}) if one.fits else None,
            )
            for one in self.object.gives
            if one.list
        ]

    def notes(self, ground: Ground) -> Iterator[str]:
        """What of it cannot be cut one by one."""
        settings = ground.server.read(self.path) or {}
        for one in self.object.gives:
            yield from self._unkept(one, settings)
            if one.fits:
                yield (
                    f"the server does not tell which {one.what}s came by {self.title}: all that it could have given "
                    "out, by its settings as they are now, are cut, those of others among them"
                )
        if str(settings.get("token_type", "")).endswith("batch"):
            longest = settings.get("token_max_ttl") or settings.get("token_ttl")
            yield (
                f"{self.title} gives out batch tokens, which nothing revokes: those that are out live on"
                f"{f' for up to {duration(longest)}' if longest else ' till their ttl'}; to refuse them at once, name "
                "their entities too"
            )

    def _unkept(self, gives: Gives, settings: Spec) -> Iterator[str]:
        """That the server keeps nothing of what it gave out, where that is so."""
        if gives.unkept and gives.unkept.items() <= settings.items():
            longest = next((settings[name] for name in gives.lasts if settings.get(name)), None)
            until = f"for up to {duration(longest)}" if longest else "for as long as the mount lets them"
            yield (
                f"{self.title}: the server keeps nothing of the {gives.what}s that it gave out; those that are out "
                f"live on {until}, unproven: {gives.instead}"
            )


def mounted(ground: Ground, value: str) -> tuple[str, str]:
    """The family and the path of the mount that a person names, with or without the family in front."""
    found = _mount(ground, value.strip("/"))
    if found is None or found[2]:
        raise Gone(f"mount {value}: there is none{_where(ground)}; the mounts are: {_mounts(ground)}")
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


def _where(ground: Ground) -> str:
    return f" in namespace {ground.namespace}" if ground.namespace else ""


def _giving(kind: Kind) -> Iterator[Object]:
    return (one for one in kind.objects if one.gives)


def named(ground: Ground, value: str) -> list[Origin]:
    """The live objects of that name: `auth/approle/payments`, `database/roles/orders-read`, `tokens/ci`."""
    said = value.strip("/")
    found = [one for one in _candidates(ground, said) if ground.server.read(one.path) is not None]
    if not found:
        raise Gone(f"role {value}: there is none{_where(ground)}; {_known(ground, said)}")
    return found


def _candidates(ground: Ground, said: str) -> Iterator[Origin]:
    place = _mount(ground, said)
    if place and (kind := kind_of(ground, place[0], place[1])):
        for one in _giving(kind):
            name = place[2].removeprefix(f"{one.key}/").removeprefix("role/")
            if name:
                yield Origin(kind, one, place[1], name.lower() if one.lower else name)
    first, _, rest = said.partition("/")
    for one in _giving(SYSTEM[first]) if first in SYSTEM else ():
        yield Origin(SYSTEM[first], one, "", rest.removeprefix(f"{one.key}/"))


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
        for name in ground.server.list(one.list.format(mount=mount))
    ]


def leases_below(ground: Ground, path: str) -> Iterator[Lister]:
    """A lister for each folder of leases below a path; a folder that is empty lists nothing."""
    where = f"sys/leases/lookup/{path}"
    keys = ground.server.list(where)
    if any(not key.endswith("/") for key in keys) or not keys:
        yield Lister(f"{where}/", ground.namespace, partial(lease, ground, path))
    for key in keys:
        if key.endswith("/"):
            yield from leases_below(ground, f"{path}/{key.rstrip('/')}")


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
        if reply.status == _FOUND:
            one, single = owners[id(ask)]
            return _given(ground, one, single, reply.content.get("data") or {})
    raise Gone(f"SecretID accessor {value}: no role{_where(ground)} knows it; it expired, or is destroyed")


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
        if reply.status == _FOUND:
            return str((reply.content.get("data") or {})[write.keys[0]])
    return None


def _given(ground: Ground, one: Origin, single: Credential, facts: Spec) -> Scope:
    since = str(facts.get("creation_time", ""))
    rules = tuple(Rule(rule.source, rule.namespace, _since(rule, since)) for rule in one.rules(ground.namespace))
    note = f"{one.title}: the server does not tell which SecretID a token came by: all since {since} are cut"
    return Scope(rules=rules, singles=(single,), notes=(note,))


def _since(rule: Rule, since: str) -> Callable[[Spec], bool]:
    """By whole seconds: the fractions that a server tells are of different lengths."""
    return lambda facts: rule.matches(facts) and str(facts.get("issue_time", ""))[:_SECONDS] >= since[:_SECONDS]
