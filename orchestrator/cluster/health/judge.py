"""What the facts mean: whether the cluster serves, what is wrong with it, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.cluster.health.asking import Unknown
from orchestrator.cluster.health.facts import BAD, OK, UNKNOWN
from orchestrator.errors import Unreachable
from orchestrator.shapes import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.cluster.health.facts import Facts, NodeFacts

DOWN, DEGRADED, UNSURE = "down", "degraded", "unknown"
HEALTHY = "healthy"
CODES = {DOWN: Unreachable.code, DEGRADED: 1, UNSURE: 2, HEALTHY: 0}

SOON = 14  # days in which a certificate should have been renewed
APART = 5.0  # seconds that clocks may differ
FULL = 16 * 1024 * 1024  # bytes without which raft cannot go on writing
LATE = 2  # snapshots may be late by as many intervals


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be; of which node, or of the cluster."""

    severity: str
    about: str
    text: str


@dataclass(frozen=True)
class Health:
    """The judgement: the worst of what was found."""

    word: str
    findings: tuple[Finding, ...]

    @property
    def code(self) -> int:
        return CODES[self.word]


def judge(facts: Facts) -> Health:
    """Causes first, then what follows from them."""
    found = tuple(one for rule in _RULES for one in rule(facts))
    worst = next((word for word in (DOWN, DEGRADED, UNSURE) if any(one.severity == word for one in found)), HEALTHY)
    return Health(worst, found)


def _key(facts: Facts) -> Iterator[Finding]:
    key = facts.key
    if key is None or key.state == OK:
        return
    if key.state == UNKNOWN:
        if not facts.leaders:
            yield Finding(UNSURE, facts.cluster.name, f"the key service of the seal {key.address} {key.said}")
        return
    where = f" at {key.address}" if key.address else ""
    meaning = (
        "no node can take over or unseal until it does"
        if not facts.leaders
        else "what runs goes on, but no node can take over or unseal after a restart"
    )
    yield Finding(
        DEGRADED,
        facts.cluster.name,
        f"the key service of the seal {facts.cluster.seal.kind}{where} {key.said}; {meaning}",
    )


def _leader(facts: Facts) -> Iterator[Finding]:
    leaders = [one.name for one in facts.leaders]
    if len(leaders) > 1:
        yield Finding(DEGRADED, facts.cluster.name, f"{' and '.join(leaders)} both say that they lead; ask again")
    if leaders:
        return
    yield Finding(DOWN, facts.cluster.name, f"no node leads{_because(facts)}")


def _because(facts: Facts) -> str:
    """Why nobody leads, where that can be seen."""
    followed = {one.follows for one in facts.nodes if one.follows}
    elected = [one for one in facts.nodes if one.seen.url in followed and not one.seen.answers]
    sealed = [one.name for one in facts.nodes if one.seen.answers and one.seen.sealed]
    standing = sum(one.seen.answers and not one.seen.sealed for one in facts.nodes)
    if facts.key and facts.key.state == BAD and not sealed:
        held = f": {elected[0].name} is elected and waits for it" if elected else ""
        return f", as the key service does not do its part{held}"
    if facts.nodes and all(one.seen.answers and not one.seen.initialised for one in facts.nodes):
        return f": every node is empty; begin it: {_begin(facts)}"
    if len(sealed) == len(facts.nodes):
        return ": every node is sealed"
    if standing <= len(facts.nodes) // 2:
        return f": {standing} of {len(facts.nodes)} nodes stand, and {len(facts.nodes) // 2 + 1} are needed"
    return "; an election takes some seconds"


def _begin(facts: Facts) -> str:
    return f"invoke cluster.{'up' if facts.cluster.run else 'init'} -c {facts.cluster.name}"


def _beginning(facts: Facts) -> Iterator[Finding]:
    if facts.begins:
        told = f"its beginning has not ended, and its root token may lie in {facts.begins}; end it: {_begin(facts)}"
        yield Finding(DEGRADED, facts.cluster.name, told)


def _audit(facts: Facts) -> Iterator[Finding]:
    for one in facts.leaders:
        if one.unrecorded:
            yield Finding(
                DOWN,
                one.name,
                "every request is refused with 500, though health says 200: no audit device takes what it is given; "
                "make room or bring the collector back, nothing else is wrong",
            )
    if isinstance(facts.inside, Unknown) or isinstance(facts.inside.devices, Unknown):
        return
    for device in facts.inside.devices:
        if device.works is False:
            yield Finding(DEGRADED, facts.leaders[0].name, f"audit device {device.name} fails: {device.said}")
    live = {one.name for one in facts.inside.devices}
    for declared in facts.cluster.audit:
        if declared.name not in live:
            yield Finding(DEGRADED, facts.cluster.name, f"audit device {declared.name} is declared, and is not there")


def _nodes(facts: Facts) -> Iterator[Finding]:
    for one in facts.nodes:
        if text := _state(one):
            ours = not one.seen.answers and facts.cluster.run
            start = f"; invoke cluster.up -c {facts.cluster.name} starts it" if ours else ""
            yield Finding(DEGRADED, one.name, f"{text}{start}")


