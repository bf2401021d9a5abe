"""MariaDB: accounts made, rotated and dropped by the server."""

from __future__ import annotations

import getpass
import secrets
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.environment import Life, Service, running
from tests.support import needs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.local.stack import Stack

pytestmark = pytest.mark.server

ROOT, ADMIN = "canary-mariadb-root-3d80", "admin-of-the-test"
CREATE = ["CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'", "GRANT SELECT ON shop.* TO '{{name}}'@'%'"]
PREPARE = f"""
CREATE DATABASE shop;
CREATE TABLE shop.orders (id INT);
CREATE USER strongroom@'%' IDENTIFIED BY '{ROOT}';
GRANT ALL ON *.* TO strongroom@'%' WITH GRANT OPTION;
CREATE USER admin@'%' IDENTIFIED BY '{ADMIN}';
GRANT ALL ON *.* TO admin@'%';
CREATE USER owner@'%' IDENTIFIED BY 'first';
GRANT SELECT ON shop.* TO owner@'%';
"""


@dataclass(frozen=True)
class MariaDB:
    port: int

    def ask(self, user: str, password: str, statement: str) -> str:
        """What the server answers this user, or why it does not."""
        place = [
            "--no-defaults",
            "--host=127.0.0.1",
            f"--port={self.port}",
            "--skip-ssl",
            "--batch",
            "--skip-column-names",
        ]
        done = subprocess.run(
            [needs("mariadb"), *place, f"--user={user}", f"--execute={statement}"],
            env={"MYSQL_PWD": password},
            capture_output=True,
            text=True,
            check=False,
        )
        return f"{done.stdout}{done.stderr}"

    def lets_in(self, user: str, password: str) -> bool:
        return self.ask(user, password, "SELECT 1") == "1\n"

    def users(self) -> set[str]:
        return set(self.ask("admin", ADMIN, "SELECT user FROM mysql.user").split())


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    folder, program = tmp_path_factory.mktemp("mariadb"), needs("mariadbd")
    needs("mariadb")
    place = ["--no-defaults", f"--user={getpass.getuser()}", f"--datadir={folder / 'data'}"]
    (folder / "prepare.sql").write_text(PREPARE)
    subprocess.run(
        [needs("mariadb-install-db"), *place, "--auth-root-authentication-method=normal", "--skip-test-db"],
        check=True,
        capture_output=True,
    )
    network = ["--bind-address=127.0.0.1", f"--socket={folder / 'socket'}", f"--init-file={folder / 'prepare.sql'}"]
    service = Service(
        folder,
        lambda ports: [program, *place, *network, f"--port={ports[0]}"],
        lambda ports: MariaDB(ports[0]).lets_in("admin", ADMIN),
    )
    with running(service) as ports:
        yield MariaDB(ports[0])


@pytest.fixture
def mount() -> str:
    return f"mariadb-{secrets.token_hex(4)}"


@pytest.fixture
def life(stack: Stack, tmp_path: Path, mount: str) -> Iterator[Life]:
    found = Life(tmp_path, stack, {"MARIADB_ROOT": ROOT})
    yield found
    found.server.delete(f"sys/mounts/{mount}")


def declared(mount: str, mariadb: MariaDB, plugin: str = "mysql") -> dict[str, Any]:
    connection = {
        "connection_url": f"{{{{username}}}}:{{{{password}}}}@tcp(127.0.0.1:{mariadb.port})/",
        "username": "strongroom",
        "password": "env:MARIADB_ROOT",
        "allowed_roles": ["reader", "owner"],
    }
    objects = {
        plugin: {"shop": connection},
        "roles": {"reader": {"db_name": "shop", "creation_statements": CREATE}},
        "static_roles": {"owner": {"db_name": "shop", "username": "owner", "rotation_period": "24h"}},
    }
    return {"secrets": {mount: {"type": "database", **objects}}}


def test_accounts_live_as_long_as_their_leases(life: Life, mariadb: MariaDB, mount: str) -> None:
    before = mariadb.users()
    report = life.apply(declared(mount, mariadb))
    account = life.server.request("GET", f"{mount}/creds/reader")
    user, password = account.data["username"], account.data["password"]
    lease = life.server.write("sys/leases/lookup", {"lease_id": account.lease})
    static = life.server.read(f"{mount}/static-creds/owner")
    assert static

    assert [proof.what for proof in report.proofs] == [
        "make an account, see its lease, revoke it (no login: that takes a client of its own)",
        "read the account's present password (no login: that takes a client of its own)",
    ]
    assert 3500 < lease["ttl"] <= 3600
    assert mariadb.ask(user, password, "SELECT COUNT(*) FROM shop.orders") == "0\n"
    assert "denied" in mariadb.ask(user, password, "DELETE FROM shop.orders")
    assert mariadb.lets_in("owner", static["password"])
    assert not mariadb.lets_in("owner", "first")

    life.server.write("sys/leases/revoke", {"lease_id": account.lease, "sync": True})
    assert not mariadb.lets_in(user, password)

    life.server.request("GET", f"{mount}/creds/reader")
    life.apply({}, "all")
    assert mariadb.users() == before
    assert life.server.read(f"sys/mounts/{mount}", ("No secret engine mount at",)) is None


def test_accounts_do_not_outlive_the_plugin_that_made_them(life: Life, mariadb: MariaDB, mount: str) -> None:
    before = mariadb.users()
    life.apply(declared(mount, mariadb))
    life.server.request("GET", f"{mount}/creds/reader")
    report = life.apply(declared(mount, mariadb, "mysql_rds"), f"secrets/{mount}/mysql_rds/shop")

    assert [(one.title, one.action) for one in report.plan.changes] == [(f"secrets/{mount}/mysql_rds/shop", "replace")]
    assert mariadb.users() == before
