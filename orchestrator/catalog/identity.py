"""Identity: who somebody is, by whatever method they log in; in YAML everything is called by its name."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.catalog.shared import AFTER_POLICIES, SHUT_POLICIES
from orchestrator.model import Field, Found, Kind, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, MAP, SET, TEXT, choice

_ENTITY = "identity/entity/id/{id}"
_GROUP = "identity/group/id/{id}"
_ALIAS = "identity/entity-alias/id/{id}"
_GROUP_ALIAS = "identity/group-alias/id/{id}"
_POLICIES = Field(
    replace(SET, canon=lambda value: sorted(name.lower() for name in value or [])), names="policy"
)  # OpenBao lower-cases them
_NAMED = {"name": "{name}"}
_BY = {"name": "{name}", "mount_accessor": "{mount_accessor}"}
_ALIAS_MADE = Found("identity/entity/id/{canonical_id}", "aliases", _BY)
_GROUP_ALIAS_MADE = Found("identity/group/id/{canonical_id}", "alias", _BY)
_ELSEWHERE = Field(FLAG, yaml=False, readable=False)

ENTITY = Resource(
    type="vault_identity_entity",
    path=_ENTITY,
    name="name",
    name_default="(made up)",
    id="{id}",
    found=Found("identity/entity/name/{name}"),
    fields={
        "policies": _POLICIES,
        "metadata": Field(MAP),
        "disabled": Field(FLAG),
        "external_policies": _ELSEWHERE,
    },
    writes=(
        Write(
            "identity/entity",
            ("policies", "metadata", "disabled"),
            on=("create",),
            data=_NAMED,
            once=True,
            made=Found("identity/entity/name/{name}"),
        ),
        Write(_ENTITY, ("policies", "metadata", "disabled"), on=("update",)),
    ),
    after=AFTER_POLICIES,
    outlived=True,
)

ALIAS = Resource(
    type="vault_identity_entity_alias",
    path=_ALIAS,
    id="{id}",
    found=Found("identity/entity/name/{entity}", "aliases", {"name": "{name}", "mount_path": "auth/{mount}/"}),
    fields={
        "name": Field(TEXT, required=True),
        "entity": Field(TEXT, "canonical_id", "canonical_id", required=True, names="entities", by="id"),
        "mount": Field(TEXT, "mount_accessor", "mount_accessor", required=True, names="auth", by="accessor"),
        "custom_metadata": Field(MAP),
        "external_id": Field(TEXT, yaml=False, readable=False),
        "issuer": Field(TEXT, yaml=False, readable=False),
    },
    writes=(Write("identity/entity-alias", on=("create",), once=True, made=_ALIAS_MADE), Write(_ALIAS, on=("update",))),
)

GROUP = Resource(
    type="vault_identity_group",
    path=_GROUP,
    name="name",
    name_default="(made up)",
    id="{id}",
    version=1,
    found=Found("identity/group/name/{name}"),
    constants={"external_member_group_ids": True},  # they would refer to their own kind: a resource of their own
    fields={
        "type": Field(choice("internal", "external"), default="internal", replace=True),
        "policies": _POLICIES,
        "metadata": Field(MAP),
        "member_entities": Field(
            SET,
            "member_entity_ids",
            "member_entity_ids",
            [],
            only={"type": ("internal", None)},  # the members of an external group come and go with their logins
            fits={"type": ("internal", None)},
            unsaid=True,
            names="entities",
            by="id",
        ),
        "member_group_ids": Field(SET, yaml=False, readable=False),
        "external_member_entity_ids": _ELSEWHERE,
        "external_member_group_ids": _ELSEWHERE,
        "external_policies": _ELSEWHERE,
    },
    writes=(
        Write("identity/group", on=("create",), data=_NAMED, once=True, made=Found("identity/group/name/{name}")),
        Write(_GROUP, on=("update",)),
    ),
    after=AFTER_POLICIES,
    outlived=True,
)

MEMBER_GROUPS = Resource(
    type="vault_identity_group_member_group_ids",
    path="identity/group/id/{group_id}",
    id="{group_id}",
    found=Found("identity/group/name/{object}"),
    constants={"exclusive": True},
    fields={
        "group_id": Field(TEXT, api="id", required=True, replace=True, yaml=False, readable=False),
        "member_groups": Field(SET, "member_group_ids", "member_group_ids", names="groups", by="id"),
        "exclusive": _ELSEWHERE,
    },
    writes=(Write("identity/group/id/{group_id}", ("member_group_ids",), always=True),),
    delete=Write("identity/group/id/{group_id}", data={"member_group_ids": []}),
    adopt="create",
)

GROUP_ALIAS = Resource(
    type="vault_identity_group_alias",
    path=_GROUP_ALIAS,
    id="{id}",
    found=Found("identity/group/name/{group}", "alias", {"name": "{name}", "mount_path": "auth/{mount}/"}),
    fields={
        "name": Field(TEXT, required=True),
        "group": Field(
            TEXT,
            "canonical_id",
            "canonical_id",
            required=True,
            names="groups",
            by="id",
            whose={"type": "external"},  # the members of an internal group are written, not brought by a login
        ),
        "mount": Field(TEXT, "mount_accessor", "mount_accessor", required=True, names="auth", by="accessor"),
    },
    writes=(
        Write("identity/group-alias", on=("create",), once=True, made=_GROUP_ALIAS_MADE),
        Write(_GROUP_ALIAS, on=("update",)),
    ),
)

IDENTITY = Kind(
    name="identity",
    family="system",
    summary="People and machines by name, whatever method they log in by, and the groups they belong to.",
    objects=(
        Object(
            key="entities",
            list="identity/entity/name",
            ignore=frozenset({"entity_*"}),  # a login of somebody whom nobody declared makes one
            shut={"disabled": True},
            parts=(Part(ENTITY),),
        ),
        Object(key="entity_aliases", required=("name", "entity", "mount"), parts=(Part(ALIAS),)),
        Object(
            key="groups",
            list="identity/group/name",
            shut={"policies": SHUT_POLICIES},
            parts=(Part(GROUP), Part(MEMBER_GROUPS, {"group_id": (GROUP.type, "id")}, when="member_groups")),
        ),
        Object(key="group_aliases", required=("name", "group", "mount"), parts=(Part(GROUP_ALIAS),)),
    ),
    example={
        "entities": {
            "ada": {"policies": ["payments-read"], "metadata": {"team": "payments"}},
            "grace": {"metadata": {"team": "platform"}},
        },
        "entity_aliases": {
            "ada-by-password": {"entity": "ada", "mount": "userpass", "name": "ada", "custom_metadata": {"desk": "7"}},
        },
        "groups": {
            "payments": {"policies": ["payments-read"], "member_entities": ["ada"], "metadata": {"owner": "payments"}},
            "engineers": {"member_entities": ["grace"], "member_groups": ["payments"]},
            "ci": {"type": "external", "policies": ["payments-read"]},
        },
        "group_aliases": {"ci-jobs": {"group": "ci", "mount": "jwt", "name": "ci-jobs"}},
    },
)
