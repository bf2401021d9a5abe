"""Kubernetes: pods log in with the token of their service account."""

from __future__ import annotations

from orchestrator.catalog.shared import AFTER_POLICIES, AUTH_MOUNT, EXAMPLE_CA, SHUT, TOKEN, tokens
from orchestrator.model import Field, Kind, Limit, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, PEM, PEMS, SET, TEXT, choice

_CONFIG = "auth/{backend}/config"
_ROLE = "auth/{backend}/role/{role_name}"
_NO_ANNOTATIONS = {"openbao": "OpenBao takes no alias metadata from annotations; leave it out"}
_NAMED = Limit(
    "any-service-account",
    lambda names: "*" not in names,
    "* lets in whoever may make a service account; name those that log in",
)

CONFIG = Resource(
    type="vault_kubernetes_auth_backend_config",
    path=_CONFIG,
    mount="backend",
    mount_default="kubernetes",
    fields={
        "kubernetes_host": Field(TEXT, required=True),
        "kubernetes_ca_cert": Field(PEM, default="", computed=True),
        "token_reviewer_jwt": Field(TEXT, "token_reviewer_jwt_wo", secret=True, sensitive=True, resent=True),
        "pem_keys": Field(PEMS),
        "issuer": Field(TEXT),
        "disable_iss_validation": Field(FLAG, default=True, computed=True),
        "disable_local_ca_jwt": Field(FLAG, default=False, computed=True),
        "use_annotations_as_alias_metadata": Field(FLAG, default=False, computed=True, absent=_NO_ANNOTATIONS),
        "plain_token_reviewer_jwt": Field(
            TEXT, "token_reviewer_jwt", "token_reviewer_jwt", yaml=False, readable=False, sensitive=True
        ),
    },
    writes=(Write(_CONFIG),),
    kept=True,
)

ROLE = Resource(
    type="vault_kubernetes_auth_backend_role",
    path=_ROLE,
    mount="backend",
    mount_default="kubernetes",
    name="role_name",
    fields={
        "bound_service_account_names": Field(SET, required=True, limit=_NAMED),
        "bound_service_account_namespaces": Field(SET, limit=_NAMED),
        "bound_service_account_namespace_selector": Field(TEXT),
        "audience": Field(TEXT),
        "alias_name_source": Field(
            choice("serviceaccount_uid", "serviceaccount_name"), default="serviceaccount_uid", computed=True
        ),
        **TOKEN,
    },
    writes=(Write(_ROLE),),
    after=AFTER_POLICIES,
)

KUBERNETES = Kind(
    name="kubernetes",
    family="auth",
    summary="Pods log in with the token of their service account.",
    mount=AUTH_MOUNT,
    required=("config",),
    objects=(
        Object(key="config", single=True, required=("kubernetes_host",), parts=(Part(CONFIG),)),
        Object(
            key="roles",
            list="auth/{mount}/role",
            gives=(tokens("auth/{mount}/login", role="{name}"),),
            shut=SHUT,
            lower=True,
            required=("bound_service_account_names",),
            parts=(Part(ROLE),),
        ),
    ),
    example={
        "type": "kubernetes",
        "description": "the cluster in Frankfurt",
        "config": {
            "kubernetes_host": "https://kubernetes.example.org:6443",
            "kubernetes_ca_cert": EXAMPLE_CA,
            "token_reviewer_jwt": "env:KUBERNETES_REVIEWER_JWT",
            "disable_local_ca_jwt": True,
        },
        "roles": {
            "payments": {
                "bound_service_account_names": ["payments"],
                "bound_service_account_namespaces": ["shop", "shop-staging"],
                "bound_service_account_namespace_selector": '{"matchLabels":{"team":"payments"}}',
                "audience": "vault",
                "alias_name_source": "serviceaccount_name",
                "token_policies": ["payments-read"],
                "token_ttl": "20m",
                "token_max_ttl": "4h",
            }
        },
    },
)
