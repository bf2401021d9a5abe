"""The messages Terraform and a provider exchange: plugin protocol 6, and what go-plugin adds to it.

Only numbers and types cross the wire, so names are ours and enumerations are numbers. The fields are those of
https://github.com/hashicorp/terraform/blob/main/docs/plugin-protocol/tfplugin6.proto; a field not listed here is
skipped when read. The syntax is proto2, where a field set to its default is still sent: step 0 of a path must be.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Message: TypeAlias = Any  # its fields are known to the table below, not to mypy

ERROR: Final = 1
"""The severity of a diagnostic that stops Terraform."""
NESTING: Final = {"single": 1, "list": 2, "set": 3}
SERVING: Final = 1

_FIELDS: Final = {
    "Empty": "",
    "DynamicValue": "bytes msgpack 1",
    "Diagnostic": "int32 severity 1, string summary 2, string detail 3, AttributePath attribute 4",
    "AttributePath": "Step* steps 1",
    "Step": "string attribute_name 1, string element_key_string 2, int64 element_key_int 3",
    "RawState": "bytes json 1",
    "Schema": "int64 version 1, Block block 2",
    "Block": "Attribute* attributes 2, NestedBlock* block_types 3",
    "Attribute": "string name 1, bytes type 2, bool required 4, bool optional 5, bool computed 6, bool sensitive 7, "
    "bool deprecated 9, bool write_only 11",
    "NestedBlock": "string type_name 1, Block block 2, int32 nesting 3, int64 min_items 4, int64 max_items 5",
    "NamedSchema": "string key 1, Schema value 2",
    "ServerCapabilities": "bool get_provider_schema_optional 2",
    "Schemas": "Schema provider 1, NamedSchema* resource_schemas 2, Diagnostic* diagnostics 4, "
    "ServerCapabilities server_capabilities 6",
    "ProviderValidated": "Diagnostic* diagnostics 2",
    "Configure": "DynamicValue config 2",
    "Configured": "Diagnostic* diagnostics 1",
    "Validate": "string type_name 1, DynamicValue config 2",
    "Validated": "Diagnostic* diagnostics 1",
    "Upgrade": "string type_name 1, int64 version 2, RawState raw_state 3",
    "Upgraded": "DynamicValue upgraded_state 1, Diagnostic* diagnostics 2",
    "Read": "string type_name 1, DynamicValue current_state 2, bytes private 3",
    "ReadBack": "DynamicValue new_state 1, Diagnostic* diagnostics 2, bytes private 3",
    "Plan": "string type_name 1, DynamicValue prior_state 2, DynamicValue proposed_new_state 3, "
    "DynamicValue config 4, bytes prior_private 5",
    "PlannedChange": "DynamicValue planned_state 1, AttributePath* requires_replace 2, bytes planned_private 3, "
    "Diagnostic* diagnostics 4, bool legacy_type_system 5",
    "Apply": "string type_name 1, DynamicValue prior_state 2, DynamicValue planned_state 3, DynamicValue config 4, "
    "bytes planned_private 5",
    "Applied": "DynamicValue new_state 1, bytes private 2, Diagnostic* diagnostics 3, bool legacy_type_system 4",
    "Import": "string type_name 1, string id 2",
    "Imported": "ImportedResource* imported_resources 1, Diagnostic* diagnostics 2",
    "ImportedResource": "string type_name 1, DynamicValue state 2",
    "Health": "int32 status 1",
}


class Call(NamedTuple):
    service: str
    name: str
    request: str
    response: str


_PROVIDER: Final = "tfplugin6.Provider"
CALLS: Final = (
    Call(_PROVIDER, "GetProviderSchema", "Empty", "Schemas"),
    Call(_PROVIDER, "ValidateProviderConfig", "Empty", "ProviderValidated"),
    Call(_PROVIDER, "ConfigureProvider", "Configure", "Configured"),
    Call(_PROVIDER, "ValidateResourceConfig", "Validate", "Validated"),
    Call(_PROVIDER, "UpgradeResourceState", "Upgrade", "Upgraded"),
    Call(_PROVIDER, "ReadResource", "Read", "ReadBack"),
    Call(_PROVIDER, "PlanResourceChange", "Plan", "PlannedChange"),
    Call(_PROVIDER, "ApplyResourceChange", "Apply", "Applied"),
    Call(_PROVIDER, "ImportResourceState", "Import", "Imported"),
    Call(_PROVIDER, "StopProvider", "Empty", "Empty"),
    Call("plugin.GRPCController", "Shutdown", "Empty", "Empty"),
    Call("grpc.health.v1.Health", "Check", "Empty", "Health"),
)
"""What is answered; to any other call grpc says UNIMPLEMENTED, which Terraform takes for "an older provider"."""

_PACKAGE: Final = "strongroom.wire"
_Field = descriptor_pb2.FieldDescriptorProto


def _file() -> descriptor_pb2.FileDescriptorProto:
    messages = (
        descriptor_pb2.DescriptorProto(name=name, field=map(_field, filter(None, fields.split(", "))))
        for name, fields in _FIELDS.items()
    )
    return descriptor_pb2.FileDescriptorProto(name="wire.proto", package=_PACKAGE, message_type=messages)


def _field(written: str) -> descriptor_pb2.FieldDescriptorProto:
    """A field written `type name number`, a `*` after the type when it repeats."""
    kind, name, number = written.split()
    label = _Field.LABEL_REPEATED if kind.endswith("*") else _Field.LABEL_OPTIONAL
    field = _Field(name=name, number=int(number), label=label)
    if kind.rstrip("*") in _FIELDS:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind.rstrip('*')}"
    else:
        field.type = _Field.Type.Value(f"TYPE_{kind.upper()}")
    return field


def _classes() -> Iterator[tuple[str, Message]]:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_file().SerializeToString())
    for name in _FIELDS:
        yield name, message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


MESSAGES: Final[dict[str, Message]] = dict(_classes())
