"""Transit: what a key is for, there and back."""

from __future__ import annotations

import base64
import secrets
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.live.canaries.trial import Failed, Trial

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.declared import Declaration
    from orchestrator.documents import Json
    from orchestrator.live.canaries.trial import Mount
    from orchestrator.live.server import Server


def trials(mount: Mount) -> Iterator[Trial]:
    for key in mount.declared("keys"):
        yield Trial(key.title, "encrypt and decrypt, or sign and verify", partial(_prove, mount.server, key))


def _prove(server: Server, key: Declaration) -> None:
    live = server.read(f"{key.mount}/keys/{key.name}")
    if live is None:
        raise Failed("the key is not there")
    context = {"context": _random()} if live.get("derived") else {}
    if live.get("supports_encryption"):
        _encrypt(server, key, context)
    elif live.get("supports_signing"):
        _verify(server, key, "sign", "signature", context)
    else:
        _verify(server, key, "hmac", "hmac", context)


def _encrypt(server: Server, key: Declaration, context: Mapping[str, Json]) -> None:
    plain = _random()
    sealed = server.write(f"{key.mount}/encrypt/{key.name}", {"plaintext": plain, **context})["ciphertext"]
    opened = server.write(f"{key.mount}/decrypt/{key.name}", {"ciphertext": sealed, **context})["plaintext"]
    if opened != plain:
        raise Failed("what is decrypted is not what was encrypted")


def _verify(server: Server, key: Declaration, verb: str, result: str, context: Mapping[str, Json]) -> None:
    body = {"input": _random(), **context}
    proof = server.write(f"{key.mount}/{verb}/{key.name}", body)[result]
    if not server.write(f"{key.mount}/verify/{key.name}", {**body, result: proof})["valid"]:
        raise Failed(f"the {result} is not valid")
    other = {**body, "input": _random(), result: proof}
    if server.write(f"{key.mount}/verify/{key.name}", other)["valid"]:
        raise Failed(f"the {result} of one text is valid for another")


def _random() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()
