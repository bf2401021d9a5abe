"""The cluster in containers: brought up, looked into from inside and outside, and taken away without a trace."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import testinfra

from orchestrator.cluster import nodes
from orchestrator.cluster.machines.compose.control import inside
from orchestrator.cluster.render.server import server_hcl
from orchestrator.commands import cluster as commands
from orchestrator.errors import StrongroomError
from orchestrator.live import probe
from orchestrator.local import process
from tests.cluster.house import KMS, NAME
from tests.infra import containers
from tests.infra.checks import AUDIT, CHECKS, Node
from tests.infra.conftest import program
from tests.infra.containers import NODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.declared import Cluster
    from tests.infra.containers import Contained

pytestmark = pytest.mark.server

LAX_COMPLAINTS = {
    "runs_as_nobody": ["Uid is 0", "Gid is 0"],
    "has_no_capability": None,
    "gains_no_privilege": ["NoNewPrivs is 0"],
    "cannot_write_to_its_system": ["/ is writable", "/bao/config is writable"],
    "keeps_its_files_to_itself": [
        "/bao/config/node.key has mode 644 of 0",
        "/bao/config/server.hcl has mode 644 of 0",
        "/bao/audit/file.log has mode 644 of 0",
        "/bao/audit/second.log is not there",
    ],
    "writes_every_request_down": [f"{path} does not grow" for path in AUDIT],
    "listens_on_its_own_address_alone": None,
    "is_published_to_this_machine_alone": ["8200/tcp is published on 0.0.0.0"],
    "never_swaps_nor_dumps": None,
    "speaks_tls_from_1_2_on": ["speaks TLSv1.1"],
    "is_healthy": None,
}


@pytest.fixture(scope="module")
def house(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contained]:
    """Three nodes that a KMS unseals, brought up by the engine's API alone."""
    found = containers.written(tmp_path_factory.mktemp("compose"), engine, "2.6.2", KMS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine)  # for testinfra, which runs `docker exec`
        try:
            found.up()
            yield found
        finally:
            found.down()


@pytest.fixture(scope="module")
def seen(house: Contained) -> dict[str, Node]:
    """Each node, once the engine calls it healthy."""
    return {name: _node(house, name) for name in NODES}


def _node(house: Contained, service: str) -> Node:
    name = house.name(service)

    def healthy() -> bool | None:
        return house.inspect(name)["State"]["Health"]["Status"] == "healthy" or None

    assert process.until(healthy, 60.0), house.docker("logs", name)
    node = house.cluster.node(service)
    assert node is not None
    leader = house.name(nodes.wait_for_leader(house.cluster).node.name)
    host, leads = (testinfra.get_host(f"docker://{one}") for one in (name, leader))
    return Node(host, leads, house.inspect(name), node.port, house.cluster.ca_cert, lambda: _asked(house, service))


def _asked(house: Contained, service: str) -> None:
    """A request that this node must write down."""
    cluster = house.cluster
    node = cluster.node(service)
    assert node is not None
    said = probe.ask(cluster.url(node), "auth/token/lookup-self", ca=cluster.ca_cert, token="canary-unknown")
    assert said.status == 403


