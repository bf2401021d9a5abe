"""Vault's API for the offline provider: few imports, one connection a thread, retries only where they are safe."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents import Json

_PATIENCE = 15.0
_IDLE = 60.0  # seconds after which a kept connection may be gone: servers and what is between close idle ones
_UNTOUCHED = (412, 429)  # the server did nothing: anything may be asked again
_AWAY = (502, 503)  # somebody may have done it: only a read is asked again
_NOT_YET = ("Upgrading from non-versioned to versioned data", "local node not active")
_RIGHTS = {"GET": "read", "DELETE": "delete", "PATCH": "patch"}


class ApiError(Exception):
    """The server refused a request, or gave no answer; the text is its own words, without what was sent."""

    def __init__(self, status: int, method: str, path: str, errors: tuple[str, ...]) -> None:
        self.status, self.method, self.path, self.errors = status, method, path, errors
        super().__init__(f"{method} {path}: {self.words}")

    @property
    def words(self) -> str:
        """What the server said, and which right is missing when it was that."""
        said = "; ".join(self.errors) or http.client.responses.get(self.status, "")
        if self.status == http.HTTPStatus.FORBIDDEN:
            right = _RIGHTS.get(self.method, "create` or `update")
            said = f"{said.strip()}; give the token `{right}` on {self.path} (some paths also want `sudo`)"
        return f"{self.status}: {said}" if self.status else said


@dataclass(frozen=True)
class Api:
    """Where the server is, and as whom to speak."""

    address: str
    token: str = field(repr=False)
    namespace: str = ""
    ca_file: str = ""
    verify: bool = True
    _local: threading.local = field(default_factory=threading.local, repr=False)

    def read(self, path: str, namespace: str = "", gone: tuple[str, ...] = ()) -> Mapping[str, Json] | None:
        """What stands at the path; None when the server says that nothing does."""
        try:
            return self.call("GET", path, None, namespace)
        except ApiError as error:
            if error.status == http.HTTPStatus.NOT_FOUND or any(word in text for word in gone for text in error.errors):
                return None
            raise

    def call(self, method: str, path: str, body: Json, namespace: str = "") -> dict[str, Json]:
        """The data of an answer; the path may end in a query: `sys/plugins/catalog/auth/x?version=v1.0.0`."""
        deadline = time.monotonic() + _PATIENCE
        pause = 0.05
        while True:
            try:
                return self._once(method, path, body, namespace)
            except ApiError as error:
                if not _again(error) or time.monotonic() > deadline:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, 1.0)

    def _once(self, method: str, path: str, body: Json, namespace: str) -> dict[str, Json]:
        status, answer = self._exchange(method, path, body, namespace)
        try:
            document = json.loads(answer) if answer else {}
        except ValueError as error:
            raise ApiError(status, method, path, ("the answer is no JSON: is this a Vault server?",)) from error
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise ApiError(status, method, path, tuple(map(str, document.get("errors") or ())))
        if method == "GET" and document.get("data", {}) is None:  # how a map path of an auth method says it
            raise ApiError(http.HTTPStatus.NOT_FOUND, method, path, ())
        data: dict[str, Json] = document.get("data") or {}
        return data

    def _exchange(self, method: str, path: str, body: Json, namespace: str) -> tuple[int, bytes]:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"X-Vault-Token": self.token, "X-Vault-Request": "true", "Content-Type": kind}
        inside = "/".join(part for part in (self.namespace.strip("/"), namespace.strip("/")) if part)
        if inside:
            headers["X-Vault-Namespace"] = inside
        target = f"{urllib.parse.urlsplit(self.address).path.rstrip('/')}/v1/{urllib.parse.quote(path, safe='/?=&')}"
        content = None if body is None else json.dumps(body)
        kept = hasattr(self._local, "connection")
        try:
            return self._send(method, target, content, headers)
        except (OSError, http.client.HTTPException) as error:
            self._forget()
            if kept and method == "GET":  # the server may have closed it meanwhile
                return self._exchange(method, path, body, namespace)
            raise ApiError(0, method, path, (f"no answer from {self.address}: {error}",)) from error

    def _send(self, method: str, target: str, content: str | None, headers: dict[str, str]) -> tuple[int, bytes]:
        connection = self._connection()
        connection.request(method, target, content, headers)
        response = connection.getresponse()
        answer = response.status, response.read()
        self._local.used = time.monotonic()
        return answer

    def _connection(self) -> http.client.HTTPConnection:
        if hasattr(self._local, "connection") and time.monotonic() - getattr(self._local, "used", 0.0) > _IDLE:
            self._forget()
        if not hasattr(self._local, "connection"):
            self._local.connection, self._local.used = self._open(), time.monotonic()
        connection: http.client.HTTPConnection = self._local.connection
        return connection

    def _open(self) -> http.client.HTTPConnection:
        parts = urllib.parse.urlsplit(self.address)
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=60)
        context = ssl.create_default_context(cafile=self.ca_file or None)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(parts.hostname or "", parts.port or 443, timeout=60, context=context)

    def close(self) -> None:
        """Close this thread's connection."""
        self._forget()

    def _forget(self) -> None:
        if hasattr(self._local, "connection"):
            self._local.connection.close()
            del self._local.connection


def _again(error: ApiError) -> bool:
    """Whether the same request may be sent once more: it cannot have been carried out, or it is only a read."""
    if any(word in text for word in _NOT_YET for text in error.errors) or error.status in _UNTOUCHED:
        return True
    sealed = any("sealed" in text for text in error.errors)
    return error.method == "GET" and error.status in _AWAY and not sealed
