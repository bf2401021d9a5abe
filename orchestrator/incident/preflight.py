"""What may go wrong, told before anything is done: rights, audit devices, leader, time that is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident.ground import capabilities
from orchestrator.incident.model import within
from orchestrator.incident.sign import signer
from orchestrator.live.server import Denied, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.documents import Json
    from orchestrator.incident.ground import Ground
    from orchestrator.incident.model import Credential, Scope

_SHORT = 900
_TWO = 2
_SHUTTING = ("read", "update")


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it should be; `stops` where going on would fail half way."""

    text: str
    stops: bool = False


def problems(ground: Ground, scope: Scope) -> Iterator[Problem]:
    """All that is wrong, what stops the revocation first."""
    yield from sorted(
        [*_told(ground), *_rights(ground, scope), *_time(ground), *_server(ground), *_signing(ground), *_saved(ground)],
        key=lambda one: not one.stops,
    )


def _told(ground: Ground) -> Iterator[Problem]:
    if ground.wrong:
        yield Problem(ground.wrong)


def _rights(ground: Ground, scope: Scope) -> Iterator[Problem]:
    """Each capability that a step needs and the caller lacks."""
    ends = [one for one in scope.turns if one.ends]
    several = (scope.rules, scope.closes, scope.listers, scope.singles, ends)
    for namespace in {one.namespace for some in several for one in some}:
        needed = dict(_needed(namespace, scope))
        if not needed:
            continue
        held = capabilities(ground.inside(namespace).server, *needed)
        for path, wanted in needed.items():
            lacks = [one for one in wanted if one not in held[path]]
            if lacks and "root" not in held[path]:
                yield Problem(
                    f"the token lacks {' and '.join(lacks)} on {path}{within(namespace)}: it could not finish",
                    stops=True,
                )


def _needed(namespace: str, scope: Scope) -> Iterator[tuple[str, tuple[str, ...]]]:
    if any(one.namespace == namespace for one in scope.rules):
        yield "auth/token/accessors", ("list", "sudo")
        yield "auth/token/lookup-accessor", ("update",)
        yield "auth/token/revoke-accessor", ("update",)
    for close in scope.closes:
        if close.namespace == namespace:
            yield from [(close.path, ("read",)), (close.to, ("update",))] if close.to else [(close.path, _SHUTTING)]
    for lister in scope.listers:
        if lister.namespace == namespace:
            yield lister.path, ("list", "sudo") if lister.path.startswith("sys/leases/") else ("list",)
            yield from _ending(lister.made("any"))
    for one in scope.singles:
        if one.namespace == namespace:
            yield from _ending(one)
    for turn in scope.turns:
        if turn.namespace == namespace and turn.ends:
            yield turn.ask.path, ("update",)


def _ending(one: Credential) -> Iterator[tuple[str, tuple[str, ...]]]:
    if one.end:
        yield one.end.path, ("update",)
    if one.then:
        yield one.then.path, ("read",)


def _time(ground: Ground) -> Iterator[Problem]:
    ttl = int(ground.me.get("ttl") or 0)
    if 0 < ttl < _SHORT:
        yield Problem(
            f"your token ends in {ttl} s{'; it is renewed as long as it may be' if ground.me.get('renewable') else ''}"
        )
    if not ground.me.get("orphan", True):
        yield Problem("your token has a parent: if that is cut, yours dies with it; better come in by a login")


def _server(ground: Ground) -> Iterator[Problem]:
    leader = _asked(ground, "sys/leader")
    if leader is not None and leader.get("ha_enabled") and not leader.get("leader_address"):
        yield Problem("the cluster has no leader just now: requests wait for one")
    devices = _asked(ground, "sys/audit")
    if devices is None:
        yield Problem("the token may not see the audit devices: whether requests are recorded is not known")
    elif len(_mounted(devices)) < _TWO:
        count = len(_mounted(devices))
        yield Problem(
            f"the server has {count or 'no'} audit device{'s' * (count != 1)}: two keep the record when one fails"
        )


def _signing(ground: Ground) -> Iterator[Problem]:
    """A declared key that is not there does not stop a revocation; the evidence can be signed later."""
    try:
        if ground.signer:
            signer(ground.signer, ground.server)
    except StrongroomError as error:
        yield Problem(f"the evidence will not be signed as the YAML says: {error}")


def _saved(ground: Ground) -> Iterator[Problem]:
    """Whether what is done by mistake could be brought back."""
    try:
        why = ground.unsaved()
    except StrongroomError as error:
        why = f"whether there is a snapshot is not known: {error}"
    if why:
        yield Problem(why)


def _asked(ground: Ground, path: str) -> Mapping[str, Json] | None:
    try:
        return ground.inside("").server.read(path)
    except (Denied, Rejected):
        return None


def _mounted(devices: Mapping[str, Json]) -> Sequence[str]:
    return [name for name in devices if name.endswith("/")]
