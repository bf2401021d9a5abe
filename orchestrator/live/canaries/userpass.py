"""Userpass: log in with the declared password."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from orchestrator.live.canaries.login import prove_login
from orchestrator.live.canaries.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.declared import Declaration
    from orchestrator.live.canaries.trial import Mount


def trials(mount: Mount) -> Iterator[Trial]:
    """One a user with a password; a hash alone opens nothing."""
    for user in mount.declared("users"):
        if "password" in user.spec:
            yield Trial(user.title, "login with the password, revoke the token", partial(_prove, mount, user))


def _prove(mount: Mount, user: Declaration) -> None:
    body = {"password": mount.resolve(user.spec["password"])}
    prove_login(mount.server, f"auth/{user.mount}/login/{user.name}", body, user.spec)
