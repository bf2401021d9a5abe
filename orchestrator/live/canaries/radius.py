"""RADIUS: a stranger is refused by an answer that only who shares the secret can give."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from orchestrator.live.canaries.login import prove_stranger_refused
from orchestrator.live.canaries.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.live.canaries.trial import Mount

_WHAT = "a stranger is refused by the RADIUS server, which shares the secret (no real login)"
_REFUSED = "access denied by the authentication server"


def trials(mount: Mount) -> Iterator[Trial]:
    for one in mount.declared("config"):
        yield Trial(one.title, _WHAT, partial(prove_stranger_refused, mount.server, mount.name, _REFUSED))
