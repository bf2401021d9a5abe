"""AppRole: machines log in with a role id and a secret id."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.catalog.shared import AFTER_POLICIES, AUTH_MOUNT, DAY, NOWHERE, SHUT, TOKEN, tokens
from orchestrator.model import Field, Gives, Kind, Limit, Object, Part, Renew, Resource, Write
from orchestrator.shapes import FLAG, NUMBER, SECONDS, SET, TEXT, seconds

_BOUND = Limit("no-secret-id", bool, "whoever knows the role's id, which is no secret, logs in")
_ONCE = Limit("secret-id-reuse", lambda uses: uses == 1, "a SecretID that somebody reads after its use serves again")
_SOON = Limit(
    "secret-id-long-lived",
    lambda ttl: 0 < seconds(ttl) <= DAY,
    "a SecretID that lies about unused serves for more than a day",
)
_ROLE = "auth/{backend}/role/{role_name}"
_MADE = "auth/{mount}/role/{name}/secret-id"
_PROOF = "orchestrator.incident.proofs.approle:refused"
_SECRET_ID = Gives(
    "SecretID",
    list=f"{_MADE}/",
    end=Write(f"{_MADE}-accessor/destroy", data={"secret_id_accessor": "{id}"}),
    by_value=Write(f"{_MADE}/lookup", data={"secret_id": "{id}"}),
    by_value_id="secret_id_accessor",
    look=Write(f"{_MADE}-accessor/lookup", data={"secret_id_accessor": "{id}"}),
    gone=("failed to find accessor entry",),
    proof=_PROOF,
)

APPROLE = Kind(
    name="approle",
    family="auth",
    canary="orchestrator.live.canaries.approle:trials",
    summary="Machines log in with a role id and a secret id.",
    mount=AUTH_MOUNT,
    objects=(
        Object(
            key="roles",
            list="auth/{mount}/role",
            lower=True,
            gives=(_SECRET_ID, replace(tokens("auth/{mount}/login", role_name="{name}"), proof=_PROOF)),
            shut={"secret_id_bound_cidrs": NOWHERE, **SHUT},
            renew=Renew("SecretID", Write(_MADE), wrapped=True),
            merges=True,
            alias="{role_id}",
            parts=(
                Part(
                    Resource(
                        type="vault_approle_auth_backend_role",
                        path=_ROLE,
                        mount="backend",
                        mount_default="approle",
                        name="role_name",
                        fields={
                            "bind_secret_id": Field(FLAG, default=True, limit=_BOUND),
                            "secret_id_bound_cidrs": Field(SET),
                            "secret_id_num_uses": Field(NUMBER, default=1, official=0, limit=_ONCE),
                            "secret_id_ttl": Field(SECONDS, default="10m", official=0, limit=_SOON),
                            "local_secret_ids": Field(FLAG, replace=True),
                            "role_id": Field(TEXT, computed=True, yaml=False),
                            **TOKEN,
                        },
                        reads=(_ROLE, f"{_ROLE}/role-id"),
                        writes=(Write(_ROLE),),
                        after=AFTER_POLICIES,
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "approle",
        "description": "machines",
        "default_lease_ttl": "1h",
        "roles": {
            "payments": {
                "token_policies": ["payments-read"],
                "token_ttl": "20m",
                "token_max_ttl": "4h",
                "secret_id_ttl": "10m",
                "secret_id_num_uses": 1,
                "secret_id_bound_cidrs": ["127.0.0.0/8"],
                "token_bound_cidrs": ["127.0.0.0/8"],
            }
        },
    },
)
