"""Connections of several plugins share a Terraform type: each is told from the others, whoever made it."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.catalog import RESOURCES
from orchestrator.catalog.connections import CONNECTIONS, TYPE
from orchestrator.commands.drift import drift
from orchestrator.commands.plan import Asked, apply, plan
from orchestrator.config.load import load
from orchestrator.errors import Refused
from orchestrator.instances import instances
from orchestrator.live import drift as compare
from orchestrator.live.drift import Drift
from orchestrator.terraform.beside import STAND_IN
from orchestrator.terraform.provider.engine import Offline
from orchestrator.terraform.render import render
from tests.support import no_progress, no_question, project
from tests.test_config import VALID, laid_out

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestrator.local.stack import Stack
    from orchestrator.terraform.provider.api import Api

NAME = "connections"
BLOCKS = {one.key for one in CONNECTIONS}
MYSQL = {"connection_url": "{{username}}:{{password}}@tcp(127.0.0.1:1)/", "username": "strongroom"}
POSTGRESQL = {"connection_url": "postgresql://{{username}}:{{password}}@127.0.0.1:1/orders", "username": "strongroom"}
REDIS: dict[str, Any] = {"host": "127.0.0.1", "port": 6379, "username": "strongroom", "tls": False}


@pytest.fixture
def mount(api: Api) -> Iterator[str]:
    """A mount with three connections made by hand, of a plugin each."""
    path = f"connections-{secrets.token_hex(4)}"
    api.call("POST", f"sys/mounts/{path}", {"type": "database"})
    made: dict[str, dict[str, Any]] = {"mysql": MYSQL, "postgresql": POSTGRESQL, "redis": REDIS}
    for name, details in made.items():
        body = {"plugin_name": f"{name}-database-plugin", "password": "by-hand", "verify_connection": False, **details}
        api.call("POST", f"{path}/config/{name}", body)
    yield path
    api.call("DELETE", f"sys/mounts/{path}", None)


def declared(mount: str, **connections: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A document with connections by plugin and name, none of which is tried."""
    more = {"password": "env:DATABASE_PASSWORD", "verify_connection": False, "allowed_roles": []}
    keys = {key: {name: {**more, **one} for name, one in several.items()} for key, several in connections.items()}
    return {"secrets": {mount: {"type": "database", **keys}}}


def blocks(state: Mapping[str, Any]) -> set[str]:
    return {name for name in BLOCKS if state[name]}


@pytest.fixture
def provider(stack: Stack) -> Iterator[Offline]:
    found = Offline()
    found.configure({"address": stack.address, "token": stack.token})
    yield found
    found.close()


@pytest.mark.server
@pytest.mark.parametrize("name", ["mysql", "postgresql", "redis"])
def test_an_import_reads_the_plugin_from_the_server_and_no_other_block(
    provider: Offline, mount: str, name: str
) -> None:
    (imported,) = provider.import_(TYPE, f"{mount}/config/{name}")
    state = provider.read(TYPE, imported)

    assert state
    assert state["plugin_name"] == f"{name}-database-plugin"
    assert blocks(state) == {name}
    assert state[name][0]["username"] == "strongroom"


@pytest.mark.server
def test_a_plugin_that_was_changed_behind_our_back_leaves_no_block_of_the_old_one(
    provider: Offline, mount: str, api: Api
) -> None:
    (imported,) = provider.import_(TYPE, f"{mount}/config/mysql")
    before = provider.read(TYPE, imported)
    other = {"plugin_name": "postgresql-database-plugin", "verify_connection": False, **POSTGRESQL}
    api.call("POST", f"{mount}/config/mysql", other)
    after = provider.read(TYPE, before or {})

    assert after
    assert blocks(after) == {"postgresql"}


@pytest.mark.server
def test_connections_that_live_are_adopted_by_their_plugins(stack: Stack, mount: str, tmp_path: Path, api: Api) -> None:
    document = declared(mount, mysql={"mysql": MYSQL}, postgresql={"postgresql": POSTGRESQL}, redis={"redis": REDIS})
    environ = project(tmp_path, stack, NAME, document)
    planned = plan(tmp_path, NAME, environ, no_progress, None)
    report = apply(tmp_path, NAME, environ, no_progress, no_question, Asked(verify=False))

    assert sorted((one.title, one.action) for one in planned.changes if "/" in one.title.partition("/")[2]) == [
        (f"secrets/{mount}/{name}/{name}", "adopt") for name in ("mysql", "postgresql", "redis")
    ]
    assert report.pending == ()
    assert [one for one in drift(tmp_path, NAME, environ).drifts if mount in one.title] == []
    assert api.read(f"{mount}/config/redis")


