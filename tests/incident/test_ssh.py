"""A leaked SSH certificate, key or CA is in the KRL; OpenSSH refuses it once it is loaded, and takes all others."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization

from orchestrator.errors import StrongroomError
from orchestrator.incident import krl
from orchestrator.live.server import Rejected
from tests.real.sshd import HOSTS, PEOPLE, certificate, new_key, running
from tests.support import needs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestrator.incident.run import Outcome
    from tests.incident.scene import Scene
    from tests.real.sshd import Host

pytestmark = pytest.mark.server
LOAD = "unproven till each host loads it: RevokedKeys in sshd_config"


@pytest.fixture
def scene(scene: Scene) -> Scene:
    scene.server.write("sys/mounts/ssh", {"type": "ssh"})
    scene.server.write("ssh/config/ca", {"generate_signing_key": True, "key_type": "ed25519"})
    for name, settings in (("people", PEOPLE), ("hosts", HOSTS)):
        scene.server.write(f"ssh/roles/{name}", {**settings, "max_ttl": "8h"})
    return scene


@pytest.fixture
def host(scene: Scene, tmp_path: Path) -> Iterator[Host]:
    def write(path: str, **data: Any) -> Mapping[str, Any]:  # noqa: ANN401 - any request
        return scene.server.write(f"ssh/{path}", data)

    with running(write, (scene.server.read("ssh/config/ca") or {})["public_key"].strip(), tmp_path / "sshd") as found:
        yield found


def load(scene: Scene, host: Host) -> None:
    """What a person does with the KRL of the incident."""
    shutil.copy(scene.folder / "revoked.krl", host.folder / "revoked.krl")


def gets_in(host: Host, *keys: Path) -> list[bool]:
    found = []
    for key in keys:
        done = host.log_in(key)
        assert done.returncode == 0 or "Permission denied (publickey)" in done.stderr, done.stderr
        found.append(done.stdout == "inside\n")
    return found


def signed(key: Path) -> serialization.SSHCertificate:
    found = serialization.load_ssh_public_identity(certificate(key).read_bytes())
    assert isinstance(found, serialization.SSHCertificate)
    return found


def printed(key: Path) -> str:
    content = base64.b64decode(key.with_suffix(".pub").read_text().split()[1])
    return f"SHA256:{base64.b64encode(hashlib.sha256(content).digest()).decode().rstrip('=')}"


def proof(outcome: Outcome) -> tuple[bool | None, str]:
    (found,) = outcome.proofs
    return found.dead, found.said


@pytest.mark.parametrize(
    "form", ["file:{certificate}", "file:{public}", "ssh:serial={serial}", "ssh:serial=0x{serial:x}", "{printed}"]
)
def test_a_leaked_certificate_is_refused_once_hosts_load_the_krl(scene: Scene, host: Host, form: str) -> None:
    leaked, other = host.certificate("ops", "leaked"), host.certificate("ops", "other")
    assert gets_in(host, leaked, other) == [True, True]

    value = form.format(
        certificate=certificate(leaked),
        public=leaked.with_suffix(".pub"),
        serial=signed(leaked).serial,
        printed=printed(leaked),
    )
    outcome = scene.cut(("ssh-key", value))
    dead, said = proof(outcome)
    load(scene, host)

    assert (outcome.code, outcome.cut.left, dead) == (2, {}, None)
    agreed = ", ssh-keygen agrees" if value.startswith("file:") else ""
    assert said == f"in revoked.krl{agreed}; {LOAD}"
    assert gets_in(host, leaked, other) == [False, True]


def test_a_key_id_refuses_all_certificates_that_have_it(scene: Scene, host: Host) -> None:
    leaked, other = host.certificate("ops", "leaked"), host.certificate("ops", "other")

    scene.cut(("ssh-key", f"ssh:id={signed(leaked).key_id.decode()}"))
    load(scene, host)

    assert gets_in(host, leaked, other) == [False, True]


def test_a_leaked_key_stays_out_with_a_new_certificate(scene: Scene, host: Host) -> None:
    leaked = host.certificate("ops")

    scene.cut(("ssh-key", f"file:{certificate(leaked)}"))
    load(scene, host)
    host.sign(leaked, "ops")

    assert gets_in(host, leaked) == [False]


def test_a_leaked_ca_lets_nobody_in_and_signs_nothing(scene: Scene, host: Host) -> None:
    keys = [host.certificate("ops", name) for name in ("one", "two")]
    assert gets_in(host, *keys) == [True, True]

    outcome = scene.cut(("ssh-key", "ssh"))
    load(scene, host)

    assert outcome.shut == ("secrets/ssh/roles/hosts", "secrets/ssh/roles/people")
    assert gets_in(host, *keys) == [False, False]
    with pytest.raises(Rejected):
        host.certificate("ops", "three")
    assert sorted(scene.undo()) == ["secrets/ssh/roles/hosts", "secrets/ssh/roles/people"]
    assert host.certificate("ops", "four").exists()


def test_what_hosts_refuse_already_stays_in_the_krl(scene: Scene, host: Host) -> None:
    before, leaked, other = (host.certificate("ops", name) for name in ("before", "leaked", "other"))
    theirs = host.folder / "theirs.krl"
    subprocess.run(
        [needs("ssh-keygen"), "-q", "-k", "-z", "7", "-f", theirs, certificate(before)], check=True, timeout=30
    )

    scene.cut(("ssh-key", f"file:{certificate(leaked)}"), krl=str(theirs))
    load(scene, host)

    assert krl.parse((scene.folder / "revoked.krl").read_bytes()).version == 8
    assert gets_in(host, before, leaked, other) == [False, False, True]


def test_run_again_and_resumed_the_krl_is_the_same(scene: Scene, host: Host) -> None:
    first, second = host.certificate("ops", "first"), host.certificate("ops", "second")
    scene.cut(("ssh-key", f"file:{certificate(first)}"))
    once = (scene.folder / "revoked.krl").read_bytes()

    scene.cut(("ssh-key", f"file:{certificate(first)}"))
    scene.resume()

    assert (scene.folder / "revoked.krl").read_bytes() == once
    scene.cut(("ssh-key", f"file:{certificate(second)}"))
    load(scene, host)
    assert gets_in(host, first, second) == [False, False]


def test_a_role_is_shut_and_what_lives_on_is_told(scene: Scene, host: Host) -> None:
    outcome = scene.cut(("role", "ssh/people"))

    assert outcome.code == 2
    assert [(one.title, one.dead) for one in outcome.proofs] == [
        ("SSH certificates by secrets/ssh/roles/people", None),
    ]
    (note,) = outcome.notes
    assert note == (
        "secrets/ssh/roles/people: the server keeps nothing of the SSH certificates that it gave out; those that are "
        "out live on for up to 8h, unproven: name those that you know by --ssh-key, to have them in a KRL"
    )
    for kind, name in (("user", "ops"), ("host", "127.0.0.1"), ("host", "")):
        new_key(host.folder / f"new-{kind}{name}")
        public = (host.folder / f"new-{kind}{name}.pub").read_text()
        with pytest.raises(Rejected):
            host.write("sign/people", public_key=public, cert_type=kind, valid_principals=name)
    assert scene.undo() == ["secrets/ssh/roles/people"]
    assert gets_in(host, host.certificate("ops")) == [True]


def test_one_time_passwords_are_cut_and_their_role_is_shut(scene: Scene) -> None:
    for name in ("doors", "gates"):
        scene.server.write(f"ssh/roles/{name}", {"key_type": "otp", "default_user": "ops", "cidr_list": "127.0.0.0/8"})
    leaked, other = (scene.server.write(f"ssh/creds/{one}", {"ip": "127.0.0.1"})["key"] for one in ("doors", "gates"))

    outcome = scene.cut(("role", "ssh/doors"))

    assert (outcome.code, outcome.cut.ended) == (0, 1)
    with pytest.raises(Rejected, match="OTP not found"):
        scene.server.write("ssh/verify", {"otp": leaked})
    assert scene.server.write("ssh/verify", {"otp": other})["username"] == "ops"
    with pytest.raises(Rejected, match="IP does not belong to role"):
        scene.server.write("ssh/creds/doors", {"ip": "127.0.0.1"})


def test_bad_words_are_told(scene: Scene) -> None:
    private, empty = scene.root / "private", scene.root / "empty"
    new_key(private)
    empty.write_text("# nothing\n")
    ways = "write file:PATH, MOUNT:serial=N, MOUNT:id=KEY-ID, SHA256:FINGERPRINT, or the MOUNT of a CA"
    said = {
        "ops": f"--ssh-key ops: {ways}; the mounts are: ssh",
        "ssh:serial=0": "--ssh-key ssh:serial=0: no serial that a KRL can hold; name it by MOUNT:id=KEY-ID",
        "ssh:serial=first": "--ssh-key ssh:serial=first: write the serial as 123, or as 0x1f in hex",
        "none:serial=1": "--ssh-key none:serial=1: there is no such mount; there are: ssh",
        "SHA256:abc": "--ssh-key SHA256:abc: no fingerprint of SHA-256; ssh-keygen -l prints one of a key",
        f"file:{private}": f"--ssh-key file:{private}: this is a private key; name the public file beside it",
        f"file:{empty}": f"--ssh-key file:{empty}: there is no key in it",
        "file:/none": "--ssh-key file:/none: there is no such file",
        f"file:{__file__}": f"--ssh-key file:{__file__}: this is no public key or certificate of OpenSSH",
    }
    for value, expected in said.items():
        with pytest.raises(StrongroomError) as wrong:
            scene.look(("ssh-key", value))
        assert str(wrong.value) == expected


def test_a_list_of_keys_is_no_krl(scene: Scene) -> None:
    keys = scene.root / "keys"
    new_key(keys)

    with pytest.raises(StrongroomError) as wrong:
        scene.look(("ssh-key", "ssh"), krl=str(keys.with_suffix(".pub")))

    assert str(wrong.value) == (
        f"--krl {keys}.pub: no KRL: it does not begin as one; ssh-keygen -k makes one of a list of keys"
    )
