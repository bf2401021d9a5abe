"""What several kinds share: the mounts themselves, and the settings of the tokens that a login gives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.model import Field, Gives, Limit, Resource, Write
from orchestrator.shapes import DURATION, FLAG, LIST, MAP, NUMBER, SECONDS, SET, TEXT, Shape, choice, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.documents import Json, Spec
    from orchestrator.model import Fields

EXAMPLE_CA = """\
-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUbO3abyQL3Q/IO5Q0JCIYdHyG2sQwCgYIKoZIzj0EAwIw
GjEYMBYGA1UEAwwPRXhhbXBsZSBSb290IENBMCAXDTI2MTEyMTEzMTg1MFoYDzIx
MjYxMDI4MTMxODUwWjAaMRgwFgYDVQQDDA9FeGFtcGxlIFJvb3QgQ0EwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAASozRXRQXklJxDBSjkgwCA+3mYp49Sa9tAF6NKW
BjtiC5kzwu9p42RSQ8H7YOuB4I3/mD+N8eBa+TM5N6JBX1Cro2MwYTAdBgNVHQ4E
FgQUToysgw7nTIO4r2J5C1YeFQGS7dQwHwYDVR0jBBgwFoAUToysgw7nTIO4r2J5
C1YeFQGS7dQwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwCgYIKoZI
zj0EAwIDSQAwRgIhAPAlBYljxvia67lo0VzbezJbQMiA3SH867PFSzFniJuHAiEA
gGmj2UhoUlARS0u9aETnawd11awNkyJfO3gPjPjTJvo=
-----END CERTIFICATE-----
"""
NO_ALIAS_METADATA = {"openbao": "OpenBao has no alias metadata; leave it out"}
VISIBILITY = replace(  # the official provider never sends an empty one, so that "hidden" is how it goes back
    choice("", "hidden", "unauth"),
    canon=lambda value: value or "hidden",
    render=lambda value: value or "hidden",
    zero="hidden",
)
SORTS = ("service", "batch", "default-service", "default-batch")
SORT = choice(*SORTS)
TOKEN_TYPE = choice("default", *SORTS)

DAY = 86400
SHORT_LIVED = Limit("long-lived-token", lambda value: seconds(value) <= DAY, "a stolen token serves for days")
AFTER_POLICIES = ("vault_policy",)  # a login that names a policy before it stands would give less than declared
TOKEN = {
    "token_policies": Field(SET, names="policy"),
    "token_ttl": Field(SECONDS, limit=SHORT_LIVED),
    "token_max_ttl": Field(SECONDS),
    "token_period": Field(SECONDS),
    "token_explicit_max_ttl": Field(SECONDS),
    "token_num_uses": Field(NUMBER),
    "token_bound_cidrs": Field(SET),
    "token_no_default_policy": Field(FLAG),
    "token_type": Field(TOKEN_TYPE, default="default"),
    "alias_metadata": Field(MAP, absent=NO_ALIAS_METADATA),
}

NOWHERE = ["255.255.255.255/32"]  # where no client can be
SHUT = {"token_bound_cidrs": ["255.255.255.255"]}  # as servers tell it
SHUT_POLICY = 'path "strongroom/shut" {\n  capabilities = ["deny"]\n}\n'  # a policy without a rule is refused
SHUT_POLICIES = ["strongroom-shut"]  # a policy that nobody writes gives nothing
NOTHING = "strongroom-shut"  # a name that stands for nothing, wherever it is looked up


def leases(
    prefix: str, what: str = "lease", *, stays: str = "", where: Callable[[Spec], bool] = lambda _: True
) -> Gives:
    """What a secrets engine gives out with a lease, under a prefix; with `stays`, the lease is all that would end."""
    return Gives(
        what,
        list=f"sys/leases/lookup/{prefix}/",
        id=f"{prefix}/{{key}}",
        end=None if stays else Write("sys/leases/revoke", data={"lease_id": "{id}", "sync": True}),
        look=Write("sys/leases/lookup", data={"lease_id": "{id}"}),
        gone=("invalid lease",),
        stays=stays,
        where=where,
        held={"path": prefix},
    )


def tokens(path: str, **said: str) -> Gives:
    """What a login by a role gives, told by where it was made and by its metadata."""
    says = {"path": path, **{f"meta.{name}": value for name, value in said.items()}}
    return Gives("token", says=says, held={"path": "auth/{mount}/", "role": "{name}"})


def users_tokens(said: str = "username") -> Gives:
    """What a login under a name gives: the path holds the name as somebody typed it, the metadata as it is known."""
    return Gives("token", says={"path": "auth/{mount}/*", f"meta.{said}": "{name}"})


def members_tokens() -> Gives:
    """What a login gives to the members of a group that only the login itself looks up."""
    return Gives(
        "token",
        untold="the server does not tell whose tokens came by it: name its policies with --policy, or all of "
        "--mount auth/{mount}",
    )


def turned(what: str, path: str = "") -> Gives:
    """A secret that an object keeps and shows to whoever may read it: it is ended by making a new one, at a path."""
    way = (
        f"`bao write -f {path}` makes a new one of it" if path else "end it at its provider; the next rotation mends it"
    )
    return Gives(what, untold=f"no list holds it, as there is only one: {way}")


_TTL = replace(SECONDS, send=lambda value: f"{value or 0}s")
_NOT_HERE = {"openbao": "OpenBao has no such setting; leave it out"}

SECRETS_MOUNT = Resource(
    type="vault_mount",
    path="sys/mounts/{path}",
    mount="path",
    id="{path}",
    leases="{path}",
    fields={
        "type": Field(TEXT, required=True, replace=True, yaml=False),
        "options": Field(MAP, yaml=False),
        "description": Field(TEXT),
        "default_lease_ttl": Field(_TTL, "default_lease_ttl_seconds", "config.default_lease_ttl", 0, computed=True),
        "max_lease_ttl": Field(_TTL, "max_lease_ttl_seconds", "config.max_lease_ttl", 0, computed=True),
        "listing_visibility": Field(VISIBILITY, api="config.listing_visibility"),
        "audit_non_hmac_request_keys": Field(LIST, api="config.audit_non_hmac_request_keys", default=[], computed=True),
        "audit_non_hmac_response_keys": Field(
            LIST, api="config.audit_non_hmac_response_keys", default=[], computed=True
        ),
        "passthrough_request_headers": Field(LIST, api="config.passthrough_request_headers"),
        "allowed_response_headers": Field(LIST, api="config.allowed_response_headers"),
        "delegated_auth_accessors": Field(LIST, api="config.delegated_auth_accessors", absent=_NOT_HERE),
        "identity_token_key": Field(TEXT, api="config.identity_token_key", absent=_NOT_HERE),
        "allowed_managed_keys": Field(SET, api="config.allowed_managed_keys", absent=_NOT_HERE),
        "plugin_version": Field(TEXT),
        "force_no_cache": Field(FLAG, api="config.force_no_cache", computed=True, replace=True),
        "local": Field(FLAG, replace=True),
        "seal_wrap": Field(FLAG, computed=True, replace=True),
        "external_entropy_access": Field(FLAG, replace=True),
        "accessor": Field(TEXT, output=True),
    },
    writes=(
        Write(
            "sys/mounts/{path}",
            ("type", "description", "local", "seal_wrap", "external_entropy_access", "options", "plugin_version"),
            on=("create",),
            once=True,
        ),
        Write(
            "sys/mounts/{path}/tune",
            (
                "default_lease_ttl",
                "max_lease_ttl",
                "listing_visibility",
                "audit_non_hmac_request_keys",
                "audit_non_hmac_response_keys",
                "passthrough_request_headers",
                "allowed_response_headers",
                "delegated_auth_accessors",
                "identity_token_key",
                "allowed_managed_keys",
            ),
        ),
        Write("sys/mounts/{path}/tune", ("description", "options", "plugin_version"), on=("update",)),
    ),
    gone=("No secret engine mount at", "no handler for route"),
)

_TUNED_LISTS = (
    "audit_non_hmac_request_keys",
    "audit_non_hmac_response_keys",
    "allowed_response_headers",
    "passthrough_request_headers",
)


def _tuned(shape: Shape, name: str, default: Json = None) -> Field:
    """A setting of the computed group `tune`, of which Terraform keeps what the configuration no longer says."""
    return Field(shape, f"tune.{name}", f"config.{name}", default)


AUTH_FIELDS = {
    "description": Field(TEXT),
    "default_lease_ttl": _tuned(DURATION, "default_lease_ttl", 0),
    "max_lease_ttl": _tuned(DURATION, "max_lease_ttl", 0),
    "listing_visibility": _tuned(VISIBILITY, "listing_visibility", "hidden"),
    "token_type": _tuned(replace(SORT, zero="default-service"), "token_type", "default-service"),
    **{name: _tuned(LIST, name) for name in _TUNED_LISTS},
    "local": Field(FLAG, replace=True),
    "accessor": Field(TEXT, output=True),
    "disable_remount": Field(FLAG, yaml=False, readable=False),
}
AUTH_WRITES = (
    Write("sys/auth/{path}", ("type", "description", "local"), on=("create",), once=True),
    Write(
        "sys/mounts/auth/{path}/tune",
        (
            "default_lease_ttl",
            "max_lease_ttl",
            "listing_visibility",
            "config.token_type",
            "identity_token_key",
            *_TUNED_LISTS,
        ),
    ),
    Write("sys/mounts/auth/{path}/tune", ("description",), on=("update",)),
)
AUTH_GONE = ("No auth engine at", "No secret engine mount at", "no handler for route", "cannot fetch sysview for path")

AUTH_MOUNT = Resource(
    type="vault_auth_backend",
    path="sys/mounts/auth/{path}",
    mount="path",
    mount_default="{type}",
    id="{path}",
    version=1,
    fields={
        "type": Field(TEXT, required=True, replace=True, yaml=False),
        "identity_token_key": Field(TEXT, api="config.identity_token_key", absent=_NOT_HERE),
        **AUTH_FIELDS,
    },
    writes=AUTH_WRITES,
    delete=Write("sys/auth/{path}", method="DELETE"),
    gone=AUTH_GONE,
    groups={"tune": "attribute"},
)

_ROTATED = {"vault": "Vault rotates a root credential by itself only in its Enterprise edition; leave it out"}
FEDERATED = {"vault": "workload identity federation needs Vault Enterprise; leave it out"}


def credential(name: str, group: str = "", *, resent: bool = False) -> dict[str, Field]:
    """A secret, and its twin that Terraform's state would keep: nothing renders that one."""
    return {
        f"{group}{name}": Field(TEXT, f"{name}_wo", name, secret=True, resent=resent, sensitive=True),
        f"{name}_in_state": Field(TEXT, name, name, yaml=False, readable=False, sensitive=True),
    }


