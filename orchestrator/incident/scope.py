"""What hangs on each thing that leaked: one function a sort of target. They read, and change nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial, reduce
from operator import add
from typing import TYPE_CHECKING

from orchestrator.errors import Refused, StrongroomError
from orchestrator.incident import account, identity, lineage, origins, reachers, traces
from orchestrator.incident.ground import LOOKUP
from orchestrator.incident.kinds import flags
from orchestrator.incident.model import Gone, Proof, Rule, Scope, within
from orchestrator.incident.origin_scope import scope_of
from orchestrator.incident.places import everywhere
from orchestrator.live.server import Denied, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.documents import Json
    from orchestrator.incident.ground import Ground
    from orchestrator.incident.model import Target

CLOSES = ("hard", "soft", "none")  # how what gave it out is shut
Resolver = Callable[["Ground", str], Scope]


def accessor(ground: Ground, value: str) -> Scope:
    facts = _lookup(ground, value)
    if facts is None:
        raise Gone(f"accessor {value}: no token lives that has it; it expired, or was revoked already")
    if ground.is_me(facts):
        raise Refused(f"accessor {value} is your own token's: take another token to revoke it with")
    source = f"accessor {value}"
    rules, notes = traces.makers(ground, value, source)
    return Scope(singles=(ground.token(value, source, facts),), rules=rules, notes=notes)


def _lookup(ground: Ground, value: str) -> Mapping[str, Json] | None:
    try:
        return ground.server.write(LOOKUP, {"accessor": value}, again=True)
    except Denied as error:
        if "invalid accessor" in str(error):
            return None
        raise
    except Rejected as error:
        if any(word in error.words for word in ("invalid accessor", "in different namespace")):
            return None
        raise


def role(ground: Ground, value: str) -> Scope:
    """All that a role gave out, whichever engine or auth method it belongs to."""
    found = [scope_of(ground, one) for one in origins.named(ground, value)]
    if not any(one.rules or one.listers or one.turns for one in found):
        raise StrongroomError("\n".join(dict.fromkeys(note for one in found for note in one.notes)))
    return reduce(add, found)


def mount(ground: Ground, value: str) -> Scope:
    """All that a mount gave out: by every object on it, and every lease below it."""
    family, path = origins.mounted(ground, value)
    covered = family == "auth"
    objects = reduce(add, (scope_of(ground, one, covered=covered) for one in origins.on(ground, family, path)), Scope())
    if family == "auth":
        where = f"auth/{path}/"
        title = f"auth/{path}"
        rule = Rule(title, ground.namespace, lambda facts: facts["path"].startswith(where))
        if shut := tuple(origins.shut(ground, family, path)):  # then its objects need not be
            beside = tuple(one for one in objects.closes if one.soft or one.path.startswith("identity/"))
            objects = replace(objects, closes=(*shut, *beside))
        return objects + Scope(rules=(rule,))
    return objects + lease_prefix(ground, path)


def lease_prefix(ground: Ground, value: str) -> Scope:
    """What has a lease below a path; the leases of logins are tokens, and end as tokens."""
    path = value.strip("/")
    if not origins.is_mounted(ground, path):
        raise Gone(f"lease prefix {value}: it begins with no mount{within(ground.namespace)}; {origins.mounts(ground)}")
    if path.startswith("auth/"):
        title = f"lease prefix {path}"
        return Scope(rules=(Rule(title, ground.namespace, lambda facts: _below(facts["path"], path)),))
    accounts = tuple(asked for one in origins.leasing(ground, path) for asked in one.accounts(ground.namespace))
    return Scope(listers=tuple(origins.leases_below(ground, path)), accounts=accounts)


def _below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


def secret_id_accessor(ground: Ground, value: str) -> Scope:
    """One SecretID, and the tokens that its role gave out since it was made: the server tells no closer."""
    return origins.by_accessor(ground, value)


def database_account(ground: Ground, value: str) -> Scope:
    """The lease of one account in a database, or what keeps that account; nothing else of its role."""
    found = [_account(ground, value, name, made) for name, made in account.named(ground, value)]
    if not found:
        raise Gone(
            f"account {value}: no mount{within(ground.namespace)} makes or keeps accounts of such a name; name its "
            "role with --database-role"
        )
    whole = reduce(add, found)
    note = f"no lease stands for account {value}: if it lives, only the database can end it"
    return whole if whole.singles or whole.turns else whole + Scope(notes=(note,))


def _account(ground: Ground, value: str, name: str, made: int) -> Scope:
    return account.made_then(ground, value, name, made) if made else role(ground, name)


def everything(ground: Ground, value: str) -> Scope:
    """All that the namespace gave out, but for the caller; the environment's name says that it is meant."""
    if value != ground.name:
        raise Refused(f"--everything {value}: type the environment's name to cut everything in it: {ground.name}")
    mounts = [f"{'auth/' if family == 'auth' else ''}{path}" for family, path in ground.mounts]
    found = reduce(add, (mount(ground, path) for path in mounts), Scope())
    mine = _my_way(ground, found)
    closes = tuple(one for one in found.closes if one.title not in mine)
    notes = tuple(f"{one} stays open: it is the way by which you came" for one in sorted(mine))
    return replace(found, closes=closes, notes=(*found.notes, *notes, *_way_back(ground)))


