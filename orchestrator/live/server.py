"""What drift, adoption, canaries and incidents ask of a server, and how it says no."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from orchestrator.errors import StrongroomError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents import Json


class Denied(StrongroomError):  # noqa: N818 - the name is the sentence: the request was denied
    """The token may not do this; the message says which capability it needs, and where."""


class Rejected(StrongroomError):  # noqa: N818 - the name is the sentence: the request was rejected
    """The server answers with an error; `words` are its own."""

    def __init__(self, message: str, status: int, words: str) -> None:
        self.status = status
        self.words = words
        super().__init__(message)


class Unclear(Unreachable):
    """The answer was lost: the request may have been carried out, or not (exit code 5)."""


@dataclass(frozen=True)
class Answer:
    """A reply; any of its parts may hold a secret."""

    data: Mapping[str, Json] = field(default_factory=dict, repr=False)
    auth: Mapping[str, Json] = field(default_factory=dict, repr=False)
    wrap: Mapping[str, Json] = field(default_factory=dict, repr=False)
    lease: str = ""


class Server(Protocol):
    """A server and a namespace in it, as one token sees them."""

    @property
    def address(self) -> str: ...

    @property
    def name(self) -> str:
        """What people call it: its address, where that is its own."""

    @property
    def namespace(self) -> str: ...

    def read(self, path: str, gone: tuple[str, ...] = (), query: str = "") -> Mapping[str, Json] | None:
        """What stands at the path, None where nothing does; `gone` are a refusal's words for that.

        Tried again for a while when the server is only busy, so not for paths that make something.
        """

    def list(self, path: str) -> tuple[str, ...]:
        """The names under the path, none where there is no path."""

    def write(self, path: str, data: Mapping[str, Json], *, wrap: str = "", again: bool = False) -> Mapping[str, Json]:
        """The answer's wrapping when one is asked for, else its token when it is a login's, else its data.

        `again` says that a second request changes nothing, so that it may be sent when the answer to one is lost.
        """

    def delete(self, path: str) -> None:
        """Make sure that nothing stands at the path."""

    def request(
        self, method: str, path: str, data: Mapping[str, Json] | None = None, *, wrap: str = "", again: bool = False
    ) -> Answer:
        """One request, not repeated unless the server did nothing or `again` allows it; what is absent is an error."""

    def fetch(self, path: str, body: bytes = b"", sort: str = "") -> bytes:
        """What a path answers that speaks no JSON, as it is; with a body of a media type, it is sent there."""

    def as_token(self, token: str) -> Server:
        """The same server and namespace, as another token sees them; an empty one is nobody."""

    def in_namespace(self, namespace: str) -> Server:
        """Another namespace of the same server, given from the root, as the same token sees it."""

    def hurried(self) -> Server:
        """The same, but one that does not wait for a server that went away."""
