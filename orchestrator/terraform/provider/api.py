"""Vault's API for the offline provider: few imports, one connection a thread, retries only where they are safe."""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import ssl
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator import outcome

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from orchestrator.documents import Json

_IDLE = 60.0  # seconds after which a kept connection may be gone: servers and what is between close idle ones
_REPEATABLE = {"GET", "LIST", "DELETE", "PATCH"}  # what they leave is the same however often they come
_RIGHTS = {"GET": "read", "DELETE": "delete", "PATCH": "patch"}


class ApiError(Exception):
    """The server refused a request, or gave no answer; the text is its own words, without what was sent."""

    def __init__(
        self, status: int, method: str, path: str, errors: tuple[str, ...], *, unclear: bool = False, idle: bool = False
    ) -> None:
        self.status, self.method, self.path, self.errors = status, method, path, errors
        self.unclear = unclear  # it may have been carried out, or not
        self.idle = idle  # nothing was done: anything may be asked again
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
    cluster: str = ""  # what people call it, where its nodes take over from each other behind the address
    _local: threading.local = field(default_factory=threading.local, repr=False)
    _served: threading.Event = field(default_factory=threading.Event, repr=False)

    def read(self, path: str, namespace: str = "", gone: tuple[str, ...] = ()) -> Mapping[str, Json] | None:
        """What stands at the path; None when the server says that nothing does."""
        try:
            return self.call("GET", path, None, namespace)
        except ApiError as error:
            if error.status == http.HTTPStatus.NOT_FOUND or any(word in text for word in gone for text in error.errors):
                return None
            raise

    def call(
        self, method: str, path: str, body: Json, namespace: str = "", *, again: bool | None = None
    ) -> dict[str, Json]:
        """The data of an answer; the path may end in a query: `sys/plugins/catalog/auth/x?version=v1.0.0`.

        `again` says that a second request changes nothing, so that it may be sent when the answer to one is lost.
        """
        repeatable = method in _REPEATABLE if again is None else again
        pause, began, deadline = 0.05, time.monotonic(), 0.0
        while True:
            try:
                return self._once(method, path, body, namespace)
            except ApiError as error:
                deadline = deadline or outcome.deadline(began, time.monotonic())
                if not (error.idle or (error.unclear and repeatable)) or time.monotonic() > deadline:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, 1.0)

    def _once(self, method: str, path: str, body: Json, namespace: str) -> dict[str, Json]:
        status, answer = self._exchange(method, path, body, namespace)
        if self.cluster and status == http.HTTPStatus.TEMPORARY_REDIRECT:
            raise ApiError(status, method, path, (f"{self.cluster} has another leader now",), unclear=True)
        try:
            document = json.loads(answer) if answer else {}
        except ValueError as error:
            unclear = outcome.is_unclear(status, "")
            words = "the answer is no JSON: is this a Vault server?"
            raise ApiError(status, method, path, (words,), unclear=unclear) from error
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise self._refusal(status, method, path, tuple(map(str, document.get("errors") or ())))
        self._served.set()
        if method == "GET" and document.get("data", {}) is None:  # how a map path of an auth method says it
            raise ApiError(http.HTTPStatus.NOT_FOUND, method, path, ())
        data: dict[str, Json] = document.get("data") or {}
        return data

    def _refusal(self, status: int, method: str, path: str, errors: tuple[str, ...]) -> ApiError:
        said = "; ".join(errors)
        displaced = bool(self.cluster) and said.endswith(outcome.SEALED)  # another node takes over
        idle = displaced or outcome.did_nothing(status, said)
        return ApiError(status, method, path, errors, unclear=outcome.is_unclear(status, said), idle=idle)

    def _exchange(self, method: str, path: str, body: Json, namespace: str) -> tuple[int, bytes]:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"X-Vault-Token": self.token, "X-Vault-Request": "true", "Content-Type": kind}
        inside = "/".join(part for part in (self.namespace.strip("/"), namespace.strip("/")) if part)
        if inside:
            headers["X-Vault-Namespace"] = inside
        target = f"{urllib.parse.urlsplit(self.address).path.rstrip('/')}/v1/{urllib.parse.quote(path, safe='/?=&')}"
        content = None if body is None else json.dumps(body)
        sent = False
        try:
            connection = self._connection()
            sent = True
            return self._send(connection, method, target, content, headers)
        except (OSError, http.client.HTTPException) as error:
            self._forget()
            words = f"no answer from {self.cluster or self.address}: {error}"
            gone = not sent and self._served.is_set()  # one that never answered is no server that comes back
            raise ApiError(0, method, path, (words,), unclear=sent, idle=gone) from error

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        content: str | None,
        headers: dict[str, str],
    ) -> tuple[int, bytes]:
        connection.request(method, target, content, headers)
        response = connection.getresponse()
        answer = response.status, response.read()
        self._local.used = time.monotonic()
        return answer

    def _connection(self) -> http.client.HTTPConnection:
        if hasattr(self._local, "connection") and (
            time.monotonic() - getattr(self._local, "used", 0.0) > _IDLE or _is_closed(self._local.connection.sock)
        ):
            self._forget()
        if not hasattr(self._local, "connection"):
            opened = self._open()
            opened.connect()
            self._local.connection, self._local.used = opened, time.monotonic()
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


def _is_closed(sock: socket.socket | None) -> bool:
    """Whether the other end has closed it meanwhile: nothing else comes without being asked for."""
    with contextlib.suppress(OSError, ValueError):
        return sock is None or bool(select.select([sock], [], [], 0)[0])
    return True
