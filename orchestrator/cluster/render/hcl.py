"""HCL as servers read it: one attribute a line, blocks with their labels."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.documents import Json


@dataclass(frozen=True)
class Block:
    """`name "label" { ... }`, with its attributes before its blocks."""

    name: str
    labels: tuple[str, ...] = ()
    attributes: Mapping[str, Json] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()


def text(attributes: Mapping[str, Json], blocks: Sequence[Block]) -> str:
    """A whole file.

    >>> print(text({"ui": True}, [Block("seal", ("static",), {"current_key_id": "k1"})]), end="")
    ui = true
    <BLANKLINE>
    seal "static" {
      current_key_id = "k1"
    }
    """
    return "\n".join([*_attributes(attributes), *(line for one in blocks for line in ("", *_block(one)))]) + "\n"


def _block(block: Block) -> Iterator[str]:
    yield " ".join([block.name, *(json.dumps(label) for label in block.labels), "{"])
    inside = [*_attributes(block.attributes), *(line for one in block.blocks for line in _block(one))]
    yield from (f"  {line}" for line in inside)
    yield "}"


def _attributes(attributes: Mapping[str, Json]) -> list[str]:
    widest = max(map(len, attributes), default=0)
    return [f"{name:{widest}} = {json.dumps(value, ensure_ascii=False)}" for name, value in attributes.items()]
