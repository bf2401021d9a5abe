"""A cluster's file: which server runs, how to log in, and where Terraform keeps its state."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.config import placeholders, source
from orchestrator.config.cluster_built import built
from orchestrator.config.cluster_checks import FOLDER, check
from orchestrator.config.cluster_limits import lax
from orchestrator.config.cluster_schema import NODES, SECRET_TEXT, TEXT, one_of, words
from orchestrator.config.limits import judge
from orchestrator.config.validate import validate
from orchestrator.config.words import A_LITERAL, MAP_OF_SETTINGS, closed, is_reference, meant
from orchestrator.errors import ConfigInvalid, StrongroomError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestrator.config.source import Node
    from orchestrator.declared import Cluster
    from orchestrator.documents import Json
    from orchestrator.errors import Problem

_LOGINS: dict[str, dict[str, Json]] = {
    "approle": {"role_id": TEXT, "secret_id": SECRET_TEXT},
    "jwt": {"role": TEXT, "jwt": SECRET_TEXT},
    "kubernetes": {"role": TEXT, "jwt": SECRET_TEXT},
    "token": {"token": SECRET_TEXT},
    "userpass": {"username": TEXT, "password": SECRET_TEXT},
}
_OPTIONAL = {("kubernetes", "jwt")}
_LOGIN = one_of(
    {
        method: closed(
            {"mount": TEXT, **settings},
            f"the settings of a login by {method}",
            [name for name in settings if (method, name) not in _OPTIONAL],
        )
        for method, settings in _LOGINS.items()
    },
    "a map from one of " + ", ".join(_LOGINS) + " to its settings",
)
_SERVER = closed(
    {
        "product": words("openbao", "vault"),
        "version": {
            "type": "string",
            "pattern": r"^[0-9]+\.[0-9]+(\.[0-9]+([-+].+)?)?$",
            "description": 'a version such as "2.7.2"',
        },
        "edition": words("community", "enterprise"),
    },
    'a map such as {product: openbao, version: "2.7.2"}',
    ("product", "version"),
)
_TERRAFORM = closed(
    {
        "provider": words("official", "offline", "auto"),
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
        "server": _SERVER,
        "embedded": {"type": "boolean", "description": "true or false"},
        "address": {
            "type": "string",
            "pattern": "^https?://[^/?#@\\s]+/?$",
            "description": "an address such as https://vault.example.org:8200",
        },
        "ca_cert": {**TEXT, "description": "the path of a PEM file"},
        "login": _LOGIN,
        "terraform": _TERRAFORM,
        **NODES,
    },
    MAP_OF_SETTINGS,
    ("cluster", "server"),
)
_EMBEDDED_KNOWS = ("address", "ca_cert", "login")
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


def named(root: Path, name: str, environ: Mapping[str, str] | None) -> Cluster:
    """The cluster of that name, or ConfigInvalid with every mistake of its file."""
    file = f"{FOLDER}/{name}.yaml"
    if name not in names(root):
        raise StrongroomError(f"there is no {file}; {meant(name, names(root))}")
    problems: list[Problem] = []
    said = source.read(root / file, file, problems)
    found = _cluster(root, name, said, environ, problems) if said else None
    if found is None:
        raise ConfigInvalid(sorted(set(problems)))
    return found


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
    cluster = _cluster(root, name, said, environ, wrong) if said else None
    problems.extend(wrong)
    return None if wrong else cluster


def _cluster(
    root: Path, name: str, said: Node, environ: Mapping[str, str] | None, problems: list[Problem]
) -> Cluster | None:
    node = placeholders.fill(said, environ, problems)
    validate(CLUSTER, node, (), problems, filled=environ is not None)
    problems.extend(_problems(name, said))
    known = {(one.file, one.line, one.column) for one in problems}
    problems.extend(one for one in check(root, said, node) if (one.file, one.line, one.column) not in known)
    if problems:
        return None
    found = built(node.plain())
    wrong, warnings = judge(list(lax(node, found)), said.remarks)
    problems.extend(wrong)
    return None if wrong else replace(found, warnings=tuple(sorted(set(warnings))))


def _problems(name: str, said: Node) -> Iterator[Problem]:
    """What a schema cannot say."""
    given = dict(said.items())
    if "cluster" in given and given["cluster"].value != name:
        yield source.problem(given["cluster"].where, f"cluster: must be the file's name; write {name}")
    server = given.get("server")
    product, edition = (server.at([word]) if server else None for word in ("product", "edition"))
    if server and edition and product and product.value == "openbao":
        yield source.problem(server.keys["edition"], "server/edition: OpenBao has no editions; leave it out")
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
    for method, settings in login.items():
        for key, one in settings.items():
            secret = _LOGINS.get(method, {}).get(key, {}).get("writeOnly")
            if secret and one.value is not None and not is_reference(one.value):
                yield source.problem(one.where, f"login/{method}/{key}: {A_LITERAL}")


def _backend(node: Node, path: str, variable: str) -> Iterator[Problem]:
    for key, one in node.items():
        inside = isinstance(one.value, str) and _PASSWORD_INSIDE.search(one.value)
        if inside or (key in _SECRET_NAMES and one.value is not None):
            what = "a literal password" if inside else "a literal secret"
            yield source.problem(one.where, f"{path}/{key}: {what}; leave it out and set {variable}")
        yield from _backend(one, f"{path}/{key}", variable)
