"""How a cluster's health looks: a table for people, a document for programs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.table import Table

from orchestrator.cluster.health.asking import Unknown
from orchestrator.cluster.health.facts import BAD, OK
from orchestrator.cluster.health.judge import DEGRADED, DOWN, HEALTHY, UNSURE
from orchestrator.report import out
from orchestrator.shapes import duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.cluster.health.facts import Facts, NodeFacts
    from orchestrator.cluster.health.judge import Health
    from orchestrator.documents import Json

_STATES = {"leader": "green", "standby": "green", "sealed": "red", "empty": "yellow", "silent": "red"}
_COLOURS = {HEALTHY: "green", DEGRADED: "yellow", UNSURE: "yellow", DOWN: "red"}
_COLUMNS = ("node", "state", "address", "version", "seal", "voter", "lag", "contact", "certificate", "clock", "disk")
_SAID = {True: "works", False: "FAILS", None: "?"}
_MEGA = 1024 * 1024
_TENTHS = re.compile(r"(\.\d)\d+")  # "2.705749237s" as 2.7s


def show(facts: Facts, health: Health) -> None:
    table = Table(*_COLUMNS, box=None, pad_edge=False, header_style="dim")
    for one in facts.nodes:
        table.add_row(*_row(facts, one), style=_STATES[one.seen.word])
    out().print(table)
    for line in _lines(facts):
        out().print(line)
    out().print(f"{facts.cluster.name} is {_sentence(health)}", style=_COLOURS[health.word])
    for finding in health.findings:
        out().print(f"  {finding.about}: {finding.text}", style=_COLOURS[finding.severity])


def _sentence(health: Health) -> str:
    words = {HEALTHY: "healthy", DOWN: "down", DEGRADED: "degraded, and serves"}
    return words.get(health.word, "healthy as far as it could be asked")


def _row(facts: Facts, one: NodeFacts) -> list[str]:
    found = _node(facts, one)
    told = {
        "voter": {True: "yes", False: "NO"}.get(found["voter"], "?"),
        "certificate": "none" if one.certificate is None else _or(found["certificate_days"], "{:.0f} days"),
        "clock": _or(found["clock_skew"], "{:+.0f} s"),
        "disk": _or(found["disk_free"], "{:.0f} MiB", _MEGA),
        "lag": _or(found["lag"], "{}"),
        "contact": _TENTHS.sub(r"\1", found["last_contact"] or "?"),
    }
    return [str(told.get(column, found.get("name" if column == "node" else column))) for column in _COLUMNS]


def _or(value: Json, form: str, unit: int = 1) -> str:
    return "?" if value is None else form.format(value / unit if unit > 1 else value)


def _lines(facts: Facts) -> Iterator[str]:
    if facts.key:
        yield f"key service: {' '.join(part for part in (facts.key.address, facts.key.said) if part)}"
    inside = facts.inside
    if isinstance(inside, Unknown):
        yield f"not asked, as there is no session: members, autopilot, audit devices ({inside.why})"
    else:
        if not isinstance(inside.autopilot, Unknown):
            word = "healthy" if inside.autopilot.healthy else "UNHEALTHY"
            yield f"autopilot: {word}, failure tolerance {inside.autopilot.failure_tolerance}"
        if not isinstance(inside.devices, Unknown):
            told = ", ".join(f"{one.name} {_SAID[one.works]} ({one.said})" for one in inside.devices)
            yield f"audit devices: {told or 'NONE'}"
    if facts.snapshot and not isinstance(facts.snapshot, Unknown):
        yield f"newest snapshot: {facts.snapshot.name}, {duration(round(facts.snapshot.age))} old"


def document(facts: Facts, health: Health) -> dict[str, Json]:
    """The answer in JSON: null is unknown, and `unknown` says why."""
    inside = None if isinstance(facts.inside, Unknown) else facts.inside
    autopilot = None if inside is None or isinstance(inside.autopilot, Unknown) else inside.autopilot
    snapshot = None if facts.snapshot is None or isinstance(facts.snapshot, Unknown) else facts.snapshot
    return {
        "cluster": facts.cluster.name,
        "health": health.word,
        "leader": facts.leaders[0].name if facts.leaders else None,
        "nodes": [_node(facts, one) for one in facts.nodes],
        "failure_tolerance": autopilot.failure_tolerance if autopilot else None,
        "autopilot_healthy": autopilot.healthy if autopilot else None,
        "peers": _peers(facts),
        "key": _key(facts),
        "audit": _audit(facts),
        "snapshot": {"name": snapshot.name, "age": round(snapshot.age)} if snapshot else None,
        "findings": [vars(one) for one in health.findings],
    }


def _peers(facts: Facts) -> list[dict[str, Json]] | None:
    if isinstance(facts.inside, Unknown) or isinstance(facts.inside.peers, Unknown):
        return None
    declared = {one.name for one in facts.nodes}
    return [{**vars(one), "declared": one.name in declared} for one in facts.inside.peers]


def _key(facts: Facts) -> dict[str, Json] | None:
    if facts.key is None:
        return None
    works = {OK: True, BAD: False}.get(facts.key.state)
    return {"seal": facts.cluster.seal.kind, "address": facts.key.address, "works": works, "said": facts.key.said}


def _audit(facts: Facts) -> list[dict[str, Json]] | None:
    if isinstance(facts.inside, Unknown) or isinstance(facts.inside.devices, Unknown):
        return None
    return [{"name": one.name, "type": one.type, "works": one.works, "said": one.said} for one in facts.inside.devices]


def _node(facts: Facts, one: NodeFacts) -> dict[str, Json]:
    """One node; what is not known is null, with its reason under `unknown`."""
    asked: dict[str, Json] = {
        "voter": _voter(facts, one.name),
        "lag": facts.lag.get(one.name),
        "last_contact": _contact(facts, one.name),
        "certificate_days": _days(one),
        "clock_skew": one.skew,
        "disk_free": one.room if isinstance(one.room, Unknown) else one.room.free,
    }
    return {
        "name": one.name,
        "address": one.seen.url,
        "state": one.seen.word,
        "sealed": one.seen.sealed if one.seen.answers else None,
        "version": one.seen.version,
        "seal": one.seen.seal_type,
        "why": one.last_words or one.seen.why,
        **{name: None if isinstance(value, Unknown) else value for name, value in asked.items()},
        "unknown": {name: value.why for name, value in asked.items() if isinstance(value, Unknown)},
    }


def _voter(facts: Facts, name: str) -> bool | Unknown:
    if isinstance(facts.inside, Unknown):
        return facts.inside
    if isinstance(facts.inside.peers, Unknown):
        return facts.inside.peers
    return any(one.name == name and one.voter for one in facts.inside.peers)


def _contact(facts: Facts, name: str) -> str | Unknown:
    if isinstance(facts.inside, Unknown):
        return facts.inside
    if isinstance(facts.inside.autopilot, Unknown):
        return facts.inside.autopilot
    return facts.inside.autopilot.contact.get(name) or Unknown("autopilot does not know it")


def _days(one: NodeFacts) -> float | Unknown | None:
    if one.certificate is None or isinstance(one.certificate, Unknown):
        return one.certificate
    return round(one.certificate.days, 1)
