"""Leases that hang on tokens. A server ends them some time after their token, and does not tell whose a lease is.

But it sets their end to the moment when the token was revoked: a lease that lives past its end hung on a dead token.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.incident.ground import policies_of
from orchestrator.incident.model import Leases, Proof
from orchestrator.incident.origins import lease
from orchestrator.incident.reachers import live_policies
from orchestrator.live.bulk import send
from orchestrator.live.server import Denied
from orchestrator.policy.live import understood
from orchestrator.policy.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.documents import Spec
    from orchestrator.incident.ground import Ground
    from orchestrator.incident.model import Credential
    from orchestrator.policy.live import LivePolicies

ALL = "sys/leases/lookup"
_POLICY, _GROUP = "sys/policies/acl/", "identity/group/id/"
UNSEEN = "leases that hang on the tokens could not be looked at"
_ASKED = ("read", "update", "create")

Places = dict[tuple[str, str], Sequence[str]]


def below(ground: Ground, tokens: Iterable[Credential], shut: Sequence[Spec] = ()) -> tuple[Places, tuple[str, ...]]:
    """The leases at each path that the tokens could have asked for one, and where nobody let us look.

    `shut` is what the journal recorded of what it shut: a policy that is emptied now was not when they asked.
    """
    found: Places = {}
    notes = []
    for namespace, sets in _policies(tokens).items():
        inside, emptied, taken = ground.inside(namespace), _emptied(namespace, shut), _taken(namespace, shut)
        try:
            policies = {**live_policies(inside), **emptied}
            listed = {path: keys for mount in _mounts(inside) for path, keys in _listed(inside, f"{mount}/")}
        except Denied as error:
            notes.append(f"{UNSEEN}: {error}")
            continue
        held = [names | taken for names in sets]
        found |= {(namespace, path): keys for path, keys in listed.items() if _reaches(policies, path, held)}
    return found, tuple(notes)


def _emptied(namespace: str, shut: Sequence[Spec]) -> LivePolicies:
    """The policies as they were before they were emptied."""
    return {
        one["path"].removeprefix(_POLICY): understood(one["title"], str(one["before"].get("policy") or ""))
        for one in shut
        if one["namespace"] == namespace and one["path"].startswith(_POLICY) and one["before"]
    }


def _taken(namespace: str, shut: Sequence[Spec]) -> frozenset[str]:
    """The policies that groups gave their members before these were taken from them."""
    groups = (one for one in shut if one["namespace"] == namespace and one["path"].startswith(_GROUP) and one["before"])
    return frozenset(name for one in groups for name in one["before"].get("policies") or ())


def counted(places: Places) -> Leases:
    return tuple((namespace, path, len(keys)) for (namespace, path), keys in sorted(places.items()))


def _policies(tokens: Iterable[Credential]) -> dict[str, set[frozenset[str]]]:
    """Which sets of policies the tokens have, by namespace."""
    found: dict[str, set[frozenset[str]]] = {}
    for one in tokens:
        if one.what == "token":
            found.setdefault(one.namespace, set()).add(frozenset(policies_of(one.facts)))
    return found


def _mounts(ground: Ground) -> list[str]:
    """Where leases may be, but for those of logins, which are tokens.

    Mount by mount: the policy `default` has a rule for the list of all, which goes before an administrator's `*`.
    """
    return [mount for family, mount in ground.mounts if family == "secrets"]


def _listed(ground: Ground, path: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Every path below this one that has leases."""
    keys = ground.server.list(f"{ALL}/{path}".rstrip("/"))
    if leases := [key for key in keys if not key.endswith("/")]:
        yield path.rstrip("/"), leases
    for key in keys:
        if key.endswith("/"):
            yield from _listed(ground, path + key)


def _reaches(policies: LivePolicies, path: str, sets: Iterable[frozenset[str]]) -> bool:
    reach = Reach(policies, path, _ASKED)
    return any(reach.of(names).granted for names in sets)


class Overdue:
    """The leases that live past their end; those that have time left are not asked again."""

    def __init__(self, ground: Ground, tokens: Iterable[Credential], shut: Sequence[Spec] = ()) -> None:
        self.ground, self.tokens, self.shut = ground, [one for one in tokens if one.what == "token"], shut
        self.timely: set[str] = set()
        self.after: Places = {}
        self.unseen: tuple[str, ...] = ()  # why nobody knows what became of some

    def add(self, tokens: Iterable[Credential]) -> None:
        """More tokens were revoked: what had time left may have none now."""
        self.timely.clear()
        self.tokens += [one for one in tokens if one.what == "token"]

    def found(self) -> list[Credential]:
        self.after, self.unseen = below(self.ground, self.tokens, self.shut) if self.tokens else ({}, ())
        return [one for place, keys in self.after.items() for one in self._overdue(*place, keys)]

    def _overdue(self, namespace: str, path: str, keys: Iterable[str]) -> Iterator[Credential]:
        inside = self.ground.inside(namespace)
        asked = [lease(inside, path, key) for key in keys if f"{path}/{key}" not in self.timely]
        known = {id(one.look.ask): one for one in asked}
        for ask, reply in send(inside.line, (one.look.ask for one in asked)):
            one = known[id(ask)]
            if reply.ok and _is_past(str(reply.data.get("expire_time") or "")):
                yield one
            elif reply.ok:
                self.timely.add(one.id)
            elif not any(word in reply.said for word in one.look.gone):
                self.unseen = (f"{UNSEEN}: {reply.said}",)


def _is_past(moment: str) -> bool:
    return bool(moment) and datetime.fromisoformat(moment) <= datetime.now(UTC)


def proofs(before: Leases, after: Places, unseen: Sequence[str] = ()) -> Iterator[Proof]:
    """What became of the leases that may have hung on the tokens: those past their end are credentials of their own."""
    if unseen:
        yield from (Proof("lease", "leases of the cut tokens", dead=None, said=one) for one in dict.fromkeys(unseen))
        return
    for namespace, path, count in before:
        left = len(after.get((namespace, path), ()))
        where = f"{namespace}/{path}" if namespace else path
        others = f"; each of the {left} that are left has time left: none of them hung on a dead token" if left else ""
        title = f"{max(count - left, 0)} leases of {where}"
        yield Proof("lease", title, dead=True, said=f"ended with their tokens{others}", count=max(count - left, 0))
