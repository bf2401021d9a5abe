"""A database mount in a scene, with names of its own on the PostgreSQL that the whole run shares."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from tests.incident.scene import Scene
from tests.support import postgres

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.local.stack import Stack

URL = "postgresql://{{username}}:{{password}}@${LOCAL_POSTGRES}/orders?sslmode=disable"
CREATE = "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"


@dataclass
class Account:
    """A leased account, with a session that was opened before anything was cut."""

    lease: str
    name: str
    password: str = field(repr=False)
    session: psycopg.Connection = field(repr=False)

    def is_connected(self) -> bool:
        try:
            self.session.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True


@dataclass
class House:
    """A scene whose mount `db` makes accounts for roles of random names."""

    scene: Scene
    running: Stack
    admin: psycopg.Connection = field(repr=False)
    root: str = "strongroom"
    opened: list[psycopg.Connection] = field(default_factory=list, repr=False)
    drawn: str = field(default_factory=lambda: secrets.token_hex(3))

    @classmethod
    def on(cls, running: Stack, root: Path, **settings: Any) -> House:  # noqa: ANN401 - any setting
        connection = {
            "connection_url": URL,
            "username": "strongroom",
            "password": "env:LOCAL_POSTGRES_PASSWORD",
            "allowed_roles": [],
            **settings,
        }
        document = {"secrets": {"db": {"type": "database", "postgresql": {"orders": connection}}}}
        scene = Scene.on(running, root, document)
        admin = psycopg.connect(postgres(running), autocommit=True)
        return cls(scene, running, admin, str(connection["username"]))

    def beside(self, root: Path, **settings: Any) -> House:  # noqa: ANN401 - any setting
        """Another scene, which ends with this one."""
        found = House.on(self.running, root, **settings)
        found.opened, found.drawn = self.opened, self.drawn
        self.opened.append(found.admin)
        return found

    def mount(self, password: str = "", **settings: Any) -> None:  # noqa: ANN401 - any setting
        """The mount and its connection, as the YAML declares them."""
        self.scene.server.write("sys/mounts/db", {"type": "database"})
        self.connection(password, **settings)

    def connection(self, password: str = "", **settings: Any) -> None:  # noqa: ANN401 - any setting
        said = {
            "plugin_name": "postgresql-database-plugin",
            "connection_url": URL.replace("${LOCAL_POSTGRES}", self.running.postgres),
            "username": self.root,
            "password": password or self.running.postgres_password,
            "password_authentication": "scram-sha-256",
            "allowed_roles": ["*"],
            **settings,
        }
        self.scene.server.write("db/config/orders", said)

    def role(self, name: str, **settings: Any) -> str:  # noqa: ANN401 - any setting
        """A role whose accounts nobody else's are named like."""
        full = f"{self.drawn}{name}"
        said = {"db_name": "orders", "creation_statements": [CREATE], "default_ttl": "1h", **settings}
        self.scene.server.write(f"db/roles/{full}", said)
        return full

    def static(self, name: str) -> str:
        """A static role of an account of the same name."""
        full = f"{self.drawn}_{name}"
        self.admin.execute(f'CREATE ROLE "{full}" LOGIN'.encode())
        said = {"db_name": "orders", "username": full, "rotation_period": "24h"}
        self.scene.server.write(f"db/static-roles/{full}", said)
        return full

    def leased(self, role: str, token: str = "") -> Account:
        """An account that somebody asked for, and its open session."""
        server = self.scene.server.as_token(token) if token else self.scene.server
        answer = server.request("GET", f"db/creds/{role}")
        name, password = str(answer.data["username"]), str(answer.data["password"])
        return Account(answer.lease, name, password, self.login(name, password))

    def login(self, name: str, password: str) -> psycopg.Connection:
        host, port = self.running.postgres.split(":")
        self.opened.append(
            psycopg.connect(host=host, port=port, user=name, password=password, dbname="orders", autocommit=True)
        )
        return self.opened[-1]

    def close(self) -> None:
        for one in (*self.opened, self.admin):
            one.close()

    def password(self, static: str) -> str:
        return str((self.scene.server.read(f"db/static-creds/{static}") or {})["password"])

    def knows(self, account: str) -> bool:
        """Whether PostgreSQL has such an account."""
        return self.admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [account]).fetchone() is not None
