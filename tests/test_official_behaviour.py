"""The offline provider does what was recorded of the official one: the same ids, the same state."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.catalog import RESOURCES
from orchestrator.terraform.provider.engine import Offline
from orchestrator.terraform.provider.state import flatten, nest, nothing, same
from tests.test_official_schema import OFFICIAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.local.stack import Stack
    from orchestrator.terraform.provider.api import Api

pytestmark = pytest.mark.server

FILE = OFFICIAL / "vault-provider-5.11.0.behaviour.json"
RECORDED: dict[str, Any] = json.loads(FILE.read_text()) if FILE.is_file() else {}
NEEDS_MORE = {  # what a recording stands on, beside its mount
    "vault_database_secret_backend_connection#postgresql": "a server at db.example.com",
    "vault_database_secret_backend_connection#postgresql_password": "a server at db.example.com",
    "vault_database_secret_backend_role": "a connection",
    "vault_database_secret_backend_role#empty_lists": "a connection",
    "vault_database_secret_backend_static_role": "a connection",
    "vault_jwt_auth_backend": "a public key, which was blotted out",
    "vault_jwt_auth_backend#pubkeys_no_trailing_newline": "a public key, which was blotted out",
    "vault_jwt_auth_backend#oidc": "an OIDC provider",
    "vault_cert_auth_backend_role": "a certificate, which was blotted out",
    "vault_kerberos_auth_backend_config": "a keytab, which was blotted out",
    "vault_pki_secret_backend_root_sign_intermediate": "a signing request, which was blotted out",
    "vault_pki_secret_backend_intermediate_set_signed": "a certificate, which was blotted out",
    "vault_pki_secret_backend_issuer": "an issuer, whose id was blotted out",
    "vault_pki_secret_backend_config_issuers": "an issuer, whose id was blotted out",
    "vault_pki_secret_backend_config_acme": "the mount's config/cluster",
    "vault_namespace#nested": "a namespace",
    "vault_mount#in_namespace": "a namespace",
    "vault_policy#in_namespace": "a namespace",
    "vault_approle_auth_backend_role#in_namespace": "a namespace",
    "vault_generic_endpoint": "the user's mount",
    "vault_generic_endpoint#echo": "the user's mount",
    "vault_generic_endpoint#write_fields": "fields of an answer, which nothing here renders",
    "vault_database_secret_backend_role#arguments_removed": "a connection",
    "vault_mount#move": "a second apply",
    "vault_rabbitmq_secret_backend": "a server, and its password, which was blotted out",
    "vault_rabbitmq_secret_backend_role": "the mount that its own resource makes",
    "vault_identity_entity_alias": "an entity and a mount",
    "vault_identity_group": "an entity",
    "vault_identity_group_alias": "a group and a mount",
    "vault_identity_mfa_login_enforcement": "a method and a mount",
    "vault_identity_oidc_assignment": "an entity and a group",
    "vault_identity_oidc_client": "a key",
    "vault_identity_oidc_provider": "a scope",
    "vault_identity_oidc_role": "a key",
    "vault_identity_oidc": "the server that it was recorded on, whose address is the id",
    "vault_quota_rate_limit#mount-path": "the mount kvq",
    "vault_mount#trailing_slash": "a path that the configuration refuses",
}


def _refused(one: dict[str, Any], minor: str) -> bool:
    """Whether that version of OpenBao was recorded to have no such thing."""
    return "error" in one.get(f"openbao_{minor}", "")


OURS = sorted(
    name
    for name, one in RECORDED.items()
    if name.split("#")[0] in RESOURCES and (one.get("id", "") is not None or not RESOURCES[name.split("#")[0]].has_id)
    if name not in NEEDS_MORE and not (_refused(one, "2_6") and _refused(one, "2_7"))
)
SERVERS_OWN = (  # other on OpenBao, as recorded
    "signature_bits",
    "max_crl_entries",
    "serial_number_source",
    "revocation_queue_safety_buffer",
    "min_startup_backoff_duration",
    "max_startup_backoff_duration",
)


@pytest.fixture(scope="module")
def provider(stack: Stack) -> Iterator[Offline]:
    found = Offline()
    found.configure({"address": stack.address, "token": stack.token})
    yield found
    found.close()


@pytest.fixture
def mounted(request: pytest.FixtureRequest, api: Api, stack: Stack) -> Iterator[dict[str, Any]]:
    """The recording, with the mount that it needs."""
    name = request.param
    one = RECORDED[name]
    if stack.server == "openbao" and _refused(one, "_".join(stack.version.split(".")[:2])):
        pytest.skip("this server has no such thing, as was recorded")
    kind = name.removeprefix("vault_").split("_")[0]
    path = one["config"].get("backend") or one["config"].get("mount")
    place = f"sys/{'auth' if '_auth_backend' in name else 'mounts'}/{path}"
    if path:
        options = {"options": {"version": "2"}} if kind == "kv" else {}
        api.call("POST", place, {"type": kind, "config": {"max_lease_ttl": "315360000s"}, **options})
    yield one
    if path:
        api.call("DELETE", place, None)


@pytest.mark.skipif(not OURS, reason="no recorded behaviour of the official provider")
@pytest.mark.parametrize(("name", "mounted"), [(name, name) for name in OURS], indirect=["mounted"], ids=OURS)
def test_id_and_state_are_the_recorded_ones(name: str, mounted: dict[str, Any], provider: Offline) -> None:
    type_name = name.split("#", maxsplit=1)[0]
    resource = RESOURCES[type_name]
    config = nest(resource, flatten(resource, mounted["config"]))
    planned = provider.plan(type_name, None, config, config)
    state = provider.apply(type_name, None, planned.state, config)
    assert state is not None
    try:
        again = provider.plan(type_name, state, config, config)
        read = provider.read(type_name, state)
    finally:
        provider.apply(type_name, {**state, "deletion_allowed": True}, None, None)

    assert _blotted(state.get("id")) == _blotted(mounted.get("id"))
    assert (again.state, again.replace) == (state, ())
    assert read == state
    assert _differences(type_name, mounted["state"], dict(state)) == {}


def _blotted(text: str | None) -> str | None:
    return None if text is None else re.sub(r"<uuid-\d+>|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>", text)


def _differences(type_name: str, recorded: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Attributes of which the two do not mean the same."""
    resource = RESOURCES[type_name]
    theirs, here = flatten(resource, recorded), flatten(resource, ours)
    return {
        attribute.terraform: (theirs[attribute.terraform], here[attribute.terraform])
        for attribute in resource.attributes()
        if not attribute.field.output
        and attribute.terraform.partition(".")[0] != "tune"
        and attribute.key not in SERVERS_OWN
        and "<" not in json.dumps(theirs[attribute.terraform])
        and not same(attribute.shape, theirs[attribute.terraform], here[attribute.terraform])
        and not (
            nothing(attribute.shape, theirs[attribute.terraform])
            and nothing(attribute.shape, here[attribute.terraform])
        )
    }
