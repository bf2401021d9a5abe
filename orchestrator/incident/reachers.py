"""A path as what leaked: everyone who could read it, in its own namespace and in those above."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident.ground import policies_of
from orchestrator.incident.model import Proof, Rule, Scope
from orchestrator.incident.traces import readers
from orchestrator.live.bulk import Ask, send
from orchestrator.live.server import Denied
from orchestrator.policy.live import understood
from orchestrator.policy.reach import Reach, api_paths, reaching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.documents import Spec
    from orchestrator.incident.ground import Ground
    from orchestrator.policy.live import LivePolicies

_DENIED = 403
_POLICIES = "sys/policies/acl"


def path(ground: Ground, value: str) -> Scope:
    """The tokens of everyone who could read a path; what stands there is another thing, and has to be replaced."""
    mounts = ground.server.read("sys/mounts") or {}
    asked = api_paths(value.strip("/"), mounts)[0]
    found = Scope(
        notes=(
            f"path {value}: nothing is shut, so that whoever logs in anew may read it: replace the secret",
            *readers(ground, asked, f"path {value}"),
        )
    )
    for namespace, inside in _above(ground.namespace):
        title, own = f"readers of {value}", namespace == ground.namespace
        found += _readers(ground.inside(namespace), f"{inside}{asked}", title, own=own)
    return found


def _above(namespace: str) -> Iterator[tuple[str, str]]:
    """A namespace and all above it, each with what a path has in front when it is said from there."""
    parts = namespace.split("/") if namespace else []
    for length in range(len(parts), -1, -1):
        yield "/".join(parts[:length]), "".join(f"{part}/" for part in parts[length:])


def _readers(ground: Ground, asked: str, title: str, *, own: bool) -> Scope:
    try:
        policies = live_policies(ground)
    except Denied as error:
        if own:
            raise
        said = f"who may read it from there is not known: {error}"
        where = f"{title} in {ground.namespace or 'the root namespace'}"
        return Scope(unproven=(Proof("token", where, dead=None, said=said),))
    doubts = {doubt for rights in reaching(policies, asked).values() for doubt in rights.doubts}
    reach = Reach(policies, asked)

    def reads(facts: Spec) -> bool:
        return bool(reach.of(policies_of(facts)).granted)

    return Scope(
        rules=(Rule(title, ground.namespace, reads),), notes=tuple(f"{title}: {one}" for one in sorted(doubts))
    )


def live_policies(ground: Ground) -> LivePolicies:
    """Every policy of the namespace, as the server holds it; root has no text, and everything is open to it."""
    names = [name for name in ground.server.list(_POLICIES) if name != "root"]
    asks = [Ask("GET", f"{_POLICIES}/{name}", None, ground.namespace) for name in names]
    found: dict[str, str] = {}
    for ask, reply in send(ground.line, asks):
        if not reply.ok:
            refused = Denied if reply.status == _DENIED else StrongroomError
            raise refused(f"{ask.path} cannot be read (status {reply.status}): who reaches the path is not known")
        found[ask.path.removeprefix(f"{_POLICIES}/")] = str(reply.data.get("policy") or "")
    return {name: understood(name, text) for name, text in found.items()}
