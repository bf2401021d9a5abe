"""The server over HTTP: the only module that speaks hvac.

What `requests` raises keeps the request, with its token and body: such an error is never chained to ours.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

import requests
import urllib3
from hvac.adapters import RawAdapter  # noqa: TID251 - the one place
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from urllib3 import exceptions as broken

from orchestrator import outcome
from orchestrator.errors import StrongroomError, Unreachable
from orchestrator.live import replies
from orchestrator.live.server import Answer, Denied, Rejected, Unclear
from orchestrator.live.trust import system_store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from requests import Response

    from orchestrator.documents import Json
    from orchestrator.live.server import Server

THREADS = 32
TIMEOUT = (5.0, 60.0)
_BUSY = 10.0  # seconds for which an error that does not speak of an election is hoped to pass
NO_SUCH_ENDPOINT = "unsupported path"
_READS = {"GET", "LIST"}
CAPABILITIES = {"GET": "read", "LIST": "list", "DELETE": "delete"}


class _Away(Unreachable):
    """It served before and takes no connection now, so nothing was sent."""


@dataclass(frozen=True)
class Wire:
    """`Server` over one pool of connections, which all tokens share."""

    address: str
    name: str
    namespace: str
    token: str = field(repr=False)
    session: requests.Session = field(repr=False)
    waits: bool = True  # for a server that served and takes no connection now
    served: threading.Event = field(default_factory=threading.Event, repr=False)

    def read(self, path: str, gone: tuple[str, ...] = (), query: str = "") -> Mapping[str, Json] | None:
        """What stands at a path; of one that ends in `/`, its list with all that the server tells of its items."""
        method, path = ("LIST", path.rstrip("/")) if path.endswith("/") else ("GET", path)
        busy = lambda one: not _is_absent(one, gone) and self._is_transient(one)  # noqa: E731 - it is this read's own
        reply = self._patiently(method, path, busy, query=query, again=True)
        return None if _is_absent(reply, gone) else self._answer(method, path, reply).data

    def list(self, path: str) -> tuple[str, ...]:
        reply = self._patiently("LIST", path, self._is_transient, again=True)
        return () if _is_absent(reply) else tuple(self._answer("LIST", path, reply).data.get("keys") or ())

    def write(self, path: str, data: Mapping[str, Json], *, wrap: str = "", again: bool = False) -> Mapping[str, Json]:
        answer = self.request("POST", path, data, wrap=wrap, again=again)
        return answer.wrap or answer.auth or answer.data

    def delete(self, path: str) -> None:
        reply = self._patiently("DELETE", path, self._may_repeat, again=True)
        if not _is_absent(reply):
            self._answer("DELETE", path, reply)

    def request(
        self, method: str, path: str, data: Mapping[str, Json] | None = None, *, wrap: str = "", again: bool = False
    ) -> Answer:
        busy = self._may_repeat if again else self._did_nothing
        return self._answer(method, path, self._patiently(method, path, busy, data, wrap, again=again))

    def fetch(self, path: str, body: bytes = b"", sort: str = "") -> bytes:
        method, headers = ("POST", {"Content-Type": sort}) if body else ("GET", {})
        reply = self._requested(method, f"/v1/{quote(path)}", headers=headers, data=body or None)
        if not reply.ok or reply.is_redirect:
            raise self._refusal(method, path, reply)
        return bytes(reply.content)

    def as_token(self, token: str) -> Server:
        return replace(self, token=token)

    def in_namespace(self, namespace: str) -> Server:
        return replace(self, namespace=namespace)

    def hurried(self) -> Server:
        return replace(self, waits=False)

    def _patiently(
        self,
        method: str,
        path: str,
        busy: Callable[[Response], bool],
        data: Mapping[str, Json] | None = None,
        wrap: str = "",
        query: str = "",
        *,
        again: bool = False,
    ) -> Response:
        """The reply, which may have to wait for a new leader or for a rate limit."""
        began, deadline, pause = time.monotonic(), 0.0, 0.05
        while True:
            try:
                reply = self._send(method, path, data, wrap, query)
                busy_long = time.monotonic() > began + _BUSY and not self._may_repeat(reply)
                if not busy(reply) or busy_long:
                    return reply
            except Unclear:
                if not again or not self.waits or _is_late(deadline, pause):
                    raise
            except _Away:
                if _is_late(deadline, pause):
                    raise
            else:
                if _is_late(deadline, pause):
                    return reply
            deadline = deadline or outcome.deadline(began, time.monotonic())
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

    def _send(self, method: str, path: str, data: Mapping[str, Json] | None, wrap: str, query: str) -> Response:
        target = f"/v1/{quote(path)}" + (f"?{query}" if query else "")
        return self._requested(method, target, json=data, wrap_ttl=wrap)

    def _requested(self, method: str, target: str, **more: Json) -> Response:
        try:
            reply: Response = self._adapter().request(method, target, raise_exception=False, **more)
        except RequestException as error:
            cause = _innermost(error)
            why = replies.why_unreachable(self.name, cause, type(error).__name__)
            kind = self._lost(cause)
            if kind is Unclear and method not in _READS:
                why = f"the answer to {method} {target} of {self.name} was lost: it may have been carried out, or not"
            failure = kind(why)
        else:
            self.served.set()
            return reply
        raise failure

    def _lost(self, cause: BaseException) -> type[Unreachable]:
        """What it means that there is no reply: one that never gave any is no server that comes back."""
        unsent = _is_unsent(cause)
        if not self.served.is_set() or (unsent and not self.waits):
            return Unreachable
        return _Away if unsent else Unclear

    def _adapter(self) -> RawAdapter:
        return RawAdapter(
            base_uri=self.address,
            token=self.token,
            namespace=self.namespace,
            verify=self.session.verify,
            session=self.session,
            timeout=TIMEOUT,
            allow_redirects=False,  # a redirect would carry the token to another host
            strict_http=True,  # GET ?list=true: some proxies know no LIST
        )

    def _answer(self, method: str, path: str, reply: Response) -> Answer:
        if not reply.ok or reply.is_redirect:
            raise self._refusal(method, path, reply)
        if not reply.content:
            return Answer()
        content = _json(reply)
        if content is None:
            raise Unreachable(replies.not_a_vault(self.name))
        parts = [content.get(name) or {} for name in ("data", "auth", "wrap_info")]
        data = parts[0] if "data" in content else content  # the few old endpoints without an envelope
        return Answer(data, parts[1], parts[2], content.get("lease_id") or "")

    def _refusal(self, method: str, path: str, reply: Response) -> StrongroomError:
        words, there = _words(reply), f"{path}{self._inside()}"
        if (blocked := self._blocked(reply, words)) is not None:
            unclear = outcome.is_unclear(reply.status_code, words) or self._is_displaced(reply)
            return (Unclear if unclear else Unreachable)(blocked)
        if method not in _READS and outcome.is_unclear(reply.status_code, words):
            return Unclear(f"{method} {there}: {words}: it may have been carried out, or not")
        if reply.status_code == requests.codes.forbidden:
            needed = CAPABILITIES.get(method, "update")
            return Denied(f"{needed} on {there} is denied: give the token `{needed}` there, or take another token")
        message = f"{method} {there}: {words or 'nothing is there'} (status {reply.status_code})"
        return Rejected(message, reply.status_code, words)

    def _blocked(self, reply: Response, words: str) -> str | None:
        """Why the whole server or namespace is out of reach, when it is."""
        status, sealed = reply.status_code, words.endswith("is sealed")
        what = f"namespace {self.namespace} of {self.name}" if "namespace" in words else self.name
        causes = (
            (self._is_displaced(reply), f"{what} has no leader that serves: {words or 'it sends from node to node'}"),
            (reply.is_redirect, replies.leads_elsewhere(self.name, reply.headers.get("Location", ""))),
            (replies.wants_tls(words), replies.speaks_tls(self.name)),
            (replies.NO_NAMESPACE in words, f"{what} is not there; create it first, or correct its name"),
            (status == replies.NOT_INITIALISED, f"{self.name} is not initialised; initialise it first"),
            (sealed, f"{what} is sealed; unseal it and run this again"),
            (status in replies.TRANSIENT - {412, 429, 500}, f"{what} does not serve now: {words} (status {status})"),
        )
        return next((why for blocked, why in causes if blocked), None)

    @property
    def _has_deputies(self) -> bool:
        """Whether other nodes take over behind the address, which is why it has a name."""
        return self.name != self.address

    def _is_displaced(self, reply: Response) -> bool:
        return self._has_deputies and outcome.is_displaced(reply.status_code, _words(reply))

    def _is_transient(self, reply: Response) -> bool:
        return self._is_displaced(reply) or replies.is_transient(reply.status_code, _words(reply))

    def _did_nothing(self, reply: Response) -> bool:
        words = _words(reply)
        sealed = self._has_deputies and words.endswith(outcome.SEALED)
        return sealed or outcome.did_nothing(reply.status_code, words)

    def _may_repeat(self, reply: Response) -> bool:
        unclear = self._is_displaced(reply) or outcome.is_unclear(reply.status_code, _words(reply))
        return unclear or self._did_nothing(reply)

    def _inside(self) -> str:
        return f" in namespace {self.namespace}" if self.namespace else ""


def open_server(
    address: str, namespace: str, token: str, *, verify: bool | str = True, name: str = "", waits: bool = True
) -> Server:
    """A server that nothing in the process's environment redirects: no proxy, no CA bundle, no ~/.vault-token."""
    session = requests.Session()
    session.trust_env = False
    session.verify = system_store() if verify is True else verify
    if verify is False:
        urllib3.disable_warnings(broken.InsecureRequestWarning)
    retries = urllib3.Retry(0, read=1, allowed_methods={"GET"})  # a kept connection may have been closed meanwhile
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=THREADS, max_retries=retries))
    return Wire(address.rstrip("/"), name or address.rstrip("/"), namespace, token, session, waits)


