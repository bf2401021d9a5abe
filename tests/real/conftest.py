"""What tests beside real programs share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.local import stack as local

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.local.stack import Stack

OLDER = "openbao-2.6.2"


@pytest.fixture(scope="session")
def older(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The last OpenBao that has LDAP, RADIUS and Kerberos built in."""
    if f"{stack.server}-{stack.version}" == OLDER:
        yield stack
        return
    root = tmp_path_factory.mktemp("older")
    yield local.up(root, OLDER)
    local.down(root)
