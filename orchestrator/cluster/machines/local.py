"""Nodes that are processes of this machine; everything they have is in `.strongroom/clusters/<name>`."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from orchestrator.cluster.machines import authority
from orchestrator.cluster.machines.helpers import HELPERS
from orchestrator.cluster.render.server import server_hcl
from orchestrator.declared import Cluster, Raft, Tls
from orchestrator.errors import Refused, StrongroomError
from orchestrator.local import files, process, servers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from orchestrator.cluster.machines.helpers import Helper
    from orchestrator.declared import AuditDevice, Node, Seal
    from orchestrator.documents import Json
    from orchestrator.local.servers import Server

HOST = "127.0.0.1"
_TLS = Tls("tls/node.crt", "tls/node.key", "tls/ca.crt")
_LOG_LINES = 12
_STORED = "data/raft/raft.db"
_STARTED = "started.hcl"  # what it read when it started: `server.hcl` may have been written anew since
_INSTALLED_AS, _STARTED_AS = "version", "started.version"


def folder(root: Path, cluster: str) -> Path:
    return root.absolute() / ".strongroom" / "clusters" / cluster


def placed(root: Path, declared: Cluster, *, helped: bool = True) -> Cluster | None:
    """The cluster with the ports and paths that it got, and what helps its seal; None before its first `up`."""
    home = folder(root, declared.name)
    saved = files.read(home / "state.json")
    if saved is None:
        return None
    ports = json.loads(saved)["ports"]
    if missing := [one.name for one in declared.nodes if one.name not in ports]:
        raise StrongroomError(
            f"cluster {declared.name}: {', '.join(missing)} has no place on this machine yet; "
            f"run invoke cluster.up -c {declared.name}"
        )
    nodes = tuple(
        replace(one, host=HOST, port=ports[one.name][0], cluster_port=ports[one.name][1]) for one in declared.nodes
    )
    tls = replace(_TLS, min_version=declared.listener.tls.min_version) if declared.listener.tls else _TLS
    return replace(
        declared,
        nodes=nodes,
        ca_cert=str(home / "ca" / "ca.crt"),
        raft=Raft("data", declared.raft.performance_multiplier),
        listener=replace(declared.listener, tls=tls, bind=""),
        audit=tuple(map(_audit, declared.audit)),
        seal=_seal(home, declared.seal) if helped else declared.seal,
        migrate_from=_seal(home, declared.migrate_from) if declared.migrate_from else None,
        settings={"plugin_directory": "plugins", **declared.settings},
    )


def _audit(device: AuditDevice) -> AuditDevice:
    """A file of a local node lies in its folder: OpenBao knows a device by the path that it was made with."""
    if device.type != "file":
        return device
    return replace(device, options={"mode": "0600", **device.options, "file_path": f"{device.name}.log"})


def _seal(home: Path, seal: Seal) -> Seal:
    helper = HELPERS.get(seal.kind)
    return replace(seal, settings=helper.settings(home, seal)) if helper else seal


def left(root: Path, name: str) -> Cluster | None:
    """As much as has to be known of a cluster that ran here to take it down, when its file is gone."""
    names = {path.parent.name for path in folder(root, "").glob("*/state.json")}
    if (
        name not in names
        or not (folder(root, name) / "nodes").is_dir()
        or (folder(root, name) / "compose.env").exists()
    ):
        return None
    return Cluster(name, "", "", run="local")


@dataclass(frozen=True)
class Local:
    """`Control` over processes; whoever has it holds the cluster's lock."""

    root: Path
    declared: Cluster
    lock: int
    environ: Mapping[str, str] = field(repr=False)
    brought: Mapping[str, str] | None = field(
        default=None, repr=False
    )  # variables of a seal that needs no help of ours

    @property
    def home(self) -> Path:
        return folder(self.root, self.declared.name)

    @property
    def cluster(self) -> Cluster:
        found = placed(self.root, self.declared, helped=self.brought is None)
        if found is None:
            raise StrongroomError(
                f"cluster {self.declared.name} was never started here; run invoke cluster.up -c {self.declared.name}"
            )
        return found

    def place(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """Give each node its ports and its certificate, and start what its seal needs beside it."""
        self._refuse_older()
        self._refuse_strangers(tell)
        self._place()

    def _refuse_older(self) -> None:
        """A server that is older than the last one cannot be trusted with what that one stored."""
        program = self._program()
        for node in self.declared.nodes:
            product, _, ran = (files.read(self._folder(node.name) / _STARTED_AS) or "").partition(" ")
            if product == program.product and self._is_member(node.name) and not servers.upgrades(ran, program.version):
                raise Refused(
                    f"{node.name} ran {product} {ran} last, and {program.version} is older: it cannot be trusted with "
                    f"what a newer one stored. Declare {ran} or newer, or restore a snapshot into a new cluster"
                )

    def _refuse_strangers(self, tell: Callable[[str], None]) -> None:
        """Nodes that hold data and that nobody declares any more: alone they are the whole cluster."""
        name, declared = self.declared.name, {one.name for one in self.declared.nodes}
        members = [path.name for path in sorted((self.home / "nodes").glob("*")) if self._is_member(path.name)]
        strangers = [one for one in members if one not in declared]
        if not strangers:
            return
        told = f"{', '.join(strangers)}: holds data of cluster {name}, and its file does not name it any more"
        if declared.isdisjoint(members):
            raise Refused(
                f"{told}, while {', '.join(sorted(declared))} is new and empty; write it back, or delete "
                f"the data: invoke cluster.down -c {name} --wipe"
            )
        tell(f"{told}: take it out by invoke cluster.leave -c {name} --node {strangers[0]}, or write it back")

    def _place(self) -> None:
        files.private_folder(self.home)
        for seal in self._seals():
            if helper := HELPERS.get(seal.kind):
                helper.start(self, seal)
            elif seal.settings:
                raise StrongroomError(
                    f"cluster {self.declared.name}: a seal {seal.kind} cannot be brought on this machine; "
                    f"write one of {', '.join(sorted(HELPERS))} or shamir, or leave `run: local` out"
                )
        self._save_ports()
        authority.ensure(files.private_folder(self.home / "ca"), self.declared.name)
        for node in self.cluster.nodes:
            hosts = [HOST, "localhost", node.name, self.declared.name]
            authority.issue(self.home / "ca", self.at(node) / "tls", node.name, hosts)

    def require(self, *verbs: str) -> None:
        """All of it can be done to processes of ours."""

    def prepare(self) -> None:
        self.fetch()
        if taken := [one.name for one in self.declared.nodes if self._is_taken(one, self._saved())]:
            raise StrongroomError(
                f"{', '.join(taken)} does not run, and another program has taken its ports: "
                f"run invoke cluster.up -c {self.declared.name}, which moves it"
            )
        self._place()

    def fetch(self) -> None:
        """Have the declared server's program on this machine."""
        servers.fetch(self._program(), self.lock)

    def _seals(self) -> list[Seal]:
        """The seals that we have to help.

        The one that is left comes first: where both take one variable, the new one's token may use both keys.
        """
        if self.brought is not None:
            return []
        return [one for one in (self.declared.migrate_from, self.declared.seal) if one]

    def _save_ports(self) -> None:
        """Ports of last time, but anew from the kernel for a node that does not run and whose port is taken."""
        saved = self._saved()
        ports, moved = saved["ports"], saved.get("moved", False)
        for node in self.declared.nodes:
            taken = self._is_taken(node, saved)
            if taken or node.name not in ports:
                ports[node.name] = process.free_ports(2)
            moved = moved or taken
        files.write(self.home / "state.json", json.dumps({"ports": ports, "moved": moved}, indent=2))
        if moved:  # noted before, as who is killed here has to do it again
            self._tell_peers()
            files.write(self.home / "state.json", json.dumps({"ports": ports}, indent=2))

    def _saved(self) -> dict[str, Json]:
        return dict(json.loads(files.read(self.home / "state.json") or '{"ports": {}}'))

    def _is_taken(self, node: Node, saved: Mapping[str, Json]) -> bool:
        """Whether somebody else has the ports that a node had when it ran."""
        known = saved["ports"].get(node.name)
        return bool(known) and process.alive(self.at(node)) is None and not all(map(process.is_free, known))

    def _tell_peers(self) -> None:
        """Where each node is now: they know each other by address, and would look in vain where they were before.

        The servers take it from a file when they start, so none may go on with what it knew.
        """
        members = [one for one in self.cluster.nodes if self._is_member(one.name)]
        peers = [{"id": one.name, "address": one.cluster_host_port, "non_voter": False} for one in members]
        for node in self.cluster.nodes:
            self.stop(node)
        for node in members:
            files.write((self.at(node) / _STORED).with_name("peers.json"), json.dumps(peers))

    def at(self, node: Node) -> Path:
        """The folder in which a node runs."""
        files.private_folder(self.home / "nodes")
        return files.private_folder(self._folder(node.name))

    def _folder(self, node: str) -> Path:
        return self.home / "nodes" / node

    def _is_member(self, node: str) -> bool:
        return _is_member(self._folder(node) / _STORED)

    def install(self, node: Node) -> None:
        self.fetch()
        here = self.at(node)
        files.private_folder(here / "plugins")
        files.write(here / "server.hcl", server_hcl(self.cluster, node))
        files.write(here / _INSTALLED_AS, str(self._program()))
        link = here / ".bao"
        link.unlink(missing_ok=True)
        link.symlink_to(self._program().program)
        link.replace(here / "bao")

    def _program(self) -> Server:
        return servers.find(self.root.absolute() / ".strongroom", self._choice())

    def _choice(self) -> str:
        chosen = self.environ.get("STRONGROOM_SERVER", "")
        return chosen if os.sep in chosen else f"{self.declared.server}-{self.declared.version}"

    def start(self, node: Node) -> None:
        here = self.at(node)
        if process.alive(here) is not None:
            return
        if not (here / "bao").exists():
            self.install(node)
        files.private_folder(here / "data")
        program = str((here / "bao").resolve())
        files.write(here / _STARTED, (here / "server.hcl").read_text())
        files.write(here / _STARTED_AS, files.read(here / _INSTALLED_AS) or "")
        process.start(here, [program, "server", "-config=server.hcl"], self.lock, self._secrets())

    def _secrets(self) -> dict[str, str]:
        found = dict(self.brought or {})
        for seal in self._seals():
            if helper := HELPERS.get(seal.kind):
                found |= helper.environ(self.home, seal)
        return found

    def stop(self, node: Node) -> None:
        here = self.at(node)
        process.stop(here, signal.SIGTERM)
        reap(here)

    def runs(self, node: Node) -> bool | None:
        return process.alive(self.at(node)) is not None

    def is_current(self, node: Node) -> bool | None:
        started = files.read(self.at(node) / _STARTED)
        return None if started is None else started == server_hcl(self.cluster, node)

    def wipe(self, node: Node) -> None:
        if process.alive(self.at(node)) is not None:
            raise StrongroomError(f"{node.name} still runs; nothing is wiped")
        files.remove(self.at(node) / "data")

    def why(self, node: Node) -> str:
        log = files.read(self.at(node) / "log") or ""
        return "\n".join(log.splitlines()[-_LOG_LINES:])

    def helpers(self) -> list[Helper]:
        return list(HELPERS.values())

    def down(self) -> tuple[str, ...]:
        """Stop every node and then what stood beside them; the names of what ran."""
        stopped = []
        for here in sorted((self.home / "nodes").glob("*")):
            if process.stop(here, signal.SIGTERM):
                stopped.append(here.name)
            reap(here)
        stopped += [name for name in sorted({helper.folder for helper in self.helpers()}) if self._stop_helper(name)]
        return tuple(stopped)

    def forget(self) -> None:
        files.remove(self.home)

    def _stop_helper(self, name: str) -> bool:
        here = self.home / name
        ran = process.stop(here, signal.SIGTERM)
        reap(here)
        return ran


def _is_member(stored: Path) -> bool:
    """Whether a node has ever been in a cluster: only then has its store a term, and only then may it be told peers."""
    if not stored.exists():
        return False
    with stored.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b"CurrentTerm") >= 0


def reap(here: Path) -> None:
    """End what a killed server leaves: its plugins go on without it. People who look around there have a terminal."""
    for pid in process.inhabitants(here):
        if pid != os.getpid() and not process.has_terminal(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
