"""What `--format json` prints is what its page says."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support import REPOSITORY
from tests.test_commands import NAME, Project, mount, shop

__all__ = ["shop"]  # the fixture
pytestmark = pytest.mark.server

BLOCKS = [
    json.loads(block)
    for block in re.findall(r"```json\n(.*?)```", (REPOSITORY / "docs/json.md").read_text(), re.DOTALL)
]
VALIDATE, PLAN, APPLY, DRIFT, STATUS, DOWN, ISSUE, LOOK, REVOKE, *_CLUSTERS, ERROR = BLOCKS


def keys(document: Any) -> Any:  # noqa: ANN401 - any JSON
    """The keys of a document, and of the first item of each list in it."""
    if isinstance(document, list):
        return [keys(item) for item in document[:1]]
    return {key: keys(value) for key, value in document.items()} if isinstance(document, dict) else ""


def test_plan_apply_drift_and_errors_have_the_documented_keys(shop: Project) -> None:
    applied = shop.answer("apply", "--yes")
    path = mount(shop, "auth", "approle")
    shop.api.call("POST", f"auth/{path}/role/payments", {"token_ttl": 90})
    planned, found = shop.answer("plan"), shop.answer("drift")
    shop.document["auth"][path]["roles"]["payments"]["token_ttl"] = "soon"
    shop.declare(shop.document)
    failed = shop.answer("plan")

    lists = {"left_as_it_stands": [""], "would_be_seeded": [""], "warnings": [""]}
    assert keys({**planned, **lists}) == keys({**PLAN, **lists})
    assert set(applied) == set(PLAN) | set(APPLY)
    assert keys(applied["proofs"]) == keys(APPLY["proofs"])
    assert keys(found) == keys(DRIFT)
    assert keys(failed) == keys(ERROR)


def test_validate_status_down_and_issue_have_the_documented_keys(shop: Project) -> None:
    shop.applied()
    shop.document["auth"][mount(shop, "auth", "approle")]["roles"]["payments"]["secret_id_num_uses"] = 0
    shop.declare(shop.document)
    validated = json.loads(shop.invoke("validate", "--format", "json").stdout)
    status = json.loads(shop.invoke("status", "--format", "json").stdout)
    stopped = json.loads(shop.invoke("down", "--format", "json").stdout)
    path = mount(shop, "auth", "approle")
    issued = json.loads(
        shop.invoke("approle.issue", "payments", "-e", NAME, "--mount", path, "--format", "json").stdout
    )

    assert keys(validated["warnings"]) == keys(VALIDATE["warnings"])
    assert set(validated) == set(VALIDATE)
    assert set(validated["environments"]) == {NAME}
    assert validated["clusters"] == {"test": 0}
    assert keys(status) == keys(STATUS)
    assert set(stopped) == set(DOWN)
    assert set(issued) == set(ISSUE)


def test_a_revocation_has_the_documented_keys(shop: Project) -> None:
    shop.applied()
    role = f"auth/{mount(shop, 'auth', 'approle')}/payments"
    shop.api.call("POST", f"{role.replace('payments', 'role/payments')}/secret-id", {})
    asked = ("--incident", "INC-7", "--role", role)
    looked = shop.answer("revoke", *asked, "--dry-run")
    done = shop.answer("revoke", *asked, "--yes", looked["digest"])

    lists: dict[str, Any] = {
        one: [] for one in ("leases_that_may_hang_on_them", "spared", "notes", "problems", "turned")
    }
    assert keys({**looked, **lists}) == keys({**LOOK, **lists})
    assert keys({**done, "notes": []}) == keys({**REVOKE, "notes": []})
    assert keys(looked["problems"]) == keys(LOOK["problems"])
