"""Plugins: programs that the server may run as engines, the versions it prefers, and the runtimes they run in."""

from __future__ import annotations

from orchestrator.model import Field, Kind, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, LIST, NUMBER, TEXT, choice

_TYPES = choice("auth", "database", "secret")
_PLUGIN = "sys/plugins/catalog/{type}/{name}"
_ONE_VERSION = f"{_PLUGIN}?version={{version}}"
_NO_IMAGES = {"openbao": "OpenBao takes images only from the server's own configuration; write a command"}
_NO_PINS = {"openbao": "OpenBao pins no versions; write plugin_version in the mount"}
_NO_RUNTIMES = {"openbao": "OpenBao has no plugin runtimes; register the plugin with a command"}

PLUGIN = Resource(
    type="vault_plugin",
    path=_PLUGIN,
    id="{type}/version/{version}/name/{name}",
    has_namespace=False,
    fields={
        "type": Field(_TYPES, required=True, readable=False, replace=True),
        "name": Field(TEXT, required=True, replace=True),
        "version": Field(TEXT, replace=True),
        "command": Field(TEXT),
        "sha256": Field(TEXT),
        "args": Field(LIST),
        "env": Field(LIST, sensitive=True, yaml=False, readable=False),
        "oci_image": Field(TEXT, absent=_NO_IMAGES),
        "runtime": Field(TEXT, absent=_NO_IMAGES),
    },
    writes=(Write(_PLUGIN),),
    reads=(_ONE_VERSION,),
    delete=Write(_ONE_VERSION, method="DELETE"),
)

PIN = Resource(
    type="vault_plugin_pinned_version",
    path="sys/plugins/pins/{type}/{name}",
    id="{type}/{name}",
    has_namespace=False,
    fields={
        "type": Field(_TYPES, required=True, replace=True),
        "name": Field(TEXT, required=True, replace=True),
        "version": Field(TEXT, required=True),
    },
    writes=(Write("sys/plugins/pins/{type}/{name}", ("version",)),),
    after=("vault_plugin",),
)

RUNTIME = Resource(
    type="vault_plugin_runtime",
    path="sys/plugins/runtimes/catalog/{type}/{name}",
    name="name",
    id="{type}/{name}",
    takes_id=False,
    constants={"type": "container"},
    fields={
        "type": Field(TEXT, required=True, replace=True, yaml=False, readable=False),
        "oci_runtime": Field(TEXT, default="", computed=True),
        "cgroup_parent": Field(TEXT, default="", computed=True),
        "cpu_nanos": Field(NUMBER, default=0, computed=True),
        "memory_bytes": Field(NUMBER, default=0, computed=True),
        "rootless": Field(FLAG, default=False, computed=True),
    },
    writes=(Write("sys/plugins/runtimes/catalog/{type}/{name}", always=True),),
)

PLUGINS = Kind(
    name="plugins",
    family="system",
    root=True,
    summary="Programs that the server may run as engines, each under a name of your own.",
    objects=(
        Object(key="catalog", required=("type", "name", "version", "command", "sha256"), parts=(Part(PLUGIN),)),
        Object(key="pins", required=("type", "name", "version"), absent=_NO_PINS, parts=(Part(PIN),)),
        Object(key="runtimes", absent=_NO_RUNTIMES, parts=(Part(RUNTIME),)),
    ),
    example={
        "catalog": {
            "example-1.0.0": {
                "type": "secret",
                "name": "example",
                "version": "v1.0.0",
                "command": "example-plugin",
                "sha256": "275239824e00e61b0a220e61a41791c7e9b4bd726f8b0c27077a338f8131c9dc",
                "args": ["--log-level=info"],
            }
        },
        "pins": {"example": {"type": "secret", "name": "example", "version": "v1.0.0"}},
        "runtimes": {"gvisor": {"oci_runtime": "runsc", "rootless": True}},
    },
)
