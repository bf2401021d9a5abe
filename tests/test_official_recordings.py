"""Every type of the catalogue does what was recorded of the official provider: the same requests, id and state.

No mock of a server that can run: those are asked themselves (`test_catalog.py`, `test_official_behaviour.py`). This is
for the servers that cannot run here, whose recorded answers are all there is, and for what no state shows: requests.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from orchestrator.catalog import CATALOG, RESOURCES
from orchestrator.declared import Declaration, Where
from orchestrator.documents import put
from orchestrator.instances import Instance
from orchestrator.live.drift import drift
from orchestrator.model import Part
from orchestrator.shapes import seconds
from orchestrator.terraform.provider.api import Api, ApiError
from orchestrator.terraform.provider.contract import Diagnosed
from orchestrator.terraform.provider.engine import Offline
from orchestrator.terraform.provider.schema import resource_schema
from orchestrator.terraform.provider.state import flatten, nest
from tests.test_official_behaviour import RECORDED, _blotted, _differences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.documents import Json
    from orchestrator.model import Kind, Object, Resource

OUT_OF_REACH = {
    "vault_mount#trailing_slash": "a path that the configuration refuses",
    "vault_namespace#nested": "its official id repeats the namespace that it stands in, ours is the path as declared",
    "vault_generic_endpoint#echo": "a duration that the server echoes otherwise: both find a difference for ever",
    "vault_database_secret_backend_connection#postgresql_password": "a secret in the state, which nothing renders",
    "vault_okta_auth_backend": "deprecated arguments, and groups and users that are resources of their own here",
}
ANY = ""
ADDRESS = "http://vault.example.com:8200"  # of the server that was recorded
CHANGED_OTHERWISE = {
    "vault_gcp_auth_backend": "the official one also tunes a mount `gcp/config` that there is not",
    "vault_mount#move": "ours makes a mount anew, which the gate asks about, where the official one moves it",
    "vault_pki_secret_backend_root_cert#ttl-change": "the official one notes a new ttl and makes nothing; ours does",
    "vault_pki_secret_backend_root_sign_intermediate": "the official one notes a new ttl and signs nothing; ours does",
}
QUESTIONS = {"identity/lookup/entity"}  # a POST that changes nothing
# Keys of requests that the two say otherwise, without another effect on the server.
DIFFERENT = {
    ("vault_aws_auth_backend_role", "resolve_aws_unique_ids"): "the server's default, said for roles of EC2 too",
    ("vault_database_secret_backend_connection", "plugin_name"): "rendered from YAML; the official one knows the block",
    ("vault_github_team", "key"): "the last word of the path once more",
    ("vault_pki_secret_backend_root_sign_intermediate", "max_path_length"): "-1 is what the server takes silence for",
    ("vault_pki_secret_backend_root_cert", "max_path_length"): "-1 is what the server takes silence for",
    ("vault_pki_secret_backend_root_cert", "format"): "the server's default",
    ("vault_pki_secret_backend_root_cert", "private_key_format"): "the server's default",
    ("vault_userpass_auth_backend_user", "token_type"): "left to the server, whose default it is",
    (ANY, "listing_visibility"): "the server's default, said so that it comes back",
    (ANY, "token_type"): "the server's default, said so that it comes back",
    ("vault_identity_entity", "name"): "an update has the id in its path",
    ("vault_identity_group", "name"): "an update has the id in its path",
    ("vault_identity_entity", "external_policies"): "the provider's own flag, which the server does not know",
    ("vault_identity_oidc_key", "allowed_client_ids"): "each role says that it may; a list of ours would shut them out",
    ("vault_identity_mfa_totp", "uuid"): "an update has the id in its path",
    ("vault_identity_mfa_login_enforcement", "uuid"): "an update has the name in its path",
    ("vault_plugin", "type"): "it is in the path",
    ("vault_rabbitmq_secret_backend", "password"): "a secret in the state, which nothing renders",
    ("vault_ldap_auth_backend", "deny_null_bind"): "the server's default",
}
# Attributes of which ours notes what the server says, and the official provider nothing.
NOTED = {("vault_gcp_auth_backend_role", "allow_gce_inference")}
# Objects that the YAML declares otherwise than by their type and their path.
ELSEWHERE = {
    "vault_identity_entity_alias": "found inside its entity",
    "vault_identity_group_alias": "found inside its group",
    "vault_identity_mfa_totp": "found in a list",
}
# Settings that the YAML states where it says nothing, and the server that was recorded showed otherwise.
STATED = {
    "default_lease_ttl": "shorter than the month of a server that is not told",
    "secret_id_ttl": "a SecretID that does not end",
    "secret_id_num_uses": "a SecretID that serves for ever",
    "config.tls_max_version": "the newest there is",
    "disallowed_policies": "a token role that gives no root",
    "token_explicit_max_ttl": "a token that ends",
    "renewable": "a token that ends",
    "default_ttl": "an account of an hour",
    "ttl": "a certificate of a day",
    "allow_ip_sans": "a name that nobody else may be given",
    "allow_localhost": "every machine is called so",
    "allow_wildcard_certificates": "one stolen key would be every name",
    "auto_rotate_period": "a key of a quarter",
    "signature_bits": "goes with key_type",
    "max_ttl": "an account of a day at most",
    "max_lease_ttl": "shorter than the month of a server that is not told",
    "tls": "a password that does not cross the network in the open",
    "max_open_connections": "no more than the work needs",
    "password_authentication": "hashed where the server would take the password itself",
    "key_type": "an elliptic curve where the server would take RSA",
    "key_bits": "goes with key_type",
    "config.iam_alias": "its default is shown only once it is said",
    "config.gce_alias": "its default is shown only once it is said",
}


def _expressible(name: str) -> bool:
    """Whether it was carried out, or could have been with a cloud at hand, and the catalogue has all its arguments."""
    type_name, one = name.split("#", maxsplit=1)[0], RECORDED[name]
    if type_name not in RESOURCES or name in OUT_OF_REACH or one.get("status", "").startswith("refused"):
        return False
    block = resource_schema(RESOURCES[type_name]).block
    known = {attribute.name for attribute in block.attributes} | {nested.name for nested in block.blocks}
    return set(one["config"]) <= known


def _parts() -> Iterator[tuple[Kind, Object | None, Part]]:
    for kind in CATALOG.values():
        if kind.mount:
            yield kind, None, Part(kind.mount)
        yield from ((kind, one, part) for one in kind.objects for part in one.parts)


def _part(type_name: str, state: Mapping[str, Json]) -> tuple[Kind, Object | None, Part]:
    """What declares such an object; of variants of a type the one that its state shows."""
    flat = flatten(RESOURCES[type_name], state)
    wanted = RESOURCES[type_name].variant(lambda one: flat[one.terraform])
    return next(one for one in _parts() if one[2].resource is wanted)


OURS = sorted(name for name in RECORDED if not name.startswith("_") and _expressible(name))
recordings = pytest.mark.parametrize("name", OURS)


@dataclass(frozen=True)
class Request:
    """A request that changes something: POST stands for PUT too, which servers take for the same."""

    method: str
    path: str
    body: Mapping[str, Json]


@dataclass(frozen=True)
class Recording(Api):
    """A server that answers as one did once the object is written; a path that was not read then shows its state."""

    reads: Mapping[str, Json] = field(default_factory=dict)
    known: Mapping[str, Json] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def call(
        self,
        method: str,
        path: str,
        body: Json,
        namespace: str = "",  # noqa: ARG002
        *,
        again: bool | None = None,  # noqa: ARG002
    ) -> dict[str, Json]:
        if method != "GET":
            self.requests.append(Request(method, path, body or {}))
            return dict(self.known)
        found = self.reads.get(path, self.known) if self.requests and self.requests[-1].method != "DELETE" else None
        if not found:
            raise ApiError(404, method, path, ())
        return dict(found)


class Replayed(Offline):
    """The offline provider on a recording."""

    def __init__(self, type_name: str, one: Mapping[str, Json]) -> None:
        super().__init__()
        self.server = Recording(
            ADDRESS, "", reads=one.get("read_response") or {}, known=_known(RESOURCES[type_name], one)
        )
        self._api = self.server


def _known(resource: Resource, one: Mapping[str, Json]) -> dict[str, Json]:
    """The object as the server must have held it, by the recorded state; nothing where there is none."""
    if "state" not in one:
        return {}
    state = flatten(resource, one["state"])
    document: dict[str, Json] = {"id": str(one["id"]).rpartition("/")[2]}
    for attribute in resource.attributes():
        put(document, attribute.api, state[attribute.terraform])
        document.setdefault(attribute.key, state[attribute.terraform])  # a reply has it by this name
    return document


def _config(resource: Resource, arguments: Mapping[str, Json]) -> dict[str, Json]:
    return nest(resource, flatten(resource, arguments))


@recordings
def test_what_is_written_is_what_was_recorded(name: str) -> None:
    type_name, one = name.split("#", maxsplit=1)[0], RECORDED[name]
    provider = Replayed(type_name, one)
    _create(provider, type_name, one)

    assert _unlike(type_name, _recorded(one["create"]), provider.server.requests) == {}


def _create(provider: Replayed, type_name: str, one: Mapping[str, Json]) -> Mapping[str, Json]:
    config = _config(RESOURCES[type_name], one["config"])
    planned = provider.plan(type_name, None, config, config)
    try:
        state = provider.apply(type_name, None, planned.state, config)
    except Diagnosed:
        if "state" in one:
            raise
        return {}  # the cloud behind it was out of reach: nothing could be read
    assert state is not None
    return state


@pytest.mark.parametrize("name", [name for name in OURS if "state" in RECORDED[name]])
def test_id_and_state_are_the_recorded_ones(name: str) -> None:
    type_name, one = name.split("#", maxsplit=1)[0], RECORDED[name]
    provider = Replayed(type_name, one)
    state = _create(provider, type_name, one)
    config = _config(RESOURCES[type_name], one["config"])
    again = provider.plan(type_name, state, config, config)

    assert _blotted(state.get("id")) == _blotted(one.get("id"))
    differences = _differences(type_name, one["state"], dict(state))
    assert {name for name in differences if (type_name, name) not in NOTED} == set(), differences
    assert (again.state, again.replace) == (state, ())
    assert provider.read(type_name, state) == state


@pytest.mark.parametrize(
    "name", [name for name in OURS if RECORDED[name].get("update") and name not in CHANGED_OTHERWISE]
)
def test_a_change_sends_what_was_recorded(name: str) -> None:
    type_name, one = name.split("#", maxsplit=1)[0], RECORDED[name]
    provider = Replayed(type_name, one)
    state = _create(provider, type_name, one)
    made = len(provider.server.requests)
    config = _config(RESOURCES[type_name], {**one["config"], **one["update"]["changed"]})
    planned = provider.plan(type_name, state, config, config)

    assert bool(planned.replace) == (one["update"]["actions"] == ["delete", "create"])
    if not planned.replace:
        provider.apply(type_name, state, planned.state, config)
        before, after = _said(_recorded(one["create"])), _said(_recorded(one["update"]["requests"]))
        sent, meant = _said(provider.server.requests[made:]), _keys(RESOURCES[type_name], one["update"]["changed"])
        meant -= {key for type_, key in DIFFERENT if type_ in (ANY, type_name)}
        changed = {place for place in after if place[1] in meant and not _alike(before.get(place), after[place])}

        assert {
            place: (after[place], sent.get(place))
            for place in changed
            if place not in sent or not _alike(after[place], sent[place])
        } == {}


@pytest.mark.parametrize("name", [name for name in OURS if "destroy" in RECORDED[name] and not name.endswith("#move")])
def test_what_is_destroyed_is_what_was_recorded(name: str) -> None:
    type_name, one = name.split("#", maxsplit=1)[0], RECORDED[name]
    provider = Replayed(type_name, one)
    state = _create(provider, type_name, one)
    made = len(provider.server.requests)
    provider.apply(type_name, state, None, None)

    ours = [(request.method, _blotted(request.path.partition("?")[0])) for request in provider.server.requests[made:]]
    assert ours == [(request.method, _blotted(request.path)) for request in _recorded(one["destroy"])]


def _keys(resource: Resource, arguments: Mapping[str, Json]) -> set[str]:
    """What requests call these arguments; the official provider also sends what it once read, as if it were said."""
    given = [one for one in resource.attributes() if one.terraform.partition(".")[0] in arguments]
    return {one.key for one in given} | {
        key for one in given if one.field.whole for key in one.shape.canon(arguments[one.terraform])
    }


_METHODS = {"create": "POST", "update": "POST", "patch": "PATCH", "delete": "DELETE"}


def _recorded(requests: Iterable[Mapping[str, Json]]) -> list[Request]:
    return [
        Request(_METHODS[one["op"]], one["path"], one.get("data") or {}) for one in requests if one["op"] in _METHODS
    ]


def _unlike(
    type_name: str, theirs: Iterable[Request], ours: Iterable[Request]
) -> dict[tuple[str, str], tuple[Json, Json]]:
    """What the one said and the other did not, or not so: by path and key."""
    recorded, sent = _said(theirs), _said(ours)
    return {
        place: (recorded.get(place), sent.get(place))
        for place in recorded.keys() | sent.keys()
        if not _alike(recorded.get(place), sent.get(place))
        and not {(type_name, place[1]), (ANY, place[1])} & DIFFERENT.keys()
    }


def _said(requests: Iterable[Request]) -> dict[tuple[str, str], Json]:
    """All that requests say, whichever of them says it; a request that says nothing is told too."""
    said: dict[tuple[str, str], Json] = {}
    for one in requests:
        if one.path in QUESTIONS:
            continue
        place = f"{one.method} {_place(one.path)}"
        said[place, ""] = "sent"
        said |= {(place, key): value for key, value in _flat(one.body)}
    return said


def _place(path: str) -> str:
    """A mount is one place, whether it is made or tuned."""
    return re.sub(r"^sys/auth/", "sys/mounts/auth/", path).removesuffix("/tune")


def _flat(body: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    """Keys and values; a mount's `config` stands for what is in it."""
    for key, value in body.items():
        if key == "config" and isinstance(value, dict):
            yield from value.items()
        else:
            yield key, value


