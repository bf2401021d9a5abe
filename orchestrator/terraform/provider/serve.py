"""A Terraform provider's process: what it must answer, and the server that lets Terraform ask.

How it starts and ends is go-plugin's: https://github.com/hashicorp/go-plugin/blob/main/docs/internals.md
"""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, cast

import grpc

from orchestrator.terraform.provider import values, wire
from orchestrator.terraform.provider.wire import MESSAGES, Message

if TYPE_CHECKING:
    from orchestrator.terraform.provider.values import Type, Value

Path: TypeAlias = tuple[str | int, ...]
"""Where a value stands: names of attributes and keys, and numbers in lists."""
Object: TypeAlias = "Mapping[str, Value]"


@dataclass(frozen=True)
class Attribute:
    name: str
    type: Type
    required: bool = False
    optional: bool = False
    computed: bool = False
    sensitive: bool = False
    write_only: bool = False
    deprecated: bool = False


@dataclass(frozen=True)
class Block:
    attributes: tuple[Attribute, ...]
    blocks: tuple[NestedBlock, ...] = ()

    @cached_property
    def type(self) -> Type:
        attributes = {attribute.name: attribute.type for attribute in self.attributes}
        return ["object", attributes | {nested.name: nested.type for nested in self.blocks}]


@dataclass(frozen=True)
class NestedBlock:
    name: str
    block: Block
    nesting: str
    """`list`, `set` or `single`."""
    min_items: int = 0
    max_items: int = 0

    @property
    def type(self) -> Type:
        return self.block.type if self.nesting == "single" else [self.nesting, self.block.type]


@dataclass(frozen=True)
class ResourceSchema:
    block: Block
    version: int = 0


class Diagnosed(Exception):  # noqa: N818 - what Terraform calls a diagnostic
    """What the user is told; `state` is what stands after an apply that failed halfway."""

    def __init__(self, summary: str, detail: str = "", path: Path = (), state: Object | None = None) -> None:
        self.summary, self.detail, self.path, self.state = summary, detail, path, state
        super().__init__(summary)


@dataclass(frozen=True)
class Planned:
    state: Object | None
    replace: tuple[Path, ...] = ()


class Provider(Protocol):
    """May raise `Diagnosed`, or several in an `ExceptionGroup`; any other exception is told as a bug.

    All but `schema` are called from many threads. Write-only attributes have a value in `config` only: what is
    returned goes to the plan and the state without them.
    """

    def schema(self) -> tuple[Block, Mapping[str, ResourceSchema]]: ...
    def configure(self, config: Object) -> None: ...
    def validate(self, type_name: str, config: Object) -> Sequence[Diagnosed]: ...
    def upgrade(self, type_name: str, version: int, state: Mapping[str, object]) -> Mapping[str, object]:
        """A state as it was stored, by this version or an older one; the result is then fitted to the schema."""

    def read(self, type_name: str, state: Object) -> Object | None: ...
    def plan(self, type_name: str, prior: Object | None, proposed: Object | None, config: Object | None) -> Planned: ...
    def apply(
        self, type_name: str, prior: Object | None, planned: Object | None, config: Object | None
    ) -> Object | None: ...
    def import_(self, type_name: str, id_: str) -> Sequence[Object]: ...


_COOKIE: Final = ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2")
_WORKERS: Final = 64
_UNLIMITED: Final = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
_LONGEST_FOLDER: Final = 60
"""A socket's path has 104 bytes on macOS, 108 on Linux."""
_FAREWELL_SECONDS: Final = 1


def serve(provider: Provider) -> None:
    """Answers Terraform until it says Shutdown or dies; the process ends here."""
    if os.environ.get(_COOKIE[0]) != _COOKIE[1]:
        sys.exit("This is a Terraform provider; Strongroom starts it")
    done = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us too; when to stop is Terraform's to say
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    threading.Thread(target=_await_orphaned, args=(done,), daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="sr-", dir=_folder(), ignore_cleanup_errors=True) as folder:
        _answer(provider, f"{folder}/provider", done)
    os._exit(0)  # 20 ms sooner than by unwinding Python, and not held up by a request still at work


def _answer(provider: Provider, socket: str, done: threading.Event) -> None:
    server = grpc.server(ThreadPoolExecutor(_WORKERS), _handlers(provider, done), options=_UNLIMITED)
    certificate = _listen(server, f"unix:{socket}")
    server.start()
    sys.stdout.write(f"1|6|unix|{socket}|grpc|{certificate}\n")
    sys.stdout.flush()
    done.wait()
    server.stop(_FAREWELL_SECONDS).wait(2 * _FAREWELL_SECONDS)


def _folder() -> str:
    folder = os.environ.get("PLUGIN_UNIX_SOCKET_DIR") or tempfile.gettempdir()
    return folder if len(os.fsencode(folder)) <= _LONGEST_FOLDER else "/tmp"  # noqa: S108 - ours inside it is 0700


def _await_orphaned(done: threading.Event) -> None:
    """Terraform holds the other end of our standard output: when it dies, however it dies, that end closes."""
    parent, output = os.getppid(), select.poll()
    output.register(sys.stdout.fileno(), 0)
    while os.getppid() == parent and not output.poll(1000):
        pass
    done.set()


def _listen(server: grpc.Server, address: str) -> str:
    """Who may speak to us is said by the 0700 folder of the socket; answers the certificate Terraform asked for.

    Terraform's own certificate is on P-521, which grpcio's BoringSSL cannot check (grpc/grpc#41089), so none is asked.
    """
    if not os.environ.get("PLUGIN_CLIENT_CERT"):
        server.add_insecure_port(address)
        return ""
    key, chain, announced = _certificate()
    server.add_secure_port(address, grpc.ssl_server_credentials([(key, chain)]))
    return announced


def _certificate() -> tuple[bytes, bytes, str]:
    """A key and its certificate for this process only, and the certificate as the handshake announces it."""
    from cryptography import x509  # noqa: PLC0415 - 30 ms, seldom needed
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key, now, host = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC), "localhost"
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, host)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(minutes=1)).not_valid_after(now + timedelta(days=7))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    encoding = serialization.Encoding
    announced = base64.b64encode(certificate.public_bytes(encoding.DER)).decode().rstrip("=")
    plain = key.private_bytes(encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return plain, certificate.public_bytes(encoding.PEM), announced


_Answer: TypeAlias = Callable[[Message, Message], None]


def _handlers(provider: Provider, done: threading.Event) -> list[grpc.GenericRpcHandler]:
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
