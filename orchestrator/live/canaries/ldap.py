"""LDAP: the directory answers, over the TLS that is declared, and lets no stranger in."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from orchestrator.live.canaries.login import prove_stranger_refused
from orchestrator.live.canaries.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.live.canaries.trial import Mount

_WHAT = "the directory answers and refuses a stranger (no real login, and no proof of binddn)"
_REFUSED = "failed to bind as user"  # what the server says as well when its own account may not bind


def trials(mount: Mount) -> Iterator[Trial]:
    for one in mount.itself:
        yield Trial(one.title, _WHAT, partial(prove_stranger_refused, mount.server, mount.name, _REFUSED))
