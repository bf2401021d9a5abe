"""Two of three nodes are gone with their disks, and nobody leads."""

from __future__ import annotations

import secrets
import signal
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.cluster import lead, nodes, recover
from orchestrator.cluster.machines import choose
from orchestrator.declared import Cluster, Node, Raft, Seal
from orchestrator.errors import StrongroomError
from orchestrator.incident.runbooks.drills.stage import Life, Planted
from orchestrator.live import probe
from orchestrator.live.wire import open_server
from orchestrator.local import process

if TYPE_CHECKING:
    from orchestrator.incident.runbooks.drills.stage import Stage
    from orchestrator.live.server import Server

NAME = "quorum"
_WRITES = 100
_PATIENCE = 60.0


def plant(stage: Stage) -> Planted:
    """Three nodes, and entries that were acknowledged by them: all must be there when only their leader is left."""
    if stage.running.server != "openbao":
        raise StrongroomError("this drill needs a seal that unseals by itself without a cloud: run it on OpenBao")
    declared = _declared(stage)
    try:
        token = _begun(stage, declared)
        leader = nodes.wait_for_leader(choose.placed(stage.root, declared))
        entries = [_written(declared, stage, leader.url, token, number) for number in range(_WRITES)]
    except BaseException:
        _ended(stage, declared)
        raise
    survivor = leader.node.name
    command = f"invoke cluster.recover -c {NAME} --survivor {survivor}"
    return Planted(
        (),
        entries,
        {"cluster": NAME, "survivor": survivor},
        {command: partial(_recovered, stage, declared, survivor)},
        partial(_lost, stage, declared, survivor),
        ends=partial(_ended, stage, declared),
    )


def _declared(stage: Stage) -> Cluster:
    return Cluster(
        NAME,
        stage.running.server,
        stage.running.version,
        run="local",
        nodes=tuple(Node(f"{NAME}-{number + 1}") for number in range(3)),
        raft=Raft("data", 1),
        seal=Seal("static", {"current_key_id": "drill", "current_key": "file:///drill"}),
    )


def _written(declared: Cluster, stage: Stage, url: str, token: str, number: int) -> Life:
    """One entry that the cluster has acknowledged."""
    value = secrets.token_hex(8)
    server = open_server(url, "", token, verify=nodes.trusted(choose.placed(stage.root, declared)))
    server.write(f"kv/{number}", {"value": value})
    return Life("acknowledged write", lambda: (server.read(f"kv/{number}") or {}).get("value") == value)


def _lost(stage: Stage, declared: Cluster, survivor: str) -> None:
    """End the others without a word, and all that they stored."""
    with choose.opened_local(stage.root, declared, _environ(stage)) as control:
        for node in control.cluster.nodes:
            if node.name != survivor:
                process.stop(control.at(node), signal.SIGKILL)
                control.wipe(node)
        nodes.wait(control.cluster, "nobody leads", lambda seen: nodes.leader(seen) is None, _PATIENCE)


def _recovered(stage: Stage, declared: Cluster, survivor: str) -> None:
    recover.recover(stage.root, declared, _environ(stage), survivor, lambda _: None, lambda _: None)


def _ended(stage: Stage, declared: Cluster) -> None:
    with choose.opened_local(stage.root, declared, _environ(stage)) as control:
        control.down()


def _begun(stage: Stage, declared: Cluster) -> str:
    """The root token of a cluster of three voters, whose first node leads."""
    with choose.opened_local(stage.root, declared, _environ(stage)) as control:
        control.place()
        for node in control.cluster.nodes:
            control.install(node)
            control.start(node)
        cluster = control.cluster
    nodes.wait(cluster, "every node answers", lambda seen: all(one.answers for one in seen), _PATIENCE)
    first, ca = cluster.url(cluster.nodes[0]), nodes.trusted(cluster)
    shares = {"recovery_shares": 1, "recovery_threshold": 1}
    said = probe.ask(first, "sys/init", ca=ca, method="PUT", body=shares, seconds=_PATIENCE)
    if not said.ok:
        raise StrongroomError(f"the cluster of the drill cannot be initialised: {said.words}")
    token = str(said.document["root_token"])
    nodes.wait(cluster, "every node is open", lambda seen: not any(one.sealed for one in seen), _PATIENCE)
    lead.at_leader(cluster, token, _mounted)
    nodes.wait(cluster, "every node votes", lambda _: lead.at_leader(cluster, token, _all_vote), _PATIENCE)
    return token


def _environ(stage: Stage) -> dict[str, str]:
    return {**process.environment(), "STRONGROOM_SERVER": str(stage.program)}


def _mounted(server: Server) -> None:
    server.write("sys/storage/raft/autopilot/configuration", {"server_stabilization_time": "1s"})
    if "kv/" not in (server.read("sys/mounts") or {}):
        server.write("sys/mounts/kv", {"type": "kv"})


def _all_vote(server: Server) -> bool:
    found = server.read("sys/storage/raft/configuration") or {}
    return sum(bool(one["voter"]) for one in found["config"]["servers"]) == 3  # noqa: PLR2004 - there are three
