"""Redis over TLS: accounts that live as long as their leases, and a root password that Terraform never holds."""

from __future__ import annotations

import json
import secrets
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from orchestrator.errors import StrongroomError
from tests.real.environment import Life, Service, running
from tests.support import needs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.local.stack import Stack

pytestmark = pytest.mark.server

ROOT, ADMIN = "canary-redis-root-91c4", "admin-of-the-test"
SETTINGS = """\
user default off
user admin on >{admin} ~* &* +@all
user root on >{root} ~* &* +@all
user orders on >first ~orders:* +@read +ping
bind 127.0.0.1
port 0
save ""
tls-auth-clients no
tls-cert-file certificate.pem
tls-key-file key.pem
tls-ca-cert-file certificate.pem
"""


@dataclass(frozen=True)
class Redis:
    folder: Path
    port: int

    @property
    def certificate(self) -> str:
        return (self.folder / "certificate.pem").read_text()

    def ask(self, user: str, password: str, *words: str) -> str:
        """What the server answers this user."""
        place = ["-p", str(self.port), "--tls", "--cacert", str(self.folder / "certificate.pem")]
        done = subprocess.run(
            [needs("redis-cli"), *place, "--no-auth-warning", "--user", user, *words],
            env={"REDISCLI_AUTH": password},
            capture_output=True,
            text=True,
            check=False,
        )
        return f"{done.stdout}{done.stderr}"

    def lets_in(self, user: str, password: str) -> bool:
        return self.ask(user, password, "PING") == "PONG\n"

    def users(self) -> set[str]:
        return set(self.ask("admin", ADMIN, "ACL", "USERS").split())

    def set_root(self, password: str) -> None:
        self.ask("admin", ADMIN, "ACL", "SETUSER", "root", "resetpass", f">{password}")


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    folder, program = tmp_path_factory.mktemp("redis"), needs("redis-server")
    needs("redis-cli")
    _certify(folder)
    (folder / "redis.conf").write_text(SETTINGS.format(root=ROOT, admin=ADMIN))
    service = Service(
        folder,
        lambda ports: [program, "redis.conf", "--tls-port", str(ports[0])],
        lambda ports: Redis(folder, ports[0]).lets_in("admin", ADMIN),
    )
    with running(service) as ports:
        yield Redis(folder, ports[0])


def _certify(folder: Path) -> None:
    """A key and a certificate for 127.0.0.1 that signs itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
    places = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = made.add_extension(places, critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    kept = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "certificate.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *kept))


@pytest.fixture
def mount() -> str:
    return f"redis-{secrets.token_hex(4)}"


@pytest.fixture
def life(stack: Stack, redis: Redis, tmp_path: Path, mount: str) -> Iterator[Life]:
    """An environment whose root password is right."""
    redis.set_root(ROOT)
    found = Life(tmp_path, stack, {"REDIS_ROOT": ROOT})
    yield found
    found.server.delete(f"sys/mounts/{mount}")


def declared(mount: str, redis: Redis, **more: object) -> dict[str, Any]:
    connection = {
        "host": "127.0.0.1",
        "port": redis.port,
        "username": "root",
        "password": "env:REDIS_ROOT",
        "ca_cert": redis.certificate,
        "allowed_roles": ["reader", "orders"],
        **more,
    }
    commands = json.dumps(["~*", "+@read", "+ping"])
    objects = {
        "redis": {"cache": connection},
        "roles": {"reader": {"db_name": "cache", "creation_statements": [commands], "default_ttl": "10m"}},
        "static_roles": {"orders": {"db_name": "cache", "username": "orders", "rotation_period": "24h"}},
    }
    return {"secrets": {mount: {"type": "database", **objects}}}


def test_accounts_live_as_long_as_their_leases(life: Life, redis: Redis, mount: str) -> None:
    before = redis.users()
    report = life.apply(declared(mount, redis))
    account = life.server.request("GET", f"{mount}/creds/reader")
    user, password = account.data["username"], account.data["password"]
    static = life.server.read(f"{mount}/static-creds/orders")
    assert static

    assert [proof.what for proof in report.proofs] == [
        "make an account, connect with it, revoke it, be refused",
        "connect with the account's present password",
    ]
    assert redis.lets_in(user, password)
    assert "NOPERM" in redis.ask(user, password, "SET", "a", "1")
    assert redis.lets_in("orders", static["password"])
    assert not redis.lets_in("orders", "first")

    life.server.write("sys/leases/revoke", {"lease_id": account.lease, "sync": True})
    assert not redis.lets_in(user, password)

    life.server.request("GET", f"{mount}/creds/reader")
    life.apply({}, "all")
    assert redis.users() == before
    assert life.server.read(f"sys/mounts/{mount}", ("No secret engine mount at",)) is None


def test_the_root_password_is_sent_when_it_is_said_anew_and_only_then(life: Life, redis: Redis, mount: str) -> None:
    life.apply(declared(mount, redis))
    life.server.write(f"{mount}/rotate-root/cache", {})
    assert not redis.lets_in("root", ROOT)

    life.apply(declared(mount, redis, allowed_roles=["*"]))
    redis.set_root("canary-redis-second-77aa")
    life.secrets["REDIS_ROOT"] = "canary-redis-second-77aa"
    again = declared(mount, redis, allowed_roles=["*"], password_version=2)
    (change,) = life.plan(again).changes

    assert (change.title, change.action) == (f"secrets/{mount}/redis/cache", "update")
    assert [(one.name, one.before, one.after) for one in change.settings] == [("password", "(secret)", "(secret)")]
    life.apply(again)


def test_a_wrong_root_password_is_told_and_the_right_one_heals(life: Life, redis: Redis, mount: str) -> None:
    life.secrets["REDIS_ROOT"] = "canary-wrong-password"
    with pytest.raises(StrongroomError) as refused:
        life.apply(declared(mount, redis))
    life.secrets["REDIS_ROOT"] = ROOT
    life.apply(declared(mount, redis))

    assert "WRONGPASS" in str(refused.value)


def test_a_connection_that_lives_is_adopted_with_its_password(life: Life, redis: Redis, mount: str) -> None:
    life.server.write(f"sys/mounts/{mount}", {"type": "database"})
    made = {"plugin_name": "redis-database-plugin", "host": "localhost", "port": redis.port, "username": "root"}
    life.server.write(f"{mount}/config/cache", {**made, "password": "old", "verify_connection": False})
    report = life.apply(declared(mount, redis))

    assert (f"secrets/{mount}/redis/cache", "adopt") in [(one.title, one.action) for one in report.plan.changes]


def test_a_connection_that_was_deleted_comes_back_with_its_password(life: Life, redis: Redis, mount: str) -> None:
    life.apply(declared(mount, redis))
    life.server.delete(f"{mount}/config/cache")
    life.apply(declared(mount, redis))
