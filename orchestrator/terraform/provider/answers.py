"""The protocol's messages to and from a provider's own words."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

import grpc

from orchestrator.terraform.provider import values, wire
from orchestrator.terraform.provider.contract import (
    Attribute,
    Block,
    Diagnosed,
    NestedBlock,
    Object,
    Path,
    Provider,
    ResourceSchema,
)
from orchestrator.terraform.provider.wire import MESSAGES, Message

if TYPE_CHECKING:
    import threading

    from orchestrator.terraform.provider.values import Type

_Answer: TypeAlias = Callable[[Message, Message], None]


def handlers(provider: Provider, done: threading.Event) -> list[grpc.GenericRpcHandler]:
    answers = _Answers(provider, done)
    return [
        grpc.method_handlers_generic_handler(call.service, {call.name: _handler(answers, call)}) for call in wire.CALLS
    ]


def _handler(answers: _Answers, call: wire.Call) -> grpc.RpcMethodHandler:
    answer, response_type = answers.to(call), MESSAGES[call.response]

    def behaviour(request: Message, _context: object) -> Message:
        response = response_type()
        try:
            answer(request, response)
        except Exception as error:  # noqa: BLE001 - the entry point of every request
            response.diagnostics.extend(_diagnostics(error, answers.block(request).type))
        return response

    return grpc.unary_unary_rpc_method_handler(
        behaviour, MESSAGES[call.request].FromString, response_type.SerializeToString
    )


class _Answers:
    """Each fills in the response to one request."""

    def __init__(self, provider: Provider, done: threading.Event) -> None:
        self._provider, self._done = provider, done
        self._config, self._resources = provider.schema()

    def to(self, call: wire.Call) -> _Answer:
        answers: dict[str, _Answer] = {
            "GetProviderSchema": self._schemas,
            "ConfigureProvider": self._configure,
            "ValidateResourceConfig": self._validate,
            "UpgradeResourceState": self._upgrade,
            "ReadResource": self._read,
            "PlanResourceChange": self._plan,
            "ApplyResourceChange": self._apply,
            "ImportResourceState": self._import,
            "Shutdown": self._shutdown,
            "Check": self._check,
        }
        return answers.get(call.name, _nothing)

    def block(self, request: Message) -> Block:
        """What the request is about: a resource, or else the provider's configuration."""
        name: str = getattr(request, "type_name", "")
        return self._resources[name].block if name in self._resources else self._config

    def _schemas(self, _request: Message, response: Message) -> None:
        response.provider.CopyFrom(_schema(ResourceSchema(self._config)))
        for name, resource in self._resources.items():
            response.resource_schemas.add(key=name, value=_schema(resource))
        response.server_capabilities.get_provider_schema_optional = True

    def _configure(self, request: Message, _response: Message) -> None:
        self._provider.configure(_present(_object(request.config, self._config)))

    def _validate(self, request: Message, response: Message) -> None:
        block = self.block(request)
        found = self._provider.validate(request.type_name, _present(_object(request.config, block)))
        response.diagnostics.extend(_diagnostic(diagnosed, block.type) for diagnosed in found)

    def _upgrade(self, request: Message, response: Message) -> None:
        block, stored = self.block(request), json.loads(request.raw_state.json)
        upgraded = self._provider.upgrade(request.type_name, request.version, stored)
        response.upgraded_state.CopyFrom(_packed(cast("Object", values.conform(upgraded, block.type)), block))

    def _read(self, request: Message, response: Message) -> None:
        block = self.block(request)
        found = self._provider.read(request.type_name, _present(_object(request.current_state, block)))
        response.private = request.private
        response.new_state.CopyFrom(_packed(found, block))

    def _plan(self, request: Message, response: Message) -> None:
        block = self.block(request)
        states = (request.prior_state, request.proposed_new_state, request.config)
        planned = self._provider.plan(request.type_name, *(_object(state, block) for state in states))
        response.planned_private, response.legacy_type_system = request.prior_private, True
        response.requires_replace.extend(_attribute_path(path, block.type) for path in planned.replace)
        response.planned_state.CopyFrom(_packed(planned.state, block))

    def _apply(self, request: Message, response: Message) -> None:
        block = self.block(request)
        states = (request.prior_state, request.planned_state, request.config)
        response.private, response.legacy_type_system = request.planned_private, True
        response.new_state.CopyFrom(request.prior_state)  # stands when the change fails
        try:
            new = self._provider.apply(request.type_name, *(_object(state, block) for state in states))
        except Exception as error:
            if (partial := _carried(error)) is not None:
                response.new_state.CopyFrom(_packed(partial, block))
            raise
        response.new_state.CopyFrom(_packed(new, block))

    def _import(self, request: Message, response: Message) -> None:
        block = self.block(request)
        for state in self._provider.import_(request.type_name, request.id):
            response.imported_resources.add(type_name=request.type_name, state=_packed(state, block))

    def _shutdown(self, _request: Message, _response: Message) -> None:
        self._done.set()

    def _check(self, _request: Message, response: Message) -> None:
        response.status = wire.SERVING


