"""Old versions of a transit key tried again: their ciphertext, their signature and their HMAC are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.incident.model import Proof
from orchestrator.live.server import Denied, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.documents import Json
    from orchestrator.incident.ground import Ground
    from orchestrator.incident.model import Credential
    from orchestrator.live.server import Server

_CANARY = "c3Ryb25ncm9vbS1jYW5hcnk="  # strongroom-canary
_CONTEXT = "c3Ryb25ncm9vbQ=="
_MAKE = {"ciphertext": ("encrypt", "plaintext"), "signature": ("sign", "input"), "hmac": ("hmac", "input")}
_TRY = {"ciphertext": "decrypt", "signature": "verify", "hmac": "verify"}
_OLD = "disallowed by policy"


def made(ground: Ground, one: Credential) -> dict[str, Json]:
    """What this version makes of a text that says nothing, while it still may: whatever its type is good for."""
    server = ground.inside(one.namespace).server
    live = server.read(f"{one.facts['mount']}/keys/{one.facts['key']}") or {}
    context = {"context": _CONTEXT} if live.get("derived") else {}
    made_by = ((what, _made(server, one.facts, what, context)) for what in _MAKE if _is_for(what, live))
    return {"canaries": {what: text for what, text in made_by if text}, **context}


def _is_for(what: str, live: Mapping[str, Json]) -> bool:
    if what == "hmac":
        return not live.get("derived")
    return bool(live.get({"ciphertext": "supports_encryption", "signature": "supports_signing"}[what]))


def _made(server: Server, key: Mapping[str, Json], what: str, context: Mapping[str, Json]) -> str:
    """Empty where it cannot be made: the caller may not, or the version makes nothing already."""
    verb, name = _MAKE[what]
    body = {name: _CANARY, "key_version": key["version"], **context}
    try:
        return str(server.write(f"{key['mount']}/{verb}/{key['key']}", body).get(what) or "")
    except (Denied, Rejected):
        return ""


def refused(ground: Ground, versions: Sequence[Credential]) -> Iterator[Proof]:
    """One proof for all ciphertexts, signatures and HMACs that are refused, one for each that is not."""
    tried = [(one, what, _tried(ground, one, what)) for one in versions if one.end for what in _canaries(one)]
    for one, what, said in tried:
        if _OLD not in said:
            yield Proof(what, f"{what} of {one.id}", dead=None if said else False, said=said or "it is still accepted")
    for what in _MAKE:
        count = sum(name == what and _OLD in said for _, name, said in tried)
        if count:
            said = f"made before, tried again: {next(said for _, name, said in tried if name == what and _OLD in said)}"
            yield Proof(what, f"{count} old {what}{'s' if count > 1 else ''}", dead=True, said=said, count=count)
    bare = [one.id for one in versions if one.end and not _canaries(one)]
    if bare:
        said = "nothing was made by it that could be tried: it made nothing already, or your token may not"
        yield Proof("key version", ", ".join(bare), dead=None, said=said)


def _canaries(one: Credential) -> Mapping[str, str]:
    found: Mapping[str, str] = one.facts.get("canaries") or {}
    return found


def _tried(ground: Ground, one: Credential, what: str) -> str:
    """How the server refuses what an old version made, empty where it does not."""
    key, context = one.facts, {name: one.facts[name] for name in ("context",) if name in one.facts}
    body = {what: _canaries(one)[what], **({} if what == "ciphertext" else {"input": _CANARY}), **context}
    try:
        ground.inside(one.namespace).server.write(f"{key['mount']}/{_TRY[what]}/{key['key']}", body)
    except Rejected as error:
        return error.words
    except Denied:
        return "your token may not try it"
    return ""
