"""What stands beside the mounts: policies, namespaces, and the passthrough for what no entry knows yet."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.catalog.shared import SHUT_POLICY
from orchestrator.model import Field, Kind, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, HCL, LIST, MAP, TEXT, Shape

if TYPE_CHECKING:
    from orchestrator.documents import Json

_PLACE = replace(TEXT, canon=lambda value: (value or "").strip("/"), render=lambda value: value.strip("/"))

POLICIES = Kind(
    name="policies",
    family="system",
    summary="Who may do what: one HCL file a policy, in the folder `policies/`.",
    objects=(
        Object(
            key="policies",
            list="sys/policies/acl",
            ignore=frozenset({"default", "root"}),
            shut={"policy": SHUT_POLICY},
            parts=(
                Part(
                    Resource(
                        type="vault_policy",
                        path="sys/policies/acl/{name}",
                        name="name",
                        id="{name}",
                        fields={
                            "policy": Field(HCL, required=True),
                            "allow_overwrite": Field(FLAG, yaml=False, readable=False, computed=True),
                        },
                        writes=(Write("sys/policies/acl/{name}", ("policy",)),),
                    )
                ),
            ),
        ),
    ),
    example={"payments-read": {"policy": 'path "apps/data/payments/*" {\n  capabilities = ["read"]\n}\n'}},
)

NAMESPACES = Kind(
    name="namespaces",
    family="system",
    canary="orchestrator.live.canaries.namespaces:trials",
    summary="A server of its own inside the server.",
    objects=(
        Object(
            key="namespaces",
            list="sys/namespaces",
            nested=True,
            reserved=frozenset({"root", "sys", "audit", "auth", "cubbyhole", "identity"}),
            parts=(
                Part(
                    Resource(
                        type="vault_namespace",
                        path="sys/namespaces/{path}",
                        name="path",
                        id="{path}/",
                        import_id="{path}",
                        encloses="{path}",
                        fields={
                            "custom_metadata": Field(MAP, computed=True, default={}),
                            "namespace_id": Field(TEXT, api="id", output=True),
                            "path_fq": Field(_PLACE, api="path", computed=True, yaml=False),
                        },
                        writes=(
                            Write("sys/namespaces/{path}", on=("create",), always=True),
                            Write("sys/namespaces/{path}", ("custom_metadata",), on=("update",), method="PATCH"),
                        ),
                    )
                ),
            ),
        ),
    ),
    example={"team-a": {"custom_metadata": {"owner": "platform"}}},
    absent={"vault": "namespaces need Vault Enterprise; write `edition: enterprise` in the cluster, or use OpenBao"},
)


def _document(value: Json) -> Json:
    return json.loads(value) if isinstance(value, str) else dict(value or {})


_DATA = Shape(
    "string",
    {"type": "object"},
    "a map: what to write at the path",
    _document,
    lambda value: json.dumps(_document(value), sort_keys=True),
    "{}",
    _document,
)

ENDPOINT = Resource(
    type="vault_generic_endpoint",
    path="{path}",
    name="path",
    version=1,
    constants={"ignore_absent_fields": True},
    unless={"read": "disable_read", "delete": "disable_delete"},
    fields={
        "data": Field(_DATA, "data_json", whole=True, required=True, sensitive=True),
        "disable_read": Field(FLAG, readable=False),
        "disable_delete": Field(FLAG, readable=False),
        "ignore_absent_fields": Field(FLAG, readable=False, yaml=False),
        "write_fields": Field(LIST, readable=False, yaml=False),
        "write_data": Field(MAP, output=True),
        "write_data_json": Field(TEXT, output=True),
    },
    writes=(Write("{path}", ("data",), once=True),),
    gone=("No value found", "no handler for route"),
    adopt="create",
)

PASSTHROUGH = Kind(
    name="passthrough",
    family="system",
    summary="Any path of the API with its data, for what no entry knows yet.",
    objects=(
        Object(
            key="passthrough",
            required=("data",),
            parts=(Part(ENDPOINT),),
        ),
    ),
    example={"sys/quotas/rate-limit/cubbyhole": {"data": {"path": "cubbyhole/", "rate": 1000}}},
)
