"""What stands beside the mounts: it goes back when it leaves the YAML, and what a server lacks is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.test_commands import NAME, Project, shop

if TYPE_CHECKING:
    from orchestrator.terraform.provider.api import Api

__all__ = ["shop"]  # the fixture
pytestmark = pytest.mark.server

QUOTAS = "sys/quotas/config"
AUTOPILOT = "sys/storage/raft/autopilot/configuration"
ORIGIN = "https://apps.example.org"


def only(shop: Project, **sections: Any) -> Project:  # noqa: ANN401 - any YAML
    """The project with these sections and nothing else."""
    shop.document.clear()
    shop.document.update(sections)
    shop.declare(shop.document)
    return shop


def destroyed(shop: Project) -> None:
    done = only(shop).invoke("apply", "-e", NAME, "--yes", "--no-verify", "--many", "--destroy", "all")
    assert done.returncode == 0, done.stdout + done.stderr


def answer(api: Api, path: str) -> dict[str, Any]:
    return dict(api.read(path) or {})


def test_settings_of_the_whole_server_go_back_to_its_own_when_they_leave_the_yaml(shop: Project) -> None:
    everything = {
        "quotas": {"config": {"rate_limit_exempt_paths": ["sys/health"], "enable_rate_limit_audit_logging": True}},
        "raft": {"autopilot": {"cleanup_dead_servers": True, "dead_server_last_contact_threshold": "36h"}},
        "cors": {"allowed_origins": [ORIGIN], "allowed_headers": ["X-Correlation-Id"]},
    }
    only(shop, **everything).applied()
    quotas, autopilot = answer(shop.api, QUOTAS), answer(shop.api, AUTOPILOT)
    cors = answer(shop.api, "sys/config/cors")
    again = shop.invoke("plan", "-e", NAME)
    destroyed(shop)

    assert quotas["rate_limit_exempt_paths"] == ["sys/health"]
    assert autopilot["dead_server_last_contact_threshold"] == "36h0m0s"
    assert cors["allowed_origins"] == [ORIGIN]
    assert again.returncode == 0, again.stdout
    assert answer(shop.api, QUOTAS)["enable_rate_limit_audit_logging"] is False
    assert "sys/unseal" in answer(shop.api, QUOTAS)["rate_limit_exempt_paths"]
    assert answer(shop.api, AUTOPILOT)["dead_server_last_contact_threshold"] == "24h0m0s"
    assert answer(shop.api, AUTOPILOT)["cleanup_dead_servers"] is False
    assert answer(shop.api, "sys/config/cors") == {"enabled": False}


def test_one_setting_that_leaves_the_yaml_goes_back_alone(shop: Project) -> None:
    limit = {"rate": 50, "path": "sys/tools/hash", "interval": "1m", "block_interval": "5m"}
    only(
        shop,
        quotas={"rate_limits": {"hash": limit}},
        raft={"autopilot": {"max_trailing_logs": 500, "last_contact_threshold": "20s"}},
        audit={"request_headers": {"x-correlation-id": {"hmac": True}}},
    ).applied()
    only(
        shop,
        quotas={"rate_limits": {"hash": {"rate": 50, "path": "sys/tools/hash"}}},
        raft={"autopilot": {"max_trailing_logs": 500}},
        audit={"request_headers": {"x-correlation-id": {}}},
    ).applied()
    quota, autopilot = answer(shop.api, "sys/quotas/rate-limit/hash"), answer(shop.api, AUTOPILOT)
    header = answer(shop.api, "sys/config/auditing/request-headers/x-correlation-id")
    destroyed(shop)

    assert (quota["interval"], quota["block_interval"]) == (1, 0)
    assert (autopilot["max_trailing_logs"], autopilot["last_contact_threshold"]) == (500, "10s")
    assert header == {"x-correlation-id": {"hmac": False}}


def test_cors_that_somebody_switched_off_is_absent_and_comes_back(shop: Project) -> None:
    only(shop, cors={"allowed_origins": [ORIGIN]}).applied()
    shop.api.call("DELETE", "sys/config/cors", None)
    found = [one for one in shop.answer("drift")["drift"] if one["object"] == "cors"]
    shop.applied()
    back = answer(shop.api, "sys/config/cors")
    destroyed(shop)

    assert found == [{"object": "cors", "setting": None, "declared": "present", "live": "absent"}]
    assert back["allowed_origins"] == [ORIGIN]


def test_a_quota_of_a_declared_mount_stands_after_it(shop: Project) -> None:
    mount = next(iter(shop.document["secrets"]))
    only(
        shop, secrets={mount: {"type": "kv-v1"}}, quotas={"rate_limits": {"apps": {"rate": 500, "path": mount}}}
    ).applied()
    quota = answer(shop.api, "sys/quotas/rate-limit/apps")
    again = shop.invoke("plan", "-e", NAME)
    destroyed(shop)

    assert quota["path"] == f"{mount}/"
    assert again.returncode == 0, again.stdout


def test_a_quota_that_nobody_declared_is_found_and_one_declared_by_its_path_is_not(shop: Project) -> None:
    only(
        shop,
        quotas={"rate_limits": {"hash": {"rate": 50, "path": "sys/tools/hash"}}},
        passthrough={"sys/quotas/rate-limit/by-path": {"data": {"rate": 50, "path": "sys/wrapping/unwrap"}}},
    ).applied()
    shop.api.call("POST", "sys/quotas/rate-limit/by-hand", {"rate": 50, "path": "sys/wrapping/lookup"})
    found = [one["object"] for one in shop.answer("drift")["drift"] if one["object"].startswith("quotas")]
    shop.api.call("DELETE", "sys/quotas/rate-limit/by-hand", None)
    destroyed(shop)

    assert [one for one in found if "by-" in one] == ["quotas/rate_limits/by-hand"]


def test_what_the_server_rewrites_settles_and_a_real_change_is_still_seen(shop: Project) -> None:
    role = "auth/token/roles/passthrough"
    data = {"allowed_policies": "payments-read,default", "token_period": "1h", "renewable": "true", "orphan": False}
    only(shop, passthrough={role: {"data": data}}).applied()
    again, clean = shop.invoke("plan", "-e", NAME), shop.answer("drift")["drift"]
    shop.api.call("POST", role, {**data, "token_period": "2h"})
    drifted, changes = shop.answer("drift")["drift"], shop.answer("plan")["changes"]
    shop.applied()
    healed = answer(shop.api, role)
    destroyed(shop)

    title = f"passthrough/{role}"
    assert again.stdout == "no changes\n"
    assert [one for one in clean if one["object"] == title] == []
    assert [(one["setting"], one["declared"], one["live"]) for one in drifted if one["object"] == title] == [
        ("data.token_period", "1h", 7200)
    ]
    assert [(one["object"], one["action"]) for one in changes] == [(title, "update")]
    assert healed["token_period"] == 3600
    assert shop.api.read(role) is None


def test_a_path_that_can_only_be_written_is_not_read(shop: Project) -> None:
    written = {"data": {"input": "aGVsbG8="}, "disable_read": True, "disable_delete": True}
    only(shop, passthrough={"sys/tools/hash/sha2-256": written}).applied()
    again, found = shop.invoke("plan", "-e", NAME), shop.invoke("drift", "-e", NAME, "--format", "json")
    destroyed(shop)

    assert again.stdout == "no changes\n"
    assert found.returncode in (0, 2), found.stderr
    assert "sys/tools/hash" not in found.stdout
