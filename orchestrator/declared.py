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
class Node:
    """One server of a cluster: where it speaks to clients and to the other nodes, and where it stands."""

    name: str
    host: str = ""
    port: int = 8200
    cluster_port: int = 8201
    zone: str = ""

    @property
    def host_port(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def cluster_host_port(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.cluster_port}"


@dataclass(frozen=True)
class Raft:
    """Where each node keeps its data, and how fast it misses a leader."""

    path: str = ""
    performance_multiplier: int = 1


@dataclass(frozen=True)
class Seal:
    """What opens the barrier: a kind of `cluster/seals.py` and its settings (secrets as references)."""

    kind: str
    settings: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Plugin:
    """A program of a node's plugin directory by which its server has a seal."""

    command: str
    sha256sum: str
    args: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tls:
    """The files of a node's listener, as the node sees them; `ca` also as we do."""

    certificate: str = ""
    key: str = ""
    ca: str = ""
    min_version: str = "tls12"


@dataclass(frozen=True)
class Listener:
    """How a node takes connections; `bind` is an address to listen on in place of the node's own."""

    tls: Tls | None = None
    bind: str = ""
    generate_root: bool = False  # takes shares of the key from anybody, for as long as a root token is made


@dataclass(frozen=True)
class AuditDevice:
    """One audit device of every node."""

    name: str
    type: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshots:
    """How often the data is saved (seconds), how many of them are kept, and where: `file:///folder` or `s3://bucket/prefix`."""

    every: int
    keep: int
    to: str
    encryption: str = "AES256"  # by S3: AES256, aws:kms, or aws:kms:KEY


@dataclass(frozen=True)
class Beginning:
    """What `init` does once: the environment that the root token applies, and who holds the keys."""

    environment: str = ""
    role: str = ""  # the AppRole role that the login is
    shares: int = 3
    threshold: int = 2
    holders: Mapping[str, str] = field(default_factory=dict)  # name: the file of a PGP public key
    keys: str = ""  # the folder that the shares are written to


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
    run: str = ""  # local, compose, or empty for nodes that somebody else starts
    nodes: tuple[Node, ...] = ()
    raft: Raft = field(default_factory=Raft)
    seal: Seal = field(default_factory=lambda: Seal("shamir"))
    migrate_from: Seal | None = None  # the seal that is being left
    plugins: Mapping[str, Plugin] = field(default_factory=dict)  # by seal
    listener: Listener = field(default_factory=Listener)
    audit: tuple[AuditDevice, ...] = ()
    telemetry: Mapping[str, Json] = field(default_factory=dict)
    snapshots: Snapshots | None = None
    init: Beginning = field(default_factory=Beginning)
    control: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # verb: the command that does it on a node
    settings: Mapping[str, Json] = field(default_factory=dict)  # of the server itself: ui, disable_standby_reads, mlock
    warnings: tuple[Problem, ...] = ()  # what may be asked for, but should not

    @property
    def scheme(self) -> str:
        return "https" if self.listener.tls else "http"

    def url(self, node: Node) -> str:
        """Where clients find this node."""
        return f"{self.scheme}://{node.host_port}"

    def node(self, name: str) -> Node | None:
        return next((one for one in self.nodes if one.name == name), None)


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
