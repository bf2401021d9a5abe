"""Certificates on a server that speaks TLS: who may log in, and with which policies."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.catalog.cert import CERT
from orchestrator.incident.origin import Origin
from orchestrator.live.wire import open_server
from orchestrator.local import process, servers
from orchestrator.local.stack import Stack
from tests.real.authority import Authority
from tests.real.house import House
from tests.support import beside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.server

TOKEN = "canary-root-44d0"


@dataclass(frozen=True)
class Entrance:
    """One mount on a server with TLS, and what signs its clients."""

    house: House
    clients: Authority
    port: int
    folder: Path

    def login(self, authority: Authority, name: str) -> dict[str, Any]:
        files = (self.folder / "client.pem", self.folder / "client.key")
        for file, text in zip(files, authority.issue(name), strict=True):
            file.write_text(text)
        context = ssl.create_default_context(cafile=str(self.folder / "vault-ca.pem"))
        context.load_cert_chain(*files)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context)
        connection.request("POST", f"/v1/auth/{self.house.path}/login", "{}")
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return answer


@pytest.fixture
def entrance(tmp_path: Path) -> Iterator[Entrance]:
    clients, folder, (port, _, _) = Authority("Clients"), tmp_path / "tls", process.free_ports(3)
    folder.mkdir()
    server = servers.find(folder, "openbao")
    flags = ["-dev-tls", f"-dev-tls-cert-dir={folder}", f"-dev-root-token-id={TOKEN}", "-dev-no-store-token"]
    command = [str(server.program), "server", *flags, f"-dev-listen-address=127.0.0.1:{port}"]
    mount = {
        "type": "cert",
        "roles": {
            "web": {
                "certificate": clients.pem,
                "allowed_common_names": ["web.example.org"],
                "token_policies": ["web"],
                "token_ttl": "30m",
            }
        },
    }
    running = Stack(f"https://127.0.0.1:{port}", TOKEN, "", "", server.product, server.version, started=True)
    house = House(tmp_path, running, mount, ("web",), {"VAULT_CACERT": str(folder / "vault-ca.pem")})
    with beside(folder, command, lambda _, log: "Root Token" in log):
        yield Entrance(house, clients, port, folder)


def test_a_certificate_gets_what_its_role_says_and_another_one_nothing(entrance: Entrance) -> None:
    entrance.house.applied()
    auth = entrance.login(entrance.clients, "web.example.org")["auth"]

    assert auth["policies"] == ["default", "web"]
    assert auth["lease_duration"] == 1800
    assert auth["metadata"]["cert_name"] == "web"
    assert "errors" in entrance.login(entrance.clients, "elsewhere.example.org")
    assert "errors" in entrance.login(Authority("Clients"), "web.example.org")


def test_an_authority_of_others_replaces_ours(entrance: Entrance) -> None:
    entrance.house.applied()
    others = Authority("Others")
    entrance.house.mount["roles"]["web"]["certificate"] = others.pem
    entrance.house.applied()

    assert "errors" in entrance.login(entrance.clients, "web.example.org")
    assert entrance.login(others, "web.example.org")["auth"]["policies"] == ["default", "web"]


def test_a_role_that_is_shut_lets_nobody_in(entrance: Entrance) -> None:
    entrance.house.applied()
    folder = entrance.folder / "vault-ca.pem"
    server = open_server(entrance.house.running.address, "", TOKEN, verify=str(folder))
    origin = Origin(CERT, CERT.objects[0], entrance.house.path, "web")
    shut = origin.close("", origin.live(server))

    assert shut
    server.write(shut.path, shut.change)
    assert entrance.login(entrance.clients, "web.example.org")["errors"] == ["permission denied"]
