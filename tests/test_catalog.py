"""Every kind in the catalogue keeps the same promises on a real server; a new kind gets these tests for free."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator import model
from orchestrator.catalog import CATALOG, FAMILIES, RESOURCES, SYSTEM
from orchestrator.commands.drift import drift
from orchestrator.commands.plan import Asked, apply, plan
from orchestrator.config.checks import lacks
from orchestrator.config.load import load
from orchestrator.declared import Cluster
from orchestrator.documents import get, put
from orchestrator.instances import Instance, instances
from orchestrator.live import drift as compare
from orchestrator.live.drift import Drift
from orchestrator.live.secrets import resolve
from orchestrator.shapes import seconds
from orchestrator.terraform.provider.api import Api, ApiError
from orchestrator.terraform.provider.engine import Offline
from orchestrator.terraform.provider.state import flatten, nest
from tests.support import everything, no_progress, no_question, project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.local.stack import Stack

pytestmark = pytest.mark.server

NAME = "everything"
# Values of which no other valid one can be made up: what they are checked with instead stands beside them.
OTHER: dict[str, Callable[[Any], Any]] = {
    "connection_url": lambda value: value + "&application_name=stranger",
    "username_template": lambda _: "{{ .RoleName }}-{{ random 8 }}",
    "jwt_validation_pubkeys": lambda value: [value[0].replace("\n-----END", "=\n-----END")],
    "allowed_user_key_lengths": lambda _: [{"type": "rsa", "lengths": [4096]}],
    "vhosts": lambda value: [{**value[0], "read": "stranger"}],
    "vhost_topics": lambda _: [],
    "policy": lambda value: value.replace("read", "list").replace("length = 24", "length = 32"),
    "data": lambda value: value.replace("1000", "999"),
    "sha256": lambda value: value[::-1],
    "creation_statements": lambda value: value[:1],
    "key_usage": lambda _: ["DigitalSignature"],
    "template": lambda _: '{"stranger": {{identity.entity.id}}}',
    "issuer_host": lambda _: "stranger.example.org",
    "issuer": lambda _: "https://stranger.example.org",
    "cn_validations": lambda _: ["hostname"],
    "oidc_response_types": lambda _: [],
    "tls_min_version": lambda _: "tls13",
    "tls_max_version": lambda _: "tls12",
    "jwt_supported_algs": lambda value: [*value, "ES256"],
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
    "command": "must name a program that there is",
    "key_type": "goes with key_bits",
    "key_bits": "goes with key_type",
    "signature_bits": "goes with key_type",
    "issuer_ref": "must name an issuer that there is",
    "default": "must name an issuer that there is",
    "enabled": "asks for other settings",
    "jwt_validation_pubkeys": "another key would have to be a real one",
    "type": "the server never changes it",
    "default_role": "must name a role",
    "certificate": "another one would have to be a real one",
    "oidc_discovery_url": "must answer",
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


MUST = {
    "bound_audiences": "a role must be bound to something",
    "bound_service_account_names": "a role must be bound to something",
    "bound_service_account_namespaces": "a role must be bound to something",
    "allowed_kubernetes_namespaces": "a role must be bound to something",
    "allowed_kubernetes_namespace_selector": "a role must be bound to something",
    "service_account_name": "a role must make something",
    "kubernetes_role_name": "a role must make something",
    "generated_role_rules": "a role must make something",
    "kubernetes_host": "else the server looks for a pod's",
    "default_user": "an OTP role must have one",
    "tidy_cert_store": "tidying must tidy something",
    "verify_connection": "there is no such server here",
    "ca_cert": "TLS wants it",
    "kubernetes_ca_cert": "else the server looks for a pod's",
    "disable_local_ca_jwt": "else the server looks for a pod's",
}
NO_DEFAULT = {
    "group_by": "Vault Enterprise alone has it",
    "secondary_rate": "Vault Enterprise alone has it",
    "absolute_rate_limit_exempt_paths": "Vault Enterprise alone has it",
    "rotation_window": "the server's own, and only beside a schedule",
    "force_no_cache": "a mount keeps it for life",
    "seal_wrap": "a mount keeps it for life",
    "explicit_max_ttl": "only a Vault from 1.20 on has one",
    "identity_token_ttl": "only Vault Enterprise has one",
}
_IDENTIFIER = "an identifier: it opens nothing without the secret beside it"
_CERTIFICATE = "a certificate is shown to everybody; its key is the secret"
PUBLIC = {
    ("vault_generic_endpoint", "data"): "the person who writes it says what goes there",
    ("vault_alicloud_secret_backend", "access_key"): _IDENTIFIER,
    ("vault_aws_auth_backend_client", "access_key"): _IDENTIFIER,
    ("vault_aws_secret_backend", "config.access_key"): _IDENTIFIER,
    ("vault_azure_auth_backend_config", "client_id"): _IDENTIFIER,
    ("vault_azure_auth_backend_config", "tenant_id"): _IDENTIFIER,
    ("vault_azure_secret_backend", "config.client_id"): _IDENTIFIER,
    ("vault_azure_secret_backend", "config.subscription_id"): _IDENTIFIER,
    ("vault_azure_secret_backend", "config.tenant_id"): _IDENTIFIER,
    ("vault_database_secret_backend_connection", "base64_pem"): _CERTIFICATE,
    ("vault_rabbitmq_secret_backend", "username"): _IDENTIFIER,
    ("vault_consul_secret_backend", "config.client_cert"): _CERTIFICATE,
    ("vault_nomad_secret_backend", "config.client_cert"): _CERTIFICATE,
    ("vault_kerberos_auth_backend_ldap_config", "certificate"): "the certificate of an authority is no secret",
}


@dataclass(frozen=True)
class Applied:
    root: Path
    environ: dict[str, str]
    cluster: Cluster
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
    declared = load(root, NAME, environ)
    yield Applied(root, environ, declared.cluster, instances(declared), provider, api)
    provider.close()


kinds = pytest.mark.parametrize("kind", CATALOG.values(), ids=lambda kind: kind.id)


def _settable(kind: model.Kind) -> Iterator[tuple[str, tuple[str, ...], model.Attribute]]:
    """Every setting of the kind: its resource's type, and what is required beside it."""
    if kind.mount:
        yield from ((kind.mount.type, kind.required, one) for one in kind.mount.attributes())
    for declared in kind.objects:
        for part in declared.parts:
            yield from ((part.resource.type, declared.required, one) for one in part.resource.attributes())


