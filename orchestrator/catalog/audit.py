"""Audit: devices that log every request, and which headers of it they log."""

from __future__ import annotations

from orchestrator.model import Field, Kind, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, MAP, TEXT, choice

_BY_FILE = "OpenBao takes audit devices only from the server's own configuration; declare them in the cluster's file"
_DEVICE = "sys/audit/{path}"
_HEADER = "sys/config/auditing/request-headers/{name}"

DEVICE = Resource(
    type="vault_audit",
    path=_DEVICE,
    name="path",
    name_default="{type}",
    id="{path}",
    fields={
        "type": Field(choice("file", "socket", "syslog"), required=True, replace=True),
        "description": Field(TEXT, replace=True),
        "local": Field(FLAG, replace=True),
        "options": Field(MAP, required=True, replace=True),
    },
    writes=(Write(_DEVICE, on=("create",), once=True),),
    reads=("sys/audit",),
    within="{path}/",
)

REQUEST_HEADER = Resource(
    type="vault_audit_request_header",
    path=_HEADER,
    name="name",
    id="{name}",
    fields={"hmac": Field(FLAG)},
    writes=(Write(_HEADER, always=True),),
    within="{name}",
    gone=("Could not find header in config",),
    adopt="create",
)

AUDIT = Kind(
    name="audit",
    family="system",
    root=True,
    summary="Devices that log every request, and which headers of it they log.",
    objects=(
        Object(
            key="devices",
            list="sys/audit",
            table="",
            required=("type", "options"),
            absent={"openbao": _BY_FILE},
            parts=(Part(DEVICE),),
        ),
        Object(
            key="request_headers",
            list="sys/config/auditing/request-headers",
            table="headers",
            lower=True,
            parts=(Part(REQUEST_HEADER),),
        ),
    ),
    example={
        "devices": {"extra": {"type": "file", "description": "a second log", "options": {"file_path": "discard"}}},
        "request_headers": {"x-correlation-id": {"hmac": True}},
    },
)