@pytest.mark.parametrize("check", CHECKS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("name", NODES)
def test_a_node(seen: dict[str, Node], name: str, check: Callable[[Node], Iterator[str]]) -> None:
    assert list(check(seen[name])) == []


def test_no_check_is_content_with_a_lax_container(house: Contained) -> None:
    with _lax(house) as node:
        found = {check.__name__: list(check(node)) for check in CHECKS}

    assert found.keys() == LAX_COMPLAINTS.keys()
    for name, wanted in LAX_COMPLAINTS.items():
        assert found[name] if wanted is None else found[name] == wanted, (name, found[name])


_AWS = ("--env", "AWS_ACCESS_KEY_ID=local", "--env", "AWS_SECRET_ACCESS_KEY=local")


@contextmanager
def _lax(house: Contained) -> Iterator[Node]:
    """The same image as somebody would run it who knows no better."""
    image = house.inspect(house.name("bao-1"))["Config"]["Image"]
    (network,) = house.left("network")
    name = f"{network}-lax"
    house.docker("create", "--name", name, "--user", "0", "--network", network, "--publish", "8200", *_AWS, image)
    try:
        _furnish(house, name)
        house.docker("start", name)
        published = house.inspect(name)["NetworkSettings"]["Ports"]["8200/tcp"]
        port = next(int(one["HostPort"]) for one in published if ":" not in one["HostIp"])
        host = testinfra.get_host(f"docker://{name}")
        node = Node(host, host, house.inspect(name), port, house.cluster.ca_cert, lambda: None)
        assert process.until(
            lambda: probe.ask(f"https://127.0.0.1:{port}", "sys/health", ca=node.ca).status or None, 30
        )
        yield replace(node, inspected=_without_ipv6(house.inspect(name)))
    finally:
        house.docker("rm", "--force", "--volumes", name)


def _without_ipv6(inspected: dict[str, object]) -> dict[str, object]:
    settings = inspected["NetworkSettings"]
    assert isinstance(settings, dict)
    places = [one for one in settings["Ports"]["8200/tcp"] if one["HostIp"] == "0.0.0.0"]  # noqa: S104 - what is lax
    return {**inspected, "NetworkSettings": {**settings, "Ports": {"8200/tcp": places}}}


def _furnish(house: Contained, container: str) -> None:
    """Give it a configuration that lets old TLS in and listens everywhere, and files that everybody may read."""
    here = house.root / "lax"
    (here / "config").mkdir(parents=True)
    (here / "audit").mkdir()
    (here / "audit/file.log").write_text("{}\n")
    (here / "config/server.hcl").write_text(_lax_configuration(house.cluster))
    for name in ("ca.crt", "node.crt", "node.key"):
        (here / "config" / name).write_bytes(
            (house.root / f".strongroom/clusters/house/nodes/bao-1/tls/{name}").read_bytes()
        )
    for path in here.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for part in ("config", "audit"):
        house.docker("cp", f"{here}/{part}/.", f"{container}:/bao/{part}")


def _lax_configuration(cluster: Cluster) -> str:
    alone = inside(replace(cluster, nodes=cluster.nodes[:1], audit=()), cluster.nodes[0])
    assert alone.listener.tls is not None
    listener = replace(alone.listener, bind="0.0.0.0", tls=replace(alone.listener.tls, min_version="tls10"))  # noqa: S104
    seen = replace(alone, listener=listener, nodes=(replace(alone.nodes[0], host="127.0.0.1"),))
    return server_hcl(seen, seen.nodes[0])


def test_a_write_through_a_standby_is_read_from_the_leader(house: Contained) -> None:
    cluster = house.cluster
    leader = nodes.wait_for_leader(cluster)
    other = next(one for one in nodes.look(cluster) if not one.active)
    with house.session() as session:
        token = session.token
        body = {"policy": 'path "a" { capabilities = ["read"] }'}
        put = probe.ask(other.url, "sys/policies/acl/beside", ca=cluster.ca_cert, token=token, method="PUT", body=body)
        got = probe.ask(leader.url, "sys/policies/acl/beside", ca=cluster.ca_cert, token=token)
        told = probe.ask(other.url, "sys/leader", ca=cluster.ca_cert)

    assert put.status == 204
    assert got.data["policy"] == body["policy"]
    assert told.document["leader_address"] == leader.url  # one that this machine reaches


def test_a_wiped_node_joins_again(house: Contained) -> None:
    other = next(one.node for one in nodes.look(house.cluster) if not one.active)
    with house.containers() as control:
        control.stop(other)
        stopped = (control.runs(other), control.why(other).splitlines()[0])
        control.wipe(other)
        control.install(other)
        control.start(other)
        started = (control.runs(other), control.is_current(other))
        nodes.wait(control.cluster, "it is back", lambda all_: all(one.answers and not one.sealed for one in all_), 60)

    assert stopped == (False, "it ended with 0, 0 times restarted")
    assert started == (True, True)


def test_nothing_is_wiped_under_a_node_that_runs(house: Contained) -> None:
    node = house.cluster.nodes[0]
    with (
        house.containers() as control,
        pytest.raises(StrongroomError, match=r"^bao-1 still runs; nothing is wiped$"),
    ):
        control.wipe(node)


def test_down_leaves_nothing(engine: str, tmp_path: Path) -> None:
    house = containers.written(
        tmp_path, engine, "2.6.2", {"static": {"current_key_id": "k1", "current_key": "file:///k"}}, ("bao-1",)
    )
    try:
        raised = house.up()
        ran = house.left("container")
        kept = house.left("volume")
    finally:
        house.down()
    left = [path.name for path in (tmp_path / ".strongroom/clusters").iterdir()]

    assert left == []
    assert [one.seal_type for one in raised.seen] == ["static"]
    assert len(ran) == 3
    assert "bao-1-data" in " ".join(kept)
    assert [house.left(what) for what in ("container", "network", "volume")] == [[], [], []]
    assert house.docker("images", "--filter", "dangling=true", "--filter", "label=strongroom.recipe", "--quiet") == ""


def test_compose_itself_makes_the_same_containers(house: Contained) -> None:
    program("docker-compose")
    by_us = {name: _contained(house, name) for name in (*NODES, "kms", "postgresql")}
    house.gone(wipe=False)
    gone = (house.left("container"), house.left("network"))
    other = replace(house, way="docker-compose")
    again = other.up()
    by_compose = {name: _contained(house, name) for name in by_us}
    stopped = other.gone(wipe=False)

    assert gone == ([], [])
    assert again.begun is None
    assert by_compose == by_us
    assert sorted(stopped) == sorted(by_us)


def test_compose_itself_makes_the_images_of_a_new_clone(engine: str, tmp_path: Path) -> None:
    program("docker-compose")
    house = replace(containers.written(tmp_path, engine, "2.6.2", KMS), way="docker-compose")
    (tmp_path / ".strongroom/images").unlink()
    (tmp_path / ".env").write_text(f"STRONGROOM_BASE={containers.BASE}\nSTRONGROOM_IMAGES=strongroom-new\n")
    wanted = [f"strongroom-new/{one}" for one in ("openbao:2.6.2", "kms:latest", "postgresql:latest")]
    try:
        made = commands.build(house.root, NAME, house.environ, lambda _: None)
        there = house.docker("images", "--filter", "reference=strongroom-new/*", "--format", "{{.Repository}}:{{.Tag}}")
    finally:
        house.docker("image", "rm", "--force", *wanted)

    assert sorted(one if ":" in one else f"{one}:latest" for one in made) == sorted(wanted)
    assert sorted(there.split()) == sorted(wanted)


def _contained(house: Contained, service: str) -> dict[str, object]:
    """What holds a container in."""
    found = house.inspect(house.name(service))
    host = found["HostConfig"]
    words: tuple[str, ...] = (
        "CapDrop",
        "Memory",
        "MemorySwap",
        "PidsLimit",
        "ReadonlyRootfs",
        "SecurityOpt",
        "Tmpfs",
        "Ulimits",
    )
    words += ("PortBindings", "Privileged", "RestartPolicy")
    mounts = sorted((one["Name"], one["Destination"], one["RW"]) for one in found["Mounts"])
    (network,) = found["NetworkSettings"]["Networks"].values()
    config = found["Config"]
    return {
        **{word: host[word] for word in words},
        "image": found["Image"],
        "user": config["User"],
        "hostname": config["Hostname"],
        "environment": sorted(config["Env"]),
        "health": config["Healthcheck"],
        "mounts": mounts,
        "found by": service in network["Aliases"],
    }
