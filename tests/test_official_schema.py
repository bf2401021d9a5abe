"""The catalogue's resources are the official provider's: the same names, types, flags and nesting."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.catalog import RESOURCES
from orchestrator.terraform.provider.schema import resource_schema

if TYPE_CHECKING:
    from orchestrator.terraform.provider.contract import Attribute, Block

OFFICIAL = Path(
    os.environ.get("STRONGROOM_PROVIDER_SCHEMA", Path(__file__).parents[2] / "shared" / "reference")
).resolve()
FILE = OFFICIAL / "vault-provider-5.11.0.schema.json" if OFFICIAL.is_dir() else OFFICIAL
FLAGS = ("required", "optional", "computed", "sensitive", "write_only")


@pytest.fixture(scope="module")
def official() -> dict[str, Any]:
    if not FILE.exists():
        pytest.skip(
            f"no recorded schema of the official provider at {FILE.name}; name one in STRONGROOM_PROVIDER_SCHEMA"
        )
    resources: dict[str, Any] = json.loads(FILE.read_text())["resources"]
    return resources


def _attribute(attribute: Attribute) -> dict[str, Any]:
    return {"type": attribute.type, **{flag: True for flag in FLAGS if getattr(attribute, flag)}}


def declared(block: Block) -> dict[str, Any]:
    return {
        "attributes": {attribute.name: _attribute(attribute) for attribute in block.attributes},
        "blocks": {nested.name: (nested.nesting, nested.max_items, declared(nested.block)) for nested in block.blocks},
    }


def as_declared(block: dict[str, Any]) -> dict[str, Any]:
    return {
        "attributes": {
            name: {key: value for key, value in one.items() if key in ("type", *FLAGS)}
            for name, one in block["attributes"].items()
        },
        "blocks": {
            name: (one["nesting_mode"], one.get("max_items", 0), as_declared(one["block"]))
            for name, one in block.get("block_types", {}).items()
        },
    }


@pytest.mark.parametrize("name", RESOURCES)
def test_a_resource_is_the_official_one(name: str, official: dict[str, Any]) -> None:
    ours = resource_schema(RESOURCES[name])
    theirs = official[name]

    assert theirs.get("schema_version", 0) == ours.version
    assert as_declared(theirs) == declared(ours.block)
