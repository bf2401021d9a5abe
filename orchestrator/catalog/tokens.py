"""Token roles: what a token may be that somebody makes without a login."""

from __future__ import annotations

from orchestrator.catalog.shared import AFTER_POLICIES, SHUT, SORT, TOKEN
from orchestrator.model import Field, Gives, Kind, Limit, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, MAP, NUMBER, SECONDS, SET, TEXT, seconds

_ROLE = "auth/token/roles/{role_name}"
_DAY = 24 * 60 * 60
_ENDING = {"token_type": (None, "service", "default-service")}  # batch tokens cannot be renewed and take no such end
_ENDS = Limit(
    "endless-token", lambda ttl: seconds(ttl) > 0, "without an end, a token lives on for as long as somebody renews it"
)
_ORPHAN = Limit("orphan-token", lambda on: not on, "it outlives whoever made it, also when they are revoked")


def _ignored(name: str) -> Field:
    """The provider has it, and every server drops it from a token role."""
    return Field(TOKEN[name].shape, yaml=False, readable=False)


TOKENS = Kind(
    name="tokens",
    family="system",
    canary="orchestrator.live.canaries.tokens:trials",
    summary="What a token may be that somebody makes without a login.",
    objects=(
        Object(
            key="roles",
            list="auth/token/roles",
            gives=(Gives("token", says={"role": "{name}"}, held={"path": "auth/token/create/{name}"}),),
            shut=SHUT,
            merges=True,
            parts=(
                Part(
                    Resource(
                        type="vault_token_auth_backend_role",
                        path=_ROLE,
                        name="role_name",
                        fields={
                            "allowed_policies": Field(SET, names="policy"),
                            "allowed_policies_glob": Field(SET),
                            "disallowed_policies": Field(
                                SET, default=["root"], official=[], names="policy", besides=("root",)
                            ),
                            "disallowed_policies_glob": Field(SET),
                            "allowed_entity_aliases": Field(SET),
                            "orphan": Field(FLAG, limit=_ORPHAN),
                            "renewable": Field(FLAG, default=False, official=True),
                            "path_suffix": Field(TEXT),
                            "token_explicit_max_ttl": Field(
                                SECONDS, default=_DAY, official=0, only=_ENDING, limit=_ENDS
                            ),
                            "token_period": Field(SECONDS),
                            "token_num_uses": Field(NUMBER),
                            "token_bound_cidrs": Field(SET),
                            "token_no_default_policy": Field(FLAG),
                            "token_type": Field(SORT, default="default-service"),
                            "token_ttl": _ignored("token_ttl"),
                            "token_max_ttl": _ignored("token_max_ttl"),
                            "token_policies": _ignored("token_policies"),
                            "alias_metadata": Field(MAP, yaml=False, readable=False),
                        },
                        writes=(Write(_ROLE),),
                        after=AFTER_POLICIES,
                    )
                ),
            ),
        ),
    ),
    example={
        "roles": {
            "payments-job": {
                "allowed_policies": ["payments-read"],
                "disallowed_policies": ["root"],
                "allowed_entity_aliases": ["payments-*"],
                "renewable": True,
                "path_suffix": "jobs",
                "token_explicit_max_ttl": "12h",
                "token_period": "1h",
                "token_bound_cidrs": ["127.0.0.0/8"],
            }
        }
    },
)
