"""The offline provider: Terraform's questions about any resource of the catalogue, answered over Vault's API."""

from __future__ import annotations

import os
import re
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.catalog import RESOURCES
from orchestrator.model import Json, Resource, Write, get
from orchestrator.terraform.provider.api import Api, ApiError
from orchestrator.terraform.provider.schema import PROVIDER, resource_schema
from orchestrator.terraform.provider.serve import Block, Diagnosed, Planned, ResourceSchema
from orchestrator.terraform.provider.state import Flat, flatten, identity, nest, nothing, parse_id, same
from orchestrator.terraform.provider.values import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.model import Attribute

_GONE_WITHIN = 60.0


class Offline:
    """Serves every resource of the catalogue; holds nothing but the connection to the server."""

    def __init__(self) -> None:
        self._api: Api | None = None

    def schema(self) -> tuple[Block, Mapping[str, ResourceSchema]]:
        return PROVIDER, {name: resource_schema(resource) for name, resource in RESOURCES.items()}

    def configure(self, config: Mapping[str, Json]) -> None:
        self._api = _connect(config, os.environ)
        try:
            self._api.read("auth/token/lookup-self")
        except ApiError as error:
            raise Diagnosed("Vault cannot be used", str(error)) from error

    def close(self) -> None:
        """Let go of the server."""
        if self._api is not None:
            self._api.close()

    def validate(self, type_name: str, config: Mapping[str, Json]) -> Sequence[Diagnosed]:  # noqa: ARG002
        return []

    def upgrade(self, type_name: str, version: int, state: Mapping[str, Json]) -> Mapping[str, Json]:
        known = RESOURCES[type_name].version
        if version > known:
            raise Diagnosed(
                f"The state of {type_name} is newer than this provider",
                f"It has version {version}, known is {known}: use a newer Strongroom, or the official provider.",
            )
        return state

    def plan(
        self,
        type_name: str,
        prior: Mapping[str, Json] | None,
        proposed: Mapping[str, Json] | None,
        config: Mapping[str, Json] | None,
    ) -> Planned:
        if proposed is None:
            return Planned(None)
        resource = RESOURCES[type_name]
        return plan(resource, flatten(resource, prior) if prior else None, flatten(resource, config))

    def read(self, type_name: str, state: Mapping[str, Json]) -> Mapping[str, Json] | None:
        resource = RESOURCES[type_name]
        with _told(resource):
            found = self._object(resource, flatten(resource, state)).read()
        return None if found is None else nest(resource, found)

    def apply(
        self,
        type_name: str,
        prior: Mapping[str, Json] | None,
        planned: Mapping[str, Json] | None,
        config: Mapping[str, Json] | None,
    ) -> Mapping[str, Json] | None:
        resource = RESOURCES[type_name]
        before = flatten(resource, prior)
        if planned is None:
            with _told(resource):
                self._object(resource, before).delete()
            return None
        wanted = flatten(resource, planned)
        secrets = {name: value for name, value in flatten(resource, config).items() if name in _secret_names(resource)}
        one = self._object(resource, wanted)
        return one.apply(before if prior else None, secrets)

    def import_(self, type_name: str, id_: str) -> Sequence[Mapping[str, Json]]:
        resource = RESOURCES[type_name]
        names = parse_id(resource, id_)
        if names is None:
            raise Diagnosed(f"{id_!r} is no id of {type_name}", f"It looks like {resource.identity}.")
        state: Flat = {**names, "id": resource.identity.format_map(names)}
        return [nest(resource, {name: value for name, value in state.items() if name != "type"} | _typed(names))]

    def _object(self, resource: Resource, flat: Flat) -> _Object:
        if self._api is None:
            raise Diagnosed("The provider is not configured")
        return _Object(resource, flat, self._api)


def _typed(names: Mapping[str, str]) -> Flat:
    return {"type": names["type"]} if "type" in names else {}


def _connect(config: Mapping[str, Json], environ: Mapping[str, str]) -> Api:
    address = config.get("address") or environ.get("VAULT_ADDR", "")
    token = config.get("token") or environ.get("VAULT_TOKEN", "")
    if not address or not token:
        raise Diagnosed("Vault's address or token is missing", "Set VAULT_ADDR and VAULT_TOKEN.")
    skip = environ.get("VAULT_SKIP_VERIFY", "").lower() in ("1", "t", "true")
    return Api(
        address,
        token,
        config.get("namespace") or environ.get("VAULT_NAMESPACE", ""),
        config.get("ca_cert_file") or environ.get("VAULT_CACERT", ""),
        verify=not (config.get("skip_tls_verify") or skip),
    )


