"""One embedded stack for the whole run; each test has mounts or an environment of its own on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from orchestrator.local import stack as local
from orchestrator.terraform.provider.api import Api
from tests.support import STATIC_ACCOUNT, postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.local.stack import Stack


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--server", default=None, help="another server: openbao-2.6.2, or the path of a bao or vault")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What builds images, or needs servers that this project does not bring, takes its time."""
    for one in items:
        if one.path.parent.name in {"infra", "real"}:
            one.add_marker(pytest.mark.long)


@pytest.fixture(scope="session")
def stack_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, stack_root: Path) -> Iterator[Stack]:
    root = stack_root
    running = local.up(root, request.config.getoption("--server"))
    plugin = root / ".strongroom/stack/vault/plugins/example-plugin"
    plugin.touch(mode=0o755)
    with psycopg.connect(postgres(running), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {STATIC_ACCOUNT} LOGIN")
    yield running
    local.down(root)


@pytest.fixture(scope="session")
def api(stack: Stack) -> Iterator[Api]:
    """The server behind the commands' backs."""
    found = Api(stack.address, stack.token)
    yield found
    found.close()


@pytest.fixture
def namespaces(stack: Stack) -> None:
    """What follows needs namespaces, which the free edition of Vault lacks."""
    if stack.server == "vault":
        pytest.skip("HashiCorp Vault has namespaces only in its Enterprise edition")
