"""Whether the cluster survives: its members, its seal, its version, its snapshots."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from orchestrator.cluster.doctor.model import BAD, OK, WARNING, Check, Result, unknown
from orchestrator.cluster.health.asking import Unknown
from orchestrator.cluster.health.judge import LATE
from orchestrator.cluster.seals import SEALS
from orchestrator.cluster.snapshots import drill
from orchestrator.cluster.snapshots.ground import Ground
from orchestrator.config.checks import lacks
from orchestrator.local import servers
from orchestrator.shapes import duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.cluster.doctor.model import Patient

ENOUGH = 3
_DRILL = dt.timedelta(days=92)
SLOW = 5  # the server's own multiplier
_STALE = {"openbao<2.5": "standbys of this version forward every read", "vault>=0": "standbys forward every read"}
_NEWEST = {"openbao": max(servers.RELEASES, key=lambda one: tuple(map(int, one.split("."))))}


def _voters(patient: Patient) -> Iterator[Result]:
    inside = patient.facts.inside
    if isinstance(inside, Unknown):
        yield unknown(inside)
        return
    if isinstance(inside.peers, Unknown):
        yield unknown(inside.peers)
        return
    votes = {one.name for one in inside.peers if one.voter}
    declared = {one.name for one in patient.cluster.nodes}
    for node in sorted(declared - votes):
        yield Result(BAD, "does not vote", "see `invoke cluster.status`; if it was removed, join it anew", node)
    for peer in sorted({one.name for one in inside.peers} - declared):
        fix = "declare it under `nodes:`, or remove it: invoke cluster.leave"
        yield Result(BAD, "is a member of raft that nobody declares", fix, peer)
    if len(votes) % 2 == 0:
        yield Result(WARNING, f"{len(votes)} nodes vote: one of them adds no safety", "have 3 or 5 nodes vote")
    elif len(votes) < ENOUGH:
        yield Result(WARNING, f"{len(votes)} node votes: when it is lost, all is down", "declare 3 or 5 nodes")
    elif votes == declared:
        yield Result(OK, f"{len(votes)} nodes vote, as declared: {', '.join(sorted(votes))}")


def _zones(patient: Patient) -> Iterator[Result]:
    zones = [one.zone for one in patient.cluster.nodes if one.zone]
    told = f"zones: {', '.join(zones) or 'none declared'}"
    if patient.declared.run == "local":
        fix = "run it on machines of its own for production; `run: local` is for trying things out"
        yield Result(WARNING, "all nodes are processes of this machine, and end with it", fix)
    elif len(set(zones)) < min(ENOUGH, len(patient.cluster.nodes)):
        yield Result(WARNING, told, "place the nodes in as many zones as there are nodes, and declare `zone:`")
    else:
        yield Result(OK, told)


def _autopilot(patient: Patient) -> Iterator[Result]:
    said = patient.answer("sys/storage/raft/autopilot/configuration")
    if isinstance(said, Unknown):
        yield unknown(said)
    elif said.get("cleanup_dead_servers") and int(said.get("min_quorum") or 0) < ENOUGH:
        fix = f"bao operator raft autopilot set-config -min-quorum={ENOUGH}"
        yield Result(WARNING, "dead nodes are removed down to a single one", fix)
    else:
        contact = said.get("last_contact_threshold")
        yield Result(OK, f"a node is unhealthy after {contact} of silence; none is removed unasked")


def _multiplier(patient: Patient) -> Iterator[Result]:
    found = patient.cluster.raft.performance_multiplier
    told = f"performance_multiplier {found} is declared"
    if found >= SLOW:
        fix = "declare `storage: {raft: {performance_multiplier: 1}}`: a lost leader is missed in 2 s, not in 8"
        yield Result(WARNING, told, fix)
    else:
        yield Result(OK, told)


def _stale(patient: Patient) -> Iterator[Result]:
    """A standby that answers by itself shows its own address, one that forwards shows the leader's."""
    if reason := lacks(_STALE, patient.cluster):
        yield Result(OK, reason)
        return
    for one in patient.facts.nodes:
        if one.seen.active:
            continue
        said = patient.direct.get(one.name, Unknown("it was not asked"))
        if isinstance(said, Unknown) or not said.ok:
            yield unknown(said if isinstance(said, Unknown) else said.words, one.name)
        elif said.data.get("api_addr") == one.seen.url:
            fix = (
                "declare `settings: {disable_standby_reads: true}`, and install it anew; else read at the leader alone"
            )
            yield Result(WARNING, "answers reads by itself, a little behind the leader", fix, one.name)
        else:
            yield Result(OK, "forwards reads to the leader", about=one.name)


def _seal(patient: Patient) -> Iterator[Result]:
    said = next((one.seen.seal.document for one in patient.facts.nodes if one.seen.seal.ok), None)
    if said is None:
        yield unknown("no node tells of its seal")
        return
    shares, threshold = int(said.get("n") or 0), int(said.get("t") or 0)
    auto = SEALS[patient.cluster.seal.kind].auto
    what = "recovery" if auto else "unseal"
    told = f"{what} keys: {threshold} of {shares}"
    if auto and not shares:
        yield Result(BAD, "there are no recovery keys", "make some: invoke cluster.rotate-keys")
    elif threshold < 2:  # noqa: PLR2004 - one person alone
        yield Result(WARNING, f"{told}: one person alone can use them", "rotate them with a higher threshold")
    else:
        yield Result(OK, told)
    if not auto:
        fix = "declare a `seal:` that unseals by itself, and migrate: invoke cluster.migrate-seal"
        yield Result(WARNING, "a node that restarts stays sealed until people come", fix)


