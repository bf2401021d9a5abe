"""PKI: issue a short-lived certificate by each role, follow its chain to the root, revoke it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from cryptography import x509

from orchestrator.live.canaries import chain
from orchestrator.live.canaries.trial import Failed, Trial, cleaning
from orchestrator.shapes import duration, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.declared import Declaration
    from orchestrator.documents import Json, Spec
    from orchestrator.live.canaries.trial import Mount
    from orchestrator.live.server import Server

_LABEL = "strongroom-canary"
_TTL = 300
_ISSUE = "issue a certificate, follow its chain to the root, revoke it"
_READ = "the authority's certificate is one and valid"
_ACME = "the ACME directory answers, and leads to the cluster's path"
_SPECIFIC_KEY = {"key_type": "ec", "key_bits": 256}  # for roles that leave the key to the request


def trials(mount: Mount) -> Iterator[Trial]:
    waits = any(one.waits for one in mount.declared("intermediate"))
    roles = mount.declared("roles")
    for role in () if waits else roles:
        yield Trial(role.title, _ISSUE, partial(_prove_role, mount.server, role))
    if not roles:
        for authority in (*mount.declared("root"), *mount.declared("intermediate")):
            if not authority.waits:
                yield Trial(authority.title, _READ, partial(_prove_authority, mount.server, mount.name))
    cluster = next(iter(mount.declared("cluster")), None)
    for acme in mount.declared("acme"):
        if cluster and acme.spec.get("enabled"):
            yield Trial(acme.title, _ACME, partial(_prove_acme, mount, acme.spec, str(cluster.spec["path"])))


def _prove_acme(mount: Mount, spec: Spec, path: str) -> None:
    """One directory answers: the mount's own where that is open, else one of a role's."""
    roles = [role for role in spec.get("allowed_roles") or ("*",) if role != "*"]
    names = [*roles, *(one.name for one in mount.declared("roles") if not roles)]
    closed = spec.get("default_directory_policy", "forbid") == "forbid"
    if closed and not names:
        raise Failed("no directory is open: default_directory_policy is forbid, and there is no role")
    way = f"roles/{names[0]}/acme" if closed else "acme"
    directory = mount.server.read(f"{mount.name}/{way}/directory")
    if directory is None:
        raise Failed(f"{mount.name}/{way}/directory is not there: ACME is off")
    if directory.get("newOrder") != f"{path.rstrip('/')}/{way}/new-order":
        raise Failed(f"{mount.name}/{way}/directory does not lead to {path}")


def _prove_authority(server: Server, mount: str) -> None:
    found = server.read(f"{mount}/cert/ca", ("unable to fetch default issuer", "no default issuer"))
    if found is None:
        raise Failed("the mount has no certificate of its own")
    for one in chain.certificates(found["certificate"]):
        chain.check_authority(one)
        chain.check_dates(one, datetime.now(UTC))


def _prove_role(server: Server, role: Declaration) -> None:
    name = allowed_name(role.spec)
    if name is None:
        raise Failed("no name this role would sign: it has no allowed_domains with allow_subdomains or the like")
    answer = server.request("POST", f"{role.mount}/issue/{role.name}", _request(role.spec, name))
    with cleaning(partial(_revoke, server, role, answer.data, answer.lease), "the certificate"):
        _check(answer.data, name)
    if not role.spec.get("no_store"):
        _prove_revoked(server, role.mount, str(answer.data["serial_number"]))


def allowed_name(spec: Spec) -> str | None:
    """A name that the role allows.

    >>> allowed_name({"allowed_domains": ["example.org"], "allow_subdomains": True})
    'strongroom-canary.example.org'
    >>> allowed_name({"allowed_domains": ["*.example.org"], "allow_glob_domains": True})
    'strongroom-canary.example.org'
    >>> allowed_name({"allowed_domains": ["example.org"]})
    """
    domains = [name for name in spec.get("allowed_domains") or () if "{{" not in name]
    plain = [name for name in domains if "*" not in name]
    globs = [name.replace("*", _LABEL) for name in domains if "*" in name]
    ways = (
        [f"{_LABEL}.{name}" for name in plain] if spec.get("allow_subdomains") else (),
        plain if spec.get("allow_bare_domains") else (),
        globs if spec.get("allow_glob_domains") else (),
        [f"{_LABEL}.example.org"] if spec.get("allow_any_name") else (),
        ["localhost"] if spec.get("allow_localhost") else (),
    )
    return next((name for way in ways for name in way), None)


def _request(spec: Spec, name: str) -> dict[str, Json]:
    ttl = min(_TTL, seconds(spec.get("max_ttl")) or _TTL)
    return {
        "common_name": name,
        **({} if spec.get("not_after") else {"ttl": duration(ttl)}),
        **(_SPECIFIC_KEY if spec.get("key_type") == "any" else {}),
    }


def _check(issued: Mapping[str, Json], name: str) -> None:
    leaf = chain.certificates(issued["certificate"])[0]
    pems = [*(issued.get("ca_chain") or ()), issued["issuing_ca"]]
    chain.check(leaf, [one for pem in pems for one in chain.certificates(pem)], datetime.now(UTC))
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if name not in names.get_values_for_type(x509.DNSName):
        raise Failed(f"the certificate is not for {name}")


def _revoke(server: Server, role: Declaration, issued: Mapping[str, Json], lease: str) -> None:
    """By its lease where it has one; where the server kept nothing of it, it is to expire."""
    if lease:
        server.write("sys/leases/revoke", {"lease_id": lease, "sync": True}, again=True)
    elif not role.spec.get("no_store"):
        server.write(f"{role.mount}/revoke", {"serial_number": issued["serial_number"]})


def _prove_revoked(server: Server, mount: str, serial: str) -> None:
    if not (server.read(f"{mount}/cert/{serial}") or {}).get("revocation_time"):
        raise Failed(f"certificate {serial} is not revoked")
