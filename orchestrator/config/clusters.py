"""A cluster's file: which server runs, how to log in, and where Terraform keeps its state."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.config import placeholders, source
from orchestrator.config.validate import validate
from orchestrator.config.words import A_LITERAL, A_REFERENCE, MAP_OF_SETTINGS, SECRET, closed, is_reference, meant
from orchestrator.declared import Cluster, Login, TerraformSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestrator.config.source import Node
    from orchestrator.documents import Json
    from orchestrator.errors import Problem

FOLDER = "vault-config/clusters"
_A_TEXT = {"type": "string", "minLength": 1, "description": "a text"}
_A_SECRET = {**SECRET, "description": A_REFERENCE}
_LOGINS: dict[str, dict[str, Json]] = {
    "approle": {"role_id": _A_TEXT, "secret_id": _A_SECRET},
    "jwt": {"role": _A_TEXT, "jwt": _A_SECRET},
    "kubernetes": {"role": _A_TEXT, "jwt": _A_SECRET},
    "token": {"token": _A_SECRET},
    "userpass": {"username": _A_TEXT, "password": _A_SECRET},
}
_DEFAULTS = {"kubernetes": {"jwt": "file:/var/run/secrets/kubernetes.io/serviceaccount/token"}}
_LOGIN_SCHEMAS = {
    method: closed(
        {"method": {"const": method}, "mount": _A_TEXT, **settings},
        f"the settings of a login by {method}",
        [name for name in settings if name not in _DEFAULTS.get(method, {})],
    )
    for method, settings in _LOGINS.items()
}


def _words(*names: str) -> dict[str, Json]:
    return {"enum": list(names), "description": "one of " + ", ".join(names)}


_TERRAFORM = closed(
    {
        "provider": _words("official", "offline", "auto"),
        "backend": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": {"type": ["object", "null"], "description": MAP_OF_SETTINGS},
            "description": "a map from one backend's type to its settings, such as pg: {schema_name: vault}",
        },
    },
    MAP_OF_SETTINGS,
)
CLUSTER = closed(
    {
        "cluster": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]*$", "description": "the name of this file"},
        "server": _words("openbao", "vault"),
        "version": {
            "type": "string",
            "pattern": r"^[0-9]+\.[0-9]+\.[0-9]+([-+].+)?$",
            "description": 'a version such as "2.7.2"',
        },
        "edition": _words("community", "enterprise"),
        "embedded": {"type": "boolean", "description": "true or false"},
        "address": {
            "type": "string",
            "pattern": "^https?://[^/?#@\\s]+/?$",
            "description": "an address such as https://vault.example.org:8200",
        },
        "ca_cert": {**_A_TEXT, "description": "the path of a PEM file"},
        "login": {
            "type": "object",
            "required": ["method"],
            "properties": {"method": _words(*_LOGINS)},
            "description": "a map: `method` and its settings",
            "allOf": [
                {"if": {"properties": {"method": {"const": name}}, "required": ["method"]}, "then": schema}
                for name, schema in _LOGIN_SCHEMAS.items()
            ],
        },
        "terraform": _TERRAFORM,
    },
    MAP_OF_SETTINGS,
    ("cluster", "server", "version"),
)
_OUTER = {**CLUSTER, "properties": {**CLUSTER["properties"]}}
_OUTER["properties"]["login"] = {key: one for key, one in CLUSTER["properties"]["login"].items() if key != "allOf"}

_EMBEDDED_KNOWS = ("address", "ca_cert", "login")
_EMBEDDED_STATE: dict[str, Json] = {"provider": "auto", "backend": {"pg": {}}}
_OWN_STATE: dict[str, Json] = {"provider": "official", "backend": {}}
_SECRET_NAMES = {
    "access_key",
    "access_token",
    "client_certificate_password",
    "client_secret",
    "credentials",
    "encryption_key",
    "password",
    "private_key",
    "sas_token",
    "secret_key",
    "sse_customer_key",
    "token",
}
_PASSWORD_INSIDE = re.compile(r"://[^/@\s:]*:[^/@\s]+@|pass(word)?\s*=", re.IGNORECASE)
_ITS_VARIABLE = {"pg": "PG_CONN_STR"}


def names(root: Path) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (root / FOLDER).glob("*.yaml")))


def load(root: Path, named: Node, environ: Mapping[str, str] | None, problems: list[Problem]) -> Cluster | None:
    """The cluster that an environment names, None where it is wrong."""
    name = named.value
    file = f"{FOLDER}/{name}.yaml"
    if not isinstance(name, str) or not (root / file).exists():
        if isinstance(name, str):
            hint = meant(name, names(root))
            problems.append(source.problem(named.where, f"cluster: there is no {file}; {hint}"))
        return None
    wrong: list[Problem] = []
    said = source.read(root / file, file, wrong)
    cluster = _cluster(name, said, environ, wrong) if said else None
    problems.extend(wrong)
    return None if wrong else cluster


def _cluster(name: str, said: Node, environ: Mapping[str, str] | None, problems: list[Problem]) -> Cluster | None:
    node = placeholders.fill(said, environ, problems)
    validate(_OUTER, node, (), problems, filled=environ is not None)
    method = node.at(["login", "method"])
    if method and isinstance(method.value, str) and method.value in _LOGINS:
        validate(_LOGIN_SCHEMAS[method.value], node, ("login",), problems, filled=environ is not None)
    problems.extend(_problems(name, said))
    return None if problems else _built(node.plain())


def _built(plain: dict[str, Json]) -> Cluster:
    embedded = plain.get("embedded", False)
    default = _EMBEDDED_STATE if embedded else _OWN_STATE
    terraform = {**default, **plain.get("terraform", {})}
    return Cluster(
        name=plain["cluster"],
        server=plain["server"],
        version=plain["version"],
        edition=plain.get("edition", "community"),
        embedded=embedded,
        address=plain.get("address", "").rstrip("/"),
        ca_cert=plain.get("ca_cert", ""),
        login=_login(plain["login"]) if "login" in plain else None,
        terraform=TerraformSettings(
            terraform["provider"],
            {kind: settings or {} for kind, settings in terraform["backend"].items()},
        ),
    )


def _login(plain: dict[str, str]) -> Login:
    method = plain["method"]
    given = {key: value for key, value in plain.items() if key not in {"method", "mount"}}
    return Login(method, plain.get("mount", method), {**_DEFAULTS.get(method, {}), **given})


def _problems(name: str, said: Node) -> Iterator[Problem]:
    """What a schema cannot say."""
    given = dict(said.items())
    if "cluster" in given and given["cluster"].value != name:
        yield source.problem(given["cluster"].where, f"cluster: must be the file's name; write {name}")
    if "edition" in given and "server" in given and given["server"].value == "openbao":
        yield source.problem(said.keys["edition"], "edition: OpenBao has no editions; leave it out")
    if "embedded" in given and given["embedded"].value is True:
        for key in _EMBEDDED_KNOWS:
            if key in given:
                yield source.problem(said.keys[key], f"{key}: the embedded stack brings its own; leave it out")
    if "login" in given:
        yield from _literals(given["login"])
    if backend := said.at(["terraform", "backend"]):
        for kind, settings in backend.items():
            variable = _ITS_VARIABLE.get(kind, "the backend's own environment variable")
            yield from _backend(settings, f"terraform/backend/{kind}", variable)


def _literals(login: Node) -> Iterator[Problem]:
    method = login.at(["method"])
    for key, one in login.items():
        secret = _LOGINS.get(str(method.value) if method else "", {}).get(key, {}).get("writeOnly")
        if secret and one.value is not None and not is_reference(one.value):
            yield source.problem(one.where, f"login/{key}: {A_LITERAL}")


def _backend(node: Node, path: str, variable: str) -> Iterator[Problem]:
    for key, one in node.items():
        inside = isinstance(one.value, str) and _PASSWORD_INSIDE.search(one.value)
        if inside or (key in _SECRET_NAMES and one.value is not None):
            what = "a literal password" if inside else "a literal secret"
            yield source.problem(one.where, f"{path}/{key}: {what}; leave it out and set {variable}")
        yield from _backend(one, f"{path}/{key}", variable)
