"""The offline provider: Terraform's questions about any resource of the catalogue, answered over Vault's API."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from orchestrator.catalog import RESOURCES
from orchestrator.outcome import CLUSTER
from orchestrator.terraform.provider.api import Api, ApiError
from orchestrator.terraform.provider.contract import Block, Diagnosed, Planned, ResourceSchema
from orchestrator.terraform.provider.object import LiveObject, diagnosed
from orchestrator.terraform.provider.schema import PROVIDER, resource_schema
from orchestrator.terraform.provider.state import Flat, flatten, nest, nothing, parse_id, place, same, steps
from orchestrator.terraform.provider.values import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.documents import Json
    from orchestrator.model import Attribute, Resource


class Offline:
    """Serves every resource of the catalogue; holds nothing but the connection to the server."""

    def __init__(self) -> None:
        self._api: Api | None = None

    def schema(self) -> tuple[Block, Mapping[str, ResourceSchema]]:
        return PROVIDER, {name: resource_schema(resource) for name, resource in RESOURCES.items()}

    def configure(self, config: Mapping[str, Json]) -> None:
        self._api = connect(config, os.environ)
        try:
            self._api.read("auth/token/lookup-self")
        except ApiError as error:
            raise Diagnosed("Vault cannot be used", f"{error.method} {error.path}: {error.words}") from error

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
        address = self._api.address if self._api else ""
        state: Flat = {**_fixed(resource), **names, "id": resource.identity.format_map({"address": address, **names})}
        return [nest(resource, {name: value for name, value in state.items() if name != "type"} | _typed(names))]

    def _object(self, resource: Resource, flat: Flat) -> LiveObject:
        if self._api is None:
            raise Diagnosed("The provider is not configured")
        return LiveObject(resource, flat, self._api)


def _fixed(resource: Resource) -> Flat:
    """What our configuration always says of such an object and the server does not tell."""
    silent = {one.terraform for one in resource.attributes() if not one.field.readable}
    return {name: value for name, value in resource.constants.items() if name in silent}


def _typed(names: Mapping[str, str]) -> Flat:
    return {"type": names["type"]} if "type" in names else {}


def connect(config: Mapping[str, Json], environ: Mapping[str, str]) -> Api:
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
        cluster=environ.get(CLUSTER, ""),
    )


class _told:  # noqa: N801 - reads as a word in a with statement
    """Turns the server's refusal into a diagnostic that carries its words."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ApiError):
            raise diagnosed(self.resource, error) from error


def _secret_names(resource: Resource) -> set[str]:
    return {attribute.terraform for attribute in resource.attributes() if attribute.write_only}


def plan(resource: Resource, prior: Flat | None, config: Flat) -> Planned:
    """The state that an apply would reach, unknown where only the server will tell."""
    planned: Flat = {name: config[name] for name in place(resource)}
    if resource.mount_default and planned[resource.mount] is None:
        planned[resource.mount] = _mount_default(resource, config)
    if resource.has_id:
        planned["id"] = prior["id"] if prior else UNKNOWN
    variant = resource.variant(lambda one: config[one.terraform])
    config = {**config, **_told_by(variant, config)} if resource.variants else config
    for attribute in variant.attributes():
        planned[attribute.terraform] = _planned(attribute, prior, config)
        if attribute.write_only:
            planned[attribute.version] = config[attribute.version]
    replaced = tuple(_replaced(resource, prior, planned)) if prior else ()
    return Planned(nest(resource, planned), replaced)


def _told_by(variant: Resource, config: Flat) -> Flat:
    """What a configuration leaves to the server, and the variant fixes."""
    left = {one.terraform for one in variant.attributes() if one.field.computed and config[one.terraform] is None}
    return {name: value for name, value in variant.constants.items() if name in left}


def _mount_default(resource: Resource, config: Flat) -> Json:
    default = resource.mount_default
    return config[default[1:-1]] if default.startswith("{") else default


def _planned(attribute: Attribute, prior: Flat | None, config: Flat) -> Json:
    field, name = attribute.field, attribute.terraform
    before = prior[name] if prior else None
    if attribute.write_only or field.unversioned:
        return None
    if field.output:
        return before if prior else UNKNOWN
    said = config[name]
    if said is None and not field.computed:
        ours = None if field.only else field.default
        said = ours if field.official is None else field.official
    if said is not None:
        return before if prior and same(attribute.shape, before, said) else said
    if field.computed:
        return before if prior else UNKNOWN
    return before if prior and nothing(attribute.shape, before) else None


def _replaced(resource: Resource, prior: Flat, planned: Flat) -> Iterator[tuple[str | int, ...]]:
    for name in place(resource):
        if prior[name] != planned[name]:
            yield (name,)
    for attribute in resource.attributes():
        before, after = prior[attribute.terraform], planned.get(attribute.terraform)
        settled = same(attribute.shape, before, after) or (
            nothing(attribute.shape, before) and nothing(attribute.shape, after)
        )
        untold = before is None and not attribute.field.readable and resource.adopt == "import"  # it was adopted so
        if attribute.field.replace and not (settled or untold):
            yield tuple(steps(attribute.terraform))
