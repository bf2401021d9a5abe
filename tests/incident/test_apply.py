"""An apply does not open again what an incident shut, unless it is told to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.commands.plan import Asked, apply, plan
from orchestrator.errors import Refused
from tests.incident.scene import NAME, Scene
from tests.support import no_progress, no_question

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.local.stack import Stack

pytestmark = pytest.mark.server
DECLARED = {
    "auth": {"approle": {"type": "approle", "roles": {"payments": {"token_policies": ["payments-read"]}}}},
    "identity": {"entities": {"ada": {"policies": ["payments-read"]}}},
}
SHUT = (
    "{} is shut, as an incident shuts it, and this would open it again; when it is over: invoke incident.undo-close, "
    "or name it if you mean it: --reopen {}"
)


@pytest.mark.usefixtures("namespaces")
def test_what_is_shut_stays_shut_till_it_is_named(stack: Stack, tmp_path: Path) -> None:
    scene = Scene.on(stack, tmp_path, DECLARED)

    def applied(*reopen: str) -> None:
        apply(tmp_path, NAME, scene.environ, no_progress, no_question, Asked(reopen=reopen, verify=False))

    applied()
    scene.cut(("role", "auth/approle/payments"), ("entity", "ada"), ("policy", "payments-read"))
    titles = ["auth/approle/roles/payments", "identity/entities/ada", "policies/payments-read"]

    with pytest.raises(Refused) as refused:
        applied()
    assert str(refused.value).splitlines() == [SHUT.format(title, title) for title in titles]

    applied(*titles[:1], "identity/entities/ada", "policies/payments-read")
    assert plan(tmp_path, NAME, scene.environ, no_progress, None).changes == ()

    scene.cut(("role", "auth/approle/payments"))
    scene.undo()
    assert plan(tmp_path, NAME, scene.environ, no_progress, None).changes == ()
