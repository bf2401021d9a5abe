"""What lies beside each snapshot: of which cluster it is, when it was taken by whom, and what was in it by name."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.cluster.snapshots.contents import Names

ENDING = ".snap"
BESIDE = ".json"  # behind the whole name of the snapshot
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Manifest:
    """One snapshot that was whole when it was written."""

    name: str
    cluster: str
    cluster_id: str
    product: str
    version: str
    seal: str
    key_id: str  # the seal's own name of its key
    index: int
    term: int
    size: int
    sha256: str
    taken: str  # UTC, as ISO 8601 has it
    by: str
    why: str = ""  # empty for the usual one
    holds: Mapping[str, Names | None] = field(default_factory=dict)
    loose: Mapping[str, Names | None] = field(default_factory=dict)  # what came or went while it was taken

    @property
    def when(self) -> dt.datetime:
        return dt.datetime.fromisoformat(self.taken)

    def age(self, now: dt.datetime) -> float:
        """Seconds since it was taken."""
        return (now - self.when).total_seconds()

    def text(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


def named(cluster: str, taken: dt.datetime, index: int) -> str:
    """The name of a snapshot.

    >>> named("ha", dt.datetime(2026, 11, 21, 19, 48, 4, tzinfo=dt.UTC), 92)
    'ha-20261121T194804Z-92.snap'
    """
    return f"{cluster}-{taken.astimezone(dt.UTC).strftime(_STAMP)}-{index}{ENDING}"


def is_ours(cluster: str, name: str) -> bool:
    """Whether a snapshot of this cluster, or what lies beside one, would have this name.

    >>> is_ours("ha", "ha-20261121T194804Z-92.snap.json"), is_ours("ha", "ha-2-20261121T194804Z-92.snap")
    (True, False)
    """
    ending = f"{re.escape(ENDING)}({re.escape(BESIDE)})?"
    return re.fullmatch(rf"{re.escape(cluster)}-\d{{8}}T\d{{6}}Z-\d+{ending}", name) is not None


def parsed(text: str | bytes, where: str) -> Manifest:
    """A manifest as it was written."""
    try:
        said = json.loads(text)
        listed = {part: {what: _names(names) for what, names in said[part].items()} for part in ("holds", "loose")}
        found = Manifest(**{**said, **listed})
        found.age(dt.datetime.now(dt.UTC))  # fails unless it is a time with its zone
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StrongroomError(f"{where} is not as Strongroom writes it beside a snapshot; take it away") from error
    return found


def _names(said: list[str] | None) -> Names | None:
    return None if said is None else tuple(said)
