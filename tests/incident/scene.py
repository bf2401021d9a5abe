"""A namespace of a test's own, with roles that leak; what is done behind the commands' backs is done here."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests

from orchestrator.commands import incident
from orchestrator.commands.incident import Asked
from orchestrator.incident.run import Outcome, Preview
from orchestrator.live.server import Denied
from orchestrator.live.wire import open_server
from tests.support import declare, environ

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from orchestrator.incident.cut import Tell
    from orchestrator.live.server import Server
    from orchestrator.local.stack import Stack

NAME = "leak"


@dataclass
class Scene:
    """A project whose environment is an empty namespace of a real server."""

    root: Path
    running: Stack
    namespace: str
    server: Server = field(repr=False)
    shown: list[Preview] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)  # what the process environment says besides

    @classmethod
    def on(cls, running: Stack, root: Path, document: Mapping[str, Any] | None = None) -> Scene:
        top = open_server(running.address, "", running.token, verify=True)
        namespace = f"scene-{secrets.token_hex(4)}"
        top.write(f"sys/namespaces/{namespace}", {})
        cluster = {
            "server": {"product": running.server, "version": running.version},
            "terraform": {"provider": "offline"},
        }
        declare(root, cluster, NAME, {"namespace": namespace, **(document or {})})
        return cls(root, running, namespace, top.in_namespace(namespace))

    @property
    def environ(self) -> dict[str, str]:
        return {**environ(self.running), **self.said}

    def approle(self, *roles: str, mount: str = "approle", **settings: Any) -> None:  # noqa: ANN401 - any setting
        """A mount of AppRole with these roles, whose SecretIDs serve again and again."""
        self.server.write(f"sys/auth/{mount}", {"type": "approle"})
        for role in roles:
            self.server.write(f"auth/{mount}/role/{role}", {"token_ttl": "1h", **settings})

    def secret_id(self, role: str, mount: str = "approle") -> dict[str, str]:
        """What a machine of this role logs in with."""
        path = f"auth/{mount}/role/{role}"
        made = self.server.write(f"{path}/secret-id", {})
        known = self.server.read(f"{path}/role-id") or {}
        return {"role_id": str(known["role_id"]), "secret_id": str(made["secret_id"])}

    def login(self, role: str, mount: str = "approle") -> dict[str, Any]:
        """A new token of the role: what the login answers."""
        return dict(self.server.as_token("").write(f"auth/{mount}/login", self.secret_id(role, mount)))

    def token(self, *policies: str, **settings: Any) -> str:  # noqa: ANN401 - any setting
        """A token that nobody logged in for."""
        made = self.server.write("auth/token/create", {"policies": policies, "no_parent": True, **settings})
        return str(made["client_token"])

    def lives(self, token: str) -> bool:
        """Whether the server takes a token."""
        try:
            return self.server.as_token(token).read("auth/token/lookup-self") is not None
        except Denied:
            return False

    def status(self, path: str, body: Mapping[str, Any]) -> int:
        """What the server answers at once to nobody's request."""
        target = f"{self.server.address}/v1/{path}"
        return requests.post(target, json=body, headers={"X-Vault-Namespace": self.namespace}, timeout=30).status_code

    def undo(self) -> list[str]:
        return incident.undo_close(self.root, NAME, self.environ, "INC-7")

    def revoke(
        self,
        *targets: tuple[str, str],
        agree: Callable[[Preview], None] | None = None,
        token: str = "",
        tell: Tell | None = None,
        **asked: Any,  # noqa: ANN401 - any flag
    ) -> Any:  # noqa: ANN401 - an Outcome, or a Preview of a dry run
        """The command, with yes said to whatever it shows."""
        wanted = Asked("INC-7", targets, agree=agree or (lambda _: None), **asked)
        environ = {**self.environ, **({"VAULT_TOKEN": token} if token else {})}
        return incident.revoke(self.root, NAME, environ, wanted, self.shown.append, tell or (lambda *_: None))

    def cut(self, *targets: tuple[str, str], **asked: Any) -> Outcome:  # noqa: ANN401 - any flag
        found = self.revoke(*targets, **asked)
        assert isinstance(found, Outcome)
        return found

    def resume(self) -> Outcome:
        return incident.resume(self.root, self.environ, "INC-7", self.shown.append, lambda *_: None)

    @property
    def folder(self) -> Path:
        return self.root / "incidents/INC-7"

    def look(self, *targets: tuple[str, str], **asked: Any) -> Preview:  # noqa: ANN401 - any flag
        found = self.revoke(*targets, dry_run=True, **asked)
        assert isinstance(found, Preview)
        return found
