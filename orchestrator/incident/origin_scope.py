"""All that hangs on one live object: what it gave out, how it is shut, and what nobody can cut one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.incident.model import Close, Proof, Scope
from orchestrator.policy.live import understood
from orchestrator.policy.reach import reaching
from orchestrator.shapes import duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.documents import Json, Spec
    from orchestrator.incident.ground import Ground
    from orchestrator.incident.origin import Origin

_ENTITIES = "identity/entity/id"
_ORPHANS = (("auth/token/create-orphan", ("create", "update")), ("auth/token/create", ("sudo",)))


def scope_of(ground: Ground, one: Origin, *, covered: bool = False) -> Scope:
    """What hangs on an object; `covered` says that all the tokens of its mount are cut with it."""
    live = one.live(ground.server)
    close = one.close(ground.namespace, live)
    scope = Scope(
        closes=(*([close] if close else []), *one.soft(ground.namespace)),
        rules=tuple(one.rules(ground.namespace, live)),
        listers=tuple(one.listers(ground, live)),
        accounts=tuple(one.accounts(ground.namespace)),
        turns=tuple(one.turns(ground)),
        notes=(*(() if covered else one.untold(ground.server, live)), *_unclear(one, live)),
        unproven=tuple(_unkept(one, live)),
    )
    if one.object.open and not (covered and one.kind.shut):
        scope += Scope(notes=(f"{one.title}: {one.object.open}",))
    if one.object.renew and one.object.renew.warns:
        scope += Scope(notes=(f"{one.title}: {one.object.renew.warns}",))
    batch = _gives_batch(ground, one, live)
    if one.object.alias and (batch or one.object.open):
        scope += _entities(ground, one)
    if batch:
        refused = any(_ENTITIES in close.path for close in scope.closes)
        scope += Scope(notes=(_batch(one, live, refused=refused),), unproven=() if refused else (_unseen(one),))
    return scope + Scope(notes=tuple(_orphans(ground, one, live)))


def _unclear(one: Origin, live: Spec) -> Iterator[str]:
    """What it gave out of which the server keeps nothing, or does not tell whose it is."""
    for gives in one.given(live):
        if gives.unkept and gives.unkept.items() <= live.items():
            longest = next((live[name] for name in gives.lasts if live.get(name)), None)
            until = f"for up to {duration(longest)}" if longest else "for as long as the mount lets them"
            yield (
                f"{one.title}: the server keeps nothing of the {gives.what}s that it gave out; those that are out live "
                f"on {until}, unproven: {gives.instead}"
            )
        if gives.fits:
            yield (
                f"the server does not tell which {gives.what}s came by {one.title}: all that it could have given out, "
                "by its settings as they are now, are cut, those of others among them"
            )


def _unkept(one: Origin, live: Spec) -> Iterator[Proof]:
    for gives in one.given(live):
        if gives.unkept and gives.unkept.items() <= live.items():
            title = f"{gives.what}s by {one.title}"
            yield Proof(gives.what, title, dead=None, said="the server keeps nothing of them")


def _unseen(one: Origin) -> Proof:
    said = "the server keeps nothing of them, and nothing revokes them"
    return Proof("batch token", f"batch tokens by {one.title}", dead=None, said=said)


def _gives_batch(ground: Ground, one: Origin, live: Spec) -> bool:
    """Whether its tokens are batch tokens; an object that does not say so leaves it to its mount."""
    said = str(live.get("token_type") or "default")
    if said == "default" and one.mount and any(gives.says for gives in one.object.gives):
        said = str((_mount(ground, one.mount).get("config") or {}).get("token_type"))
    return said.endswith("batch")


def _mount(ground: Ground, mount: str) -> Mapping[str, Json]:
    found: Mapping[str, Json] = ground.once("sys/auth").get(f"{mount}/") or {}
    return found


def _batch(one: Origin, live: Spec, *, refused: bool) -> str:
    if refused:
        return (
            f"{one.title} gives out batch tokens, which nothing revokes: they are refused once their entity is disabled"
        )
    longest = live.get("token_max_ttl") or live.get("token_ttl")
    return (
        f"{one.title} gives out batch tokens, which nothing revokes: those that are out live on"
        f"{f' for up to {duration(longest)}' if longest else ' till their ttl'}; to refuse them at once, name "
        "their entities too"
    )


def _entities(ground: Ground, one: Origin) -> Scope:
    """The entity of whoever logs in by it is disabled, where nobody is it by another login too."""
    accessor = _mount(ground, one.mount).get("accessor")
    live = one.whole(ground.server)
    scope = Scope()
    for identity, entity in _known(ground):
        aliases = entity.get("aliases") or ()
        if any(alias["mount_accessor"] == accessor and one.is_known_as(alias["name"], live) for alias in aliases):
            scope += _entity(ground, one, identity, entity, alone=len(aliases) == 1)
    return scope


def _known(ground: Ground) -> Iterator[tuple[str, Mapping[str, Json]]]:
    listed = ground.once(_ENTITIES, "list=true")
    yield from (listed.get("key_info") or {}).items()


def _entity(ground: Ground, one: Origin, identity: str, entity: Mapping[str, Json], *, alone: bool) -> Scope:
    title = f"identity/entities/{entity['name']}"
    if not alone:
        others = f"{title}, by which {one.title} is known, is known by other logins too and stays enabled"
        return Scope(notes=(f"{others}: name it with --entity {entity['name']} to cut all of them",))
    path, stops = f"{_ENTITIES}/{identity}", f"all logins and tokens by {one.title}"
    return Scope(closes=(Close(title, ground.namespace, path, {"disabled": True}, stops),))


def _orphans(ground: Ground, one: Origin, live: Spec) -> Iterator[str]:
    """What its tokens may have made that outlives them, and that nothing but the audit log leads back to them."""
    names = [*(live.get("token_policies") or ()), *(live.get("policies") or ()), *(live.get("allowed_policies") or ())]
    texts = {name: ground.once(f"sys/policies/acl/{name}").get("policy") for name in dict.fromkeys(names)}
    policies = {name: understood(name, text) for name, text in texts.items() if text}
    for path, wanted in _ORPHANS:
        if able := reaching(policies, path, wanted):
            yield (
                f"{one.title}: its policy {', '.join(able)} may make orphans at {path}: they outlive their makers, and "
                "only the audit log tells of them"
            )
