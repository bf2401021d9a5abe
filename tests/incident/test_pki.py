"""A leaked certificate is in the CRL and refused by OCSP; a role's are those that it could have issued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from orchestrator.errors import StrongroomError
from orchestrator.incident.ground import Ground
from orchestrator.incident.kinds.pki import Issuer, issuers
from orchestrator.incident.look import blast
from orchestrator.incident.proofs.pki import List, crl_of, ocsp_of
from orchestrator.incident.scope import SORTS
from orchestrator.live.bulk import Line
from orchestrator.live.server import Rejected

if TYPE_CHECKING:
    from orchestrator.incident.run import Outcome
    from tests.incident.scene import Scene

pytestmark = pytest.mark.server
ROLE = {"allow_subdomains": True, "key_type": "ec", "max_ttl": "72h"}


def issue(scene: Scene, role: str = "web", name: str = "a.example.org", mount: str = "pki", **more: Any) -> Any:  # noqa: ANN401 - what the server answers
    return scene.server.write(f"{mount}/issue/{role}", {"common_name": name, **more})


def is_revoked(scene: Scene, serial: str, mount: str = "pki") -> bool:
    found = scene.server.read(f"{mount}/cert/{serial}") or {}
    return bool(found["revocation_time"])


def in_crl(scene: Scene, serial: str, mount: str = "pki") -> bool:
    crl = x509.load_der_x509_crl(scene.server.as_token("").fetch(f"{mount}/crl"))
    return crl.get_revoked_certificate_by_serial_number(int(serial.replace(":", ""), 16)) is not None


def role(scene: Scene, name: str, domain: str = "example.org", mount: str = "pki", **settings: Any) -> None:  # noqa: ANN401 - any setting
    scene.server.write(f"{mount}/roles/{name}", {**ROLE, "allowed_domains": [domain], **settings})


def root(scene: Scene, mount: str, **settings: Any) -> str:  # noqa: ANN401 - any setting
    scene.server.write(f"sys/mounts/{mount}", {"type": "pki", "config": {"max_lease_ttl": "87600h"}})
    made = scene.server.write(
        f"{mount}/root/generate/internal",
        {"common_name": f"{mount} CA", "ttl": "8760h", "key_type": "ec", **settings},
    )
    return str(made["serial_number"])


@pytest.fixture
def scene(scene: Scene) -> Scene:
    root(scene, "pki")
    role(scene, "web")
    return scene


def proofs(outcome: Outcome) -> list[tuple[str, bool | None]]:
    return [(one.title, one.dead) for one in outcome.proofs]


@pytest.mark.parametrize("settings", [{}, {"auto_rebuild": True}, {"auto_rebuild": True, "enable_delta": True}])
def test_one_certificate_is_in_the_crl_and_others_are_not(scene: Scene, settings: dict[str, bool]) -> None:
    scene.server.write("pki/config/crl", settings)
    leaked, other = (issue(scene)["serial_number"] for _ in range(2))

    outcome = scene.cut(("certificate", leaked))
    again = scene.cut(("certificate", leaked))

    assert [(one.code, one.cut.left) for one in (outcome, again)] == [(0, {})] * 2
    assert proofs(outcome) == proofs(again) == [("1 certificate", True), ("1 certificate of CN=pki CA", True)]
    assert outcome.proofs[1].said.endswith(" UTC; OCSP: revoked, signed")
    assert [in_crl(scene, one) for one in (leaked, other)] == [True, False]
    assert issue(scene)["serial_number"]  # no role is shut for one certificate


@pytest.mark.parametrize("form", ["{mount}:{serial}", "{serial}", "{bare}", "{dashes}", "{upper}", "file:{file}"])
def test_a_certificate_is_named_in_many_ways(scene: Scene, form: str) -> None:
    leaked, other = issue(scene), issue(scene)
    serial, file = leaked["serial_number"], scene.root / "leaked.pem"
    file.write_text(f"{leaked['private_key']}\n{leaked['certificate']}\n{leaked['issuing_ca']}\n")
    forms = {"bare": serial.replace(":", ""), "dashes": serial.replace(":", "-"), "upper": serial.upper()}

    outcome = scene.cut(("certificate", form.format(mount="pki", serial=serial, file=file, **forms)))

    assert outcome.code == 0
    assert [is_revoked(scene, one["serial_number"]) for one in (leaked, other)] == [True, False]
    assert not [one.name for one in scene.folder.iterdir() if "PRIVATE KEY" in one.read_text()]


def test_a_role_is_shut_and_what_it_could_have_issued_is_cut(scene: Scene) -> None:
    role(scene, "mail", "example.net")
    role(scene, "rsa", key_type="rsa", key_bits=2048)
    role(scene, "example-ou", ou=["Example"])
    role(scene, "clients", server_flag=False)
    role(scene, "people", "example.org", email_protection_flag=True)
    leaked = [issue(scene, name=f"{name}.example.org")["serial_number"] for name in "abc"]
    leaked.append(issue(scene, "clients")["serial_number"])  # a client's is one that web may issue too
    others = [
        issue(scene, "mail", "a.example.net")["serial_number"],
        *(issue(scene, one)["serial_number"] for one in ("rsa", "example-ou", "people")),
    ]
    before = scene.server.read("pki/roles/web")

    outcome = scene.cut(("role", "pki/web"))

    assert (outcome.code, outcome.cut.left) == (0, {})
    assert proofs(outcome) == [("4 certificates", True), ("4 certificates of CN=pki CA", True)]
    assert [is_revoked(scene, one) for one in leaked] == [True] * 4
    assert [is_revoked(scene, one) for one in others] == [False] * 4
    (note,) = outcome.notes
    assert note == (
        "the server does not tell which certificates came by secrets/pki/roles/web: all that it could have given out, "
        "by its settings as they are now, are cut, those of others among them"
    )
    with pytest.raises(Rejected, match="unable to find PKI issuer"):
        issue(scene)
    assert issue(scene, "mail", "a.example.net")["serial_number"]
    assert scene.undo() == ["secrets/pki/roles/web"]
    assert scene.server.read("pki/roles/web") == before
    assert issue(scene)["serial_number"]


def test_shut_and_cut_twice_a_role_comes_to_the_same(scene: Scene) -> None:
    leaked = issue(scene)["serial_number"]

    first, again, resumed = scene.cut(("role", "pki/web")), scene.cut(("role", "pki/web")), scene.resume()

    assert [(one.code, proofs(one)) for one in (first, again, resumed)] == [
        (0, [("1 certificate", True), ("1 certificate of CN=pki CA", True)])
    ] * 3
    assert is_revoked(scene, leaked)


def test_a_certificate_that_the_mount_does_not_keep_goes_by_its_file(scene: Scene) -> None:
    role(scene, "short", no_store=True)
    leaked, file = issue(scene, "short"), scene.root / "leaked.pem"
    file.write_text(leaked["certificate"])

    outcome = scene.cut(("certificate", f"file:{file}"))
    again = scene.cut(("certificate", f"file:{file}"))

    assert [(one.code, proofs(one)) for one in (outcome, again)] == [
        (0, [("1 certificate", True), ("1 certificate of CN=pki CA", True)])
    ] * 2
    assert in_crl(scene, leaked["serial_number"])


def test_what_a_role_gave_out_that_the_mount_does_not_keep_is_told(scene: Scene) -> None:
    role(scene, "short", "example.net", no_store=True, max_ttl="2h")

    assert scene.look(("role", "pki/short")).scope.notes[0] == (
        "secrets/pki/roles/short: the server keeps nothing of the certificates that it gave out; those that are out "
        "live on for up to 2h, unproven: name those that you have by --certificate file:PATH"
    )


def test_without_ocsp_the_crl_proves_it(scene: Scene) -> None:
    scene.server.write("pki/config/crl", {"ocsp_disable": True})
    outcome = scene.cut(("certificate", issue(scene)["serial_number"]))

    assert outcome.code == 0
    assert outcome.proofs[1].said.endswith("; OCSP: switched off")


def test_without_a_crl_ocsp_proves_it_and_without_both_nobody(scene: Scene) -> None:
    scene.server.write("pki/config/crl", {"disable": True})
    with_ocsp = scene.cut(("certificate", issue(scene)["serial_number"]))
    scene.server.write("pki/config/crl", {"disable": True, "ocsp_disable": True})
    with_none = scene.resume()

    assert (with_ocsp.code, with_ocsp.proofs[1].said) == (0, "pki has its CRL disabled; OCSP: revoked, signed")
    assert (with_none.code, with_none.proofs[1].said) == (2, "pki has its CRL disabled; OCSP: switched off")


def intermediate(scene: Scene) -> str:
    """A mount `issuing` whose issuer the root on `pki` signed; its serial."""
    scene.server.write("sys/mounts/issuing", {"type": "pki", "config": {"max_lease_ttl": "8760h"}})
    asked = scene.server.write(
        "issuing/intermediate/generate/internal", {"common_name": "issuing CA", "key_type": "ec"}
    )
    signed = scene.server.write(
        "pki/root/sign-intermediate", {"csr": asked["csr"], "common_name": "issuing CA", "ttl": "4000h"}
    )
    scene.server.write("issuing/intermediate/set-signed", {"certificate": signed["certificate"]})
    role(scene, "web", mount="issuing")
    return str(signed["serial_number"])


def test_a_leaked_issuer_signs_nothing_and_its_parent_lists_it(scene: Scene) -> None:
    serial = intermediate(scene)
    below = issue(scene, mount="issuing")["serial_number"]

    outcome = scene.cut(("certificate", serial))
    again = scene.cut(("certificate", serial))

    assert outcome.shut == ("secrets/issuing/roles/web",)
    assert [(one.code, one.cut.left) for one in (outcome, again)] == [(2, {})] * 2
    assert [(dead, title) for title, dead in proofs(outcome) if dead is not True] == [(None, "CN=issuing CA")]
    assert ("1 certificate of CN=pki CA", True) in proofs(outcome)
    assert in_crl(scene, serial)
    with pytest.raises(Rejected):
        issue(scene, mount="issuing")
    assert not is_revoked(scene, below, "issuing")
    assert issue(scene)["serial_number"]
    assert "CN=issuing CA: whoever has its key signs what nobody sees here" in outcome.notes[0]


def test_a_leaked_root_is_a_matter_of_trust_stores(scene: Scene) -> None:
    serial = str(next(iter((scene.server.read("pki/issuers/") or {})["key_info"].values()))["serial_number"])

    outcome = scene.cut(("certificate", f"pki:{serial}"))

    assert outcome.code == 2
    assert outcome.notes[1] == "CN=pki CA is a root: no list can revoke it, only the trust stores"
    with pytest.raises(Rejected):
        issue(scene)


def test_of_two_issuers_each_has_its_own_list(scene: Scene) -> None:
    root(scene, "second")
    role(scene, "web", mount="second")
    leaked = issue(scene, mount="second")["serial_number"]

    assert scene.cut(("certificate", leaked)).code == 0
    assert (in_crl(scene, leaked, "second"), in_crl(scene, leaked, "pki")) == (True, False)


def test_bad_words_are_told(scene: Scene) -> None:
    empty, foreign = scene.root / "empty.pem", scene.root / "key.pem"
    empty.write_text("nothing")
    foreign.write_text(issue(scene)["private_key"])
    said = {
        "zz": "--certificate zz: write a serial such as 1f:0a:.., MOUNT:SERIAL, or file:PATH",
        "1f:0a": "--certificate 1f:0a: no mount keeps it: pki; it is tidied away, or its role keeps none: then name it "
        "by file:PATH",
        f"file:{empty}": f"--certificate file:{empty}: there is no certificate in PEM in it",
        f"file:{foreign}": f"--certificate file:{foreign}: this is a private key; name the public file beside it",
        "file:/none": "--certificate file:/none: there is no such file",
    }
    for value, expected in said.items():
        with pytest.raises(StrongroomError) as wrong:
            scene.look(("certificate", value))
        assert str(wrong.value) == expected


def test_a_stranger_is_told(scene: Scene) -> None:
    root(scene, "elsewhere")
    role(scene, "web", mount="elsewhere")
    leaked, file = issue(scene, mount="elsewhere"), scene.root / "leaked.pem"
    file.write_text(leaked["certificate"])
    scene.server.delete("sys/mounts/elsewhere")

    with pytest.raises(StrongroomError) as stranger:
        scene.look(("certificate", f"file:{file}"))

    assert str(stranger.value) == (
        f"--certificate file:{file}: CN=elsewhere CA issued it, and is no issuer on this server"
    )


def test_an_expired_one_is_told(scene: Scene) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.example.org")])
    asked = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    csr = asked.public_bytes(serialization.Encoding.PEM).decode()
    role(scene, "past", not_after="2020-01-01T00:00:00Z")
    serial = scene.server.write("pki/sign/past", {"csr": csr, "common_name": "a.example.org"})["serial_number"]

    with pytest.raises(StrongroomError) as wrong:
        scene.look(("certificate", serial))

    assert str(wrong.value) == f"--certificate {serial}: it expired on 2020-01-01 00:00 UTC: nobody takes it"


def test_what_is_recorded_tells_which_of_two_roles_alike_gave_it_out(scene: Scene) -> None:
    role(scene, "twin")
    own, other, unknown = (issue(scene, name)["serial_number"] for name in ("web", "twin", "web"))
    recorded = {f"pki:{own}": True, f"pki:{other}": False}
    line = Line(scene.server.address, scene.running.token)
    ground = Ground(scene.server, line, {}, told=lambda one: recorded.get(one.id))

    found = blast(ground, SORTS["role"](ground, "pki/web"))

    assert sorted(one.id for one in found.credentials) == sorted((f"pki:{own}", f"pki:{unknown}"))
    assert found.requests == 1 + 4  # the list, and each of it


def test_a_list_or_an_answer_that_the_issuer_did_not_sign_proves_nothing(scene: Scene) -> None:
    root(scene, "second")
    leaked = issue(scene)["serial_number"]
    scene.cut(("certificate", leaked))
    ground = Ground(scene.server, Line(scene.server.address, scene.running.token), {})
    (own,), (stranger,) = issuers(ground, "pki"), issuers(ground, "second")
    forged = Issuer("pki", own.id, stranger.certificate)
    serial = int(leaked.replace(":", ""), 16)

    assert serial in crl_of(ground, own, {}).revoked
    assert crl_of(ground, forged, {}) == List(
        wrong=f"the CRL at pki/issuer/{own.id}/crl/der is not signed by its issuer"
    )
    assert ocsp_of(scene.server.as_token(""), own, serial) == "revoked, signed"
    assert ocsp_of(scene.server.as_token(""), forged, serial) == "its answer is not signed by the issuer"
