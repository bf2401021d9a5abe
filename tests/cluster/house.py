"""A project with a cluster of its own: written, brought up, and taken down whatever happened."""

from __future__ import annotations

import json
import os
import shutil
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.cluster import nodes
from orchestrator.cluster.machines import choose, local
from orchestrator.commands import cluster as commands
from orchestrator.config import clusters
from orchestrator.live.session import connect
from orchestrator.local import files, process
from tests.support import REPOSITORY, no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from orchestrator.cluster.machines.local import Local
    from orchestrator.cluster.nodes import Seen
    from orchestrator.commands.cluster import Raised
    from orchestrator.declared import Cluster, Node
    from orchestrator.documents import Json
    from orchestrator.live.session import Session

NAME = "house"
KMS: dict[str, Json] = {"awskms": {"region": "eu-central-1", "kms_key_id": "alias/unseal"}}
STATIC: dict[str, Json] = {"static": {"current_key_id": "k1", "current_key": "file:///local"}}
TRANSIT: dict[str, Json] = {"transit": {"address": "https://unseal.example.org", "key_name": "u", "mount_path": "t/"}}
SHAMIR: dict[str, Json] = {"shamir": {}}
ACCESS: dict[str, Json] = {
    "environment": "access",
    "cluster": NAME,
    "owner": "tests",
    "auth": {
        "approle": {
            "type": "approle",
            "roles": {"strongroom": {"token_policies": ["strongroom"], "secret_id_num_uses": 0, "secret_id_ttl": 0}},
        }
    },
}


def declared(version: str = "2.7.2", seal: Json = None, size: int = 3, **more: Json) -> dict[str, Json]:
    """A local cluster's file; `more` replaces or adds what it says."""
    login = f".strongroom/clusters/{NAME}/login"
    said: dict[str, Json] = {
        "cluster": NAME,
        "server": {"product": "openbao", "version": version},
        "run": "local",
        "nodes": {f"n{number + 1}": {"zone": "abcde"[number]} for number in range(size)},
        "storage": {"raft": {"performance_multiplier": 1}},
        "seal": seal or STATIC,
        "audit": {"file": {"mode": "0600"}, "second": {"type": "file"}},
        "telemetry": {"prometheus_retention": "24h"},
        "init": {"apply": "access", "role": "strongroom", "shares": 3, "threshold": 2},
        "login": {"approle": {"role_id": f"file:{login}/role-id", "secret_id": f"file:{login}/secret-id"}},
        "terraform": {"provider": "offline"},
    }
    return {**said, **more}


@dataclass(frozen=True)
class House:
    """A project in a folder, with one cluster."""

    root: Path

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"]}

    def write(self, cluster: dict[str, Json]) -> None:
        """What the cluster's file says from now on."""
        (self.root / f"vault-config/clusters/{NAME}.yaml").write_text(json.dumps(cluster))

    def up(self) -> Raised:
        return commands.up(self.root, NAME, self.environ, lambda _: None, no_progress)

    def down(self) -> None:
        commands.down(self.root, NAME, self.environ, wipe=False, agree=lambda: None)

    @property
    def declared(self) -> Cluster:
        return clusters.named(self.root, NAME, self.environ)

    @property
    def cluster(self) -> Cluster:
        """With the addresses that it got."""
        return choose.placed(self.root, self.declared)

    @contextmanager
    def control(self) -> Iterator[Local]:
        """Its processes, with the cluster's lock."""
        with choose.opened_local(self.root, self.declared, self.environ) as control:
            yield control

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A login of ours at the leader."""
        found = connect(self.declared, "", self.environ, self.root)
        try:
            yield found
        finally:
            found.close()

    def settle(self) -> None:
        """Have every node vote, without autopilot's usual ten seconds."""
        with self.session() as session:
            session.server.write("sys/storage/raft/autopilot/configuration", {"server_stabilization_time": "1s"})
        self.wait_until_voters()

    def leader(self) -> Node:
        return nodes.wait_for_leader(self.cluster).node

    def pid(self, node: Node) -> int:
        """The process that a node is."""
        found = process.alive(local.folder(self.root, NAME) / "nodes" / node.name)
        assert found is not None, f"{node.name} does not run"
        return found

    def kill(self, node: Node, how: signal.Signals = signal.SIGKILL) -> None:
        """Send its process a signal; return when it has ended, if that ends it."""
        os.kill(self.pid(node), how)
        if how in {signal.SIGKILL, signal.SIGTERM}:
            here = local.folder(self.root, NAME) / "nodes" / node.name
            assert process.until(lambda: process.alive(here) is None or None, 20.0), f"{node.name} lives on"

    def start(self, node: Node) -> None:
        """Start its process, and return when it is open and some node leads."""
        with self.control() as control:
            control.start(node)
        self.wait_until_open()

    def wait_until_open(self) -> None:
        def ready(seen: Sequence[Seen]) -> bool:
            return all(one.answers and not one.sealed for one in seen) and nodes.leader(seen) is not None

        nodes.wait(self.cluster, "every node is open", ready, 60.0)

    def wait_until_voters(self) -> None:
        """Only voters survive the loss of a leader; autopilot makes them that some seconds after they joined."""
        with self.session() as session:
            server = session.server
            server.write("sys/storage/raft/autopilot/configuration", {"server_stabilization_time": "1s"})

            def ready(_: object) -> bool:
                servers = (server.read("sys/storage/raft/configuration") or {})["config"]["servers"]
                return len(servers) == len(self.declared.nodes) and all(one["voter"] for one in servers)

            nodes.wait(self.cluster, "every node votes", ready, 60.0)


def written(root: Path, cluster: dict[str, Json]) -> House:
    """The project's files."""
    for folder in ("vault-config/clusters", "vault-config/environments", "policies/access"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    shutil.copytree(REPOSITORY / "terraform", root / "terraform", dirs_exist_ok=True)
    shutil.copy(REPOSITORY / "policies/access/strongroom.hcl", root / "policies/access")
    (root / "vault-config/environments/access.yaml").write_text(json.dumps(ACCESS))
    shared = files.private_folder(files.private_folder(REPOSITORY / ".strongroom") / "servers")
    (files.private_folder(root / ".strongroom") / "servers").symlink_to(shared)  # fetched once for all tests
    house = House(root)
    house.write(cluster)
    return house


@contextmanager
def standing(root: Path, cluster: dict[str, Json]) -> Iterator[House]:
    """A cluster that is up, and down afterwards."""
    house = written(root, cluster)
    try:
        house.up()
        yield house
    finally:
        house.down()