def _state(one: NodeFacts) -> str:
    seen = one.seen
    if not seen.answers:
        return f"has ended: {one.last_words}" if one.last_words else f"does not answer: {seen.why}"
    if seen.seal.document.get("migration"):
        return "is in the middle of a seal migration"
    if not seen.seal.document:
        return f"cannot tell its state: {seen.seal.words}"
    if not seen.initialised:
        return "is empty: it has not joined"
    return "is sealed" if seen.sealed else ""


def _asked(facts: Facts) -> Iterator[Finding]:
    inside, name = facts.inside, facts.cluster.name
    if isinstance(inside, Unknown):
        if facts.leaders and not any(one.unrecorded for one in facts.leaders):
            yield Finding(UNSURE, name, f"members and audit devices were not asked for: {inside.why}")
        return
    for what in (inside.peers, inside.autopilot, inside.devices):
        if isinstance(what, Unknown):
            yield Finding(UNSURE, name, f"a question was refused: {what.why}")


def _members(facts: Facts) -> Iterator[Finding]:
    if isinstance(facts.inside, Unknown) or isinstance(facts.inside.peers, Unknown):
        return
    declared, known = {one.name for one in facts.nodes}, {one.name: one for one in facts.inside.peers}
    for peer in sorted(known.keys() - declared):
        where = known[peer].address
        yield Finding(DEGRADED, facts.cluster.name, f"raft has a member {peer} at {where} that nobody declares")
    for node in sorted(declared - known.keys()):
        yield Finding(DEGRADED, node, "is no member of raft; if it answers, what it says is stale")
    for node in sorted(declared & known.keys()):
        if not known[node].voter:
            yield Finding(DEGRADED, node, "does not vote yet, so it cannot stand in for another")


def _autopilot(facts: Facts) -> Iterator[Finding]:
    inside = facts.inside
    if isinstance(inside, Unknown) or isinstance(inside.autopilot, Unknown):
        return
    ill = sorted(node for node, healthy in inside.autopilot.healthy_nodes.items() if not healthy)
    for node in ill:
        contact = inside.autopilot.contact.get(node) or "never"
        yield Finding(DEGRADED, node, f"autopilot finds it unhealthy; it last heard of it {contact} ago")
    if not inside.autopilot.healthy and not ill:
        yield Finding(DEGRADED, facts.cluster.name, "autopilot finds the cluster unhealthy")
    if len(facts.nodes) > 2 and inside.autopilot.failure_tolerance == 0:  # noqa: PLR2004 - two survive nothing
        yield Finding(DEGRADED, facts.cluster.name, "the loss of one more node would end it: failure tolerance 0")


def _behind(facts: Facts) -> Iterator[Finding]:
    for one in facts.nodes:
        lag = facts.lag.get(one.name)
        if isinstance(lag, int) and lag and one.seen.answers:
            yield Finding(DEGRADED, one.name, f"is {lag} entries behind the leader and does not catch up")
        if len(facts.leaders) == 1 and one.follows and one.follows != facts.leaders[0].seen.url:
            yield Finding(DEGRADED, one.name, f"takes {one.follows} for the leader")


def _machines(facts: Facts) -> Iterator[Finding]:
    for one in facts.nodes:
        if not isinstance(one.room, Unknown) and one.room.free < FULL:
            yield Finding(DEGRADED, one.name, f"its disk is full: {one.room.free // 1024} KiB of it are left")
        if not isinstance(one.skew, Unknown) and abs(one.skew) >= APART:
            way = "ahead" if one.skew > 0 else "behind"
            yield Finding(DEGRADED, one.name, f"its clock is {abs(one.skew):.0f} s {way} of this machine's")
        yield from _certificate(one)


def _certificate(one: NodeFacts) -> Iterator[Finding]:
    shown = one.certificate
    if shown is None or isinstance(shown, Unknown):
        return
    if shown.days < 0:
        yield Finding(DEGRADED, one.name, f"its TLS certificate ended {-shown.days:.0f} days ago")
    elif shown.days < SOON:
        yield Finding(DEGRADED, one.name, f"its TLS certificate ends in {shown.days:.0f} days; renew it")
    elif shown.trusted:
        yield Finding(DEGRADED, one.name, f"its TLS certificate is not trusted: {shown.trusted}")


def _versions(facts: Facts) -> Iterator[Finding]:
    found = sorted({one.seen.version for one in facts.nodes if one.seen.version})
    if len(found) > 1:
        yield Finding(DEGRADED, facts.cluster.name, f"its nodes run {' and '.join(found)}; finish the upgrade")


def _snapshot(facts: Facts) -> Iterator[Finding]:
    declared, newest = facts.cluster.snapshots, facts.snapshot
    if declared is None or newest is None:
        return
    if isinstance(newest, Unknown):
        yield Finding(UNSURE, facts.cluster.name, f"snapshots cannot be looked at: {newest.why}")
    elif newest.age > LATE * declared.every:
        yield Finding(
            DEGRADED,
            facts.cluster.name,
            f"the newest snapshot is {duration(round(newest.age))} old, and one every {duration(declared.every)} "
            "is declared",
        )


_RULES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    _key,
    _leader,
    _beginning,
    _audit,
    _nodes,
    _asked,
    _members,
    _autopilot,
    _behind,
    _machines,
    _versions,
    _snapshot,
)
