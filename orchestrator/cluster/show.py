"""What the commands of a cluster print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from orchestrator.report import err, out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.cluster.beginning import Begun
    from orchestrator.cluster.nodes import Seen
    from orchestrator.commands.cluster import Raised
    from orchestrator.commands.cluster_render import Rendered
    from orchestrator.declared import Cluster
    from orchestrator.documents import Json

_COLOURS = {"leader": "green", "standby": "green", "sealed": "red", "empty": "yellow", "silent": "red"}


def show_status(seen: Sequence[Seen]) -> None:
    table = Table("node", "state", "address", "version", "seal", box=None, pad_edge=False, header_style="dim")
    for one in seen:
        table.add_row(one.node.name, one.word, one.url, one.version, one.seal_type, style=_COLOURS[one.word])
    out().print(table)


def status_document(cluster: Cluster, seen: Sequence[Seen]) -> dict[str, Json]:
    return {"cluster": cluster.name, "nodes": [_node(one) for one in seen]}


def _node(one: Seen) -> dict[str, Json]:
    return {
        "name": one.node.name,
        "address": one.url,
        "state": one.word,
        "version": one.version,
        "seal": one.seal_type,
        "why": one.why,
    }


def show_raised(raised: Raised) -> None:
    show_status(raised.seen)
    if raised.begun:
        show_begun(raised.begun, keys=False)


def show_begun(begun: Begun, *, keys: bool) -> None:
    """What came of a beginning; the shares themselves only where they are asked for."""
    print_ = out().print
    print_(f"applied {begun.environment} with the root token, which is dead now: {begun.dead}")
    print_(f"the login of the cluster works: {begun.login}")
    print_(f"keys, for you to put where they are safe: {', '.join(map(str, begun.shares))}", soft_wrap=True)
    for path in begun.shares if keys else ():
        print_(f"{path.name}: {path.read_text().strip()}", soft_wrap=True)


def raised_document(raised: Raised) -> dict[str, Json]:
    begun = begun_document(raised.begun, keys=False) if raised.begun else None
    return {**status_document(raised.cluster, raised.seen), "begun": begun}


def begun_document(begun: Begun, *, keys: bool) -> dict[str, Json]:
    shares = {"shares": {path.name: path.read_text().strip() for path in begun.shares}} if keys else {}
    return {
        "environment": begun.environment,
        "login": begun.login,
        "root_token": begun.dead,
        "keys": [str(path) for path in begun.shares],
        **shares,
    }


def show_rendered(found: Rendered) -> None:
    table = Table("file", box=None, pad_edge=False, header_style="dim")
    table.add_column("bytes", justify="right")
    table.add_column("")
    for path, text in found.files.items():
        state = "" if found.out is None else "written" if path in found.changed else "as it was"
        table.add_row(path, str(len(text.encode())), state)
    out().print(table)
    for path in found.left:
        err().print(f"{path} is of an older rendering, and not rendered any more; delete it if nobody needs it")


def rendered_document(found: Rendered) -> dict[str, Json]:
    return {
        "cluster": found.cluster,
        "files": dict(found.files),
        "out": str(found.out) if found.out else None,
        "changed": list(found.changed),
        "left": list(found.left),
    }
