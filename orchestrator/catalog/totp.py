"""TOTP: one-time codes, made and checked by the server, which alone knows the keys."""

from __future__ import annotations

from orchestrator.catalog.shared import SECRETS_MOUNT
from orchestrator.catalog.system import ENDPOINT
from orchestrator.model import Field, Kind, Object, Part, Resource
from orchestrator.shapes import FLAG, NUMBER, SECONDS, TEXT, Shape, choice


def _one_of(*numbers: int) -> Shape:
    """A number out of a closed list."""
    return Shape(
        "number",
        {"enum": list(numbers)},
        f"one of {', '.join(map(str, numbers))}",
        lambda value: value or 0,
        lambda value: value,
        0,
    )


_KEY = Resource(
    type=ENDPOINT.type,  # the official provider has no type of its own for these
    path="{backend}/keys/{name}",
    mount="backend",
    name="name",
    constants={"generate": True, "exported": False},  # no answer holds the key, so that none reaches the state
    fields={
        "issuer": Field(TEXT, required=True, replace=True),
        "account_name": Field(TEXT, required=True, replace=True),
        "algorithm": Field(choice("SHA1", "SHA256", "SHA512"), default="SHA1", replace=True),
        "digits": Field(_one_of(6, 8), default=6, replace=True),
        "period": Field(SECONDS, default="30s", replace=True),
        "skew": Field(_one_of(0, 1), default=1, readable=False, replace=True),
        "key_size": Field(NUMBER, default=20, readable=False, replace=True),
        "generate": Field(FLAG, yaml=False, readable=False),
        "exported": Field(FLAG, yaml=False, readable=False),
    },
    through=ENDPOINT,
    adopt="leave",  # another write would make another key
    loses="the key is lost for good: its codes are valid no more",
)

TOTP = Kind(
    name="totp",
    family="secrets",
    inward=True,
    canary="orchestrator.live.canaries.totp:trials",
    summary="One-time codes, made and checked by the server, which alone knows the keys.",
    mount=SECRETS_MOUNT,
    objects=(
        Object(
            key="keys",
            list="{mount}/keys",
            required=("issuer", "account_name"),
            parts=(Part(_KEY, block="totp_keys"),),
        ),
    ),
    example={
        "type": "totp",
        "keys": {
            "payouts": {
                "issuer": "Example",
                "account_name": "payouts@example.org",
                "algorithm": "SHA256",
                "digits": 8,
                "period": "60s",
            }
        },
    },
)
