"""Token roles: make a token by the role, see that it is what the role says, revoke it."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.live.canaries.login import prove_token
from orchestrator.live.canaries.trial import Failed, Trial

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.declared import Declaration
    from orchestrator.documents import Json
    from orchestrator.live.canaries.trial import Mount
    from orchestrator.live.server import Server

_TTL = "60s"
_DEFAULT = "default"


def trials(mount: Mount) -> Iterator[Trial]:
    """One a role that gives a token without more rights than `default`, or with the policies it allows."""
    for role in mount.declared("roles"):
        if role.spec.get("allowed_policies") or not _refuses(role, _DEFAULT):
            yield Trial(role.title, "make a token by the role, revoke it", partial(_prove, mount.server, role))


def _refuses(role: Declaration, policy: str) -> bool:
    refused = (*role.spec.get("disallowed_policies", ()), *role.spec.get("disallowed_policies_glob", ()))
    return any(fnmatchcase(policy, one) for one in refused)


def _prove(server: Server, role: Declaration) -> None:
    asked = role.spec.get("allowed_policies") or [_DEFAULT]
    auth = server.write(f"auth/token/create/{role.name}", {"ttl": _TTL, "policies": asked})
    prove_token(server, auth, {**role.spec, "token_policies": asked}, partial(_check, role))


def _check(role: Declaration, live: Mapping[str, Json]) -> None:
    for setting in ("orphan", "renewable"):
        declared = _said(role, setting)
        if bool(live.get(setting)) != declared:
            raise Failed(f"the token is {'' if live.get(setting) else 'not '}{setting}, which is not as declared")


def _said(role: Declaration, setting: str) -> bool:
    """What the YAML says of a flag, or the catalogue where it is silent."""
    fields = role.object.fields if role.object else {}
    return bool(role.spec.get(setting, fields[setting].default))