@kinds
def test_a_secret_is_never_an_argument_that_the_state_keeps(kind: model.Kind) -> None:
    kept = [
        (type_, one.yaml)
        for type_, _, one in _settable(kind)
        if one.field.yaml and not one.field.output and one.field.sensitive and not one.field.secret
    ]

    assert [one for one in kept if one not in PUBLIC] == []


@kinds
def test_a_setting_that_the_server_fills_in_has_a_default_to_go_back_to(kind: model.Kind) -> None:
    """Terraform keeps such a value where nothing is said: what leaves the YAML must be said all the same."""
    silent = [
        f"{type_}.{one.terraform}"
        for type_, required, one in _settable(kind)
        if one.field.yaml and one.field.computed and not one.field.output and one.field.readable
        if one.field.default is None and not one.field.by_name
        if not one.field.required and one.yaml not in required and one.key not in NO_DEFAULT
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
    live = one.live(_documents(applied, [one])) or {}
    resource = RESOURCES[one.resource.type]
    flat = flatten(resource, applied.provider.import_(resource.type, one.import_id(live))[0])
    declared = {it.terraform: it.shape.render(value) for it, value in one.settings() if not it.field.by}
    read = applied.provider.read(resource.type, nest(resource, {**flat, **declared}))
    assert read is not None
    return dict(read)


def _secrets(applied: Applied, one: Instance) -> dict[str, str]:
    return {attribute.terraform: resolve(said, applied.environ, applied.root) for attribute, said, _ in one.secrets()}


def _other(attribute: model.Attribute, value: Any) -> Any:  # noqa: ANN401 - any setting's value
    """Another valid value of the same shape; of what names other objects, one fewer."""
    words = attribute.shape.schema.get("enum")
    if attribute.key in OTHER:
        return OTHER[attribute.key](value)
    if attribute.field.names not in ("", "policy"):
        return value[:-1]
    if words:
        return next(word for word in words if word not in (value, ""))
    if attribute.shape.canon is seconds:
        return attribute.shape.render(seconds(value) + 7200)
    return _another(value)


def _another(value: Any) -> Any:  # noqa: ANN401 - any setting's value
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, list):
        return [*value, "https://stranger.example.org" if any("://" in item for item in value) else "127.0.0.9/32"]
    return {**value, "stranger": "1"} if isinstance(value, Mapping) else f"{value}-stranger"


def _changeable(one: Instance, cluster: Cluster) -> list[model.Attribute]:
    declared = {attribute.yaml for attribute, _ in one.settings()}
    found = "".join(one.resource.found.match.values()) if one.resource.found else ""
    names = set(re.findall(r"{(\w+)}", found)) | {
        attribute.terraform
        for attribute in one.resource.attributes()
        if attribute.field.names not in ("", "policy") and isinstance(attribute.shape.cty, str)
    }
    return [
        attribute
        for attribute in one.resource.attributes()
        if attribute.yaml in declared
        and attribute.field.yaml
        and attribute.field.readable
        and not lacks(attribute.field.absent, cluster)
        and not (attribute.field.secret or attribute.field.replace or attribute.field.output)
        and attribute.key not in FIXED
        and attribute.terraform not in names
    ]


