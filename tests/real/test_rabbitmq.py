"""RabbitMQ: users that live as long as their leases, with permissions by virtual host and topic."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.environment import Life, Service, running
from tests.support import needs
from tests.test_canaries import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.local.stack import Stack

pytestmark = pytest.mark.server

ROOT = "canary-rabbitmq-root-5be1"
UNWRAPPED = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # Debian's on the path runs as another account
SETTINGS = """\
listeners.tcp.1 = 127.0.0.1:{}
management.tcp.ip = 127.0.0.1
management.tcp.port = {}
default_user = root
default_pass = {}
"""


@dataclass(frozen=True)
class RabbitMQ:
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, user: str, password: str, path: str) -> Any:  # noqa: ANN401 - a JSON answer
        """What the management API answers this user."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
        link.request("GET", f"/api/{path}", headers={"Authorization": f"Basic {credentials}"})
        answer = json.loads(link.getresponse().read())
        link.close()
        return answer

    def lets_in(self, user: str, password: str) -> bool:
        return bool(self.ask(user, password, "whoami").get("reason") != "Login failed")

    def of_root(self, path: str) -> Any:  # noqa: ANN401 - a JSON answer
        return self.ask("root", ROOT, path)

    def users(self) -> set[str]:
        return {one["name"] for one in self.of_root("users")}


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _answers(port: int) -> bool:
    try:
        return RabbitMQ(port).lets_in("root", ROOT)
    except (OSError, ValueError, http.client.HTTPException):
        return False


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    folder, mapper = tmp_path_factory.mktemp("rabbitmq"), needs("epmd")
    wrapped = needs("rabbitmq-server")
    program = str(UNWRAPPED) if UNWRAPPED.exists() else wrapped
    (folder / "plugins").write_text("[rabbitmq_management].")
    names = Service(
        folder, lambda ports: [mapper, "-port", str(ports[0]), "-address", "127.0.0.1"], lambda at: _connects(at[0])
    )
    with running(names) as (mapped,):

        def environ(ports: Sequence[int]) -> Mapping[str, str]:
            (folder / "rabbitmq.conf").write_text(SETTINGS.format(*ports[:2], ROOT))
            return {
                "HOME": str(folder),
                "RUNNING_UNDER_SYSTEMD": "1",  # no shell stays around the server
                "ERL_EPMD_PORT": str(mapped),
                "RABBITMQ_NODENAME": f"strongroom-{ports[0]}@localhost",
                "RABBITMQ_DIST_PORT": str(ports[2]),
                "RABBITMQ_CONF_ENV_FILE": "/dev/null",
                "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
                "RABBITMQ_MNESIA_BASE": str(folder / "data"),
                "RABBITMQ_LOG_BASE": str(folder / "logs"),
            }

        service = Service(folder, lambda _: [program], lambda at: _answers(at[1]), 3, environ, 90.0)
        with running(service) as ports:
            yield RabbitMQ(ports[1])


def declared(mount: str, rabbitmq: RabbitMQ, **more: object) -> dict[str, Any]:
    roles = {
        "orders": {
            "vhosts": {"/": {"write": "orders[.].*", "read": "orders[.].*"}},
            "vhost_topics": {"/": {"amq.topic": {"write": "orders[.].*", "read": "none"}}},
        },
        "watcher": {"tags": "monitoring", "vhosts": {"/": {"read": ".*"}}},
    }
    connection = {"connection_uri": rabbitmq.address, "username": "root", "password": "env:RABBITMQ_ROOT", **more}
    return {"secrets": {mount: {"type": "rabbitmq", **connection, "roles": roles}}}


@pytest.fixture
def mount() -> str:
    return f"rabbitmq-{secrets.token_hex(4)}"


@pytest.fixture
def life(stack: Stack, tmp_path: Path, mount: str) -> Iterator[Life]:
    found = Life(tmp_path, stack, {"RABBITMQ_ROOT": ROOT})
    yield found
    found.server.delete(f"sys/mounts/{mount}")


def test_users_live_as_long_as_their_leases(life: Life, rabbitmq: RabbitMQ, mount: str) -> None:
    before = rabbitmq.users()
    report = life.apply(declared(mount, rabbitmq))
    orders, watcher = (life.server.request("GET", f"{mount}/creds/{role}") for role in ("orders", "watcher"))
    user, password = orders.data["username"], orders.data["password"]
    (permissions,) = rabbitmq.of_root(f"users/{user}/permissions")
    (topics,) = rabbitmq.of_root(f"users/{user}/topic-permissions")
    lease = life.server.write("sys/leases/lookup", {"lease_id": orders.lease})

    assert {proof.what for proof in report.proofs} == {"make a user, log in with it, revoke it, be refused"}
    assert rabbitmq.lets_in(user, password)
    assert rabbitmq.ask(watcher.data["username"], watcher.data["password"], "whoami")["tags"] == ["monitoring"]
    assert (permissions["configure"], permissions["write"], permissions["read"]) == ("", "orders[.].*", "orders[.].*")
    assert (topics["exchange"], topics["write"], topics["read"]) == ("amq.topic", "orders[.].*", "none")
    assert 3500 < lease["ttl"] <= 3600

    life.server.write("sys/leases/revoke", {"lease_id": orders.lease, "sync": True})
    assert not rabbitmq.lets_in(user, password)

    life.apply({}, "all")
    assert rabbitmq.users() == before
    assert life.server.read(f"sys/mounts/{mount}", ("No secret engine mount at",)) is None


def test_every_change_of_the_connection_takes_its_password_along(life: Life, rabbitmq: RabbitMQ, mount: str) -> None:
    """The server keeps nothing of an older connection."""
    life.apply(declared(mount, rabbitmq))
    life.apply(declared(mount, rabbitmq, username_template="orders-{{ random 8 }}", description="queues"))
    user = life.server.request("GET", f"{mount}/creds/orders").data["username"]

    assert user.startswith("orders-")


def test_a_user_whose_login_cannot_be_tried_is_not_proved(life: Life, rabbitmq: RabbitMQ, mount: str) -> None:
    life.apply(declared(mount, rabbitmq))
    before = rabbitmq.users()
    lab = Lab(life.server, life.stack)
    (proof,) = lab.prove("rabbitmq", mount, connection_uri="http://127.0.0.1:1", roles={"orders": {}})

    assert "http://127.0.0.1:1 does not answer" in proof.reason
    assert rabbitmq.users() == before
