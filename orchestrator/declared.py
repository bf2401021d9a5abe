"""What the configuration declares, once it is known to be right."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.documents import get

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents import Json, Spec
    from orchestrator.errors import Problem
    from orchestrator.model import Kind, Object


class Where(NamedTuple):
    """A place in a file, counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Login:
    """How to get a token: a method, its mount, and its settings (secrets as references)."""

    method: str
    mount: str
    settings: Mapping[str, str]


@dataclass(frozen=True)
class TerraformSettings:
    """Which provider may run, and where the state lives: {type: {setting: value}}, empty for a local file."""

    provider: str = "official"
    backend: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Cluster:
    """A server, or several that are one."""

    name: str
    server: str
    version: str
    edition: str = "community"
    embedded: bool = False
    address: str = ""
    ca_cert: str = ""
    login: Login | None = None
    terraform: TerraformSettings = field(default_factory=TerraformSettings)


@dataclass(frozen=True)
class Declaration:
    """One thing the YAML declares: a mount (no `object`), or an object on it or beside all mounts."""

    kind: Kind
    object: Object | None
    mount: str
    name: str
    spec: Spec
    where: Where

    @property
    def waits(self) -> bool:
        """Whether a person has something to do outside before it is whole."""
        waits = self.object.waits if self.object else None
        return waits is not None and all(get(self.spec, name) is None for name in waits.until)

    @property
    def title(self) -> str:
        """How people name it: `auth/approle/roles/payments`, `policies/app`."""
        key = "" if self.object is None or self.object.key == self.kind.name else self.object.key
        return "/".join(part for part in (self.kind.family_path, self.mount, key, self.name) if part)


@dataclass(frozen=True)
class Environment:
    """Everything declared inside one namespace of one cluster."""

    name: str
    cluster: Cluster
    namespace: str
    owner: str
    declarations: tuple[Declaration, ...]
    warnings: tuple[Problem, ...] = ()  # values that are laxer than they should be
    approvals: int = 1  # how many people a revocation asks for
    sign: str = ""  # the key that signs the evidence of incidents
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by title: what replaces it after an incident
