"""Whether a snapshot opens with the key of this cluster: asked before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cluster.seals import SEALS
from orchestrator.errors import Refused

if TYPE_CHECKING:
    from orchestrator.cluster.snapshots.find import Found
    from orchestrator.declared import Seal

_OTHER_KEY = "could not verify hash file"
_ADVICE = (
    "Restore it where its own key is: on nodes that declare the seal of that time, with that key still there. "
    "It cannot be forced: the nodes would not open what they got. To move to another seal, restore first, and then "
    "`invoke cluster.migrate-seal`"
)


def check(found: Found, seal: Seal, live: str) -> None:
    """Refused when it is known already that the keys differ; `live` is the seal that the nodes name, if they do."""
    was = found.manifest.seal if found.manifest else ""
    here = live or seal.kind
    if was and was != here:
        raise Refused(
            f"{found.file.name} is sealed by {was}, and these nodes by {here}: they cannot open it. {_ADVICE}"
        )
    keys = [str(seal.settings[name]) for name in SEALS[seal.kind].key_ids if name in seal.settings]
    if here == seal.kind and keys and found.meta.key_id not in keys:
        raise Refused(
            f"{found.file.name} is sealed by {here} with the key {found.meta.key_id}, and these nodes have "
            f"{', '.join(keys)}: they cannot open it. {_ADVICE}"
        )


def means(words: str, found: Found) -> str:
    """What a server's refusal of a snapshot means; empty when it is not about its key."""
    if _OTHER_KEY not in words:
        return ""
    return (
        f"{found.file.name} is whole, but sealed with another key than that of these nodes, though its name may be "
        f"the same: the server could not open its sums, and has changed nothing. {_ADVICE}"
    )
