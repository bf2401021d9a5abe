"""Raw documents, at their boundary: YAML, Terraform JSON and API replies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = Any
Spec = Mapping[str, Json]


def get(data: Json, dotted: str) -> Json:
    """The value at a dotted path, None where there is none.

    >>> get({"config": {"ttl": 5}}, "config.ttl"), get({}, "config.ttl")
    (5, None)
    """
    for part in dotted.split(".") if "." in dotted else (dotted,):
        if not isinstance(data, dict):
            return None
        data = data.get(part)
    return data


def put(body: dict[str, Json], dotted: str, value: Json) -> None:
    """Set the value at a dotted path, making maps on the way."""
    *parents, leaf = dotted.split(".")
    for parent in parents:
        body = body.setdefault(parent, {})
    body[leaf] = value
