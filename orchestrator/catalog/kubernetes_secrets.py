"""Kubernetes: tokens of service accounts, made for as long as somebody needs them."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.catalog.shared import NOTHING, keys, leases, secrets_engine
from orchestrator.model import Field, Kind, Limit, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, LIST, MAP, PEM, SECONDS, SET, TEXT, choice, seconds

_ROLE = "{backend}/roles/{name}"
_LONGEST = "24h"
_SHORT = Limit(
    "kubernetes-long-lived",
    lambda value: 0 < seconds(value) <= seconds(_LONGEST),
    f"a stolen token is good until it ends: Kubernetes does not take it back; write {_LONGEST} or less",
)
_SOMEWHERE = Limit(
    "kubernetes-any-namespace",
    lambda value: "*" not in value,
    "the role would give tokens in every namespace, kube-system too; list the namespaces",
)

_CONFIG = {
    "config.kubernetes_host": Field(TEXT),
    "config.kubernetes_ca_cert": Field(PEM),
    "config.service_account_jwt": Field(TEXT, "service_account_jwt_wo", secret=True, sensitive=True),
    "config.disable_local_ca_jwt": Field(FLAG),
    "service_account_jwt_in_state": Field(
        TEXT, "service_account_jwt", "service_account_jwt", sensitive=True, readable=False, yaml=False
    ),
}
_ENGINE = secrets_engine(
    "vault_kubernetes_secret_backend",
    "kubernetes",
    _CONFIG,
    (Write("{path}/config", tuple(dict.fromkeys(keys(_CONFIG))), always=True),),
)
_MOUNT = replace(
    _ENGINE,
    version=0,
    mount_default="",
    fields={name: one for name, one in _ENGINE.fields.items() if name != "disable_remount"},
)

KUBERNETES_SECRETS = Kind(
    name="kubernetes",
    family="secrets",
    summary="Tokens of Kubernetes service accounts, made for as long as somebody needs them.",
    mount=_MOUNT,
    objects=(
        Object(
            key="roles",
            list="{mount}/roles",
            gives=(
                leases(
                    "{mount}/creds/{name}", "service account", where=lambda role: not role.get("service_account_name")
                ),
                leases(
                    "{mount}/creds/{name}",
                    "service account's token",
                    stays="Kubernetes takes none back while its account stands: it lives till it ends",
                    where=lambda role: bool(role.get("service_account_name")),
                ),
            ),
            shut={"allowed_kubernetes_namespaces": [NOTHING], "allowed_kubernetes_namespace_selector": ""},
            one_of=(
                ("service_account_name", "kubernetes_role_name", "generated_role_rules"),
                ("allowed_kubernetes_namespaces", "allowed_kubernetes_namespace_selector"),
            ),
            parts=(
                Part(
                    Resource(
                        type="vault_kubernetes_secret_backend_role",
                        path=_ROLE,
                        leases="{backend}/creds/{name}",
                        mount="backend",
                        name="name",
                        fields={
                            "allowed_kubernetes_namespaces": Field(LIST, limit=_SOMEWHERE),
                            "allowed_kubernetes_namespace_selector": Field(TEXT),
                            "service_account_name": Field(TEXT),
                            "kubernetes_role_name": Field(TEXT),
                            "kubernetes_role_type": Field(choice("Role", "ClusterRole"), default="Role"),
                            "generated_role_rules": Field(TEXT),
                            "name_template": Field(TEXT),
                            "extra_annotations": Field(MAP),
                            "extra_labels": Field(MAP),
                            "token_default_audiences": Field(SET),
                            "token_default_ttl": Field(SECONDS, default="1h", official=0, limit=_SHORT),
                            "token_max_ttl": Field(SECONDS, default=_LONGEST, official=0, limit=_SHORT),
                        },
                        writes=(Write(_ROLE),),
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "kubernetes",
        "description": "tokens of the cluster",
        "config": {
            "kubernetes_host": "https://kubernetes.example.org:6443",
            "disable_local_ca_jwt": True,
            "service_account_jwt": "env:KUBERNETES_JWT",
        },
        "roles": {
            "deploy": {
                "allowed_kubernetes_namespaces": ["orders", "payments"],
                "service_account_name": "deploy",
                "token_default_ttl": "30m",
                "token_max_ttl": "4h",
                "token_default_audiences": ["https://kubernetes.example.org"],
                "extra_labels": {"team": "platform"},
                "extra_annotations": {"owner": "platform"},
            },
            "read": {
                "allowed_kubernetes_namespace_selector": '{"matchLabels": {"tier": "apps"}}',
                "generated_role_rules": '{"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]}',
                "name_template": "strongroom-{{ .RoleName }}-{{ unix_time }}",
            },
        },
    },
)
