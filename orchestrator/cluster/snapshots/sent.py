"""A snapshot sent to the leader, and the cluster that it makes."""

from __future__ import annotations

import secrets
import time
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.cluster import nodes
from orchestrator.cluster.snapshots import fits
from orchestrator.errors import Refused, StrongroomError, Unreachable
from orchestrator.live import probe, stream
from orchestrator.live.server import Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.cluster.nodes import Seen
    from orchestrator.cluster.snapshots.find import Found
    from orchestrator.declared import Cluster

PATIENCE = 120.0
_MARK = "cubbyhole/strongroom-restore"
_GONE = {403, 404}
_PAUSE = 0.1


def send(cluster: Cluster, url: str, token: str, found: Found) -> tuple[Seen, ...]:
    """Replace what is in the cluster; every node, once all serve what the snapshot has.

    The server answers before it is done, so something is left in the cluster of now that the snapshot cannot have.
    """
    ca = nodes.trusted(cluster)
    there = {one.node.name for one in nodes.look(cluster) if not one.sealed}
    _mark(url, token, ca)
    try:
        stream.upload(url, stream.SNAPSHOT, found.file, ca=ca, token=token)
    except Rejected as error:
        if meaning := fits.means(error.words, found):
            raise Refused(meaning) from error
        raise StrongroomError(f"{url} does not take {found.file.name}: {error.words}") from error
    _wait_until_replaced(cluster, token, ca)
    return nodes.wait(cluster, "every node is open again", partial(_serving, there), PATIENCE)


def _mark(url: str, token: str, ca: bool | str) -> None:  # noqa: FBT001 - as requests has it
    body = {"mark": secrets.token_hex(8)}
    said = probe.ask(url, _MARK, ca=ca, token=token, method="PUT", body=body)
    if not said.ok:
        raise Refused(
            f"{url}: {_MARK} cannot be written: {said.words}; by it one sees when the restore is over. "
            "Give the token the policy `default`"
        )


def _wait_until_replaced(cluster: Cluster, token: str, ca: bool | str) -> None:  # noqa: FBT001 - as requests has it
    deadline = time.monotonic() + PATIENCE
    while True:
        seen = nodes.look(cluster)
        leads = nodes.leader(seen)
        said = probe.ask(leads.url, _MARK, ca=ca, token=token) if leads else None
        if said and said.status in _GONE:
            return
        if time.monotonic() > deadline:
            raise Unreachable(
                f"cluster {cluster.name} took the snapshot, but does not serve it within {PATIENCE:.0f} s; "
                f"{nodes.told(seen)}. Look at the log of the node that led: what it lacks stands there"
            )
        time.sleep(_PAUSE)


def _serving(there: set[str], seen: Sequence[Seen]) -> bool:
    """Whether all serve that did before."""
    return nodes.leader(seen) is not None and not any(one.sealed for one in seen if one.node.name in there)