def _way_back(ground: Ground) -> Iterator[str]:
    """What happens to whoever loses the last token."""
    try:
        ground.inside("").server.read("sys/generate-root/attempt")
    except (Denied, Rejected):
        yield "this server makes no new root token without a token: keep yours till somebody can log in again"


SORTS: Mapping[str, Resolver] = {
    "accessor": accessor,
    "token": accessor,
    "role": role,
    "database-role": role,
    "entity": identity.entity,
    "group": identity.group,
    "policy": identity.policy,
    "path": reachers.path,
    "client-address": traces.client_address,
    "mount": mount,
    "lease-prefix": lease_prefix,
    "secret-id-accessor": secret_id_accessor,
    "everything": everything,
    **{sort: partial(flags.scope, sort) for sort in flags.SORTS},
    "account": database_account,
}


_ITSELF = ("accessor", "token")  # gone, all of it is dead


def scope(ground: Ground, targets: Sequence[Target], *, again: bool = False, seen: bool = True) -> Scope:
    """All that hangs on the targets; everything that is wrong with them is told at once.

    `again`, in an incident that is resumed, what is gone meanwhile is no mistake; but unless what it gave out was
    `seen` before, nobody can say that it is dead.
    """
    found = Scope()
    failures: list[StrongroomError] = []
    for target in targets:
        try:
            found += _of_target(ground.inside(target.namespace), target)
        except Gone as error:
            if again:
                lost = not seen and target.sort not in _ITSELF
                found += Scope(notes=(str(error),), unproven=(_lost(target),) if lost else ())
            else:
                failures.append(error)
        except StrongroomError as error:
            failures.append(error)
    if failures:
        together = StrongroomError("\n".join(str(error) for error in failures))
        together.code = max(error.code for error in failures)
        raise failures[0] if len(failures) == 1 else together
    return found


def _lost(target: Target) -> Proof:
    said = "it went before anybody saw what it gave out: name its mount, its policies or its path too"
    return Proof("leak", str(target), dead=None, said=said)


def _of_target(ground: Ground, target: Target) -> Scope:
    """What hangs on one target, in its namespace or in all below it too."""
    if target.below:
        return everywhere(ground, lambda inside: SORTS[target.sort](inside, target.value))
    return SORTS[target.sort](ground, target.value)


def _without_my_way(ground: Ground, found: Scope) -> Scope:
    """The way by which the caller came in stays open: shut, nobody could come back to finish."""
    mine = _my_way(ground, found)
    blocked = [close for close in found.closes if close.title in mine]
    if blocked:
        names = ", ".join(dict.fromkeys(close.title for close in blocked))
        raise Refused(f"your own token came by {names}: come in by another way to cut that one")
    return found


def _my_way(ground: Ground, found: Scope) -> set[str]:
    """The sources by which our own token came."""
    return {rule.source for rule in found.rules if rule.namespace == ground.home and rule.matches(ground.me)}


def closing(ground: Ground, found: Scope, how: str) -> Scope:
    """The scope with only the closes of one way: "hard" shuts, "soft" holds back, "none" leaves all open."""
    closes = tuple(one for one in found.closes if one.needed or (how != "none" and one.soft == (how == "soft")))
    open_ = {one.title for one in found.closes} - {one.title for one in closes}
    notes = tuple(f"{title} stays open: it may give out more" for title in sorted(open_))
    lineage.spares_me(ground, found)
    return _without_my_way(ground, replace(found, closes=closes, notes=(*found.notes, *notes)))
