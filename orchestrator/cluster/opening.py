"""Sealed nodes opened: with shares, or by a restart where the seal opens itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from orchestrator.cluster import keys, nodes, shares
from orchestrator.cluster.shares import Opened, Share
from orchestrator.cluster.standing import of, serves
from orchestrator.errors import Refused, StrongroomError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.cluster.nodes import Seen
    from orchestrator.cluster.standing import Ground
    from orchestrator.declared import Node


def unseal(ground: Ground, wanted: Sequence[Node]) -> tuple[Opened, ...]:
    """Every sealed one of these nodes, opened or one step nearer to it; nobody's earlier shares are thrown away."""
    seen = nodes.look(ground.cluster)
    silent = [one for one in (of(seen, node) for node in wanted) if not one.answers]
    sealed = [node for node in wanted if of(seen, node).answers and of(seen, node).sealed]
    if silent and not sealed:
        raise Unreachable(f"there is nothing to unseal that answers; {nodes.told(silent)}")
    if sealed and not ground.shares and not ground.auto:
        raise Refused(no_shares(ground, [node.name for node in sealed]))
    for one in silent:
        start = f"; invoke cluster.up -c {ground.declared.name} starts what does not run" if ground.declared.run else ""
        ground.tell(f"{one.node.name} is left out: {one.why}{start}")
    if ground.auto and not ground.shares:
        return tuple(_restarted(ground, node) for node in sealed)
    return tuple(_handed(ground, sealed))


def no_shares(ground: Ground, sealed: Sequence[str]) -> str:
    """What is missing to open these nodes."""
    place = keys.folder(ground.root, ground.declared)
    return (
        f"{', '.join(sealed)}: the holders have the shares of the unseal key, as none lies in {place}; "
        "give them by --keys: `-` for stdin, `file:PATH`, or `prompt`"
    )


def _handed(ground: Ground, sealed: Sequence[Node]) -> list[Opened]:
    """What stood out as wrong at one node is not handed to the next."""
    left: tuple[Share, ...] = ground.shares
    found = []
    for node in sealed:
        opened = shares.hand(ground.cluster, node, left, ground.seconds)
        left = tuple(share for share in left if share.where not in opened.wrong)
        ground.tell(told(opened))
        found.append(opened)
    return found


def told(opened: Opened) -> str:
    """How it stands, and which shares were none; never what they are."""
    state = f"sealed, {opened.progress} of {opened.threshold} shares" if opened.sealed else "unsealed"
    wrong = f"; no share of its key: {', '.join(opened.wrong)}" if opened.wrong else ""
    lost = (
        f"; the shares do not fit ({opened.why}): one or more are wrong, of these or of those that were given before, "
        "and all of them are to be given again"
    )
    return f"{opened.node}: {state}{wrong}{lost if opened.sealed and opened.why else ''}"


def _restarted(ground: Ground, node: Node) -> Opened:
    """An auto-unsealed node that was sealed by hand stays so until its process is a new one."""
    ground.tell(f"{node.name} was sealed by hand; it is restarted, so that it unseals itself")
    ground.restart(node)
    come_back(ground, node)
    return Opened(node.name, sealed=False, progress=0, threshold=0)


def come_back(ground: Ground, node: Node) -> None:
    """Wait until a started node is unsealed, by itself or with the shares; StrongroomError says why it is not."""
    _wait(ground, node, "answers", lambda one: one.answers)
    if ground.auto:
        _wait(ground, node, "unseals itself", serves)
        return
    _wait(ground, node, "has joined", lambda one: one.initialised)
    opened = shares.hand(ground.cluster, node, ground.shares, ground.seconds)
    if opened.sealed:
        raise StrongroomError(told(opened))


def _wait(ground: Ground, node: Node, what: str, ready: Callable[[Seen], bool]) -> None:
    """Until it is so; a process that ended is told at once."""
    deadline = time.monotonic() + ground.seconds
    while not ready(seen := nodes.see(ground.cluster, node)):
        ended = ground.control.runs(node) is False
        if ended or time.monotonic() > deadline:
            state = "its process ended" if ended else seen.why or f"it is {seen.word}"
            log = ground.control.why(node)
            raise StrongroomError(
                f"{node.name} {'ended' if ended else 'was waited for'} before it {what}: {state}"
                + (f"; its log ends with:\n{log}" if log else "")
            )
        time.sleep(nodes.PAUSE)