TYPES = sorted(name for name, resource in RESOURCES.items() if resource.read_paths and not resource.exists)


@pytest.mark.parametrize("type_name", TYPES)
def test_each_setting_changed_behind_our_back_is_one_drift(type_name: str, applied: Applied) -> None:
    for one in _instances(applied, type_name):
        for attribute in _changeable(one, applied.cluster):
            before = _state(applied, one)
            flat = flatten(one.resource, before)
            if attribute.field.names not in ("", "policy") and not flat[attribute.terraform]:
                continue  # it names nothing, and there is nothing else to name
            flat[attribute.terraform] = _other(attribute, flat[attribute.terraform])
            changed, secrets = nest(one.resource, flat), _secrets(applied, one)
            applied.provider.apply(type_name, before, changed, nest(one.resource, {**flat, **secrets}))
            found = _of(applied, one)
            known = nest(one.resource, {**flatten(one.resource, before), **secrets})
            applied.provider.apply(type_name, changed, before, known)

            assert [(found_.title, found_.setting.split(".")[0]) for found_ in found] == [
                (one.declaration.title, attribute.yaml.split(".")[0])
            ], attribute.yaml
            assert _of(applied, one) == [], attribute.yaml


def _of(applied: Applied, one: Instance) -> list[Drift]:
    fields = one.declaration.object.fields if one.declaration.object else {}
    words = {field.names for field in fields.values() if field.by}
    named = [it for it in applied.instances if it is not one and any(it.is_named(one.kind, word) for word in words)]
    found = compare.drift([one, *named], _documents(applied, [one, *named]))
    return [it for it in found if it.title == one.declaration.title]


def _documents(applied: Applied, several: list[Instance]) -> dict[str, Mapping[str, Any] | None]:
    """What the server holds of them, and of what is beside them in a list."""
    return {
        path: applied.api.call("LIST", path.rstrip("/"), None)
        if path.endswith("/")
        else applied.api.read(path, gone=gone)
        for path, gone in compare.paths(several).items()
    }


STRANGERS = sorted(
    {
        part.resource.type
        for kind in CATALOG.values()
        for declared in kind.objects
        if declared.list and not declared.single
        for part in declared.parts[:1]
    }
)


# What two objects of a type may not share.
ELSEWHERE = {"vault_quota_rate_limit": {"path": "sys/tools/hash"}}