def _meaning(value: Json) -> Json:
    """A value as the server understands it; None where it says nothing.

    >>> _meaning("3600s"), _meaning(["b", "a"]), _meaning("a,b"), _meaning({"a": ""}), _meaning("0")
    (3600, ['a', 'b'], ['a', 'b'], None, None)
    """
    if isinstance(value, dict):
        return {key: one for key, item in value.items() if (one := _meaning(item)) is not None} or None
    if isinstance(value, str):
        return _text_meaning(value)
    if isinstance(value, list):
        found = sorted((one for item in value if (one := _meaning(item)) is not None), key=str)
        return found[0] if len(found) == 1 else found or None
    return value or None


def _text_meaning(text: str) -> Json:
    if re.fullmatch(r"(\d+[smhd]?)+", text):
        return seconds(text) or None
    if text.startswith(("{", "[")):
        with suppress(ValueError):  # a template looks like JSON
            return _meaning(json.loads(text))
    return _meaning(text.split(",")) if "," in text else text.strip() or None


def _alike(one: Json, other: Json) -> bool:
    """Whether two values mean the same; what was blotted out may be anything."""
    first, second = _meaning(one), _meaning(other)
    if first is None or second is None:
        return first is second
    return "<" in json.dumps(first) or "<" in json.dumps(second) or bool(first == second)


