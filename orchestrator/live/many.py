"""Many reads at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.documents import Json
    from orchestrator.instances import Documents
    from orchestrator.live.server import Server

Answer = TypeVar("Answer")
_AT_A_TIME = 16


def each(paths: Mapping[str, tuple[str, ...]], read: Callable[[str, tuple[str, ...]], Answer]) -> dict[str, Answer]:
    """What each path answers, several asked at a time."""
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return dict(zip(paths, pool.map(read, paths, paths.values()), strict=True))


def read(server: Server, paths: Mapping[str, tuple[str, ...]]) -> Documents:
    """What stands at each path of an instance, which may end in a query."""

    def one(path: str, gone: tuple[str, ...]) -> Mapping[str, Json] | None:
        bare, _, query = path.partition("?")
        return server.read(bare, gone, query)

    return each(paths, one)
