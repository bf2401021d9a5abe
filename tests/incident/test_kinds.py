"""Of each kind: killed at any line it is finished by the next run, and whoever is on call needs no root for it."""

from __future__ import annotations

import base64
import hashlib
import signal
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.commands.check import incident_rights
from orchestrator.incident import krl
from orchestrator.incident.journal import FILE, read
from tests.incident.scene import NAME, Scene
from tests.incident.test_resume import killed

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.local.stack import Stack

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("namespaces")]
DECLARED: dict[str, Any] = {
    "secrets": {
        "apps": {"type": "kv-v2"},
        "pki": {"type": "pki", "root": {"common_name": "Example CA", "ttl": "8760h"}, "max_lease_ttl": "8760h"},
        "ssh": {"type": "ssh", "ca": {}},
        "transit": {"type": "transit"},
    }
}
PRINT = f"SHA256:{base64.b64encode(hashlib.sha256(b'').digest()).decode().rstrip('=')}"
TARGETS = {
    "certificate": "pki/web",
    "kv": "apps/payments/db@1",
    "ssh-key": PRINT,
    "transit-key": "transit/orders@1",
}


@pytest.fixture
def scene(stack: Stack, tmp_path: Path) -> Scene:
    return fresh(stack, tmp_path)


def fresh(stack: Stack, root: Path) -> Scene:
    """One mount of each kind, with two things of each that could leak."""
    found = Scene.on(stack, root, DECLARED)
    write = found.server.write
    write("sys/mounts/apps", {"type": "kv", "options": {"version": "2"}})
    for kind in ("pki", "ssh", "transit"):
        write(f"sys/mounts/{kind}", {"type": kind, "config": {"max_lease_ttl": "87600h"}})
    write("pki/root/generate/internal", {"common_name": "Example CA", "ttl": "8760h", "key_type": "ec"})
    write("pki/config/crl", {"auto_rebuild": True})
    write("ssh/config/ca", {"generate_signing_key": True, "key_type": "ed25519"})
    for name, domain in (("web", "example.org"), ("mail", "example.net")):
        role = {"allowed_domains": [domain], "allow_subdomains": True, "key_type": "ec", "max_ttl": "72h"}
        write(f"pki/roles/{name}", role)
        write(f"pki/issue/{name}", {"common_name": f"a.{domain}"})
    for name in ("orders", "other"):
        write(f"transit/keys/{name}", {})
    for name in ("payments", "orders"):
        write(f"apps/data/{name}/db", {"data": {"password": "canary"}})
    return found


def target(sort: str) -> tuple[str, str]:
    return ("role" if sort == "certificate" else sort, TARGETS[sort])


def state(scene: Scene, sort: str) -> Any:  # noqa: ANN401 - whatever tells that one is dead and the other lives
    """What of each of the two lives, but for times and for what is chosen at random."""
    read_ = scene.server.read
    if sort == "certificate":
        serials = scene.server.list("pki/certs")
        return sum(bool((read_(f"pki/cert/{one}") or {})["revocation_time"]) for one in serials), len(serials)
    if sort == "kv":
        return [
            (read_(f"apps/metadata/{one}/db") or {})["versions"]["1"]["destroyed"] for one in ("payments", "orders")
        ]
    if sort == "transit-key":
        keys = [read_(f"transit/keys/{one}") or {} for one in ("orders", "other")]
        return [(one["latest_version"], one["min_encryption_version"], one["min_decryption_version"]) for one in keys]
    return krl.parse((scene.folder / "revoked.krl").read_bytes()).entries()


ENDS: dict[str, Any] = {
    "certificate": (1, 3),
    "kv": [True, False],
    "ssh-key": {krl.Entry("print", b"", hashlib.sha256(b"").digest())},
    "transit-key": [(2, 2, 2), (1, 0, 1)],
}


@pytest.mark.parametrize("sort", TARGETS)
def test_killed_at_any_line_it_is_finished(stack: Stack, tmp_path: Path, scene: Scene, sort: str) -> None:
    whole = scene.cut(target(sort))
    steps = [one.what for one in read(scene.folder / FILE)]

    assert (state(scene, sort), whole.cut.left) == (ENDS[sort], {})
    for line in range(1, len(steps) + 1):
        again = fresh(stack, tmp_path / str(line))
        assert killed(again, line, target(sort)) == -signal.SIGKILL
        outcome = again.resume()

        assert (outcome.code, outcome.cut.left, state(again, sort)) == (whole.code, {}, ENDS[sort]), steps[:line]
        assert [(one.title, one.dead) for one in outcome.proofs] == [(one.title, one.dead) for one in whole.proofs]


@pytest.mark.parametrize("sort", TARGETS)
def test_the_printed_rights_are_enough(scene: Scene, sort: str) -> None:
    scene.server.write("sys/policies/acl/on-call", {"policy": incident_rights(scene.root, NAME)})

    outcome = scene.cut(target(sort), token=scene.token("on-call"))

    assert ([one.text for one in scene.shown[-1].problems if one.stops], outcome.cut.left) == ([], {})
    assert state(scene, sort) == ENDS[sort]
    assert all(one.dead is not False for one in outcome.proofs)
