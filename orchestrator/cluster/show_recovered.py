"""What a recovery prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cluster.show import show_status
from orchestrator.report import err, out

if TYPE_CHECKING:
    from orchestrator.cluster.recover import Intended, Recovered, Survivor
    from orchestrator.documents import Json


def show_intended(intended: Intended) -> None:
    print_ = err().print
    print_(f"{_told(intended.survivor)}: becomes the whole cluster {intended.cluster}; a copy of its data is kept")
    for one in intended.others:
        print_(f"{_told(one)}: joins anew; what it has is put aside, and nothing of it is taken over")
    for one in intended.ahead:
        print_(
            f"{one.name} has taken in more than {intended.survivor.name}: better make that the survivor", style="red"
        )
    print_("what only the lost nodes had is lost", style="red")
    print_(f"digest {intended.digest}: --yes {intended.digest} agrees to this without being asked", style="dim")


def _told(one: Survivor) -> str:
    return f"{one.name} ({one.state}, {'index unknown' if one.index is None else f'index {one.index}'})"


def show_recovered(recovered: Recovered) -> None:
    show_status(recovered.seen)
    out().print("the others vote once they were stable for a while; `invoke cluster.status` shows it")
    for path in recovered.kept:
        out().print(f"what was there before is in {path}; delete it when nothing is missed", soft_wrap=True)


def recovered_document(recovered: Recovered) -> dict[str, Json]:
    return {
        "cluster": recovered.intended.cluster,
        "survivor": recovered.intended.survivor.name,
        "nodes": {one.node.name: one.word for one in recovered.seen},
        "kept": [str(path) for path in recovered.kept],
    }
