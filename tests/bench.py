"""An environment of a test's own: declared, applied, and looked at behind the commands' backs."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.commands.drift import drift
from orchestrator.commands.plan import Asked, apply, plan
from orchestrator.terraform.provider.api import Api
from tests.support import no_progress, no_question, project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.commands.plan import ApplyReport, PlanReport
    from orchestrator.local.stack import Stack

NAME = "bench"


@dataclass
class Bench:
    """A project, and mounts whose paths begin alike."""

    root: Path
    running: Stack
    api: Api
    mount: str
    secrets: dict[str, str] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def on(cls, running: Stack, root: Path, kind: str) -> Iterator[Bench]:
        api = Api(running.address, running.token)
        yield cls(root, running, api, f"{kind}-{secrets.token_hex(3)}")
        api.close()

    def declare(self, mounts: dict[str, dict[str, Any]]) -> Bench:
        self.environ = {**project(self.root, self.running, NAME, {"secrets": mounts}), **self.secrets}
        return self

    def apply(self, *destroy: str) -> ApplyReport:
        return apply(self.root, NAME, self.environ, no_progress, no_question, Asked(destroy, many=True))

    def plan(self) -> PlanReport:
        return plan(self.root, NAME, self.environ, no_progress, None)

    def whole(self) -> ApplyReport:
        """What an apply did that proved everything, and after which nothing is left to do."""
        report = self.apply()
        assert report.pending == ()
        assert [proof.reason for proof in report.proofs if not proof.ok] == []
        assert self.plan().changes == ()
        assert [one for one in drift(self.root, NAME, self.environ).drifts if self.mount in one.title] == []
        return report

    def one(self, **spec: Any) -> ApplyReport:  # noqa: ANN401 - any mount
        """The same of an environment with this mount alone."""
        return self.declare({self.mount: spec}).whole()

    def read(self, path: str) -> dict[str, Any]:
        found = self.api.read(f"{self.mount}/{path}")
        assert found is not None, path
        return dict(found)

    def write(self, path: str, **data: Any) -> dict[str, Any]:  # noqa: ANN401 - any request
        return self.api.call("POST", f"{self.mount}/{path}", data)

    def state(self) -> str:
        """All that Terraform keeps."""
        (file,) = self.root.glob(".strongroom/terraform/*/terraform.tfstate")
        return file.read_text()
