"""What a failed Terraform says: its own diagnostics as one error, without a secret in them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from orchestrator.errors import StrongroomError, Unreachable
from orchestrator.outcome import CLUSTER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from orchestrator.terraform.stream import Diagnostic

PAINT = re.compile("[╷│╵]|\x1b\\[[0-9;]*m")  # the frame and the colours around a message for people
SHORTEST_SECRET = 4  # blotting out shorter values would spoil the sentence and hide nothing


class ProviderUnavailable(StrongroomError):  # noqa: N818 - the name is the sentence: the provider is unavailable
    """Neither a registry, a mirror nor a cache gives hashicorp/vault (exit code 1)."""


def failure(what: str, diagnostics: Sequence[Diagnostic], words: str) -> StrongroomError:
    """Terraform's own diagnostics, each once; what else it printed only when it gave none."""
    errors = [diagnostic for diagnostic in dict.fromkeys(diagnostics) if diagnostic.severity == "error"]
    lines = [str(error) for error in errors] or [PAINT.sub("", words).strip()]
    message = "\n- ".join([f"terraform {what}:", *lines])
    if any(_no_provider(error) for error in errors):
        return ProviderUnavailable(
            f"{message}\nThe provider hashicorp/vault cannot be had; reach Terraform's registry, name a mirror in "
            "Terraform's CLI configuration, or write `terraform: {provider: auto}` in the cluster's file."
        )
    unreachable = any(_no_server(f"{error.summary} {error.detail}") for error in errors)
    return Unreachable(message) if unreachable else StrongroomError(message)


def _no_provider(error: Diagnostic) -> bool:
    """Whether hashicorp/vault cannot be fetched; one that was fetched and is not genuine is another matter.

    >>> from orchestrator.terraform.stream import Diagnostic
    >>> _no_provider(Diagnostic("error", "Failed to query available provider packages", "… hashicorp/vault …"))
    True
    """
    summaries = ("Failed to query available provider packages", "Failed to install provider")
    forged = re.search("checksum|signature|signed", error.detail)
    return error.summary in summaries and "hashicorp/vault" in error.detail and not forged


def _no_server(said: str) -> bool:
    r"""Whether the server gave no answer, is sealed, or refused the login; a refused request is no such thing.

    >>> _no_server("URL: PUT https://vault/v1/auth/approle/login\nCode: 403. Errors:")
    True
    >>> _no_server("URL: PUT https://vault/v1/database/config/app\nCode: 400. Errors: connection refused")
    False
    >>> _no_server("Vault refused GET sys/mounts/a\nno answer from http://127.0.0.1:8200: refused")
    True
    >>> _no_server("Vault refused GET sys/mounts/a\n503: Vault is sealed"), _no_server("Vault refused GET a\n403: no")
    (True, False)
    """
    if re.search(r"Vault cannot be used|\bno answer from \S|\b503: .*sealed", said):  # the offline provider's words
        return True
    answer = re.search(r"Code: (\d+)", said)
    if answer is None:
        return bool(re.search("connection refused|no such host|i/o timeout|x509:|context deadline exceeded", said))
    login = re.search(r"/v1/auth/(token/(lookup-self|create)|\S+/login)", said)
    return (answer[1] == "503" and "sealed" in said) or (answer[1] == "403" and login is not None)


def blotter(environ: Mapping[str, str]) -> Callable[[str], str]:
    """Text with the environment's secrets blotted out; a backend quotes a connection string it cannot read.

    The door that leads to a cluster is called by the cluster's name.
    """
    secrets = sorted((value for value in _secrets(environ) if len(value) >= SHORTEST_SECRET), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, secrets)) or r"(?!)")
    name, door = environ.get(CLUSTER, ""), environ.get("VAULT_ADDR", "")

    def blot(text: str) -> str:
        told = pattern.sub("(secret)", text)
        return told.replace(door, name) if name and door else told

    return blot


def _secrets(environ: Mapping[str, str]) -> Iterator[str]:
    for name, value in environ.items():
        if name.startswith("TF_VAR_"):
            yield from (value, *_leaves(value))
        elif name in {"VAULT_TOKEN", "PG_CONN_STR", "PGPASSWORD"}:
            yield from (value, *_passwords(value))


def _leaves(value: str) -> Iterator[str]:
    """The texts inside a variable that is a list or a map.

    >>> list(_leaves('{"app": {"password": "abc"}}')), list(_leaves("abc"))
    (['abc'], [])
    """
    try:
        yield from _texts(json.loads(value))
    except ValueError:  # a plain text, not a structure
        return


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _passwords(connection: str) -> list[str]:
    """The password in a connection string, as written and as meant.

    >>> _passwords("postgres://app:p%40ss@localhost/state"), _passwords("host=localhost password=p4ss")
    (['p%40ss', 'p@ss'], ['p4ss', 'p4ss'])
    """
    written = re.search(r"://[^:/@]*:([^@]*)@|password=(\S+)", connection)
    password = (written[1] or written[2] or "") if written else ""
    return [password, unquote(password)] if password else []