def _nothing(_request: Message, _response: Message) -> None:
    """An empty response says all is well."""


def _object(packed: Message, block: Block) -> Object | None:
    return cast("Object | None", values.decode(packed.msgpack, block.type))


def _present(value: Object | None) -> Object:
    if value is None:
        raise TypeError("Terraform sent null where there is always an object")
    return value


def _packed(value: Object | None, block: Block) -> Message:
    """A state for Terraform to keep."""
    storable = None if value is None else _storable(value, block)
    return MESSAGES["DynamicValue"](msgpack=values.encode(storable, block.type))


def _storable(value: Object, block: Block) -> Object:
    """The value without what is never to be kept."""
    kept = dict(value) | {attribute.name: None for attribute in block.attributes if attribute.write_only}
    for nested in block.blocks:
        match kept.get(nested.name):
            case Mapping() as inner:
                kept[nested.name] = _storable(inner, nested.block)
            case [*items]:
                kept[nested.name] = [
                    _storable(item, nested.block) if isinstance(item, Mapping) else item for item in items
                ]
    return kept


def _schema(resource: ResourceSchema) -> Message:
    return MESSAGES["Schema"](version=resource.version, block=_block(resource.block))


def _block(block: Block) -> Message:
    return MESSAGES["Block"](
        attributes=map(_attribute, block.attributes), block_types=[_nested_block(nested) for nested in block.blocks]
    )


def _attribute(attribute: Attribute) -> Message:
    return MESSAGES["Attribute"](**vars(attribute) | {"type": json.dumps(attribute.type).encode()})


def _nested_block(nested: NestedBlock) -> Message:
    return MESSAGES["NestedBlock"](
        type_name=nested.name,
        block=_block(nested.block),
        nesting=wire.NESTING[nested.nesting],
        min_items=nested.min_items,
        max_items=nested.max_items,
    )


def _diagnostics(error: Exception, cty: Type) -> Iterator[Message]:
    return (_diagnostic(inner, cty) for inner in _flat(error))


def _flat(error: Exception) -> Iterator[Exception]:
    if not isinstance(error, ExceptionGroup):
        yield error
        return
    for inner in error.exceptions:
        yield from _flat(inner)


def _carried(error: Exception) -> Object | None:
    """The state of an object that a failed apply left behind."""
    states = (inner.state for inner in _flat(error) if isinstance(inner, Diagnosed))
    return next((state for state in states if state is not None), None)


def _diagnostic(error: Exception, cty: Type) -> Message:
    if not isinstance(error, Diagnosed):
        traceback.print_exception(error)
        error = Diagnosed("Provider bug", f"{type(error).__name__}: {error}")
    found = MESSAGES["Diagnostic"](severity=wire.ERROR, summary=error.summary, detail=error.detail)
    if error.path:
        found.attribute.CopyFrom(_attribute_path(error.path, cty))
    return found


def _attribute_path(path: Path, cty: Type) -> Message:
    """The path in Terraform's words, as far as it leads in the type."""
    steps = []
    for step in path:
        match cty, step:
            case ["object", Mapping() as attributes], str() if step in attributes:
                key, cty = "attribute_name", attributes[step]
            case ["list" | "set" | "map", element], _:
                key, cty = "element_key_int" if isinstance(step, int) else "element_key_string", element
            case _:
                break
        steps.append(MESSAGES["Step"](**{key: step}))
    return MESSAGES["AttributePath"](steps=steps)
