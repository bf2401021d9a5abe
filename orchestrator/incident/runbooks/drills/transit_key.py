"""A transit key leaked: what it encrypted is rewrapped first, and then the old version is refused."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from orchestrator.incident.runbooks.drills.stage import Life, Planted
from orchestrator.live.server import Rejected

if TYPE_CHECKING:
    from orchestrator.incident.runbooks.drills.stage import Stage

TEXT = base64.b64encode(b"an order").decode()
RECORDS = 20


def plant(stage: Stage) -> Planted:
    """Two keys with records; a thief has the one key and a copy of its records."""
    stage.server.write("sys/mounts/transit", {"type": "transit"})
    for key in ("orders", "invoices"):
        stage.server.write(f"transit/keys/{key}", {"type": "aes256-gcm96"})
    records = [_encrypted(stage, "orders") for _ in range(RECORDS)]
    kept = list(records)

    def rewrap() -> None:
        for number, one in enumerate(records):
            records[number] = str(stage.server.write("transit/rewrap/orders", {"ciphertext": one})["ciphertext"])

    leaked = [_life(stage, "orders", [one], 0, "ciphertext") for one in kept]
    whole = [_life(stage, "orders", records, number, "record") for number in range(RECORDS)]
    others = [_life(stage, "invoices", [_encrypted(stage, "invoices")], 0, "ciphertext") for _ in range(RECORDS)]
    answers = {"mount": "transit", "key": "orders", "version": "1"}
    hands = {"bao write transit/rewrap/orders ciphertext=-": rewrap}
    return Planted(leaked, [*whole, *others, *stage.bystanders(1)], answers, hands)


def _encrypted(stage: Stage, key: str) -> str:
    return str(stage.server.write(f"transit/encrypt/{key}", {"plaintext": TEXT})["ciphertext"])


def _life(stage: Stage, key: str, records: list[str], number: int, what: str) -> Life:
    """What is encrypted lives as long as the server decrypts it; `records` change when they are rewrapped."""

    def lives() -> bool:
        try:
            found = stage.server.write(f"transit/decrypt/{key}", {"ciphertext": records[number]})
        except Rejected as error:
            if "too old" in error.words:
                return False
            raise
        return bool(found["plaintext"] == TEXT)

    return Life(what, lives)
