"""What a plan would do, in the words of the YAML: read out of Terraform's plan JSON, no effect."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from orchestrator.catalog import CATALOG, RESOURCES
from orchestrator.shapes import duration, seconds
from orchestrator.terraform import beside
from orchestrator.terraform.provider.state import flatten, nothing, same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from orchestrator.documents import Json, Spec
    from orchestrator.model import Attribute, Resource

    _Sort = tuple[str, str, frozenset[tuple[str, str]]]

UNKNOWN_YET = "(known after apply)"
HIDDEN = "(secret)"
_ACTIONS = {
    ("create",): "create",
    ("update",): "update",
    ("delete",): "destroy",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
    ("forget",): "forget",
}


@dataclass(frozen=True)
class Setting:
    """One setting that changes, before and after, in the forms of the YAML."""

    name: str
    before: Json
    after: Json
    refused: bool = False  # the server would keep the old value


@dataclass(frozen=True)
class Change:
    """One object that a plan would touch."""

    title: str
    action: str
    address: str
    settings: tuple[Setting, ...]
    leases: tuple[str, ...] = ()  # the prefixes of what it gave out, when it goes: itself, and what names it
    guard: str = ""  # the flag that keeps the server from deleting it
    encloses: str = ""  # the namespace that goes with it
    loses: str = ""  # what is lost for good with it
    opens: bool = False  # it was shut in an incident, and would give out credentials again

    @property
    def destroys(self) -> bool:
        return self.action in ("destroy", "replace")


def changes(plan: Mapping[str, Json]) -> tuple[Change, ...]:
    """Every object that the plan touches, by title."""
    return tuple(sorted(_changes(plan), key=lambda change: (change.title, change.address)))


def managed(plan: Mapping[str, Json]) -> int:
    """How many objects the state held before the plan."""
    return sum(one["change"]["before"] is not None for one in _resources(plan) if not beside.carries(one))


def _resources(plan: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    found: list[Mapping[str, Json]] = plan.get("resource_changes", [])
    return found


def _changes(plan: Mapping[str, Json]) -> Iterator[Change]:
    names, users = _Names(plan), _users(_resources(plan))
    carriers = {beside.carries(one): one for one in _resources(plan) if beside.carries(one)}
    for one in _resources(plan):
        if beside.carries(one):
            continue
        change = one["change"]
        action = _ACTIONS.get(tuple(change["actions"]))
        if change.get("importing") and action != "replace":
            action = "adopt"
        if action:
            carrier = carriers.pop((one["type"], str(one.get("index"))), None)
            settings = (*_settings(one, names), *(_sent_beside(carrier) if carrier and action != "destroy" else ()))
            action = "replace" if action == "update" and _made_anew(one, settings) else action
            opens = action in ("update", "adopt") and _opens(one, settings)
            yield Change(title(one), action, one["address"], settings, *_farewell(one, action, users), opens)
    for one in carriers.values():
        if settings := tuple(_sent_beside(one)):
            yield Change(beside.title(one), "update", one["address"], settings)


def _opens(one: Mapping[str, Json], settings: tuple[Setting, ...]) -> bool:
    """Whether the object is shut now, as an incident shuts it, and the change touches that."""
    place, union = _PLACES.get(_variant(one)), RESOURCES.get(one["type"])
    if place is None or union is None or not place.shut:
        return False
    held = _values(place.resource, one["change"]["before"])
    told = [one for one in place.resource.attributes() if one.api in place.shut and _is_told(one.api, place, held)]
    changed = {setting.name for setting in settings}
    return all(_holds(attribute, held(attribute), place.shut[attribute.api]) for attribute in told) and any(
        attribute.yaml in changed for attribute in told
    )


def _holds(attribute: Attribute, found: Json, wanted: Json) -> bool:
    """Whether a setting has a value; what nobody ever set is null in a state, and false or empty on the server."""
    return not wanted if found is None else same(attribute.shape, found, attribute.shape.render(wanted))


def _is_told(setting: str, place: _Place, held: Callable[[Attribute], Json]) -> bool:
    """Whether this is one of the settings by which such an object is shut: some go beside others alone."""
    beside = place.shut_only.get(setting, {})
    return all(held(one) == beside[one.api] for one in place.resource.attributes() if one.api in beside)


def _made_anew(one: Mapping[str, Json], settings: tuple[Setting, ...]) -> bool:
    """Whether the server makes a new object of what Terraform calls an update: the document of one that is carried."""
    place = _PLACES.get(_variant(one))
    carried = place.resource if place and place.resource.through else None
    fixed = {name for name, field in carried.fields.items() if field.replace} if carried else set()
    return any(setting.name in fixed for setting in settings)


def _sent_beside(one: Mapping[str, Json]) -> Iterator[Setting]:
    """The secrets that would go to an object beside Terraform."""
    before, after = (beside.versions(one["change"][side]) for side in ("before", "after"))
    for name in sorted(before | after):
        if before.get(name) != after.get(name):
            yield Setting(name, HIDDEN if name in before else None, HIDDEN if name in after else None)


def _farewell(
    one: Mapping[str, Json], action: str, users: Mapping[tuple[str, str, str], Sequence[str]]
) -> tuple[tuple[str, ...], str, str, str]:
    """For what goes: the leases that end with it, the flag by which the server would refuse, what it encloses, and what
    is lost with it.
    """
    resource, before = RESOURCES.get(one["type"]), one["change"]["before"]
    if resource is None or before is None or action not in ("destroy", "replace"):
        return (), "", "", ""
    guarded = bool(resource.guard) and not before.get(resource.guard)
    guard = resource.guard if guarded else ""
    encloses = resource.encloses.format_map(before)
    own = [resource.leases.format_map(before)] if resource.leases else []
    place = _PLACES.get(_variant(one)) if "index" in one else None
    used = users.get((before.get(resource.mount), place.key, _name(one)), ()) if place else ()
    return (*own, *used), guard, encloses and one["index"], place.resource.loses if place else ""


def _users(every: Sequence[Mapping[str, Json]]) -> dict[tuple[str, str, str], list[str]]:
    """The leases of what names another object on its mount, by that mount, key and name: without it none can end."""
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for one in every:
        resource, state = RESOURCES.get(one["type"]), one["change"]["before"]
        if resource is None or not resource.leases or not state:
            continue
        for attribute in resource.attributes():
            for key in attribute.field.names.split(",") if attribute.field.names else ():
                found[state[resource.mount], key, str(state[attribute.terraform])].append(
                    resource.leases.format_map(state)
                )
    return found


def _name(one: Mapping[str, Json]) -> str:
    """The last word of its title: a mount's path, or an object's own name."""
    place = _PLACES.get(_variant(one))
    index = str(one["index"])
    return index.rpartition("/")[2] if place and place.named and not place.system else index


def title(one: Mapping[str, Json]) -> str:
    """How people name a resource: by its place in the YAML."""
    place = _PLACES.get(_variant(one))
    if place is None or "index" not in one:
        return str(one["address"])
    mount, name = one["index"], ""
    if place.named and not place.system:
        mount, _, name = one["index"].rpartition("/")
    mount, name = ("", mount if place.named else "") if place.system else (mount, name)
    return "/".join(part for part in (place.family, mount, place.key, name, place.setting) if part)


def _variant(one: Mapping[str, Json]) -> _Sort:
    """A resource's type and block, and by which constants it is told from others of that type."""
    resource, block = RESOURCES.get(one["type"]), re.sub(r"_\d+$", "", one.get("name", "this"))
    state = one.get("change", {}).get("after") or one.get("change", {}).get("before") or {}
    told = _told_by(resource.variant(_values(resource, state))) if resource else frozenset()
    return one["type"], block, told


