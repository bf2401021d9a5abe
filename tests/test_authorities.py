"""Authorities on a real server: chains of them, one that an outside CA signs, and their issuers' settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from orchestrator.errors import Refused
from tests.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.local.stack import Stack

pytestmark = pytest.mark.server

WEB = {"web": {"allowed_domains": ["example.org"], "allow_subdomains": True}}


@pytest.fixture
def bench(stack: Stack, tmp_path: Path) -> Iterator[Bench]:
    with Bench.on(stack, tmp_path, "pki") as found:
        yield found


def declare(bench: Bench, **mounts: dict[str, Any]) -> Bench:
    """PKI mounts by the last word of their path, which is how they name each other too."""
    found = {}
    for name, spec in mounts.items():
        intermediate = dict(spec.get("intermediate", {}))
        if "signed_by" in intermediate:
            intermediate["signed_by"] = f"{bench.mount}-{intermediate['signed_by']}"
        found[f"{bench.mount}-{name}"] = {
            "type": "pki",
            **spec,
            **({"intermediate": intermediate} if intermediate else {}),
        }
    return bench.declare(found)


def title(bench: Bench, rest: str) -> str:
    return f"secrets/{bench.mount}-{rest}"


def chain(*names: str) -> dict[str, dict[str, Any]]:
    """A root, and intermediates each signed by the one before."""
    mounts: dict[str, dict[str, Any]] = {
        "root": {"max_lease_ttl": "87600h", "root": {"common_name": "Chain Root", "ttl": "87600h"}}
    }
    for above, name in zip(["root", *names], names, strict=False):
        below = {"common_name": f"Chain {name}", "signed_by": above, "ttl": "8760h"}
        mounts[name] = {"max_lease_ttl": "43800h", "intermediate": below, "roles": WEB}
    return mounts


def test_intermediates_sign_each_other_down_from_the_root(bench: Bench) -> None:
    report = declare(bench, **chain("policy", "region", "issuing")).whole()

    assert [proof.title for proof in report.proofs if proof.title.endswith("web")] == [
        title(bench, f"{name}/roles/web") for name in ("policy", "region", "issuing")
    ]
    answer = bench.api.read(f"{bench.mount}-issuing/cert/ca_chain") or {}
    subjects = [one.subject.rfc4514_string() for one in x509.load_pem_x509_certificates(answer["ca_chain"].encode())]
    assert subjects == ["CN=Chain issuing", "CN=Chain region", "CN=Chain policy", "CN=Chain Root"]


def test_an_intermediate_lives_for_five_years_where_nothing_is_said(bench: Bench) -> None:
    mounts = chain("issuing")
    del mounts["issuing"]["intermediate"]["ttl"]
    declare(bench, **mounts).whole()
    (one,) = x509.load_pem_x509_certificates(
        (bench.api.read(f"{bench.mount}-issuing/cert/ca") or {})["certificate"].encode()
    )

    assert timedelta(days=1824) < one.not_valid_after_utc - one.not_valid_before_utc < timedelta(days=1826)


@dataclass
class OutsideCA:
    """A CA that no server of ours knows."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def made(cls) -> OutsideCA:
        key = ec.generate_private_key(ec.SECP384R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Outside Root")])
        return cls(key, _signed(name, name, key.public_key(), key))

    def sign(self, request: str) -> str:
        """The certificate of a request and the way up, as PEM."""
        asked = x509.load_pem_x509_csr(request.encode())
        made = _signed(asked.subject, self.certificate.subject, asked.public_key(), self.key)
        pems = [one.public_bytes(serialization.Encoding.PEM).decode() for one in (made, self.certificate)]
        return "".join(pems)


def _signed(subject: x509.Name, issuer: x509.Name, public: Any, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:  # noqa: ANN401
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(issuer, subject, public, x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(minutes=1)).not_valid_after(now + timedelta(days=30))
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    uses = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    more = {"digital_signature": True, "encipher_only": False, "decipher_only": False}
    made = made.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **uses, **more), critical=True)
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    made = made.add_extension(above, critical=False)
    made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    return made.sign(key, hashes.SHA256())


ISSUING = {"common_name": "Example Issuing CA"}


def test_an_outside_ca_signs_in_two_steps(bench: Bench) -> None:
    mount = {"max_lease_ttl": "720h", "intermediate": ISSUING, "roles": WEB}
    first = declare(bench, issuing=mount).whole()
    (waiting,) = first.waiting

    assert waiting.title == title(bench, "issuing/intermediate")
    assert waiting.what.startswith("have this request signed by the CA outside, then write")
    assert bench.plan().waiting == first.waiting

    (bench.root / "ca").mkdir()
    (bench.root / "ca" / "issuing.pem").write_text(OutsideCA.made().sign(waiting.text))
    signed = {**ISSUING, "signed_certificate": "file:ca/issuing.pem"}
    second = declare(bench, issuing={**mount, "intermediate": signed}).whole()

    assert [change.action for change in second.plan.changes] == ["create"]
    assert second.waiting == ()
    assert title(bench, "issuing/roles/web") in [proof.title for proof in second.proofs]


