"""Every kind in the catalogue keeps the same promises on a real server; a new kind gets these tests for free."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator import model
from orchestrator.catalog import CATALOG, RESOURCES
from orchestrator.commands.drift import drift
from orchestrator.commands.plan import Asked, apply, plan
from orchestrator.config.load import load
from orchestrator.instances import Instance, instances
from orchestrator.live import drift as compare
from orchestrator.live.drift import Drift
from orchestrator.terraform.provider.engine import Offline
from orchestrator.terraform.provider.state import flatten, nest
from tests.support import everything, no_progress, no_question, project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.local.stack import Stack
    from orchestrator.terraform.provider.api import Api

pytestmark = pytest.mark.server

NAME = "everything"
# Values of which no other valid one can be made up: what they are checked with instead stands beside them.
OTHER: dict[str, Callable[[Any], Any]] = {
    "connection_url": lambda value: value + "&application_name=stranger",
    "username_template": lambda _: "{{ .RoleName }}-{{ random 8 }}",
    "jwt_validation_pubkeys": lambda value: [value[0].replace("\n-----END", "=\n-----END")],
    "allowed_user_key_lengths": lambda _: [{"type": "rsa", "lengths": [4096]}],
    "policy": lambda value: value.replace("read", "list"),
    "data": lambda _: '{"rate": 999}',
    "creation_statements": lambda value: value[:1],
    "key_usage": lambda _: ["DigitalSignature"],
    "cn_validations": lambda _: ["hostname"],
    "usage": lambda _: "read-only",
    "cidr_list": lambda _: "10.0.0.0/9",
    "creation_ldif": lambda value: value.replace("ou=people", "ou=staff"),
    "deletion_ldif": lambda value: value.replace("ou=people", "ou=staff"),
    "default_directory_policy": lambda value: "sign-verbatim" if value == "forbid" else "forbid",
    "revocation_signature_algorithm": lambda _: "ECDSAWithSHA512",
    "allowed_issuers": lambda _: ["default"],
    "allowed_roles": lambda value: ["web"] if value == ["*"] else ["*"],
    "policy_identifiers": lambda _: ["1.3.6.1.4.1.32473.9"],
    "policy_identifier": lambda _: [{"oid": "1.3.6.1.4.1.32473.9", "cps": None, "notice": "other"}],
}
FIXED = {
    "key_type": "goes with key_bits",
    "key_bits": "goes with key_type",
    "signature_bits": "goes with key_type",
    "issuer_ref": "must name an issuer that there is",
    "default": "must name an issuer that there is",
    "enabled": "asks for other settings",
    "jwt_validation_pubkeys": "another key would have to be a real one",
    "type": "the server never changes it",
    "default_role": "must name a role",
    "username": "must be able to log in",
    "connection_url": "must connect",
    "credential_type": "goes with credential_config",
    "password_authentication": "goes with the database's own setting",
    "role_type": "goes with allowed_redirect_uris",
    "min_decryption_version": "there is one version",
    "default_extensions": "must be among the allowed ones",
    "allow_user_certificates": "a role must sign something",
    "bind_secret_id": "a role must be bound to something",
}


NO_DEFAULT = {
    "rotation_window": "the server's own, and only beside a schedule",
}


@dataclass(frozen=True)
class Applied:
    root: Path
    environ: dict[str, str]
    instances: tuple[Instance, ...]
    provider: Offline
    api: Api


@pytest.fixture(scope="module")
def applied(stack: Stack, api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applied]:
    root = tmp_path_factory.mktemp("catalog")
    environ = project(root, stack, NAME, everything("c", stack))
    report = apply(root, NAME, environ, no_progress, no_question, Asked(verify=False))

    assert report.plan.changes
    assert not report.pending

    provider = Offline()
    provider.configure({"address": stack.address, "token": stack.token})
    yield Applied(root, environ, instances(load(root, NAME, environ)), provider, api)
    provider.close()


kinds = pytest.mark.parametrize("kind", CATALOG.values(), ids=lambda kind: kind.id)


@kinds
def test_a_secret_is_never_an_argument_that_the_state_keeps(kind: model.Kind) -> None:
    settable = [
        (part.resource.type, one.yaml)
        for declared in kind.objects
        for part in declared.parts
        for one in part.resource.attributes()
        if one.field.yaml and not one.field.output and one.field.sensitive and not one.field.secret
    ]

    assert settable == ([("vault_generic_endpoint", "data")] if kind.name == "passthrough" else [])


@kinds
def test_a_setting_that_the_server_fills_in_has_a_default_to_go_back_to(kind: model.Kind) -> None:
    """Terraform keeps such a value where nothing is said: what leaves the YAML must be said all the same."""
    silent = [
        f"{part.resource.type}.{one.terraform}"
        for declared in kind.objects
        for part in declared.parts
        for one in part.resource.attributes()
        if one.field.yaml and one.field.computed and not one.field.output and one.field.readable
        if one.field.default is None and not one.field.required and one.key not in NO_DEFAULT
    ]

    assert silent == []


@kinds
def test_a_default_is_as_safe_as_its_own_limit(kind: model.Kind) -> None:
    lax = [
        f"{resource.type}.{one.yaml}"
        for resource in [
            *([kind.mount] if kind.mount else []),
            *(part.resource for o in kind.objects for part in o.parts),
        ]
        for one in resource.attributes()
        if one.field.limit and one.field.default is not None and not one.field.limit.holds(one.field.default)
    ]

    assert lax == []


def test_what_is_applied_reads_back_without_drift(applied: Applied) -> None:
    ours = [
        one
        for one in drift(applied.root, NAME, applied.environ).drifts
        if one.declared != compare.UNDECLARED or "/c-" in one.title
    ]

    assert ours == []


def test_a_second_plan_is_empty(applied: Applied) -> None:
    assert plan(applied.root, NAME, applied.environ, no_progress, None).changes == ()


def _instances(applied: Applied, type_name: str) -> list[Instance]:
    found = [one for one in applied.instances if one.resource.type == type_name]
    if not found:
        pytest.skip(f"this server has no {type_name}")
    return found


def _state(applied: Applied, one: Instance) -> dict[str, Any]:
    """The object as Terraform knows it."""
    live = one.live({path: applied.api.read(path, gone=gone) for path, gone in one.reads.items()}) or {}
    resource = RESOURCES[one.resource.type]
    flat = flatten(resource, applied.provider.import_(resource.type, one.import_id(live))[0])
    declared = {attribute.terraform: attribute.shape.render(value) for attribute, value in one.settings()}
    read = applied.provider.read(resource.type, nest(resource, {**flat, **declared}))
    assert read is not None
    return dict(read)


def _other(attribute: model.Attribute, value: Any) -> Any:  # noqa: ANN401 - any setting's value
    """Another valid value of the same shape."""
    words = attribute.shape.schema.get("enum")
    if attribute.key in OTHER:
        return OTHER[attribute.key](value)
    if words:
        return next(word for word in words if word not in (value, ""))
    if attribute.shape.canon is model.seconds:
        return attribute.shape.render(model.seconds(value) + 7200)
    return _another(value)


def _another(value: Any) -> Any:  # noqa: ANN401 - any setting's value
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, list):
        return [*value, "https://stranger.example.org" if any("://" in item for item in value) else "127.0.0.9/32"]
    return {**value, "stranger": "1"} if isinstance(value, Mapping) else f"{value}-stranger"


def _changeable(one: Instance) -> list[model.Attribute]:
    declared = {attribute.yaml for attribute, _ in one.settings()}
    return [
        attribute
        for attribute in one.resource.attributes()
        if attribute.yaml in declared
        and attribute.field.yaml
        and attribute.field.readable
        and not (attribute.field.secret or attribute.field.replace or attribute.field.output)
        and attribute.key not in FIXED
    ]


TYPES = sorted(name for name, resource in RESOURCES.items() if resource.read_paths and not resource.exists)


@pytest.mark.parametrize("type_name", TYPES)
def test_each_setting_changed_behind_our_back_is_one_drift(type_name: str, applied: Applied) -> None:
    for one in _instances(applied, type_name):
        for attribute in _changeable(one):
            before = _state(applied, one)
            flat = flatten(one.resource, before)
            flat[attribute.terraform] = _other(attribute, flat[attribute.terraform])
            changed = nest(one.resource, flat)
            applied.provider.apply(type_name, before, changed, changed)
            found = _of(applied, one)
            applied.provider.apply(type_name, changed, before, before)

            assert [(found_.title, found_.setting.split(".")[0]) for found_ in found] == [
                (one.declaration.title, attribute.yaml.split(".")[0])
            ], attribute.yaml
            assert _of(applied, one) == [], attribute.yaml


def _of(applied: Applied, one: Instance) -> list[Drift]:
    beside = [other for other in applied.instances if other.kind is one.kind and other is not one]
    known = [one, *(beside if any(field.by for field in one.resource.fields.values()) else ())]
    documents = {path: applied.api.read(path, gone=gone) for path, gone in compare.paths(known).items()}
    return [found for found in compare.drift(known, documents) if found.title == one.declaration.title]


STRANGERS = sorted(
    {
        part.resource.type
        for kind in CATALOG.values()
        for declared in kind.objects
        if declared.list and not declared.single
        for part in declared.parts
    }
)


@pytest.fixture
def any_role_allowed(applied: Applied) -> Iterator[None]:
    """The database takes static roles by any name, for the length of a test."""
    path = "c-database/config/orders"
    before = applied.api.read(path)
    assert before
    applied.api.call("POST", path, {"allowed_roles": "*", "verify_connection": False})
    yield
    applied.api.call("POST", path, {"allowed_roles": before["allowed_roles"], "verify_connection": False})


@pytest.mark.parametrize("type_name", STRANGERS)
@pytest.mark.usefixtures("any_role_allowed")
def test_an_object_that_nobody_declared_is_found(type_name: str, applied: Applied) -> None:
    one = next(one for one in _instances(applied, type_name) if one.declaration.object and one.declaration.object.list)
    resource, flat = _stranger(applied, one)
    state = nest(resource, flat)
    secrets = {attribute.terraform: "canary-stranger" for attribute, _, _ in one.secrets()}
    made = applied.provider.apply(type_name, None, state, nest(resource, {**flat, **secrets}))
    found = drift(applied.root, NAME, applied.environ).drifts
    applied.provider.apply(type_name, made, None, None)

    title = one.declaration.title.removesuffix(one.declaration.name) + "stranger"
    assert [found_ for found_ in found if "stranger" in found_.title] == [
        Drift(title, "", compare.UNDECLARED, compare.PRESENT)
    ]


def _stranger(applied: Applied, one: Instance) -> tuple[model.Resource, dict[str, Any]]:
    """Another object like one of ours, as Terraform knows it."""
    if (through := one.resource.through) is not None:
        whole = next(attribute.terraform for attribute in through.attributes() if attribute.field.whole)
        said = {attribute.key: attribute.shape.render(value) for attribute, value in one.settings()}
        path = one.path.removesuffix(one.declaration.name) + "stranger"
        return through, {through.name: path, whole: json.dumps(said), **through.constants}
    flat = flatten(one.resource, _state(applied, one))
    nameless = {"id": None, "verify_connection": False, "role_id": None}
    return one.resource, {**flat, one.resource.name: "stranger", **nameless}


def test_a_mount_that_nobody_declared_is_found(applied: Applied) -> None:
    applied.api.call("POST", "sys/mounts/c-stranger", {"type": "kv"})
    found = drift(applied.root, NAME, applied.environ).drifts
    applied.api.call("DELETE", "sys/mounts/c-stranger", None)

    assert Drift("secrets/c-stranger", "", compare.UNDECLARED, compare.PRESENT) in found


def test_an_object_that_is_gone_is_found(applied: Applied) -> None:
    one = next(one for one in applied.instances if one.resource.type == "vault_approle_auth_backend_role")
    state = _state(applied, one)
    applied.provider.apply(one.resource.type, state, None, None)
    found = _of(applied, one)
    applied.provider.apply(one.resource.type, None, state, state)

    assert found == [Drift(one.declaration.title, "", compare.PRESENT, compare.ABSENT)]