def _json(reply: Response) -> dict[str, Json] | None:
    return replies.document(reply.content)


def _words(reply: Response) -> str:
    return "" if reply.ok else replies.words(reply.content)


def _is_absent(reply: Response, gone: tuple[str, ...] = ()) -> bool:
    """Whether a reply says that nothing is there."""
    words = _words(reply) if reply.status_code in {400, 404, 500} else ""
    if reply.status_code == requests.codes.not_found:
        return replies.NO_NAMESPACE not in words and NO_SUCH_ENDPOINT not in words
    if reply.ok and b'"data":null' in reply.content:  # a map path of an auth method says it so
        return (_json(reply) or {}).get("data", {}) is None
    return any(word in words for word in gone)


def _is_late(deadline: float, pause: float) -> bool:
    return bool(deadline) and time.monotonic() + pause > deadline


def _is_unsent(cause: BaseException) -> bool:
    """Whether there was no connection that the request could have gone out on."""
    return isinstance(cause, (broken.NewConnectionError, broken.ConnectTimeoutError, ConnectionRefusedError))


def _innermost(error: BaseException) -> BaseException:
    """What `requests` and `urllib3` wrap, one inside the other."""
    for inner in (getattr(error, "reason", None), *error.args):
        if isinstance(inner, BaseException):
            return _innermost(inner)
    return error
