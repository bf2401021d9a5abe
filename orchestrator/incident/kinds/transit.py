"""A leaked transit key: a new version takes over, and old ones are refused where they were named.

Whatever was encrypted under a version that is refused cannot be read, nor be rewrapped: so none is unless it is named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.incident.kinds import said
from orchestrator.incident.model import Close, Credential, Gone, Look, Scope
from orchestrator.live.bulk import Ask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.documents import Json
    from orchestrator.incident.ground import Ground

_FLAG = "--transit-key"
_PROOF = "orchestrator.incident.proofs.transit"


def pin(ground: Ground, mounts: Sequence[str], value: str) -> str:
    """With the version that is the last one now, so that a rotation of ours is not taken for a leak."""
    named = said.versions(_FLAG, value, mounts)
    _, live = _key(ground, named)
    return value if named.named or named.upto else f"{value}@..{live['latest_version']}"


def scope(ground: Ground, mounts: Sequence[str], value: str) -> Scope:
    """The key's versions up to the leaked one."""
    named = said.versions(_FLAG, value, mounts)
    path, live = _key(ground, named)
    leaked = max(named.named) if named.named else named.upto or int(live["latest_version"])
    if leaked > int(live["latest_version"]):
        raise Gone(f"{_FLAG} {value}: there is no version {leaked}; the last one is {live['latest_version']}")
    title = f"secrets/{named.mount}/keys/{named.path}"
    return Scope(
        closes=_closes(ground, title, path, leaked),
        singles=tuple(
            _version(ground, title, path, number, leaked if named.named else 0) for number in range(1, leaked + 1)
        ),
        notes=(_note(title, leaked, named),),
    )


def _key(ground: Ground, named: said.Versions) -> tuple[str, Mapping[str, Json]]:
    path = f"{named.mount}/keys/{named.path}"
    live = ground.server.read(path)
    if live is None:
        known = ", ".join(ground.server.list(f"{named.mount}/keys")) or "none"
        raise Gone(f"{_FLAG} {named.mount}/{named.path}: there is none; those on {named.mount} are: {known}")
    return path, live


def _closes(ground: Ground, title: str, path: str, leaked: int) -> tuple[Close, ...]:
    """A new version, and nothing made by an old one; an undo also puts back what the cut raises."""
    after = leaked + 1
    turned = Close(
        title,
        ground.namespace,
        path,
        {"latest_version": after},
        f"a new version follows version {leaked}",
        to=f"{path}/rotate",
        least=True,
        needed=True,
        lasting=True,
    )
    least = Close(
        title,
        ground.namespace,
        path,
        {"min_encryption_version": after},
        f"nothing is encrypted, signed or authenticated by version {leaked} or an older one",
        to=f"{path}/config",
        least=True,
        needed=True,
        keeps=("min_decryption_version",),
    )
    return turned, least


def _version(ground: Ground, title: str, path: str, number: int, refused: int) -> Credential:
    """One version; `refused` is the last one that is to be refused, 0 where none is."""
    mount, _, key = path.partition("/keys/")
    body = {"min_decryption_version": refused + 1}
    return Credential(
        "key version",
        f"{mount}/{key}@{number}",
        ground.namespace,
        title,
        Ask("POST", f"{path}/config", body, ground.namespace) if refused else None,
        Look(Ask("GET", path, None, ground.namespace), past="data.min_decryption_version", version=number),
        facts={"mount": mount, "key": key, "version": number},
        proof=f"{_PROOF}:refused",
        plant=f"{_PROOF}:made",
        stays="" if refused else f"rewrap what it encrypted, then name it: {_FLAG} {mount}/{key}@{number}",
    )


def _note(title: str, leaked: int, named: said.Versions) -> str:
    last = f"{named.mount}/{named.path}@{leaked}"
    if named.named:
        return (
            f"{title}: what is encrypted under version {leaked} or an older one CANNOT BE READ afterwards, and what is "
            "signed by it is not accepted, till somebody undoes it; it cannot be rewrapped then either"
        )
    return (
        f"{title}: version {leaked} and older ones go on to decrypt and to verify, so that nothing is lost: rewrap "
        f"what is encrypted, then have them refused with {_FLAG} {last}"
    )
