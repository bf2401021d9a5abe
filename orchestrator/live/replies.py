"""What a reply's status and words mean, and why there is none: the same for whoever asks."""

from __future__ import annotations

import json
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from urllib3 import exceptions as broken

from orchestrator.outcome import did_nothing, is_unclear

if TYPE_CHECKING:
    from orchestrator.documents import Json

NOT_INITIALISED = 501
TRANSIENT = {412, 429, 500, 502, 503, 504}
NO_NAMESPACE = "namespace not found"


def document(body: bytes) -> dict[str, Json] | None:
    """The JSON object that a body is."""
    try:
        content = json.loads(body)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def words(body: bytes) -> str:
    """The errors of the server, on one line."""
    content = document(body)
    if content is None:
        errors = [body[:200].decode(errors="replace")]
    else:
        errors = content.get("errors") or content.get("warnings") or []
    return " ".join("; ".join(str(error) for error in errors).split())


def is_transient(status: int, said: str) -> bool:
    """Whether a read may do better soon."""
    if status not in TRANSIENT:
        return did_nothing(status, said) or is_unclear(status, said)
    return "sealed" not in said and "locked" not in said


def leads_elsewhere(address: str, location: str) -> str:
    return f"{address} redirects to {location}; use that address"


def wants_tls(said: str) -> bool:
    """Whether plain text was sent to a port that wants TLS."""
    return "to an HTTPS server" in said


def speaks_tls(address: str) -> str:
    return f"{address} speaks TLS; write https://"


def not_a_vault(address: str) -> str:
    return f"{address} answers, but not as Vault or OpenBao; check the address"


@dataclass(frozen=True)
class Told:
    """Who says where a server is and whom to trust there, so that a message can tell what to change."""

    address: str
    ca: str


BY_ENVIRONMENT = Told("set VAULT_ADDR to where it runs", "set VAULT_CACERT to the CA's file")
BY_CLUSTER = Told("say in the cluster's file where it runs", "name its CA's file under `listener: {tls: {ca: …}}`")


def why_unreachable(address: str, cause: BaseException, what: str, told: Told = BY_ENVIRONMENT) -> str:
    """Why there is no reply; `what` is what it is called when it is nothing that we know."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"{address}: its TLS certificate is not trusted ({cause.verify_message}); {told.ca}"
    if isinstance(cause, ssl.SSLError):
        return f"{address}: TLS fails ({cause.reason}); check whether it is http:// or https://"
    if isinstance(cause, (broken.NameResolutionError, socket.gaierror)):
        return f"{address}: no such host; check the address"
    if isinstance(cause, (broken.NewConnectionError, ConnectionRefusedError)):
        return f"{address} does not take connections; start the server, or {told.address}"
    if isinstance(cause, (broken.TimeoutError, TimeoutError)):
        return f"{address} does not answer in time; see whether it runs, and whether a firewall is between"
    return f"{address} cannot be reached ({what}); check the address"
