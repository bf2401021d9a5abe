"""What must be true of a node in its container: each check names what is wrong."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import struct
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testinfra.host import Host

    from orchestrator.documents import Json

USER = 10001
AUDIT = ("/bao/audit/file.log", "/bao/audit/second.log")
PRIVATE = ("/bao/config/node.key", "/bao/config/server.hcl")
NAMES_OF_DOCKER = "127.0.0.11"  # its own name server, in the namespace of every container
_LISTENS = "0A"


@dataclass(frozen=True)
class Node:
    """A node as its container, the engine and its clients see it."""

    host: Host
    leader: Host  # who carries requests out, and so writes them down
    inspected: Json
    port: int
    ca: str
    request: Callable[[], None]  # something that is audited

    @property
    def status(self) -> dict[str, str]:
        lines = self.host.file("/proc/1/status").content_string.splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def address(self) -> str:
        (network,) = self.inspected["NetworkSettings"]["Networks"].values()
        return str(network["IPAddress"])


def runs_as_nobody(node: Node) -> Iterator[str]:
    for word in ("Uid", "Gid"):
        if (found := set(node.status[word].split())) != {str(USER)}:
            yield f"{word} is {' '.join(sorted(found))}"


def has_no_capability(node: Node) -> Iterator[str]:
    for word in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        if int(node.status[word], 16):
            yield f"{word} is {node.status[word]}"


def gains_no_privilege(node: Node) -> Iterator[str]:
    if node.status["NoNewPrivs"] != "1":
        yield f"NoNewPrivs is {node.status['NoNewPrivs']}"


def cannot_write_to_its_system(node: Node) -> Iterator[str]:
    rows = [line.split() for line in node.host.file("/proc/1/mountinfo").content_string.splitlines()]
    options = {row[4]: row[5].split(",") for row in rows}
    for path in ("/", "/bao/config"):
        if "ro" not in options.get(path, ()):
            yield f"{path} is writable"


def keeps_its_files_to_itself(node: Node) -> Iterator[str]:
    files = [*map(node.host.file, PRIVATE), *map(node.leader.file, AUDIT)]
    for file in files:
        path = file.path
        if not file.exists:
            yield f"{path} is not there"
        elif (file.mode, file.uid) != (0o600, USER):
            yield f"{path} has mode {file.mode:o} of {file.uid}"


def writes_every_request_down(node: Node) -> Iterator[str]:
    before = _sizes(node)
    node.request()
    after = _sizes(node)
    yield from (f"{path} does not grow" for path in AUDIT if after[path] <= before[path])


def _sizes(node: Node) -> dict[str, int]:
    files = {path: node.leader.file(path) for path in AUDIT}
    return {path: int(file.size) if file.exists else 0 for path, file in files.items()}


def listens_on_its_own_address_alone(node: Node) -> Iterator[str]:
    wanted = {(node.address, 8200), (node.address, 8201)}
    found = {one for one in _listeners(node) if one[0] != NAMES_OF_DOCKER}
    yield from (f"listens on {host}:{port}" for host, port in sorted(found - wanted))
    yield from (f"does not listen on {host}:{port}" for host, port in sorted(wanted - found))


def _listeners(node: Node) -> Iterator[tuple[str, int]]:
    for file in ("/proc/1/net/tcp", "/proc/1/net/tcp6"):
        for line in node.host.file(file).content_string.splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if state == _LISTENS:
                address, _, port = local.partition(":")
                words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
                packed = b"".join(struct.pack("=I", word) for word in words)
                yield str(ipaddress.ip_address(packed)), int(port, 16)


def is_published_to_this_machine_alone(node: Node) -> Iterator[str]:
    for inside, places in node.inspected["NetworkSettings"]["Ports"].items():
        for place in places or ():
            if place["HostIp"] != "127.0.0.1":
                yield f"{inside} is published on {place['HostIp']}"


def never_swaps_nor_dumps(node: Node) -> Iterator[str]:
    """OpenBao locks no memory: its container has no swap, and its process leaves no core."""
    memory, both = (node.inspected["HostConfig"][word] for word in ("Memory", "MemorySwap"))
    if not memory or memory != both:
        yield f"may swap: memory {memory}, with swap {both}"
    limits = node.host.file("/proc/1/limits").content_string.splitlines()
    core = next(line.split()[4:6] for line in limits if line.startswith("Max core file size"))
    if core != ["0", "0"]:
        yield f"may leave a core of {core[0]}"


def speaks_tls_from_1_2_on(node: Node) -> Iterator[str]:
    if (found := speaks(node.port, node.ca, ssl.TLSVersion.TLSv1_1)) != "refused":
        yield f"speaks {found}"
    if (found := speaks(node.port, node.ca, ssl.TLSVersion.TLSv1_2)) != "TLSv1.2":
        yield f"TLS 1.2 is {found}"


def speaks(port: int, ca: str, version: ssl.TLSVersion) -> str:
    """What is spoken with a client that knows this version alone; only the other side can refuse it."""
    context = ssl.create_default_context(cafile=ca)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # what is too old is what is asked for
        context.minimum_version = context.maximum_version = version
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 5) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as spoken,
        ):
            return str(spoken.version())
    except ssl.SSLError as error:
        return "refused" if "ALERT_PROTOCOL_VERSION" in str(error.reason) else str(error)


def is_healthy(node: Node) -> Iterator[str]:
    if (found := node.inspected["State"]["Health"]["Status"]) != "healthy":
        yield f"is {found}"


CHECKS = (
    runs_as_nobody,
    has_no_capability,
    gains_no_privilege,
    cannot_write_to_its_system,
    keeps_its_files_to_itself,
    writes_every_request_down,
    listens_on_its_own_address_alone,
    is_published_to_this_machine_alone,
    never_swaps_nor_dumps,
    speaks_tls_from_1_2_on,
    is_healthy,
)
