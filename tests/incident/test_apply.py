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
ROLES = {
    "pki": {
        "type": "pki",
        "root": {"common_name": "Example CA", "ttl": "8760h"},
        "max_lease_ttl": "8760h",
        "roles": {"web": {"allowed_domains": ["example.org"], "allow_subdomains": True}},
    },
    "ssh": {
        "type": "ssh",
        "ca": {},
        "roles": {
            "people": {"key_type": "ca", "allow_user_certificates": True, "allowed_users": "ops"},
            "doors": {"key_type": "otp", "default_user": "ops", "cidr_list": "10.0.0.0/8"},
        },
    },
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


@pytest.mark.usefixtures("namespaces")
def test_a_role_that_signs_stays_shut_till_the_incident_is_over(stack: Stack, tmp_path: Path) -> None:
    scene = Scene.on(stack, tmp_path, {"secrets": ROLES})

    def applied() -> None:
        apply(tmp_path, NAME, scene.environ, no_progress, no_question, Asked(verify=False))

    applied()
    scene.cut(("role", "pki/web"), ("role", "ssh/people"), ("role", "ssh/doors"))

    with pytest.raises(Refused) as refused:
        applied()
    titles = ["secrets/pki/roles/web", "secrets/ssh/roles/doors", "secrets/ssh/roles/people"]
    assert sorted(str(refused.value).splitlines()) == [SHUT.format(title, title) for title in titles]

    assert sorted(scene.undo()) == titles
    assert plan(tmp_path, NAME, scene.environ, no_progress, None).changes == ()
