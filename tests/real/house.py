"""An environment with one auth mount, applied as people apply it, and the logins that it lets in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.catalog import AUTH
from orchestrator.commands.plan import Asked, apply
from orchestrator.incident.origin import Origin
from orchestrator.live.wire import open_server
from tests.support import no_progress, no_question, project

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.commands.plan import ApplyReport
    from orchestrator.local.stack import Stack

RULES = 'path "apps/*" {\n  capabilities = ["read"]\n}\n'


@dataclass(frozen=True)
class House:
    root: Path
    running: Stack
    mount: dict[str, Any]
    policies: tuple[str, ...]
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """A mount of the test's own."""
        return f"{self.mount['type']}-{self.root.name}".replace("_", "-")

    def applied(self) -> ApplyReport:
        environ = {**project(self.root, self.running, "house", {"auth": {self.path: self.mount}}), **self.environ}
        for name in self.policies:
            (self.root / "policies" / f"{name}.hcl").write_text(RULES)
        return apply(self.root, "house", environ, no_progress, no_question, Asked(many=True))

    def login(self, where: str, **body: str) -> Mapping[str, Any]:
        return open_server(self.running.address, "", "").write(f"auth/{self.path}/{where}", body)

    def told(self, auth: Mapping[str, Any], key: str, *names: str) -> list[bool]:
        """Of which of these roles or users an incident takes the token of a login to be."""
        kind = AUTH[self.mount["type"]]
        (one,) = (one for one in kind.objects if one.key == key)
        server = open_server(self.running.address, "", self.running.token)
        facts = server.write("auth/token/lookup-accessor", {"accessor": auth["accessor"]})
        origins = [Origin(kind, one, self.path, name) for name in names]
        return [any(rule.matches(facts) for rule in origin.rules("", {})) for origin in origins]