def _strange(one: Instance) -> str:
    """A name that nobody declared, as the server would write it."""
    return "Stranger" if one.declaration.object and one.declaration.object.header else "stranger"


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
    flat |= ELSEWHERE.get(type_name, {})
    state = nest(resource, flat)
    made = applied.provider.apply(type_name, None, state, nest(resource, {**flat, **_secrets(applied, one)}))
    found = drift(applied.root, NAME, applied.environ).drifts
    applied.provider.apply(type_name, made, None, None)

    title = one.declaration.title.removesuffix(one.declaration.name) + _strange(one)
    assert [found_ for found_ in found if "stranger" in found_.title.lower()] == [
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
    return one.resource, {**flat, one.resource.name: _strange(one), **nameless}


def test_a_mount_that_nobody_declared_is_found(applied: Applied) -> None:
    applied.api.call("POST", "sys/mounts/c-stranger", {"type": "kv"})
    found = drift(applied.root, NAME, applied.environ).drifts
    applied.api.call("DELETE", "sys/mounts/c-stranger", None)

    assert Drift("secrets/c-stranger", "", compare.UNDECLARED, compare.PRESENT) in found


@pytest.mark.usefixtures("namespaces")
def test_a_lost_state_is_found_again_and_what_leaves_the_yaml_is_gone(
    stack: Stack, api: Api, tmp_path_factory: pytest.TempPathFactory
) -> None:
    api.call("POST", "sys/namespaces/lost", {})
    root = tmp_path_factory.mktemp("lost")
    environ = project(root, stack, "lost", everything("o", stack, namespace="lost", without=frozenset({"passthrough"})))
    asked = Asked(destroy=["all"], many=True, verify=False)
    apply(root, "lost", environ, no_progress, no_question, asked)
    for state in (root / ".strongroom").rglob("terraform.tfstate*"):
        if ".terraform" not in state.parts:
            state.unlink()
    found = apply(root, "lost", environ, no_progress, no_question, asked)

    assert [one for one in found.plan.changes if one.destroys] == []
    assert found.pending == ()
    assert drift(root, "lost", environ).drifts == ()

    project(root, stack, "lost", {"namespace": "lost"})
    (root / "policies" / "payments-read.hcl").unlink()
    apply(root, "lost", environ, no_progress, no_question, asked)
    inside = Api(stack.address, stack.token, "lost")
    left = {
        **{path: inside.read(path) for path in ("sys/mounts", "sys/auth")},
        **{
            one.list: _listed(inside, one.list)
            for kind in SYSTEM.values()
            for one in kind.objects
            if _is_ours(kind, one, Cluster("test", stack.server, stack.version))
        },
    }
    inside.close()

    assert {path.rstrip("/") for path in left.pop("sys/mounts") or {}} == {"cubbyhole", "identity", "sys"}
    assert {path.rstrip("/") for path in left.pop("sys/auth") or {}} == {"token"}
    assert {path: names for path, names in left.items() if names} == {}


def _is_ours(kind: model.Kind, one: model.Object, cluster: Cluster) -> bool:
    """Whether a namespace has a list of such objects on this server."""
    return bool(one.list) and not (kind.root or one.root or lacks({**kind.absent, **one.absent}, cluster))


def _listed(api: Api, path: str) -> list[str]:
    made = {name for kind in SYSTEM.values() for one in kind.objects if one.list == path for name in one.ignore}
    try:
        names: list[str] = api.call("LIST", path, None).get("keys") or []
    except ApiError as error:
        assert error.status == 404, path  # noqa: PT017 - any other refusal is no empty list
        return []
    return [name for name in names if name not in made]


@pytest.mark.usefixtures("namespaces")
def test_what_leaves_the_yaml_goes_back_to_the_servers_default(
    stack: Stack, api: Api, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Little declared on a fresh server, then everything, then little again: each time nothing is left to change."""
    api.call("POST", "sys/namespaces/little", {})
    root = tmp_path_factory.mktemp("little")
    full = everything("l", stack, namespace="little", without=frozenset({"passthrough"}))
    little = {key: _little(key, section) for key, section in full.items()}
    for document in (little, full, little):
        environ = project(root, stack, "little", document)
        asked = Asked(destroy=["all"], many=True, verify=False)
        applied = apply(root, "little", environ, no_progress, no_question, asked)

        assert applied.pending == ()
        assert [one for one in drift(root, "little", environ).drifts if one.declared != compare.UNDECLARED] == []


def _little(key: str, section: Any) -> Any:  # noqa: ANN401 - a part of the YAML
    """A section with only those settings that must be written, or whose change makes another object."""
    if key in ("auth", "secrets"):
        return {path: _little_mount(FAMILIES[key][mount["type"]], mount) for path, mount in section.items()}
    return _little_objects(FAMILIES["system"][key], section) if key in FAMILIES["system"] else section


def _little_mount(kind: model.Kind, mount: dict[str, Any]) -> dict[str, Any]:
    settings = {name: mount[name] for name in mount if name not in {one.key for one in kind.objects}}
    kept = _must(settings, model.in_yaml(kind.mount.fields) if kind.mount else {}, kind.required)
    kept |= {name: settings[name] for one in kind.objects for name in one.needs if name in settings}
    return {"type": kind.name, **kept, **_little_objects(kind, mount)}


def _little_objects(kind: model.Kind, section: dict[str, Any]) -> dict[str, Any]:
    if kind.is_one:
        section = {kind.name: section}
    found: dict[str, Any] = {}
    for one in kind.objects:
        if one.key in section:
            said, fields = section[one.key], model.in_yaml(one.fields)
            if one.seed:
                found[one.key] = said
                continue
            each = {"": said} if one.single else said
            kept = {name: _must(spec or {}, fields, one.required) for name, spec in each.items()}
            found[one.key] = kept[""] if one.single else kept
    return found[kind.name] if kind.is_one else found


def _must(spec: dict[str, Any], fields: Mapping[str, model.Field], required: Sequence[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, field in fields.items():
        value = get(spec, name)
        fixed = (
            field.replace
            or field.lasting
            or field.secret
            or field.required
            or field.names
            or name.rpartition(".")[2] in {**FIXED, **MUST}
        )
        if value is not None and (fixed or name in required or name.partition(".")[0] in required):
            put(kept, name, value)
    return kept


def test_an_object_that_is_gone_is_found(applied: Applied) -> None:
    one = next(one for one in applied.instances if one.resource.type == "vault_approle_auth_backend_role")
    state = _state(applied, one)
    applied.provider.apply(one.resource.type, state, None, None)
    found = _of(applied, one)
    applied.provider.apply(one.resource.type, None, state, state)

    assert found == [Drift(one.declaration.title, "", compare.PRESENT, compare.ABSENT)]
