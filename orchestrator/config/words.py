"""The words that schemas and messages share."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from orchestrator.shapes import REFERENCE_PATTERN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.documents import Json

MAP_OF_SETTINGS = "a map of settings"
MAP_TO_SETTINGS = "a map from name to settings"
A_REFERENCE = "a reference: env:NAME, file:PATH, kv:PATH#FIELD or cmd:COMMAND"
A_LITERAL = f"a literal secret; write {A_REFERENCE}"
SECRET = {"type": "string", "pattern": REFERENCE_PATTERN, "writeOnly": True}
_FIRST = f"{{generate: N}}, so many random characters, or {A_REFERENCE}"
SEED = {  # what a field of a secret begins as
    "if": {"type": "object"},
    "then": {
        "type": "object",
        "additionalProperties": False,
        "required": ["generate"],
        "properties": {
            "generate": {
                "type": "integer",
                "minimum": 16,
                "maximum": 256,
                "writeOnly": True,
                "description": "a whole number from 16 to 256",
            }
        },
        "description": "a map with generate",
    },
    "else": {**SECRET, "description": _FIRST},
    "description": _FIRST,
}
FEW = 12


A_SIGNER: dict[str, Json] = {
    "type": "string",
    "pattern": "^(transit:[^/\\s]+(/[^/\\s]+)+|file:.+)$",
    "description": "transit:MOUNT/KEY, or file:PATH of an ed25519 private key",
}


def closed(properties: dict[str, Json], description: str, required: Iterable[str] = ()) -> dict[str, Json]:
    """The schema of a map with these settings and no others."""
    schema = {"type": "object", "additionalProperties": False, "properties": properties, "description": description}
    return {**schema, "required": list(required)} if required else schema


def is_reference(value: Json) -> bool:
    r"""Whether it names a secret, in one line.

    >>> is_reference("env:DB_PASSWORD"), is_reference("hunter2"), is_reference("env:A\n")
    (True, False, False)
    """
    return isinstance(value, str) and bool(re.fullmatch(REFERENCE_PATTERN, value))


def meant(word: str, known: Iterable[str]) -> str:
    """What to write in place of a word that is none of the known ones.

    >>> meant("aprole", ["approle", "jwt"]), meant("x", ["approle", "jwt"]), meant("x", [])
    ("did you mean 'approle'?", 'known: approle, jwt', 'none is declared')
    """
    names = sorted(known)
    if close := get_close_matches(word, names, 1):
        return f"did you mean {close[0]!r}?"
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return f"known: {', '.join(names[:FEW])}{more}" if names else "none is declared"