@pytest.mark.server
def test_another_plugin_under_the_same_name_is_another_connection(
    stack: Stack, mount: str, tmp_path: Path, api: Api
) -> None:
    first = project(tmp_path, stack, NAME, declared(mount, postgresql={"orders": POSTGRESQL}))
    apply(tmp_path, NAME, first, no_progress, no_question, Asked(verify=False))
    environ = project(tmp_path, stack, NAME, declared(mount, redis={"orders": REDIS}))
    (found,) = [one for one in drift(tmp_path, NAME, environ).drifts if one.setting == "plugin_name"]
    (change,) = plan(tmp_path, NAME, environ, no_progress, None).changes
    title = f"secrets/{mount}/redis/orders"
    with pytest.raises(Refused) as refused:
        apply(tmp_path, NAME, environ, no_progress, no_question, Asked(verify=False))
    report = apply(tmp_path, NAME, environ, no_progress, no_question, Asked(verify=False, destroy=[title]))
    live = api.read(f"{mount}/config/orders")

    assert found == Drift(title, "plugin_name", "redis-database-plugin", "postgresql-database-plugin")
    assert (change.title, change.action) == (title, "replace")
    assert str(refused.value) == f"{title} would be destroyed and made anew; name it if you mean it: --destroy {title}"
    assert report.pending == ()
    assert live
    assert not {"connection_url", "password_authentication"} & live["connection_details"].keys()


@pytest.mark.server
def test_a_connection_that_nobody_declared_is_named_by_its_plugin(
    stack: Stack, mount: str, tmp_path: Path, api: Api
) -> None:
    if stack.server == "vault":
        pytest.skip("HashiCorp Vault has no plugin that no key stands for")
    body = {"plugin_name": "valkey-database-plugin", "password": "by-hand", "verify_connection": False, **REDIS}
    api.call("POST", f"{mount}/config/strange", body)
    environ = project(tmp_path, stack, NAME, declared(mount, mysql={"mysql": MYSQL}))
    found = drift(tmp_path, NAME, environ).drifts

    assert [one for one in found if one.declared == compare.UNDECLARED and f"/{mount}/" in one.title] == [
        Drift(f"secrets/{mount}/{title}", "", compare.UNDECLARED, compare.PRESENT)
        for title in ("config/strange", "postgresql/postgresql", "redis/redis")
    ]


def test_a_block_tells_the_plugin_where_a_configuration_names_none() -> None:
    nothing = dict.fromkeys(RESOURCES[TYPE].groups)
    planned: Any = Offline().plan(TYPE, None, {**nothing, "redis": [REDIS]}, {**nothing, "redis": [REDIS]})

    assert planned.state["plugin_name"] == "redis-database-plugin"
    assert planned.state["redis"][0]["host"] == "127.0.0.1"
    assert blocks(planned.state) == {"redis"}


@pytest.fixture
def rendered(tmp_path: Path) -> dict[str, Any]:
    """What an environment with a connection of every plugin renders to."""
    return render(instances(load(laid_out(tmp_path, VALID / "database-plugins.yaml"), "case", None)))


def test_every_plugin_has_its_block(rendered: dict[str, Any]) -> None:
    body, rows = rendered["resource"][TYPE]["this"], rendered["locals"][TYPE]
    plugins = {row["plugin_name"] for row in rows.values()}

    assert body["dynamic"].keys() == BLOCKS
    assert len(rows) == len(plugins) == len(BLOCKS)


def test_no_row_has_anything_in_the_block_of_another_plugin(rendered: dict[str, Any]) -> None:
    for row in rendered["locals"][TYPE].values():
        shown = {name.partition("__")[0] for name, value in row.items() if "__" in name and value is not None}

        assert len(shown) == 1
        assert row["plugin_name"].removeprefix("vault-plugin-database-").startswith(shown.pop().replace("_", "-"))


def test_secrets_that_the_provider_would_keep_go_beside_it(rendered: dict[str, Any]) -> None:
    once, always = f"beside_{TYPE}", f"beside_{TYPE}_always"
    atlas = json.loads(rendered["locals"][always]["database/h"]["request"])

    assert rendered["locals"][once].keys() == {f"database/{name}" for name in "iklpq"}
    assert rendered["locals"][always].keys() == {"database/h"}
    assert rendered["resource"]["terraform_data"][f"{TYPE}_always"]["lifecycle"] == {
        "replace_triggered_by": [f"{TYPE}.this[each.key]"]
    }
    assert atlas["secrets"].keys() == {"private_key"}
    assert (atlas["path"], atlas["data"]) == ("database/config/h", {"verify_connection": True})
    assert rendered["locals"][TYPE]["database/h"]["mongodbatlas__private_key"] == STAND_IN
    assert (
        f"terraform_data.{TYPE}_always"
        in rendered["resource"]["vault_database_secret_backend_role"]["this"]["depends_on"]
    )