def _key(patient: Patient) -> Iterator[Result]:
    key = patient.facts.key
    if key is None:
        yield Result(OK, "people hold the keys")
        return
    verdicts = {"ok": OK, "bad": BAD}
    told = " ".join(part for part in (key.address, key.said) if part)
    if key.state in verdicts:
        yield Result(verdicts[key.state], told, "" if key.state == "ok" else "see `invoke runbook kms-key-lost`")
    else:
        yield unknown(told)
    turned = patient.key_rotation
    if isinstance(turned, Unknown):
        yield unknown(turned)
    elif turned is not None:
        told = "the key turns itself every year" if turned else "the key never turns itself"
        yield Result(OK if turned else WARNING, told, "" if turned else "aws kms enable-key-rotation --key-id …")


def _version(patient: Patient) -> Iterator[Result]:
    newest = _NEWEST.get(patient.cluster.server)
    for one in patient.facts.nodes:
        live = one.seen.version
        if not live:
            yield unknown(one.seen.why, one.name)
        elif not live.startswith(patient.cluster.version):
            fix = f"invoke cluster.upgrade -c {patient.cluster.name}, or correct `server: {{version: …}}`"
            yield Result(WARNING, f"runs {live}, and {patient.cluster.version} is declared", fix, one.name)
        elif newest and _number(live) < _number(newest):
            fix = "read its release notes and declare it; KMS seals need a plugin from OpenBao 2.7 on"
            yield Result(WARNING, f"runs {live}, and {newest} is the newest that we know", fix, one.name)
        else:
            yield Result(OK, f"runs {live}", about=one.name)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdigit())


def _snapshots(patient: Patient) -> Iterator[Result]:
    declared, newest = patient.cluster.snapshots, patient.facts.snapshot
    if declared is None:
        fix = "declare `snapshots: {every: 6h, keep: 28, to: …}`, and have `invoke cluster.snapshot` run by a timer"
        yield Result(WARNING, "no snapshots are declared: what all nodes lose is lost", fix)
    elif isinstance(newest, Unknown):
        yield unknown(newest)
    elif newest is None:
        yield Result(
            BAD, f"there is no snapshot at {declared.to}", f"invoke cluster.snapshot -c {patient.cluster.name}"
        )
    else:
        late = newest.age > LATE * declared.every
        told = f"{newest.name} is {duration(round(newest.age))} old; one every {duration(declared.every)} is declared"
        yield Result(BAD if late else OK, told, f"invoke cluster.snapshot -c {patient.cluster.name}" if late else "")


def _current(patient: Patient) -> Iterator[Result]:
    """Whether a node was started with what is declared now."""
    for node in patient.cluster.nodes:
        found = patient.current.get(node.name)
        if found is None or isinstance(found, Unknown):
            yield unknown(found or "nobody here knows with what it was started", node.name)
        elif found:
            yield Result(OK, "runs with what is declared", about=node.name)
        else:
            fix = f"invoke cluster.upgrade -c {patient.cluster.name}, which installs it node by node"
            yield Result(WARNING, "was started with another configuration than is declared now", fix, node.name)


def _drilled(patient: Patient) -> Iterator[Result]:
    """Whether a snapshot was restored for practice not long ago."""
    if patient.cluster.snapshots is None:
        yield unknown("no snapshots are declared, so none is restored for practice")
        return
    last = drill.last(Ground(patient.root, patient.declared, {}, lambda _: None))
    fix = f"invoke snapshots.drill -c {patient.cluster.name}, by a timer"
    if last is None:
        yield Result(WARNING, "this machine knows of no drill", fix)
    elif not last.passed:
        yield Result(BAD, f"the last drill, at {last.at}, failed: {'; '.join(last.wrong)}", fix)
    else:
        age = dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(last.at)
        old = age > _DRILL
        told = f"{last.snapshot} was restored {age.days} days ago, in {last.seconds:.0f} s"
        yield Result(WARNING if old else OK, told, fix if old else "")


CHECKS = (
    Check("voters", "Do all declared nodes vote, and no others?", _voters),
    Check("zones", "Do the nodes fail apart from each other?", _zones),
    Check("autopilot", "Does autopilot keep a quorum?", _autopilot),
    Check("failover", "Is a lost leader missed at once?", _multiplier),
    Check("standby-reads", "Is no read stale?", _stale),
    Check("seal", "Does it take several people to open it?", _seal),
    Check("seal-key", "Does the key of the seal answer, and turn?", _key),
    Check("version", "Is it the declared version, and the newest?", _version),
    Check("configuration", "Do the nodes run with what is declared?", _current),
    Check("snapshots", "Is there a fresh snapshot?", _snapshots),
    Check("drill", "Was a snapshot restored for practice lately?", _drilled),
)