def _values(resource: Resource, state: Mapping[str, Json]) -> Callable[[Attribute], Json]:
    flat = flatten(resource, state)
    return lambda attribute: flat[attribute.terraform]


def _told_by(resource: Resource) -> frozenset[tuple[str, str]]:
    several = RESOURCES[resource.type].variants
    return frozenset((name, str(value)) for name, value in resource.constants.items() if several)


@dataclass(frozen=True)
class _Place:
    resource: Resource
    family: str
    system: bool
    key: str = ""
    named: bool = False
    setting: str = ""  # the one that makes it, where it is but a part of an object
    shut: Mapping[str, Json] = field(default_factory=dict)  # what an incident makes of it
    shut_only: Mapping[str, Spec] = field(default_factory=dict)  # of these, those that go beside other settings alone


def _places() -> Iterator[tuple[_Sort, _Place]]:
    for kind in CATALOG.values():
        if kind.mount:
            sort = (kind.mount.type, "this", _told_by(kind.mount))
            yield sort, _Place(kind.mount, kind.family_path, system=False)
        for one in kind.objects:
            key = "" if one.key == kind.name else one.key
            for part in one.parts:
                resource = part.resource
                sort = (resource.type, part.block, _told_by(resource.through or resource))
                beside_mounts = kind.family == "system"
                setting = "" if one.single else part.when
                shut = (one.shut, one.shut_only)
                yield sort, _Place(resource, kind.family_path, beside_mounts, key, not one.single, setting, *shut)


