"""TOTP: the server's codes are those of RFC 6238, and no key of it comes near Terraform."""

from __future__ import annotations

import base64
import hmac
import secrets
import struct
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.errors import Refused
from tests.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.local.stack import Stack

pytestmark = pytest.mark.server


@pytest.fixture
def bench(stack: Stack, tmp_path: Path) -> Iterator[Bench]:
    with Bench.on(stack, tmp_path, "totp") as found:
        yield found


DECLARED: dict[str, Any] = {"issuer": "Example", "account_name": "ada@example.org", "algorithm": "SHA256", "digits": 8}


def code(key: bytes, moment: float, digits: int) -> str:
    """The code of a moment, as RFC 6238 has it, with SHA-256 and 30 s."""
    digest = hmac.digest(key, struct.pack(">Q", int(moment) // 30), "sha256")
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def test_rfc_6238_gives_its_own_example() -> None:
    assert code(b"12345678901234567890123456789012", 1111111109, 8) == "68084774"


def test_the_servers_code_is_the_one_computed_here(bench: Bench) -> None:
    """A key that somebody brought stays as it stands: only they know it."""
    key = secrets.token_bytes(32)
    bench.api.call("POST", f"sys/mounts/{bench.mount}", {"type": "totp"})
    bench.write("keys/ada", **DECLARED, generate=False, key=base64.b32encode(key).decode())
    report = bench.one(type="totp", keys={"ada": DECLARED})
    found = bench.read("code/ada")

    assert report.plan.left == (f"secrets/{bench.mount}/keys/ada",)
    assert found["code"] == code(key, found["generated"], 8)


def test_a_key_that_the_server_makes_proves_itself_and_stays_there(bench: Bench) -> None:
    report = bench.one(type="totp", keys={"ada": DECLARED})

    assert [proof.title for proof in report.proofs] == [f"secrets/{bench.mount}/keys/ada"]
    assert "otpauth" not in bench.state()
    assert "barcode" not in bench.state()


def test_another_setting_would_make_another_key_and_needs_to_be_named(bench: Bench) -> None:
    bench.one(type="totp", keys={"ada": DECLARED})
    bench.declare({bench.mount: {"type": "totp", "keys": {"ada": {**DECLARED, "period": "60s"}}}})

    with pytest.raises(Refused, match="keys/ada would be destroyed and made anew, and the key is lost for good"):
        bench.apply()