def rotation(group: str = "") -> dict[str, Field]:
    """How an engine's root credential is rotated."""
    return {
        f"{group}rotation_period": Field(SECONDS, absent=_ROTATED),
        f"{group}rotation_schedule": Field(TEXT, absent=_ROTATED),
        f"{group}rotation_window": Field(SECONDS, absent=_ROTATED),
        f"{group}disable_automated_rotation": Field(FLAG, absent=_ROTATED),
    }


def federation(group: str = "", *, computed: bool = True) -> dict[str, Field]:
    """How an engine shows who it is by tokens of the server's own, in place of a root credential."""
    return {
        f"{group}identity_token_audience": Field(TEXT, absent=FEDERATED),
        f"{group}identity_token_ttl": Field(SECONDS, computed=computed, absent=FEDERATED),
    }


def keys(fields: Fields) -> tuple[str, ...]:
    """What a request calls these settings."""
    return tuple(one.sent or (one.api or name).rpartition(".")[2] for name, one in fields.items())


def secrets_engine(
    type_: str,
    engine: str,
    config: Fields,
    writes: tuple[Write, ...],
    mount: str = "path",
    *,
    filled: bool = True,
    gone: tuple[str, ...] = (),
) -> Resource:
    """A mount that one resource makes and configures; what it gives out ends after an hour unless more is said."""
    here = f"{{{mount}}}"
    fields = {name: one for name, one in SECRETS_MOUNT.fields.items() if name != "type"}
    lease, longest = fields["default_lease_ttl"], fields["max_lease_ttl"]
    made, *tuned = (replace(write, path=write.path.replace("{path}", here)) for write in SECRETS_MOUNT.writes)
    return replace(
        SECRETS_MOUNT,
        type=type_,
        path=f"sys/mounts/{here}",
        mount=mount,
        mount_default=engine,
        id=here,
        leases=here,
        version=1,
        fields={
            **fields,
            "default_lease_ttl": replace(lease, default=3600, official=0, computed=filled),
            "max_lease_ttl": replace(longest, computed=filled),
            "disable_remount": Field(FLAG, yaml=False, readable=False),
            **config,
        },
        reads=(f"sys/mounts/{here}", *(write.path for write in writes)),
        writes=(replace(made, always=True, data={"type": engine}), *tuned, *writes),
        gone=(*SECRETS_MOUNT.gone, *gone),
    )


def auth_engine(
    type_: str, engine: str, config: Fields, unwritten: Fields, *, local: bool = True, blocks: tuple[str, ...] = ()
) -> Resource:
    """An auth mount that one resource makes and configures."""
    path = "auth/{path}/config"
    made, *tuned = AUTH_WRITES
    return Resource(
        type=type_,
        path=AUTH_MOUNT.path,
        mount="path",
        mount_default=engine,
        id="{path}",
        version=1,
        fields={**{name: one for name, one in AUTH_FIELDS.items() if local or name != "local"}, **config, **unwritten},
        reads=(AUTH_MOUNT.path, path),
        writes=(replace(made, always=True, data={"type": engine}), *tuned, Write(path, keys(config))),
        delete=AUTH_MOUNT.delete,
        gone=AUTH_GONE,
        groups={"tune": "attribute", **dict.fromkeys(blocks, "block")},
        after=AFTER_POLICIES,
    )
