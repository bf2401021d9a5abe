"""`Control` over the containers of docker-compose.yml; what is kept here of them is their cluster's folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

from orchestrator.cluster.machines import authority
from orchestrator.cluster.machines.compose import description, images, ways
from orchestrator.cluster.machines.compose.beside import BESIDE, CONFIG, OTHERS
from orchestrator.cluster.machines.compose.description import FILE
from orchestrator.cluster.machines.local import HOST, folder
from orchestrator.cluster.render.server import server_hcl
from orchestrator.declared import Raft, Tls
from orchestrator.errors import StrongroomError
from orchestrator.local import files, process

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from orchestrator.cluster.machines.compose.description import Description, Service
    from orchestrator.cluster.machines.compose.engine import Engine
    from orchestrator.cluster.machines.compose.ways import Way
    from orchestrator.declared import AuditDevice, Cluster, Node, Seal
    from orchestrator.documents import Json

PORT = 8200
_DATA, _AUDIT = "/bao/data", "/bao/audit"
_TLS = Tls(f"{CONFIG}/node.crt", f"{CONFIG}/node.key", f"{CONFIG}/ca.crt")
_HEALTHY = 120.0
_INSTALLED, _STARTED = "installed.hcl", "started.hcl"  # what it will start with, and what it did


def placed(root: Path, declared: Cluster) -> Cluster | None:
    """The cluster as this machine reaches it, with the paths that it has inside; None before its first `up`."""
    home = folder(root, declared.name)
    ports = _state(home)["ports"]
    if not ports:
        return None
    if missing := [one.name for one in declared.nodes if one.name not in ports]:
        raise StrongroomError(
            f"cluster {declared.name}: {', '.join(missing)} has no port on this machine yet; "
            f"run invoke cluster.up -c {declared.name}"
        )
    nodes = tuple(replace(one, host=HOST, port=ports[one.name], cluster_port=PORT + 1) for one in declared.nodes)
    tls = replace(_TLS, min_version=declared.listener.tls.min_version) if declared.listener.tls else _TLS
    return replace(
        declared,
        nodes=nodes,
        ca_cert=str(home / "ca" / "ca.crt"),
        raft=Raft(_DATA, declared.raft.performance_multiplier),
        listener=replace(declared.listener, tls=tls, bind=""),
        audit=tuple(map(_audit, declared.audit)),
        **_seals(declared, ports),
    )


def _state(home: Path) -> dict[str, Json]:
    return {"ports": {}, "versions": {}, "filled": {}, **json.loads(files.read(home / "state.json") or "{}")}


def _audit(device: AuditDevice) -> AuditDevice:
    if device.type != "file":
        return device
    return replace(device, options={"mode": "0600", **device.options, "file_path": f"{_AUDIT}/{device.name}.log"})


def _seals(cluster: Cluster, ports: Mapping[str, int]) -> dict[str, Json]:
    """The seals as whoever sees these ports needs them."""
    old = cluster.migrate_from
    return {"seal": _seal(cluster.seal, ports), "migrate_from": _seal(old, ports) if old else None}


def _seal(seal: Seal, ports: Mapping[str, int]) -> Seal:
    helper = BESIDE.get(seal.kind)
    return replace(seal, settings=helper.settings(seal, ports.get(helper.service, 0))) if helper else seal


def inside(cluster: Cluster, node: Node) -> Cluster:
    """The cluster as one of its nodes sees it: the others by their names, itself for clients by the published port."""
    nodes = tuple(replace(one, host=one.name, port=PORT, cluster_port=PORT + 1) for one in cluster.nodes)
    settings = {**cluster.settings, "api_addr": cluster.url(node)}
    return replace(cluster, nodes=nodes, settings=settings, **_seals(cluster, {}))


@dataclass(frozen=True)
class Compose:
    """The containers of one cluster; whoever has it holds the cluster's lock."""

    root: Path
    declared: Cluster
    lock: int
    environ: Mapping[str, str] = field(repr=False)

    @property
    def home(self) -> Path:
        return folder(self.root, self.declared.name)

    @property
    def cluster(self) -> Cluster:
        found = placed(self.root, self.declared)
        if found is None:
            raise StrongroomError(
                f"cluster {self.declared.name} was never started here; run invoke cluster.up -c {self.declared.name}"
            )
        return found

    @property
    def project(self) -> str:
        """One for each clone, so that several run beside each other."""
        chosen = self._said.get("COMPOSE_PROJECT_NAME") or _state(self.home).get("project")
        return str(chosen or f"strongroom-{sha256(str(self.home).encode()).hexdigest()[:8]}")

    @cached_property
    def engine(self) -> Engine:
        from orchestrator.cluster.machines.compose import engine  # noqa: PLC0415 - its client is slow to import

        return engine.connect(self.environ, self.project)

    @property
    def _said(self) -> dict[str, str]:
        """What the user fixes: the environment before `.env`."""
        return {**description.dotenv(self.root), **self.environ}

    @property
    def chosen(self) -> dict[str, str]:
        """What docker-compose.yml leaves open, and was chosen here."""
        state = _state(self.home)
        ports = {_variable(name, "PORT"): str(port) for name, port in state["ports"].items()}
        versions = {one.name: state["versions"].get(one.name, self.declared.version) for one in self.declared.nodes}
        return {**ports, **{_variable(name, "VERSION"): version for name, version in versions.items()}}

    @property
    def description(self) -> Description:
        found = description.read(self.root, {**self._said, **self.chosen})
        if missing := [one.name for one in self.declared.nodes if one.name not in found.services]:
            raise StrongroomError(
                f"cluster {self.declared.name}: {FILE} has no service {', '.join(missing)}; "
                "a node of `run: compose` is the service of its name"
            )
        return found

    @cached_property
    def _found(self) -> str:
        return ways.found(self.environ, self.engine.host)

    @property
    def way(self) -> Way:
        """Who carries the description out."""
        if self._found in ways.PROGRAMS:
            return ways.Program(self._found, self.root, self.engine.host, self.project, {**self.environ, **self.chosen})
        return ways.Sdk(self.engine, self.description, self.root)

    def place(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """Choose ports, make certificates and images, and start what stands beside the nodes."""
        self._check()
        files.private_folder(self.home)
        tell(f"containers by {self.way.name}, project {self.project}")
        self._save(project=self.project)
        self._save_ports()
        authority.ensure(files.private_folder(self.home / "ca"), self.declared.name)
        self.build(tell)
        there = self.description.services
        for name in (others := self._others()):
            self._bring(there[name])
        self.way.up(*others)
        for name in others:
            self.engine.wait_healthy(name, _HEALTHY)

    def build(self, tell: Callable[[str], None]) -> tuple[str, ...]:
        """Have every image there, of today's recipe; their names."""
        self._check()
        there = self.description.services
        kinds = {
            **{one.name: self.declared.server for one in self.declared.nodes},
            **{name: name for name in self._others()},
        }
        for kind in kinds.values():  # docker-compose wants every context to be there, whatever it builds
            self._laid(kind)
        for service, kind in kinds.items():
            self._image(there[service], kind, tell)
        return tuple(dict.fromkeys(there[service].image for service in kinds))

    def _others(self) -> list[str]:
        """The services beside the nodes."""
        return [name for name in OTHERS if name in self.description.services]

    def _bring(self, service: Service) -> None:
        """Give a service beside the nodes its files; it reads them when it starts."""
        content = self._files_beside(service.name)
        self._fill(service, content)
        digest = sha256(repr(sorted(content.items())).encode()).hexdigest()
        filled = _state(self.home)["filled"]
        if filled.get(service.name) not in {None, digest}:
            self.engine.stop(service.name, service.grace)
        self._save(filled={**filled, service.name: digest})

    def _check(self) -> None:
        if self.declared.server not in images.LAID:
            raise StrongroomError(
                f"cluster {self.declared.name}: there is no image of {self.declared.server} here; "
                "write server: {product: openbao, ...}, or leave `run: compose` out"
            )
        for seal in self._seals():
            if seal.kind not in BESIDE and seal.settings:
                raise StrongroomError(
                    f"cluster {self.declared.name}: a seal {seal.kind} cannot be brought in containers; "
                    f"write one of {', '.join(sorted(BESIDE))} or shamir"
                )

    def _seals(self) -> list[Seal]:
        return [one for one in (self.declared.seal, self.declared.migrate_from) if one]

    def _files_beside(self, service: str) -> dict[str, bytes]:
        """What a service beside the nodes finds in its volume."""
        found = dict(OTHERS[service](self.home))
        for seal in self._seals():
            if (helper := BESIDE.get(seal.kind)) and helper.service == service:
                found |= helper.files(self.home, seal)
        return found

    def _at(self, service: str) -> Path:
        return files.private_folder(files.private_folder(self.home / "nodes") / service)

    def _certificate(self, service: str) -> dict[str, bytes]:
        here = self._at(service) / "tls"
        authority.issue(self.home / "ca", here, service, [service, HOST, "localhost", self.declared.name])
        return {name: (here / name).read_bytes() for name in ("ca.crt", "node.crt", "node.key")}

    def _save(self, **more: Json) -> None:
        files.write(self.home / "state.json", json.dumps({**_state(self.home), **more}, indent=2))
        lines = (f"{name}={value}\n" for name, value in sorted(self.chosen.items()))
        files.write(self.home / "compose.env", "".join(lines))

    def _save_ports(self) -> None:
        """Ports of last time, but anew from the kernel where the service does not run and its port is taken."""
        ports, said = dict(_state(self.home)["ports"]), self._said
        for service in (*(one.name for one in self.declared.nodes), *OTHERS):
            if fixed := said.get(_variable(service, "PORT")):
                ports[service] = int(fixed)
            elif service not in ports or not (self.engine.running(service) or process.is_free(ports[service])):
                (ports[service],) = process.free_ports(1)
        self._save(ports=ports)

    def _image(self, service: Service, name: str, tell: Callable[[str], None] = lambda _: None) -> None:
        """Have the image there, made of what is here today."""
        base = service.build.args.get("BASE", "scratch") if service.build else ""
        wanted = f"{self._laid(name)} on {base}"
        if self.engine.recipe(service.image) == wanted:
            return
        tell(f"building {service.image}")
        try:
            self.way.build(service.name)
        finally:
            self.engine.prune()

    def _laid(self, name: str) -> str:
        return images.laid(self.root, name, self.declared.version, self.lock)

    def _fill(self, service: Service, content: Mapping[str, bytes]) -> None:
        mount = next(one for one in service.mounts if one.volume.endswith("-config"))
        if content:
            self.engine.fill(mount, service.image, content)

    def require(self, *verbs: str) -> None:
        """All of it can be done to containers of ours."""

    def prepare(self) -> None:
        self.place()

    def install(self, node: Node) -> None:
        self._save(versions={**_state(self.home)["versions"], node.name: self.declared.version})
        service = self.description.services[node.name]
        self._image(service, self.declared.server)
        text = self._configuration(node)
        content = {"server.hcl": text.encode(), **self._certificate(node.name)}
        for seal in self._seals():
            if (helper := BESIDE.get(seal.kind)) and not helper.service:
                content |= helper.files(self.home, seal)
        self._fill(service, content)
        files.write(self._at(node.name) / _INSTALLED, text)

    def _configuration(self, node: Node) -> str:
        seen = inside(self.cluster, node)
        return server_hcl(seen, next(one for one in seen.nodes if one.name == node.name))

    def start(self, node: Node) -> None:
        if self.engine.running(node.name):
            return
        if node.name not in _state(self.home)["versions"]:
            self.install(node)
        self.way.up(node.name)
        files.write(self._at(node.name) / _STARTED, files.read(self._at(node.name) / _INSTALLED) or "")

    def stop(self, node: Node) -> None:
        self.engine.stop(node.name, self.description.services[node.name].grace)

    def runs(self, node: Node) -> bool | None:
        return self.engine.running(node.name)

    def is_current(self, node: Node) -> bool | None:
        started = files.read(self._at(node.name) / _STARTED)
        return None if started is None else started == self._configuration(node)

    def wipe(self, node: Node) -> None:
        if self.engine.running(node.name):
            raise StrongroomError(f"{node.name} still runs; nothing is wiped")
        mount = next(one for one in self.description.services[node.name].mounts if one.path == _DATA)
        self.engine.remove_volume(node.name, mount.volume)

    def why(self, node: Node) -> str:
        return "\n".join(filter(None, (self.engine.ended(node.name), self.engine.log(node.name))))

    def down(self) -> tuple[str, ...]:
        """Remove every container and the network; the names of what there was."""
        names = self.engine.names()
        if names:
            self.way.down()
        self.engine.remove_all(volumes=False)
        self.engine.prune()
        return tuple(names)

    def forget(self) -> None:
        """Delete what it kept: volumes, keys, certificates."""
        self.engine.remove_all(volumes=True)
        files.remove(self.home)


def _variable(service: str, what: str) -> str:
    """The name by which docker-compose.yml asks for it.

    >>> _variable("bao-1", "PORT")
    'BAO_1_PORT'
    """
    return f"{service.upper().replace('-', '_')}_{what}"
