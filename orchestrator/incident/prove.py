"""Proof: every credential that was cut is tried again, and what cannot be proven is said to be unproven."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from orchestrator.incident.ground import function
from orchestrator.incident.look import looked
from orchestrator.incident.model import Proof
from orchestrator.live.server import Denied, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.incident.ground import Ground
    from orchestrator.incident.model import Credential


def prove(ground: Ground, cut: Sequence[Credential], held: Mapping[str, str]) -> Iterator[Proof]:
    """One proof a class of credentials, one more for each that is not dead; `held` are leaked tokens by accessor."""
    for accessor, token in held.items():
        inside = next((one.namespace for one in cut if one.id == accessor), ground.namespace)
        yield _refused(ground.inside(inside), accessor, token)
    yield from _by_class(ground, [one for one in cut if not one.file])
    for name in dict.fromkeys(one.proof for one in cut if one.proof):
        yield from _besides(ground, name, [one for one in cut if one.proof == name])


def _besides(ground: Ground, name: str, cut: Sequence[Credential]) -> Iterator[Proof]:
    """What else tries them again; where that is refused, nothing is proven by it, and nothing stops."""
    try:
        yield from function(name)(ground, cut)
    except (Denied, Rejected) as error:
        yield Proof(cut[0].what, f"{cut[0].what} of {cut[0].source}", dead=None, said=f"could not be tried: {error}")


def _refused(ground: Ground, accessor: str, token: str) -> Proof:
    """The leaked token itself, as its thief would try it."""
    title = f"token {accessor}"
    try:
        ground.server.as_token(token).read("auth/token/lookup-self")
    except Denied:
        return Proof("token", title, dead=True, said="tried as its thief would: permission denied")
    return Proof("token", title, dead=False, said="tried as its thief would: it is still accepted")


def _by_class(ground: Ground, cut: Sequence[Credential]) -> Iterator[Proof]:
    dead: dict[str, int] = defaultdict(int)
    for one, alive in looked(ground, cut):
        if alive is False:
            dead[one.what] += 1
        elif alive is True:
            yield Proof(
                one.what, f"{one.what} {one.id}", dead=None if one.end is None else False, said=one.stays or "it lives"
            )
        else:
            yield Proof(one.what, f"{one.what} {one.id}", dead=None, said=f"the server gives no clear answer: {alive}")
    for what, count in dead.items():
        said = "each looked up again: the server knows none of them"
        yield Proof(what, f"{count} {what}{'s' if count > 1 else ''}", dead=True, said=said, count=count)
