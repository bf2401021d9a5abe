"""Secrets that must exist: written once, by nobody seen, and never over what is there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.live import seeds
from orchestrator.live.wire import open_server
from tests.test_commands import NAME, Project, contents, mount, shop

if TYPE_CHECKING:
    from orchestrator.local.stack import Stack

__all__ = ["shop"]  # the fixture
pytestmark = pytest.mark.server

CANARY = "canary-payments-91c4"
FIRST = {"password": {"generate": 32}, "user": "env:PAYMENTS_USER"}


@pytest.fixture
def seeded(shop: Project) -> Project:
    """The project with one seed on its KV mount, and the variable that it names."""
    shop.environ["PAYMENTS_USER"] = CANARY
    declare(shop, {"payments/db": FIRST})
    return shop


def declare(shop: Project, declared: dict[str, Any]) -> None:
    shop.document["secrets"][mount(shop, "secrets", "kv-v2")]["seeds"] = declared
    shop.declare(shop.document)


def apply(shop: Project, *words: str) -> str:
    done = shop.invoke("apply", "-e", NAME, "--yes", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def read(shop: Project, path: str = "payments/db") -> dict[str, Any] | None:
    found = shop.api.read(f"{mount(shop, 'secrets', 'kv-v2')}/data/{path}")
    return None if found is None else dict(found["data"])


def write(shop: Project, data: dict[str, str], path: str = "payments/db") -> None:
    shop.api.call("POST", f"{mount(shop, 'secrets', 'kv-v2')}/data/{path}", {"data": data})


def drifts(shop: Project) -> list[tuple[str, str | None, str]]:
    path = mount(shop, "secrets", "kv-v2")
    found = shop.answer("drift")["drift"]
    return [
        (one["object"], one["setting"], one["live"]) for one in found if one["object"].startswith(f"secrets/{path}")
    ]


def title(shop: Project) -> str:
    return f"secrets/{mount(shop, 'secrets', 'kv-v2')}/seeds/payments/db"


def test_a_missing_secret_is_planned_and_written_once(seeded: Project) -> None:
    planned = seeded.answer("plan")
    said = apply(seeded)
    first = read(seeded)
    again, found = seeded.invoke("plan", "-e", NAME), drifts(seeded)
    apply(seeded)

    assert planned["would_be_seeded"] == [title(seeded)]
    assert f"seeded {title(seeded)}" in said
    assert first
    assert first["user"] == CANARY
    assert re.fullmatch(r"[\w-]{32}", first["password"])
    assert (again.returncode, again.stdout) == (0, "no changes\n")
    assert found == []
    assert read(seeded) == first


def test_a_plan_with_nothing_but_a_seed_is_a_change(seeded: Project) -> None:
    declare(seeded, {})
    apply(seeded)
    declare(seeded, {"payments/db": FIRST})
    planned = seeded.invoke("plan", "-e", NAME)
    refused = seeded.invoke("apply", "-e", NAME, "--no-verify")
    absent, before = drifts(seeded), read(seeded)
    apply(seeded, "--no-verify")

    assert planned.returncode == 2
    assert f"∘ {title(seeded)}: would be seeded, as it is not there" in planned.stdout
    assert planned.stdout.endswith("to seed: 1\n")
    assert refused.returncode == 4
    assert absent == [(title(seeded), None, "absent")]
    assert before is None
    assert read(seeded)


def test_no_value_is_in_any_file_or_output(seeded: Project) -> None:
    planned = seeded.invoke("plan", "-e", NAME, "--out", "kept.plan", "--format", "json")
    said = apply(seeded, "--plan", "kept.plan")
    found = seeded.invoke("drift", "-e", NAME)
    values = list((read(seeded) or {}).values())
    files = [path for path in seeded.root.rglob("*") if path.is_file()]
    outputs = said + planned.stdout + planned.stderr + found.stdout + found.stderr

    assert len(values) == 2
    assert len(files) > 5
    assert [str(path) for path in files for value in values if value.encode() in contents(path)] == []
    assert [value for value in values if value in outputs] == []


def test_what_is_there_is_never_written_over(seeded: Project) -> None:
    declare(seeded, {})
    apply(seeded)
    write(seeded, {"user": "by-hand"})
    declare(seeded, {"payments/db": FIRST})
    planned, found = seeded.invoke("plan", "-e", NAME), drifts(seeded)
    apply(seeded)

    assert (planned.returncode, planned.stdout) == (0, "no changes\n")
    assert found == [(title(seeded), "password", "absent")]
    assert read(seeded) == {"user": "by-hand"}


def test_a_deleted_version_is_drift_and_stays_deleted(seeded: Project) -> None:
    apply(seeded)
    path = mount(seeded, "secrets", "kv-v2")
    seeded.api.call("DELETE", f"{path}/data/payments/db", None)
    planned, found = seeded.invoke("plan", "-e", NAME), seeded.invoke("drift", "-e", NAME)
    apply(seeded)

    assert planned.stdout == "no changes\n"
    assert f"- {title(seeded)}: declared, and its latest version is deleted; undelete it" in found.stdout
    assert (seeded.api.read(f"{path}/metadata/payments/db") or {})["current_version"] == 1


def test_one_that_was_destroyed_with_its_metadata_is_seeded_anew(seeded: Project) -> None:
    apply(seeded)
    before = read(seeded) or {}
    seeded.api.call("DELETE", f"{mount(seeded, 'secrets', 'kv-v2')}/metadata/payments/db", None)
    apply(seeded)
    after = read(seeded) or {}

    assert after["user"] == CANARY
    assert after["password"] != before["password"]


def test_metadata_alone_is_no_secret(seeded: Project) -> None:
    declare(seeded, {})
    apply(seeded)
    path = mount(seeded, "secrets", "kv-v2")
    seeded.api.call("POST", f"{path}/metadata/payments/db", {"custom_metadata": {"owner": "payments"}})
    declare(seeded, {"payments/db": FIRST})
    apply(seeded)

    assert read(seeded)
    assert (seeded.api.read(f"{path}/metadata/payments/db") or {})["custom_metadata"] == {"owner": "payments"}


def test_one_that_leaves_the_yaml_stays(seeded: Project) -> None:
    apply(seeded)
    first = read(seeded)
    declare(seeded, {})
    planned = seeded.invoke("plan", "-e", NAME)

    assert planned.stdout == "no changes\n"
    assert read(seeded) == first


def test_an_unset_reference_is_told_before_anything_happens(seeded: Project) -> None:
    done = seeded.invoke("apply", "-e", NAME, "--yes", PAYMENTS_USER="")

    assert done.returncode == 1
    assert f"{title(seeded)}#user: env:PAYMENTS_USER is empty; give it a value" in done.stderr
    path = mount(seeded, "secrets", "kv-v2")
    assert seeded.api.read(f"sys/mounts/{path}", gone=("No secret engine",)) is None


def test_a_reference_is_needed_only_until_the_secret_is_there(seeded: Project) -> None:
    apply(seeded)
    del seeded.environ["PAYMENTS_USER"]

    assert "no changes" in apply(seeded)


def test_a_saved_plan_seeds_what_it_says_and_no_more(seeded: Project) -> None:
    seeded.invoke("plan", "-e", NAME, "--out", "kept.plan")
    declare(seeded, {"payments/db": FIRST, "payments/later": FIRST})
    done = seeded.invoke("apply", "-e", NAME, "--yes", "--no-verify", "--plan", "kept.plan")

    assert done.returncode == 0, done.stdout + done.stderr
    assert read(seeded)
    assert read(seeded, "payments/later") is None


def test_nothing_is_seeded_when_the_apply_fails(seeded: Project) -> None:
    path = mount(seeded, "auth", "approle")
    declare(seeded, {})
    apply(seeded)
    seeded.document["auth"][path]["roles"]["payments"] |= {"token_max_ttl": "10m"}
    declare(seeded, {"payments/db": FIRST})
    done = seeded.invoke("apply", "-e", NAME, "--yes", "--no-verify")

    assert done.returncode == 1
    assert read(seeded) is None


def test_whoever_was_faster_is_left_alone(seeded: Project, stack: Stack) -> None:
    declare(seeded, {})
    apply(seeded)
    server = open_server(stack.address, "", stack.token)
    path = mount(seeded, "secrets", "kv-v2")
    one = seeds.Seed("secrets/x/seeds/payments/db", path, "payments/db", {"password": 16})
    answers = [seeds.sow(server, one, {}), seeds.sow(server, one, {})]

    assert answers == [True, False]
    assert (seeded.api.read(f"{path}/metadata/payments/db") or {})["current_version"] == 1
    assert CANARY not in repr(one)


def test_values_are_never_read_and_few_rights_are_enough(seeded: Project) -> None:
    """To look takes the metadata and the names of fields; to write, `create` alone."""
    declare(seeded, {})
    apply(seeded)
    path = mount(seeded, "secrets", "kv-v2")
    rules = [f'path "{path}/metadata/*" {{ capabilities = ["read"] }}']
    rules += [f'path "{path}/subkeys/*" {{ capabilities = ["read"] }}']
    seeded.api.call("POST", f"sys/policies/acl/{path}-look", {"policy": "\n".join(rules)})
    rules += [f'path "{path}/data/*" {{ capabilities = ["create"] }}']
    seeded.api.call("POST", f"sys/policies/acl/{path}-sow", {"policy": "\n".join(rules)})
    look, sow = (open_server(seeded.running.address, "", seeded.token(f"{path}-{what}")) for what in ("look", "sow"))
    one = seeds.Seed("s", path, "payments/db", {"password": 64})

    assert [drift.live for drift in seeds.drift(look, [one])] == ["absent"]
    assert seeds.sow(sow, one, {})
    assert seeds.drift(look, [one]) == []
    assert len((read(seeded) or {})["password"]) == 64


def test_a_mount_that_wants_check_and_set_and_a_field_with_a_dot_are_no_matter(seeded: Project) -> None:
    path = mount(seeded, "secrets", "kv-v2")
    seeded.document["secrets"][path]["settings"] = {"cas_required": True}
    declare(seeded, {"payments/db": {"spring.datasource.password": {"generate": 256}}, "payments": FIRST})
    apply(seeded)

    assert len((read(seeded) or {})["spring.datasource.password"]) == 256
    assert drifts(seeded) == []
