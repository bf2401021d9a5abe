"""One short question to one node, without patience: what it answers now, or why it does not."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestrator.live import replies, trust

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents import Json

SECONDS = 4.0
FORBIDDEN = 403
ABSENT = 404


@dataclass(frozen=True)
class Said:
    """A status and a document; without a status the node gave no answer, and `why` says why."""

    status: int
    document: Mapping[str, Json]
    why: str = ""

    @property
    def data(self) -> Mapping[str, Json]:
        found = self.document.get("data")
        return found if isinstance(found, dict) else self.document

    @property
    def ok(self) -> bool:
        return http.client.OK <= self.status < http.client.MULTIPLE_CHOICES

    @property
    def words(self) -> str:
        """The server's errors, or why there is no answer."""
        return self.why or "; ".join(map(str, self.document.get("errors") or ())) or f"status {self.status}"


def ask(
    url: str,
    path: str,
    *,
    ca: bool | str = True,
    token: str = "",
    method: str = "GET",
    body: Mapping[str, Json] | None = None,
    seconds: float = SECONDS,
) -> Said:
    """What the node at this address answers to one request."""
    headers = {"X-Vault-Request": "true", **({"X-Vault-Token": token} if token else {})}
    try:
        asking = connection(url, ca, seconds)
        try:
            asking.request(method, f"/v1/{path}", None if body is None else json.dumps(body), headers)
            reply = asking.getresponse()
            content = reply.read()
        finally:
            asking.close()
    except (OSError, http.client.HTTPException) as error:
        return Said(0, {}, replies.why_unreachable(url, error, type(error).__name__, replies.BY_CLUSTER))
    document = replies.document(content) if content else {}
    if document is None:
        words = replies.words(content)
        return Said(0, {}, replies.speaks_tls(url) if replies.wants_tls(words) else replies.not_a_vault(url))
    return Said(reply.status, document)


def connection(url: str, ca: bool | str, seconds: float) -> http.client.HTTPConnection:  # noqa: FBT001 - as requests has it
    """A way to the node, not yet opened."""
    parts = urlsplit(url)
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=seconds)
    context = trust.context(ca)
    return http.client.HTTPSConnection(parts.hostname or "", parts.port or 443, timeout=seconds, context=context)
