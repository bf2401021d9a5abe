"""A live object that gives out credentials: how each is told, listed and ended, and how the object is shut."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from orchestrator.documents import get
from orchestrator.incident.ground import function, made
from orchestrator.incident.model import Accounts, Close, Lister, Rule, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.documents import Json, Spec
    from orchestrator.incident.ground import Ground
    from orchestrator.live.server import Server
    from orchestrator.model import Field, Gives, Kind, Object
    from orchestrator.shapes import Shape

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
        return [
            Rule(self.title, namespace, self._matcher(one, live), one.proof) for one in self.given(live) if one.says
        ]

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
