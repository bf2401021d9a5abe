"""What a drill stands on: a throw-away server, and what was planted there."""

from __future__ import annotations

import os
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import psycopg

from orchestrator.live.server import Denied, Rejected
from orchestrator.local import postgres, process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from orchestrator.documents import Json
    from orchestrator.live.server import Server
    from orchestrator.local.stack import Stack

OTHERS = 10
AT_A_TIME = 8
Item = TypeVar("Item")
Result = TypeVar("Result")


def together(act: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Several at a time, in their order."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return list(pool.map(act, items))


@dataclass(frozen=True)
class Life:
    """One thing that lives or is dead, and how to see which."""

    what: str
    lives: Callable[[], bool] = field(repr=False)


@dataclass(frozen=True)
class Planted:
    """What leaked and what did not, the answers to the runbook's questions, and who does what is done by hand."""

    leaked: Sequence[Life]
    others: Sequence[Life]
    answers: Mapping[str, str] = field(default_factory=dict)
    hands: Mapping[str, Callable[[], None]] = field(default_factory=dict)  # a command of a manual step: who does it
    breaks: Callable[[], None] | None = None  # the fault, made after all lives were counted
    ends: Callable[[], None] | None = None  # takes away what stands beside the server
    proven: bool = True  # whether the server itself can prove all of it


@dataclass(frozen=True)
class Stage:
    """A server of the drill's own, as its root token sees it."""

    root: Path
    running: Stack
    program: Path
    server: Server = field(repr=False)

    def roles(self, *names: str, **settings: Json) -> None:
        """AppRole roles whose SecretIDs serve again and again."""
        if "approle/" not in (self.server.read("sys/auth") or {}):
            self.server.write("sys/auth/approle", {"type": "approle"})
        for name in names:
            self.server.write(f"auth/approle/role/{name}", {"token_ttl": "1h", **settings})

    def secret_id(self, role: str) -> dict[str, str]:
        """What a machine of this role logs in with."""
        made = self.server.write(f"auth/approle/role/{role}/secret-id", {})
        known = self.server.read(f"auth/approle/role/{role}/role-id") or {}
        return {"role_id": str(known["role_id"]), "secret_id": str(made["secret_id"])}

    def logins(self, role: str, count: int) -> list[Life]:
        """A SecretID and so many tokens that it gave."""
        held = self.secret_id(role)
        return together(lambda _: self.token(self.login("auth/approle/login", held)), range(count))

    def login(self, path: str, body: Mapping[str, Json]) -> str:
        return str(self.server.as_token("").write(path, body)["client_token"])

    def bystanders(self, count: int = 3) -> list[Life]:
        """Tokens of ten roles that nothing is the matter with, and of a parent and its child."""
        names = [f"bystander-{number}" for number in range(OTHERS)]
        self.roles(*names)
        made = [one for name in names for one in self.logins(name, count)]
        parent = str(
            self.server.write("auth/token/create", {"policies": ["default"], "no_parent": True})["client_token"]
        )
        return [*made, self.token(parent)]

    def token(self, token: str) -> Life:
        def lives() -> bool:
            try:
                return self.server.as_token(token).read("auth/token/lookup-self") is not None
            except Denied:
                return False

        return Life("token", lives)

    def answers(self) -> bool:
        """Whether the server does its work: one request, which is not repeated."""
        try:
            self.server.request("GET", "auth/token/lookup-self")
        except Rejected:
            return False
        return True

    def database(self, *roles: str) -> None:
        """The database engine on the drill's own PostgreSQL, with these roles."""
        self.server.write("sys/mounts/database", {"type": "database"})
        url = f"postgresql://{{{{username}}}}:{{{{password}}}}@{self.running.postgres}/orders?sslmode=disable"
        self.server.write(
            "database/config/orders",
            {
                "plugin_name": "postgresql-database-plugin",
                "connection_url": url,
                "username": postgres.USER,
                "password": self.running.postgres_password,
                "password_authentication": "scram-sha-256",
                "allowed_roles": ["*"],
            },
        )
        for role in roles:
            self.server.write(
                f"database/roles/{role}",
                {
                    "db_name": "orders",
                    "creation_statements": [
                        "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"
                    ],
                    "revocation_statements": ['DROP ROLE IF EXISTS "{{name}}"'],
                    "default_ttl": "1h",
                },
            )

    def accounts(self, role: str, count: int) -> list[Life]:
        return [self._account(self.server.read(f"database/creds/{role}") or {}) for _ in range(count)]

    def _account(self, made: Mapping[str, Json]) -> Life:
        def lives() -> bool:
            try:
                with psycopg.connect(
                    f"postgresql://{self.running.postgres}/orders",
                    user=made["username"],
                    password=made["password"],
                    connect_timeout=10,
                ):
                    return True
            except psycopg.OperationalError as error:
                if "password authentication failed" in str(error) or "does not exist" in str(error):
                    return False
                raise

        return Life("account", lives)

    def run(self, command: str) -> None:
        """A command of the server's own command line, as a person would type it."""
        words = shlex.split(command)
        environ = {**process.environment(), "HOME": str(self.root), "NO_COLOR": "1"}
        for name in ("BAO", "VAULT"):
            environ |= {f"{name}_ADDR": self.running.address, f"{name}_TOKEN": self.running.token}
        subprocess.run([str(self.program), *words[1:]], env=environ, cwd=self.root, capture_output=True, check=True)

    def kept(self, name: str, text: str) -> Path:
        """A file that only its owner reads."""
        path = self.root / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        return path
