"""What a plan may not do unless the command line names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from orchestrator.terraform.plan import Change

EVERYTHING = "all"
_SHARE = 5
_FEW = 5


def refusals(
    changes: Sequence[Change],
    managed: int,
    destroy: Collection[str],
    inside: Mapping[str, str],
    reopen: Collection[str] = (),
    *,
    many: bool,
) -> Iterator[str]:
    """Why the plan is refused, a sentence each; none: it may go ahead. `inside` are the environments of namespaces
    below this one's: {environment: namespace, seen from here}.
    """
    for one in changes:
        yield from _unnamed(one, destroy)
        yield from _impossible(one, inside)
        if one.opens and not any(_covers(name, one.title) for name in reopen):
            yield (
                f"{one.title} is shut, as an incident shuts it, and this would open it again; when it is over: "
                f"invoke incident.undo-close, or name it if you mean it: --reopen {one.title}"
            )
    for name in sorted(set(destroy) - {EVERYTHING}):
        if not any(one.destroys and _covers(name, one.title) for one in changes):
            yield f"--destroy {name}: the plan destroys no such object; name it as the plan does"
    touched = sum(one.action in ("update", "destroy", "replace") for one in changes)
    if not many and touched > max(_FEW, managed // _SHARE):
        yield f"{touched} of {managed} objects would change, more than a fifth; if you mean it: --many"


def _unnamed(one: Change, destroy: Collection[str]) -> Iterator[str]:
    if one.destroys and not any(_covers(name, one.title) for name in destroy):
        loses = f", and {one.loses}" if one.loses else ""
        yield f"{one.title} would be {_DONE[one.action]}{loses}; name it if you mean it: --destroy {one.title}"


def _impossible(one: Change, inside: Mapping[str, str]) -> Iterator[str]:
    """What the server would refuse half way, or what would take along more than it says."""
    if one.guard:
        yield f"{one.title} cannot be destroyed while {one.guard} is false; set it to true, apply, then destroy it"
    for setting in one.settings:
        if setting.refused:
            yield f"{one.title}: the server never takes {setting.name} back; leave it, or declare another object"
    for name, namespace in inside.items():
        if one.encloses and f"{namespace}/".startswith(f"{one.encloses}/"):
            yield f"{one.title} holds the environment {name}; take that environment's file away first"


def _covers(name: str, title: str) -> bool:
    """Whether a name on the command line means the object: itself, what stands on it, or everything.

    >>> _covers("secrets/apps", "secrets/apps/settings"), _covers("secrets/app", "secrets/apps")
    (True, False)
    """
    return name in (EVERYTHING, title) or ("/" in name and title.startswith(f"{name}/"))


_DONE = {"destroy": "destroyed", "replace": "destroyed and made anew"}
