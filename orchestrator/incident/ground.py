"""What an incident stands on: the server, its mounts, who we are there, and who owns what."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from importlib import import_module
from typing import TYPE_CHECKING

from orchestrator.catalog import FAMILIES
from orchestrator.errors import StrongroomError
from orchestrator.incident.model import Credential, Look
from orchestrator.live.bulk import Ask, Line
from orchestrator.live.server import Denied, Rejected
from orchestrator.live.standing import standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from orchestrator.audit.read import Between
    from orchestrator.declared import Environment
    from orchestrator.documents import Json, Spec
    from orchestrator.live.server import Server
    from orchestrator.live.standing import Standing
    from orchestrator.model import Gives, Kind, Write

REVOKE, LOOKUP = "auth/token/revoke-accessor", "auth/token/lookup-accessor"
NO_SUCH_TOKEN = ("invalid accessor", "No token found")


def unknown(reference: str) -> str:
    raise StrongroomError(f"{reference} cannot be looked up without a configuration")


_THIRD = 3  # of its ttl is gone when our own token is renewed


@dataclass
class Due:
    """When our own token is renewed next."""

    at: float = 0.0


@dataclass(frozen=True)
class Ground:
    """A namespace of a server as the caller sees it; `inside` gives another one."""

    server: Server
    line: Line
    me: Mapping[str, Json]  # what the server says of our own token
    name: str = ""  # the environment's, which the command line gave
    environment: Environment | None = None
    titles: frozenset[str] = field(default_factory=frozenset)  # what the YAML declares
    wrong: str = ""  # why there is no environment
    secret: Callable[[str], str] = field(default=unknown, repr=False)  # what a reference of the YAML leads to
    logs: tuple[Path, ...] = ()  # audit logs at hand
    between: Between | None = None  # the time in which to look for what leaked
    due: Due = field(default_factory=Due, repr=False)
    unsaved: Callable[[], str] = lambda: ""  # why the newest snapshot would not do; empty when it would
    told: Callable[[Credential], bool | None] = lambda _: None  # whether a source gave it out; None: nobody recorded it

    @property
    def namespace(self) -> str:
        return self.server.namespace

    @property
    def home(self) -> str:
        """The namespace of our own token."""
        return home(self.me, self.namespace)

    def inside(self, namespace: str) -> Ground:
        return self if namespace == self.namespace else replace(self, server=self.server.in_namespace(namespace))

    @cached_property
    def _answers(self) -> dict[tuple[str, str], Mapping[str, Json]]:
        return {}

    def once(self, path: str, query: str = "") -> Mapping[str, Json]:
        """What stands at the path, asked for once: many roles of a mount name the same policies."""
        if (path, query) not in self._answers:
            self._answers[path, query] = self.server.read(path, query=query) or {}
        return self._answers[path, query]

    @cached_property
    def mounts(self) -> Standing:
        return standing(self.server)

    def owner(self, title: str) -> str:
        """Who owns what the YAML declares, nobody where it does not."""
        declared = self.environment is not None and title in self.titles
        return self.environment.owner if declared and self.environment else ""

    @property
    def signer(self) -> str:
        """The key that the YAML says signs the evidence."""
        return self.environment.sign if self.environment else ""

    def owners(self, credentials: Iterable[Credential]) -> dict[str, str]:
        """Who owns what gave these out, where somebody does."""
        sources = {one.source for one in credentials}
        return {source: owner for source in sources if (owner := self.owner(source))}

    def ask(self, write: Write, filled: Callable[[str], str]) -> Ask:
        """A request of the catalogue for one object."""
        body = {name: filled(text) if isinstance(text, str) else text for name, text in write.data.items()}
        return Ask(write.method, filled(write.path), body or None, self.namespace)

    def token(self, accessor: str, source: str, facts: Spec) -> Credential:
        body = {"accessor": accessor}
        look = Look(Ask("POST", LOOKUP, body, self.namespace), NO_SUCH_TOKEN)
        return Credential(
            "token", accessor, self.namespace, source, Ask("POST", REVOKE, body, self.namespace), look, facts
        )

    def renew(self) -> None:
        """Keep our own token alive through a long look or cut; one that may not be renewed ends with its ttl."""
        ttl = int(self.me.get("ttl") or 0)
        if ttl and self.me.get("renewable") and time.monotonic() >= self.due.at:
            self.due.at = time.monotonic() + ttl / _THIRD
            with suppress(Denied, Rejected):
                self.server.write("auth/token/renew-self", {})

    def is_me(self, facts: Spec) -> bool:
        return facts.get("accessor") == self.me.get("accessor")


def home(facts: Spec, namespace: str) -> str:
    """A token's own namespace, which need not be the one that was asked: only the root's accessors have no dot."""
    if "." not in str(facts.get("accessor")):
        return ""
    return str(facts.get("namespace_path") or namespace).strip("/")


def made(ground: Ground, gives: Gives, source: str, filled: Callable[..., str], key: str) -> Credential:
    """A credential of a list, by its key there; `filled` fills in what the templates of the catalogue speak of."""
    identity = filled(gives.id, key=key)
    known = partial(filled, id=identity, key=key)
    end = ground.ask(gives.end, known) if gives.end else None
    look = Look(ground.ask(gives.look, known), gives.gone, gives.flag)
    then = ground.ask(gives.then, known) if gives.then else None
    return Credential(
        gives.what, identity, ground.namespace, source, end, look, proof=gives.proof, stays=gives.stays, then=then
    )


def policies_of(facts: Mapping[str, Json]) -> tuple[str, ...]:
    """Every policy of a token: its own, and those of its entity and its groups."""
    return (*(facts.get("policies") or ()), *(facts.get("identity_policies") or ()))


def capabilities(server: Server, *paths: str) -> dict[str, set[str]]:
    """What the server lets its caller do at each path."""
    found = server.write("sys/capabilities-self", {"paths": list(paths)})
    return {path: set(found.get(path) or ()) for path in paths}


def may_update(server: Server, path: str) -> bool:
    return bool({"root", "update"} & capabilities(server, path)[path])


def function(named: str) -> Callable[..., Json]:
    """What the catalogue names by `module:function`."""
    module, _, name = named.partition(":")
    found: Callable[..., Json] = getattr(import_module(module), name)
    return found


def kind_of(ground: Ground, family: str, mount: str) -> Kind | None:
    """The kind of a live mount, None where no entry of the catalogue knows it."""
    live = ground.mounts.get((family, mount))
    return next((kind for kind in FAMILIES[family].values() if kind.type == live), None)
