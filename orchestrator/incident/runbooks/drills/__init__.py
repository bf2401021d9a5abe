"""Drills: each module plants one leak, or one fault, on a throw-away server."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.incident.runbooks.drills.stage import Planted, Stage

_SHARED = {"stage"}


def names() -> set[str]:
    """The drills that there are, as runbooks name them."""
    return {one.name.replace("_", "-") for one in iter_modules(__path__) if one.name not in _SHARED}


def planter(name: str) -> Callable[[Stage], Planted]:
    """What plants the leak of a drill."""
    found: Callable[[Stage], Planted] = import_module(f"{__name__}.{name.replace('-', '_')}").plant
    return found