_PLACES = dict(_places())


class _Names:
    """What the ids in a plan are called in the YAML."""

    def __init__(self, plan: Mapping[str, Json]) -> None:
        self._plan = plan
        self._known: dict[str, dict[Json, str]] = {}

    def told(self, attribute: Attribute, value: Json) -> Json:
        if not attribute.field.by or value is None:
            return value
        known = self._of(attribute.field.by)
        return [known.get(one, one) for one in value] if isinstance(value, list) else known.get(value, value)

    def _of(self, taken: str) -> dict[Json, str]:
        if taken not in self._known:
            self._known[taken] = {
                state[taken]: _name(one)
                for one in _resources(self._plan)
                for state in (one["change"]["before"], one["change"]["after"])
                if state and isinstance(state.get(taken), str) and "index" in one
            }
        return self._known[taken]


def _settings(one: Mapping[str, Json], names: _Names) -> Iterator[Setting]:
    union = RESOURCES.get(one["type"])
    change = one["change"]
    if union is None or change["after"] is None:
        return
    place = _PLACES.get(_variant(one))
    if place and place.resource.through:
        yield from _carried(place.resource, place.resource.through, change)
        return
    resource = union.variant(_values(union, change["after"]))
    before, after = flatten(resource, change["before"]), flatten(resource, change["after"])
    unknown = flatten(resource, _marks(change.get("after_unknown")))
    for attribute in resource.attributes():
        if attribute.field.output:
            continue
        for found in _setting(attribute, before, after, unknown):
            yield replace(found, before=names.told(attribute, found.before), after=names.told(attribute, found.after))


def _carried(resource: Resource, through: Resource, change: Mapping[str, Json]) -> Iterator[Setting]:
    """What changes in an object that another resource carries as one document."""
    whole = next(one.terraform for one in through.attributes() if one.field.whole)
    before, after = (json.loads((change[side] or {}).get(whole) or "{}") for side in ("before", "after"))
    for attribute in resource.attributes():
        old, new = before.get(attribute.key), after.get(attribute.key)
        if not (same(attribute.shape, old, new) or _silent(attribute, old, new)):
            yield Setting(attribute.yaml, _told(attribute, old), _told(attribute, new))


def _marks(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _setting(
    attribute: Attribute, before: dict[str, Json], after: dict[str, Json], unknown: dict[str, Json]
) -> Iterator[Setting]:
    name, field = attribute.terraform, attribute.field
    if field.apart:
        return
    if field.secret:
        old, new = before[attribute.version], after[attribute.version]
        if old != new and new is not None:
            yield Setting(attribute.yaml, None if old is None else HIDDEN, HIDDEN)
    elif _is_unknown(unknown[name]):
        if not field.computed:
            yield Setting(attribute.yaml, _told(attribute, before[name]), UNKNOWN_YET)
    elif not (same(attribute.shape, before[name], after[name]) or _silent(attribute, before[name], after[name])):
        refused = field.lasting and not nothing(attribute.shape, before[name]) and nothing(attribute.shape, after[name])
        yield Setting(attribute.yaml, _told(attribute, before[name]), _told(attribute, after[name]), refused)


def _is_unknown(mark: Json) -> bool:
    return mark is True or (isinstance(mark, list) and True in mark)


def _told(attribute: Attribute, value: Json) -> Json:
    """A value as people write it in YAML."""
    is_duration = attribute.shape.canon is seconds
    return duration(seconds(value)) if is_duration and value is not None else value


def _silent(attribute: Attribute, before: Json, after: Json) -> bool:
    """Nothing to tell: not set before and after, or a new object with what everybody gets."""
    expected = nothing(attribute.shape, after) or same(attribute.shape, attribute.field.default, after)
    return nothing(attribute.shape, before) and (expected if before is None else nothing(attribute.shape, after))