@pytest.mark.parametrize("name", [one for one in OURS if RECORDED[one].get("read_response") and one not in ELSEWHERE])
def test_what_the_server_answered_is_no_drift(name: str) -> None:
    type_name, one = name.split("#", maxsplit=1)[0], RECORDED[name]
    provider = Replayed(type_name, one)
    _create(provider, type_name, one)
    declared = _declared(type_name, one)
    documents = {path: provider.server.read(path, gone=gone) for path, gone in declared.reads.items()}
    drifts = [found for found in drift([declared], documents) if not _alike(found.declared, found.live)]

    assert [found for found in drifts if found.setting not in STATED] == []


def _declared(type_name: str, one: Mapping[str, Json]) -> Instance:
    """The object as the YAML would declare it by the recorded arguments."""
    kind, of, part = _part(type_name, one.get("state") or one["config"])
    resource = part.resource
    given = {name: value for name, value in flatten(resource, one["config"]).items() if value is not None}
    names = {**_texts(flatten(resource, one.get("state") or one["config"])), **_texts(given)}
    spec: dict[str, Json] = {}
    fixed = dict(resource.constants)
    for attribute in resource.attributes():
        if attribute.terraform in given and not attribute.field.output:
            put(spec if attribute.field.yaml else fixed, attribute.yaml, given[attribute.terraform])
    at = Declaration(kind, of, names.get(resource.mount, ""), names.get(resource.name, ""), spec, Where("", 0, 0))
    return Instance(part, "key", at, names, fixed)


def _texts(values: Mapping[str, Json]) -> dict[str, str]:
    return {name: value for name, value in values.items() if isinstance(value, str)}