def test_what_an_outside_ca_signed_signs_others(bench: Bench) -> None:
    policy: dict[str, Any] = {"max_lease_ttl": "720h", "intermediate": {"common_name": "Policy CA"}}
    (waiting,) = declare(bench, policy=policy).apply().waiting
    policy["intermediate"]["signed_certificate"] = OutsideCA.made().sign(waiting.text)
    below = {"common_name": "Issuing CA", "signed_by": "policy", "ttl": "240h"}
    report = declare(bench, policy=policy, issuing={"intermediate": below, "roles": WEB}).whole()

    assert title(bench, "issuing/roles/web") in [proof.title for proof in report.proofs]


def test_a_renewed_certificate_is_taken_over(bench: Bench) -> None:
    outside = OutsideCA.made()
    mount: dict[str, Any] = {"max_lease_ttl": "720h", "intermediate": dict(ISSUING), "roles": WEB}
    (waiting,) = declare(bench, issuing=mount).apply().waiting
    mount |= {
        "issuers": {"default": {}},
        "default_issuer": {"default": "default", "default_follows_latest_issuer": True},
    }
    mount["intermediate"]["signed_certificate"] = outside.sign(waiting.text)
    declare(bench, issuing=mount).whole()
    before = bench.api.read(f"{bench.mount}-issuing/config/issuers")
    mount["intermediate"]["signed_certificate"] = outside.sign(waiting.text)
    declare(bench, issuing=mount).apply(title(bench, "issuing/intermediate"))
    after = bench.api.read(f"{bench.mount}-issuing/config/issuers")

    assert before != after
    assert bench.plan().changes == ()


ROOT = {"common_name": "Example Root", "ttl": "8760h", "issuer_name": "root-2026"}
LONG = {"max_lease_ttl": "87600h"}


def test_an_issuer_keeps_its_name_when_its_settings_change(bench: Bench) -> None:
    declare(
        bench, root={**LONG, "root": ROOT, "issuers": {"root-2026": {"leaf_not_after_behavior": "truncate"}}}
    ).apply()
    usage = ["issuing-certificates", "read-only"]
    declare(bench, root={**LONG, "root": ROOT, "issuers": {"root-2026": {"usage": usage}}}).whole()
    live = bench.api.read(f"{bench.mount}-root/issuer/root-2026") or {}

    assert live["leaf_not_after_behavior"] == "err"
    assert live["usage"] == "issuing-certificates,read-only"


def test_an_issuer_that_leaves_the_yaml_goes_only_when_it_is_named(bench: Bench) -> None:
    declare(bench, root={**LONG, "root": ROOT, "issuers": {"root-2026": {}}}).apply()
    declare(bench, root={**LONG, "root": ROOT})

    with pytest.raises(
        Refused, match="would be destroyed, and the issuer itself goes with it, not these settings alone"
    ):
        bench.apply()


def test_a_signed_intermediate_that_goes_is_said_to_be_revoked(bench: Bench) -> None:
    declare(bench, **chain("issuing")).apply()
    mounts = chain("issuing")
    del mounts["issuing"]["intermediate"]
    declare(bench, **mounts)

    with pytest.raises(Refused, match="issuing/intermediate would be destroyed, and its certificate is revoked"):
        bench.apply()


def test_a_role_goes_from_plain_identifiers_to_full_ones_and_back(bench: Bench) -> None:
    oid, name = "1.3.6.1.4.1.32473.1", f"{bench.mount}-root/roles/web"
    full = [{"oid": oid, "cps": "https://pki.example.org/cps"}]
    found = []
    for settings in ({"policy_identifiers": [oid]}, {"policy_identifier": full}, {"policy_identifiers": [oid]}, {}):
        declare(bench, root={**LONG, "root": ROOT, "roles": {"web": {**WEB["web"], **settings}}}).whole()
        found.append((bench.api.read(name) or {})["policy_identifiers"])

    assert found == [[oid], [f'{{"oid":"{oid}","cps":"https://pki.example.org/cps"}}'], [oid], []]


@pytest.mark.parametrize(("key_type", "stands"), [("ec", {0}), ("rsa", {0, 256})])
def test_signature_bits_go_back_to_what_fits_the_key(bench: Bench, key_type: str, stands: set[int]) -> None:
    role = {**WEB["web"], "key_type": key_type}
    declare(bench, root={**LONG, "root": ROOT, "roles": {"web": {**role, "signature_bits": 512}}}).whole()
    declare(bench, root={**LONG, "root": ROOT, "roles": {"web": role}}).whole()

    assert (bench.api.read(f"{bench.mount}-root/roles/web") or {})["signature_bits"] in stands


def test_a_path_that_the_server_never_takes_back_is_refused(bench: Bench) -> None:
    cluster = {"path": "https://vault.example.org/v1/pki", "aia_path": "http://pki.example.org"}
    declare(bench, root={"cluster": cluster}).whole()
    declare(bench, root={"cluster": {"path": cluster["path"]}})

    with pytest.raises(Refused, match="root/cluster: the server never takes aia_path back"):
        bench.apply()