class _told:  # noqa: N801 - reads as a word in a with statement
    """Turns the server's refusal into a diagnostic that carries its words."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ApiError):
            raise _diagnosed(self.resource, error) from error


def _diagnosed(resource: Resource, error: ApiError, state: Mapping[str, Json] | None = None) -> Diagnosed:
    words = " ".join(error.errors)
    named = (one for one in resource.attributes() if re.search(rf"\b{re.escape(one.key)}\b", words))
    path = next((tuple(_steps(one.terraform)) for one in named), ())
    return Diagnosed(f"Vault refused {error.method} {error.path}", str(error), path, state)


def _steps(terraform: str) -> Iterator[str | int]:
    group, _, leaf = terraform.rpartition(".")
    if group:
        yield group
        yield 0
    yield leaf


def _secret_names(resource: Resource) -> set[str]:
    return {attribute.terraform for attribute in resource.attributes() if attribute.field.secret}


def plan(resource: Resource, prior: Flat | None, config: Flat) -> Planned:
    """The state that an apply would reach, unknown where only the server will tell."""
    planned: Flat = {name: config[name] for name in (*identity(resource), "namespace")}
    if resource.mount_default and planned[resource.mount] is None:
        planned[resource.mount] = _mount_default(resource, config)
    if resource.has_id:
        planned["id"] = prior["id"] if prior else UNKNOWN
    for attribute in resource.attributes():
        planned[attribute.terraform] = _planned(attribute, prior, config)
        if attribute.field.secret:
            planned[attribute.version] = config[attribute.version]
    replaced = tuple(_replaced(resource, prior, planned)) if prior else ()
    return Planned(nest(resource, planned), replaced)


def _mount_default(resource: Resource, config: Flat) -> Json:
    default = resource.mount_default
    return config[default[1:-1]] if default.startswith("{") else default


def _planned(attribute: Attribute, prior: Flat | None, config: Flat) -> Json:
    field, name = attribute.field, attribute.terraform
    before = prior[name] if prior else None
    if field.secret:
        return None
    if field.output:
        return before if prior else UNKNOWN
    said = config[name]
    if said is None and not field.computed:
        said = field.default if field.official is None else field.official
    if said is not None:
        return before if prior and same(attribute.shape, before, said) else said
    if field.computed:
        return before if prior else UNKNOWN
    return before if prior and nothing(attribute.shape, before) else None


def _replaced(resource: Resource, prior: Flat, planned: Flat) -> Iterator[tuple[str | int, ...]]:
    for name in (*identity(resource), "namespace"):
        if prior[name] != planned[name]:
            yield (name,)
    for attribute in resource.attributes():
        before, after = prior[attribute.terraform], planned[attribute.terraform]
        settled = same(attribute.shape, before, after) or (
            nothing(attribute.shape, before) and nothing(attribute.shape, after)
        )
        if attribute.field.replace and not settled:
            yield tuple(_steps(attribute.terraform))


@dataclass(frozen=True)
class _Object:
    """One object of a resource type: what Terraform wants or knows of it, and the API that holds it."""

    resource: Resource
    flat: Flat
    api: Api

    def _path(self, template: str) -> str:
        names = {name: value for name, value in self.flat.items() if isinstance(value, str)}
        return template.format_map({"made_up": str(uuid.uuid4()), **names})

    @property
    def _namespace(self) -> str:
        return self.flat.get("namespace") or ""

    def _skips(self, what: str) -> bool:
        return bool(self.flat.get(self.resource.unless.get(what, "")))

    def read(self, reply: Mapping[str, Json] | None = None) -> Flat | None:
        """What the server holds, in the form that Terraform knows; None when it is gone."""
        document: dict[str, Json] = {}
        for position, template in enumerate(() if self._skips("read") else self.resource.read_paths):
            found = self.api.read(self._path(template), self._namespace, self.resource.gone)
            if found is None and position == 0:
                return None
            document |= found or {}
        return self._merged(document, reply or {})

    def _merged(self, document: Mapping[str, Json], reply: Mapping[str, Json]) -> Flat:
        flat = dict(self.flat)
        for attribute in self.resource.attributes():
            flat[attribute.terraform] = _seen(attribute, flat[attribute.terraform], document, reply)
        if self.resource.has_id and not (isinstance(flat["id"], str) and flat["id"]):
            flat["id"] = _Object(self.resource, flat, self.api)._path(self.resource.identity)  # noqa: SLF001
        return flat

    def apply(self, before: Flat | None, secrets: Flat) -> dict[str, Json]:
        reply: dict[str, Json] = {}
        done = False
        try:
            for write in self.resource.writes:
                body = self._body(write, before, secrets)
                if body is not None:
                    reply |= self.api.call(write.method, self._path(write.path), body, self._namespace)
                    done = True
            found = self._after(reply)
        except ApiError as error:
            partial = before is None and done
            state = nest(self.resource, self._merged({}, reply)) if partial else None
            raise _diagnosed(self.resource, error, state) from error
        return nest(self.resource, found)

    def _after(self, reply: Mapping[str, Json]) -> Flat:
        """Read back what was written; what the reply alone tells is known by now."""
        known = self._merged({}, reply)
        found = _Object(self.resource, known, self.api).read(reply)
        if found is None:
            raise ApiError(404, "GET", self._path(self.resource.path), ("it is not there after it was written",))
        return found

    def _body(self, write: Write, before: Flat | None, secrets: Flat) -> Json:
        """What one request carries; None when there is nothing to send."""
        if ("update" if before else "create") not in write.on:
            return None
        body: dict[str, Json] = {}
        changed = before is None
        for attribute in self._carried(write):
            value = secrets.get(attribute.terraform) if attribute.field.secret else self.flat[attribute.terraform]
            if attribute.field.secret:
                due = before is None or before[attribute.version] != self.flat[attribute.version]
                value, changed = (value if due else None), changed or (due and value is not None)
            elif before is not None:
                old = before[attribute.terraform]
                changed = changed or not same(attribute.shape, old, value)
                if value is None and not nothing(attribute.shape, old):
                    value = attribute.shape.zero
            if value is not None and value is not UNKNOWN:
                sent = attribute.shape.send(value)
                body[attribute.key] = (
                    _patch((before or {}).get(attribute.terraform), sent) if write.method == "PATCH" else sent
                )
                if attribute.field.whole:
                    body = body[attribute.key]
        return body if changed and (body or write.always) else None

    def _carried(self, write: Write) -> Iterator[Attribute]:
        in_path = set(re.findall(r"\{(\w+)\}", write.path))
        for attribute in self.resource.attributes():
            chosen = attribute.key in write.keys if write.keys else attribute.terraform not in in_path
            if chosen and not attribute.field.output:
                yield attribute

    def delete(self) -> None:
        if self.resource.kept or self._skips("delete"):
            return
        write = self.resource.delete or Write(self.resource.path, method="DELETE")
        body = {key: self.flat[key] for key in write.keys} or None
        try:
            answer = self.api.call(write.method, self._path(write.path), body, self._namespace)
        except ApiError as error:
            if error.status == 404 or any(word in text for word in self.resource.gone for text in error.errors):  # noqa: PLR2004
                return
            raise
        if answer.get("status") == "in-progress":
            self._wait_until_gone()

    def _wait_until_gone(self) -> None:
        deadline = time.monotonic() + _GONE_WITHIN
        path = self._path(self.resource.path)
        while self.api.read(path, self._namespace, self.resource.gone) is not None:
            if time.monotonic() > deadline:
                raise ApiError(0, "DELETE", path, (f"it is still there after {_GONE_WITHIN:.0f} s",))
            time.sleep(0.05)


def _patch(before: Json, after: Json) -> Json:
    """A map as a merge patch: what is no longer in it must be said to be null.

    >>> _patch({"owner": "apps", "tier": "1"}, {"owner": "payments"})
    {'tier': None, 'owner': 'payments'}
    """
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    return {**{key: None for key in before if key not in after}, **after}


def _seen(attribute: Attribute, known: Json, document: Mapping[str, Json], reply: Mapping[str, Json]) -> Json:
    """An attribute after a read: the known form where it means the same, else the server's, else what stood there."""
    field, shape = attribute.field, attribute.shape
    if field.secret:
        return None
    if field.whole:
        return _seen_whole(attribute, known, document)
    live = get(document, attribute.api) if field.readable else None
    if live is None and (field.output or known is UNKNOWN):
        live = reply.get(attribute.key)
    if live is None:
        return None if known is UNKNOWN else known
    if known is not UNKNOWN and (same(shape, known, live) or (nothing(shape, known) and nothing(shape, live))):
        return known
    return shape.render(live)


def _seen_whole(attribute: Attribute, known: Json, document: Mapping[str, Json]) -> Json:
    """A whole document, as far as it was declared: the server's other fields are its own business."""
    if known is None or known is UNKNOWN:
        return attribute.shape.render(document)
    declared = attribute.shape.canon(known)
    live = {key: document.get(key, value) for key, value in declared.items()}
    return known if live == declared else attribute.shape.render(live)
