"""The service that holds the key of a seal, asked from here: whether it answers, and whether the key may be used."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestrator.cluster.health.asking import Unknown
from orchestrator.cluster.health.facts import BAD, OK, UNKNOWN, KeyService
from orchestrator.cluster.seals import SEALS
from orchestrator.live import probe, trust

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.cluster.seals import Service
    from orchestrator.declared import Seal
    from orchestrator.documents import Json

SECONDS = 2.0
_TURNED = "aws-kms"
_USABLE = "Enabled"
_SILENT = f"does not answer within {SECONDS:.0f} s"
_REFUSING = "refuses connections"
_NAMELESS = "is not known by that name from here, so it was not asked"
_ASSUMED = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
_PROVED = "cmVhY2hhYmxlPw=="  # what a transit engine is asked to encrypt; nobody keeps the answer


def look(seal: Seal, secrets: Mapping[str, str]) -> KeyService | None:
    """Who holds the key, as it answers now; None where people do. `secrets` are the variables that the nodes have."""
    kind = SEALS[seal.kind]
    if kind.service is None:
        return KeyService("", UNKNOWN, f"a seal {kind.name} can be asked by its nodes alone") if kind.auto else None
    return _ASKED[kind.service.asked](_address(seal, kind.service), seal, secrets)


class _Settings(dict[str, object]):
    def __missing__(self, name: str) -> str:
        return f"<{name}>"


def _aws(address: str, seal: Seal, secrets: Mapping[str, str]) -> KeyService:
    """DescribeKey with what the nodes have; without that, whether anything answers."""
    if not secrets.get(_ASSUMED[0]):
        return _http(address, seal, secrets)
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - it takes half a second

    try:
        found = aws_client(address, seal, secrets).describe_key(KeyId=str(seal.settings["kms_key_id"]))
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
        said = error.response.get("Error", {})
        return KeyService(address, BAD, f"answers {status} {said.get('Code')}: {said.get('Message')}")
    except BotoCoreError as error:
        return _failed(address, _connection(address) or f"cannot be asked: {error}")
    key = found["KeyMetadata"]
    state = str(key["KeyState"])
    return KeyService(address, OK if state == _USABLE else BAD, f"answers; the key {key['KeyId']} is {state}")


def turns(seal: Seal, secrets: Mapping[str, str]) -> bool | Unknown | None:
    """Whether the service makes new material of the key by itself; None where no service of ours does."""
    service = SEALS[seal.kind].service
    if service is None or service.asked != _TURNED:
        return None
    if not secrets.get(_ASSUMED[0]):
        return Unknown("whether the key turns itself was not asked for, as we have no login there")
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - it takes half a second

    try:
        client = aws_client(_address(seal, service), seal, secrets)
        key = client.describe_key(KeyId=str(seal.settings["kms_key_id"]))["KeyMetadata"]["KeyId"]  # not by its alias
        return bool(client.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"])
    except (BotoCoreError, ClientError) as error:
        return Unknown(f"whether the key turns itself: {error}")


def _address(seal: Seal, service: Service) -> str:
    return str(seal.settings.get(service.setting) or service.address.format_map(_Settings(seal.settings)))


def aws_client(address: str, seal: Seal, secrets: Mapping[str, str]) -> Json:
    """AWS's KMS as the nodes speak to it, without patience."""
    import boto3  # noqa: PLC0415 - it takes half a second
    from botocore.config import Config  # noqa: PLC0415

    given = zip(("aws_access_key_id", "aws_secret_access_key", "aws_session_token"), _ASSUMED, strict=True)
    limits = Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"total_max_attempts": 1})
    return boto3.client(
        "kms",
        region_name=str(seal.settings.get("region")),
        endpoint_url=address,
        config=limits,
        **{name: secrets.get(variable) or None for name, variable in given},
    )


def _http(address: str, _: Seal, __: Mapping[str, str]) -> KeyService:
    """Whether anything answers there, which any status of HTTP proves."""
    parts = urlsplit(address)
    try:
        connection = _opened(parts.scheme, parts.hostname or "", parts.port)
        try:
            connection.request("GET", "/")
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        return _failed(address, _why(error))
    return KeyService(address, OK, f"answers ({status}); the key itself was not asked for, as we have no login there")


def _opened(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port or 80, timeout=SECONDS)
    return http.client.HTTPSConnection(host, port or 443, timeout=SECONDS, context=trust.context(verify=True))


def _tcp(address: str, _: Seal, __: Mapping[str, str]) -> KeyService:
    said = _connection(address)
    return _failed(address, said) if said else KeyService(address, OK, "takes connections; the key was not asked for")


def _transit(address: str, seal: Seal, secrets: Mapping[str, str]) -> KeyService:
    """Encrypt with the seal's own token, as the nodes do; without it, the health of that server."""
    ca: bool | str = str(seal.settings.get("tls_ca_cert") or "") or True
    token = secrets.get("VAULT_TOKEN", "")
    if not token:
        said = probe.ask(address, "sys/health", ca=ca, seconds=SECONDS)
        healthy = said.status in {http.client.OK, http.client.TOO_MANY_REQUESTS}
        words = "answers; the key itself was not asked for, as we have no token" if healthy else _words(said)
        return KeyService(address, OK, words) if healthy else _failed(address, words)
    path = f"{str(seal.settings['mount_path']).strip('/')}/encrypt/{seal.settings['key_name']}"
    body = {"plaintext": _PROVED}
    said = probe.ask(address, path, ca=ca, token=token, method="POST", body=body, seconds=SECONDS)
    return KeyService(address, OK, "answers; the key encrypts") if said.ok else _failed(address, _words(said))


def _failed(address: str, said: str) -> KeyService:
    """A name that only the nodes' network knows says nothing about whether they reach it."""
    return KeyService(address, UNKNOWN if said == _NAMELESS else BAD, said)


def _words(said: probe.Said) -> str:
    if said.status:
        return f"answers {said.status} {said.words}"
    known = {"does not answer in time": _SILENT, "no such host": _NAMELESS, "does not take connections": _REFUSING}
    return next((words for sign, words in known.items() if sign in said.why), said.why)


def _file(address: str, _: Seal, __: Mapping[str, str]) -> KeyService:
    path = Path(urlsplit(address).path)
    try:
        path.read_bytes()
    except FileNotFoundError:
        return KeyService(address, UNKNOWN, "lies on the nodes, and not here")
    except OSError as error:
        return KeyService(address, BAD, f"cannot be read: {os.strerror(error.errno or 0)}")
    return KeyService(address, OK, "can be read")


def _connection(address: str) -> str:
    """Why it takes no connection; empty when it does, or when it takes one and says nothing."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    ports = {"http": 80, "https": 443}
    try:
        with socket.create_connection((parts.hostname or "", parts.port or ports.get(parts.scheme, 5696)), SECONDS):
            return _SILENT if parts.scheme in ports else ""
    except OSError as error:
        return _why(error)


def _why(error: OSError | http.client.HTTPException) -> str:
    if isinstance(error, ConnectionRefusedError):
        return _REFUSING
    if isinstance(error, TimeoutError):
        return _SILENT
    if isinstance(error, socket.gaierror):
        return _NAMELESS
    if isinstance(error, ssl.SSLError):
        return f"cannot be spoken to: TLS fails ({error.reason})"
    return f"breaks the connection off ({type(error).__name__})"


_ASKED: Mapping[str, Callable[[str, Seal, Mapping[str, str]], KeyService]] = {
    "aws-kms": _aws,
    "http": _http,
    "tcp": _tcp,
    "transit": _transit,
    "file": _file,
}
