"""How an examination looks: the worst first for people, everything for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cluster.doctor.model import BAD, OK, UNKNOWN, WARNING
from orchestrator.report import out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.cluster.doctor.model import Examined, Result
    from orchestrator.documents import Json

_COLOURS = {OK: "green", WARNING: "yellow", BAD: "red", UNKNOWN: "yellow"}
_ORDER = (OK, UNKNOWN, WARNING, BAD)


def show(found: Sequence[Examined]) -> None:
    """Each rule with its evidence; whoever reads the end of it reads what is worst."""
    for one in sorted(found, key=lambda one: _ORDER.index(one.verdict)):
        out().print(f"{one.verdict:8}{one.check.rule}: {one.check.question}", style=_COLOURS[one.verdict])
        for (verdict, evidence, fix), names in _same(one.results).items():
            about = f"{', '.join(name for name in names if name)}: " if any(names) else ""
            mark = "" if verdict == one.verdict else f"{verdict}: "
            out().print(f"        {mark}{about}{evidence}")
            if fix:
                out().print(f"        fix: {fix}")
    out().print(", ".join(f"{word}: {count}" for word, count in counts(found).items() if count))


def _same(results: Sequence[Result]) -> dict[tuple[str, str, str], list[str]]:
    """Nodes of which the same is true."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for one in results:
        found.setdefault((one.verdict, one.evidence, one.fix), []).append(one.about)
    return found


def counts(found: Sequence[Examined]) -> dict[str, int]:
    return {word: sum(one.verdict == word for one in found) for word in reversed(_ORDER)}


def document(cluster: str, found: Sequence[Examined]) -> dict[str, Json]:
    return {
        "cluster": cluster,
        "counts": counts(found),
        "checks": [
            {
                "rule": one.check.rule,
                "question": one.check.question,
                "verdict": one.verdict,
                "results": [vars(result) for result in one.results],
            }
            for one in found
        ],
    }
