"""The canaries on a real server: green on what works, red for the real reason on what does not, nothing left behind."""

from __future__ import annotations

import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from psycopg import sql

from orchestrator.catalog import AUTH, CATALOG, SECRETS, SYSTEM
from orchestrator.declared import Cluster, Declaration, Environment, Where
from orchestrator.errors import StrongroomError
from orchestrator.live.approle import issue
from orchestrator.live.canaries import Proof, chain, prove
from orchestrator.live.canaries.trial import Failed
from orchestrator.live.server import Rejected
from orchestrator.live.wire import open_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.documents import Json
    from orchestrator.live.server import Server
    from orchestrator.local.stack import Stack

pytestmark = pytest.mark.server

NOW = datetime.now(UTC)
KINDS = {**SYSTEM, **AUTH, **SECRETS}
NOWHERE = Where("test.yaml", 1, 1)
CREATE = "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"
ECDSA = """\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----
"""


def declarations(kind_name: str, mount: str, spec: dict[str, Any]) -> Iterator[Declaration]:
    kind = KINDS[kind_name]
    keys = {one.key for one in kind.objects}
    if kind.family != "system":
        yield Declaration(kind, None, mount, "", {key: one for key, one in spec.items() if key not in keys}, NOWHERE)
    for one in kind.objects:
        if one.single and one.key in spec:
            yield Declaration(kind, one, mount, "", spec[one.key], NOWHERE)
        elif not one.single:
            named = spec if kind.is_one else spec.get(one.key, {})
            yield from (Declaration(kind, one, mount, name, each, NOWHERE) for name, each in named.items())


@dataclass
class Lab:
    """A namespace's worth of mounts, one kind each, made by hand as the declarations say."""

    server: Server
    stack: Stack
    secrets: dict[str, str] = field(default_factory=dict)

    def mount(self, kind_name: str) -> str:
        kind, path = KINDS[kind_name], f"{kind_name}-{secrets.token_hex(4)}"
        where = "auth" if kind.family == "auth" else "mounts"
        self.server.write(f"sys/{where}/{path}", {"type": kind.type, "options": dict(kind.options)})
        return path

    def write(self, path: str, **data: Json) -> None:
        self.server.write(path, data)

    def prove(self, kind_name: str, mount: str, **spec: Json) -> tuple[Proof, ...]:
        declared = tuple(declarations(kind_name, mount, spec))
        cluster = Cluster("test", self.stack.server, self.stack.version)
        return prove(Environment("test", cluster, "", "me", declared), self.server, self.secrets.__getitem__)

    def one(self, kind_name: str, mount: str, **spec: Json) -> Proof:
        (proof,) = self.prove(kind_name, mount, **spec)
        return proof

    def accessors(self) -> set[str]:
        return set(self.server.list("auth/token/accessors"))

    def assert_no_token_but(self, before: set[str]) -> None:
        """A token that has been used up is taken off the list a moment later."""
        deadline = time.monotonic() + 5
        while self.accessors() != before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert before == self.accessors()


@pytest.fixture
def lab(stack: Stack) -> Lab:
    return Lab(open_server(stack.address, "", stack.token), stack)


@pytest.fixture
def inside(lab: Lab, namespaces: None) -> Lab:  # noqa: ARG001 - asked for its skip
    """The same in a namespace of its own."""
    name = f"ns-{secrets.token_hex(4)}"
    lab.write(f"sys/namespaces/{name}")
    return Lab(lab.server.in_namespace(name), lab.stack)


@pytest.fixture
def policy(lab: Lab) -> str:
    name = f"policy-{secrets.token_hex(4)}"
    lab.write(f"sys/policies/acl/{name}", policy='path "apps/*" { capabilities = ["read"] }')
    return name


def assert_ok(*proofs: Proof) -> None:
    assert [""] * len(proofs) == [proof.reason for proof in proofs]
    assert all(proof.ok for proof in proofs)


def reasons(*proofs: Proof) -> list[str]:
    assert not any(proof.ok for proof in proofs)
    return [proof.reason for proof in proofs]


# AppRole


def test_an_approle_login_is_proved_and_nothing_is_left(lab: Lab, policy: str) -> None:
    mount = lab.mount("approle")
    spec = {"token_policies": [policy], "token_ttl": "20m"}
    lab.write(f"auth/{mount}/role/payments", **spec)
    before = lab.accessors()

    proof = lab.one("approle", mount, roles={"payments": spec})

    assert_ok(proof)
    assert f"auth/{mount}/roles/payments" == proof.title
    assert proof.what == "login with a response-wrapped SecretID, revoke the token"
    lab.assert_no_token_but(before)
    assert lab.server.list(f"auth/{mount}/role/payments/secret-id") == ()


def test_an_approle_login_is_proved_inside_a_namespace(inside: Lab) -> None:
    mount = inside.mount("approle")
    inside.write(f"auth/{mount}/role/r")

    assert_ok(inside.one("approle", mount, roles={"r": {}}))


@pytest.mark.parametrize(
    "spec",
    [
        {"secret_id_num_uses": 1},
        {"token_num_uses": 1},
        {"token_no_default_policy": True, "token_policies": ["default"]},
        {"token_type": "batch"},
        {"bind_secret_id": False, "token_bound_cidrs": ["127.0.0.0/8"]},
        {"local_secret_ids": True, "secret_id_bound_cidrs": ["127.0.0.1/32"]},
    ],
    ids=lambda spec: next(iter(spec)),
)
def test_every_sort_of_role_is_proved(lab: Lab, spec: dict[str, Any]) -> None:
    mount = lab.mount("approle")
    lab.write(f"auth/{mount}/role/r", **spec)
    before = lab.accessors()

    assert_ok(lab.one("approle", mount, roles={"r": spec}))
    lab.assert_no_token_but(before)
    assert lab.server.list(f"auth/{mount}/role/r/secret-id") == ()


def test_a_token_without_default_policy_is_proved_by_its_accessor(lab: Lab, policy: str) -> None:
    mount = lab.mount("approle")
    spec = {"token_no_default_policy": True, "token_policies": [policy]}
    lab.write(f"auth/{mount}/role/r", **spec)
    before = lab.accessors()

    assert_ok(lab.one("approle", mount, roles={"r": spec}))
    lab.assert_no_token_but(before)


def test_a_role_whose_live_policies_differ_fails(lab: Lab, policy: str) -> None:
    mount = lab.mount("approle")
    lab.write(f"auth/{mount}/role/without", token_policies=[])
    lab.write(f"auth/{mount}/role/more", token_policies=[policy, "other"])
    lab.write(f"auth/{mount}/role/nothing", token_policies=["nothing-here"])
    before = lab.accessors()

    without, more, nothing = lab.prove(
        "approle",
        mount,
        roles={
            "without": {"token_policies": [policy]},
            "more": {"token_policies": [policy]},
            "nothing": {"token_policies": ["nothing-here"]},
        },
    )

    assert [
        f"the token lacks the policy {policy}; it has the policy default",
        "the token has the policy other, which is not declared",
        "the token names the policy nothing-here, which is not there: it gives nothing",
    ] == reasons(without, more, nothing)
    lab.assert_no_token_but(before)


def test_networks_that_exclude_this_host_are_named(lab: Lab) -> None:
    mount = lab.mount("approle")
    declared = {
        "secret": {"secret_id_bound_cidrs": ["10.1.0.0/16"]},
        "token": {"token_bound_cidrs": ["10.2.0.0/16", "10.3.0.0/16"]},
    }
    for name, spec in declared.items():
        lab.write(f"auth/{mount}/role/{name}", **spec)
    before = lab.accessors()

    assert reasons(*lab.prove("approle", mount, roles=declared)) == [
        "secret_id_bound_cidrs 10.1.0.0/16 exclude this host",
        "the new token is refused: token_bound_cidrs 10.2.0.0/16, 10.3.0.0/16 exclude this host",
    ]
    lab.assert_no_token_but(before)
    assert lab.server.list(f"auth/{mount}/role/secret/secret-id") == ()


def test_a_role_that_is_not_there_fails(lab: Lab) -> None:
    mount = lab.mount("approle")

    assert reasons(lab.one("approle", mount, roles={"gone": {}})) == ["the role is not there"]


def test_a_canary_that_may_not_make_secret_ids_says_what_it_needs(lab: Lab) -> None:
    mount = lab.mount("approle")
    lab.write(f"auth/{mount}/role/r")
    lab.write(f"sys/policies/acl/{mount}", policy=f'path "auth/{mount}/role/*" {{ capabilities = ["read"] }}')
    token = lab.server.write("auth/token/create", {"policies": [mount]})["client_token"]
    reader = Lab(lab.server.as_token(token), lab.stack)

    assert [
        f"update on auth/{mount}/role/r/secret-id is denied: give the token `update` there, or take another token"
    ] == reasons(reader.one("approle", mount, roles={"r": {}}))


def test_an_issued_secret_id_is_wrapped_and_opens_once(lab: Lab) -> None:
    mount = lab.mount("approle")
    lab.write(f"auth/{mount}/role/r")

    issued = issue(lab.server, mount, "r", "10m")

    assert (f"auth/{mount}/role/r/secret-id", 600) == (issued.creation_path, issued.ttl)
    assert 590 < issued.expires.timestamp() - time.time() < 601
    assert issued.token not in repr(issued) + issued.check
    assert "secret_id" in lab.server.as_token(issued.token).write("sys/wrapping/unwrap", {})
    with pytest.raises(Rejected, match="wrapping token is not valid or does not exist"):
        lab.server.as_token(issued.token).write("sys/wrapping/unwrap", {})


def test_a_secret_id_of_an_unknown_role_names_the_roles_there_are(lab: Lab) -> None:
    mount = lab.mount("approle")
    lab.write(f"auth/{mount}/role/a")
    lab.write(f"auth/{mount}/role/b")

    with pytest.raises(StrongroomError) as error:
        issue(lab.server, mount, "c", "10m")

    assert f"auth/{mount} has no role c; the roles there are: a, b" == str(error.value)
    with pytest.raises(StrongroomError, match="'0' is no duration to wrap for; write it like 10m"):
        issue(lab.server, mount, "a", "0")


# KV


@pytest.mark.parametrize("kind", ["kv-v1", "kv-v2"])
def test_a_kv_store_is_proved_and_left_empty(lab: Lab, kind: str) -> None:
    mount = lab.mount(kind)
    if kind == "kv-v2":
        lab.write(f"{mount}/config", cas_required=True, max_versions=1)

    proof = lab.one(kind, mount)

    assert_ok(proof)
    assert f"secrets/{mount}" == proof.title
    assert lab.server.list(f"{mount}/metadata" if kind == "kv-v2" else mount) == ()


@pytest.mark.parametrize(("kind", "folder"), [("kv-v1", ""), ("kv-v2", "metadata/")])
def test_what_a_kv_canary_cannot_remove_it_names(lab: Lab, kind: str, folder: str) -> None:
    mount = lab.mount(kind)
    rules = f'path "{mount}/*" {{ capabilities = ["create", "update", "read", "list"] }}'
    lab.write(f"sys/policies/acl/{mount}", policy=rules)
    token = lab.server.write("auth/token/create", {"policies": [mount]})["client_token"]

    proof = Lab(lab.server.as_token(token), lab.stack).one(kind, mount)
    (left,) = lab.server.list(f"{mount}/{folder}".rstrip("/"))

    path = f"{mount}/{folder}{left}"
    assert [
        f"{path} is left behind: delete on {path} is denied: give the token `delete` there, or take another token"
    ] == reasons(proof)


def test_a_kv_canary_that_fails_half_way_cleans_up(lab: Lab) -> None:
    mount = lab.mount("kv-v2")
    rules = f"""
        path "{mount}/data/*" {{ capabilities = ["create", "update"] }}
        path "{mount}/metadata/*" {{ capabilities = ["delete", "read"] }}
    """
    lab.write(f"sys/policies/acl/{mount}", policy=rules)
    token = lab.server.write("auth/token/create", {"policies": [mount]})["client_token"]

    (reason,) = reasons(Lab(lab.server.as_token(token), lab.stack).one("kv-v2", mount))

    assert reason.startswith(f"read on {mount}/data/strongroom-canary-")
    assert lab.server.list(f"{mount}/metadata") == ()


def test_a_store_that_is_not_there_fails(lab: Lab) -> None:
    (reason,) = reasons(lab.one("kv-v1", "nowhere"))

    assert "no handler for route" in reason


# Database


@pytest.fixture
def database(lab: Lab) -> tuple[str, dict[str, Any]]:
    """A mount with a connection to the stack's PostgreSQL."""
    mount = lab.mount("database")
    connection = {
        "connection_url": f"postgresql://{{{{username}}}}:{{{{password}}}}@{lab.stack.postgres}/orders?sslmode=disable",
        "username": "strongroom",
        "allowed_roles": ["*"],
    }
    lab.write(
        f"{mount}/config/orders",
        plugin_name="postgresql-database-plugin",
        password=lab.stack.postgres_password,
        **connection,
    )
    return mount, connection


def accounts(lab: Lab) -> set[str]:
    with as_owner(lab) as connection:
        return {str(row[0]) for row in connection.execute("SELECT rolname FROM pg_roles")}


def as_owner(lab: Lab) -> psycopg.Connection[Any]:
    address = f"postgresql://strongroom:{lab.stack.postgres_password}@{lab.stack.postgres}/orders"
    return psycopg.connect(address, autocommit=True)


def test_a_database_account_connects_until_its_lease_is_revoked(lab: Lab, database: tuple[str, dict[str, Any]]) -> None:
    mount, connection = database
    spec = {"db_name": "orders", "creation_statements": [CREATE], "default_ttl": "1h"}
    lab.write(f"{mount}/roles/reader", **spec)
    before = accounts(lab)

    proof = lab.one("database", mount, postgresql={"orders": connection}, roles={"reader": spec})

    assert_ok(proof)
    assert f"secrets/{mount}/roles/reader" == proof.title
    assert proof.what == "make an account, connect with it, revoke it, be refused"
    assert before == accounts(lab)
    assert lab.server.list(f"sys/leases/lookup/{mount}/creds/reader") == ()


def test_an_account_that_outlives_its_lease_fails(lab: Lab, database: tuple[str, dict[str, Any]]) -> None:
    mount, connection = database
    spec = {"db_name": "orders", "creation_statements": [CREATE], "revocation_statements": ["SELECT 1"]}
    lab.write(f"{mount}/roles/immortal", **spec)
    before = accounts(lab)

    (reason,) = reasons(lab.one("database", mount, postgresql={"orders": connection}, roles={"immortal": spec}))
    (left,) = accounts(lab) - before
    with as_owner(lab) as owner:
        owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(left)))

    assert (
        f"account {left} still connects after its lease was revoked: drop it by hand, and correct "
        "revocation_statements" == reason
    )
    assert lab.server.list(f"sys/leases/lookup/{mount}/creds/immortal") == ()


def test_an_account_that_may_not_log_in_fails_and_is_dropped(lab: Lab, database: tuple[str, dict[str, Any]]) -> None:
    mount, connection = database
    spec = {"db_name": "orders", "creation_statements": [CREATE.replace("LOGIN", "NOLOGIN")]}
    lab.write(f"{mount}/roles/shut", **spec)
    before = accounts(lab)

    (reason,) = reasons(lab.one("database", mount, postgresql={"orders": connection}, roles={"shut": spec}))

    assert "is not permitted to log in" in reason
    assert before == accounts(lab)
    assert lab.server.list(f"sys/leases/lookup/{mount}/creds/shut") == ()


def test_statements_that_postgres_refuses_fail_with_its_words(lab: Lab, database: tuple[str, dict[str, Any]]) -> None:
    mount, connection = database
    spec = {"db_name": "orders", "creation_statements": [CREATE + " NONSENSE"]}
    lab.write(f"{mount}/roles/broken", **spec)

    (reason,) = reasons(lab.one("database", mount, postgresql={"orders": connection}, roles={"broken": spec}))

    assert 'unrecognized role option "nonsense"' in reason


def test_a_static_account_connects_with_its_present_password(lab: Lab, database: tuple[str, dict[str, Any]]) -> None:
    mount, connection = database
    account = f"static_{secrets.token_hex(4)}"
    with as_owner(lab) as owner:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(account)))
    spec = {"db_name": "orders", "username": account, "rotation_period": "24h"}
    lab.write(f"{mount}/static-roles/owner", **spec)
    declared = {"postgresql": {"orders": connection}, "static_roles": {"owner": spec}}

    assert_ok(lab.one("database", mount, **declared))
    with as_owner(lab) as owner:
        owner.execute(sql.SQL("ALTER ROLE {} PASSWORD 'changed behind our back'").format(sql.Identifier(account)))
    (reason,) = reasons(lab.one("database", mount, **declared))

    assert f'password authentication failed for user "{account}"' in reason
    assert lab.server.read(f"{mount}/static-creds/owner")["password"] not in reason  # type: ignore[index]


# PKI


def authority(lab: Lab, **more: Json) -> str:
    mount = lab.mount("pki")
    lab.write(f"sys/mounts/{mount}/tune", max_lease_ttl="87600h")
    body = {"common_name": f"Root {mount}", "ttl": "87600h", "key_type": "ec", "key_bits": 256, **more}
    lab.write(f"{mount}/root/generate/internal", **body)
    return mount


@pytest.mark.parametrize(
    "spec",
    [
        {"allowed_domains": ["example.org"], "allow_subdomains": True, "key_type": "ec", "key_bits": 256},
        {"allowed_domains": ["example.org"], "allow_bare_domains": True, "key_type": "ed25519", "key_bits": 0},
        {"allowed_domains": ["web-*.example.org"], "allow_glob_domains": True, "key_type": "rsa", "key_bits": 2048},
        {"allow_any_name": True, "key_type": "any", "max_ttl": "60s"},
        {"allow_localhost": True, "key_type": "ec", "key_bits": 384, "generate_lease": True},
        {"allow_localhost": True, "key_type": "ec", "key_bits": 256, "no_store": True},
    ],
    ids=["subdomain", "bare ed25519", "glob rsa", "any", "leased", "not stored"],
)
def test_a_pki_role_issues_what_leads_to_the_root(lab: Lab, spec: dict[str, Any]) -> None:
    mount = authority(lab)
    lab.write(f"{mount}/roles/web", **spec)

    proof = lab.one("pki", mount, root={"common_name": "x"}, roles={"web": spec})

    assert_ok(proof)
    assert f"secrets/{mount}/roles/web" == proof.title
    assert lab.server.list(f"sys/leases/lookup/{mount}/issue/web") == ()


def intermediate(lab: Lab, root: str, *, whole: bool) -> str:
    """A mount signed by the root; `whole` when it also knows the root itself."""
    mount = lab.mount("pki")
    asked = lab.server.write(
        f"{mount}/intermediate/generate/internal", {"common_name": "Issuing", "key_type": "ec", "key_bits": 256}
    )
    signed = lab.server.write(f"{root}/root/sign-intermediate", {"csr": asked["csr"], "common_name": "Issuing"})
    bundle = f"{signed['certificate']}\n{signed['issuing_ca']}" if whole else signed["certificate"]
    lab.write(f"{mount}/intermediate/set-signed", certificate=bundle)
    return mount


def test_a_chain_over_an_intermediate_is_followed_to_the_root(lab: Lab) -> None:
    root = authority(lab)
    mount, partial = intermediate(lab, root, whole=True), intermediate(lab, root, whole=False)
    for one in (mount, partial):
        lab.write(f"{one}/roles/web", allow_any_name=True)
    declared = {"intermediate": {"signed_by": root}, "roles": {"web": {"allow_any_name": True}}}

    assert_ok(lab.one("pki", mount, **declared))
    assert [f"CN=Issuing is signed by CN=Root {root}, which this mount lacks"] == reasons(
        lab.one("pki", partial, **declared)
    )


KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "other", "leaf")}
DAY = timedelta(days=1)


def certificate(name: str, issuer: str, signer: str, *, authority: bool, ends: timedelta = DAY) -> x509.Certificate:
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, one)]) for one in (name, issuer)]
    made = x509.CertificateBuilder(names[1], names[0], KEYS[name].public_key(), x509.random_serial_number())
    made = made.not_valid_before(NOW - 2 * DAY).not_valid_after(NOW + ends)
    made = made.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    return made.sign(KEYS[signer], hashes.SHA256())


LEAF = certificate("leaf", "root", "root", authority=False)
ROOT = certificate("root", "root", "root", authority=True)


@pytest.mark.parametrize(
    ("leaf", "root", "message"),
    [
        (LEAF, ROOT, ""),
        (LEAF, certificate("root", "root", "other", authority=True), "CN=root is not signed by CN=root"),
        (certificate("leaf", "root", "other", authority=False), ROOT, "CN=leaf is signed by CN=root, which this"),
        (certificate("leaf", "leaf", "root", authority=True), ROOT, "CN=leaf is not signed by CN=leaf"),
        (LEAF, certificate("root", "root", "root", authority=False), "CN=root is not the certificate of an auth"),
        (LEAF, certificate("root", "root", "root", authority=True, ends=-DAY), "CN=root is valid from "),
        (certificate("leaf", "root", "root", authority=False, ends=-DAY), ROOT, "CN=leaf is valid from "),
    ],
    ids=["good", "forged root", "forged leaf", "no issuer", "no authority", "root expired", "leaf expired"],
)
def test_each_link_of_a_chain_is_checked(leaf: x509.Certificate, root: x509.Certificate, message: str) -> None:
    told = ""
    try:
        chain.check(leaf, [root], NOW)
    except Failed as error:
        told = str(error)

    assert told.startswith(message)
    assert bool(message) == bool(told)


def test_a_role_that_would_sign_no_name_fails(lab: Lab) -> None:
    mount = authority(lab)
    spec = {"allowed_domains": ["example.org"], "allow_localhost": False}
    lab.write(f"{mount}/roles/none", **spec)

    assert reasons(lab.one("pki", mount, roles={"none": spec})) == [
        "no name this role would sign: it has no allowed_domains with allow_subdomains or the like"
    ]


def test_a_role_changed_behind_our_back_fails_with_the_servers_words(lab: Lab) -> None:
    mount = authority(lab)
    lab.write(f"{mount}/roles/web", allowed_domains=["elsewhere.org"], allow_subdomains=True)

    (reason,) = reasons(
        lab.one("pki", mount, roles={"web": {"allowed_domains": ["example.org"], "allow_subdomains": True}})
    )

    assert "common name strongroom-canary.example.org not allowed by this role" in reason


def test_an_authority_without_roles_is_read(lab: Lab) -> None:
    mount, empty = authority(lab), lab.mount("pki")

    proof = lab.one("pki", mount, root={"common_name": "x"})

    assert_ok(proof)
    assert f"secrets/{mount}/root" == proof.title
    assert reasons(lab.one("pki", empty, root={"common_name": "x"})) == ["the mount has no certificate of its own"]


def test_an_authority_that_waits_for_an_outside_ca_has_no_proof_yet(lab: Lab) -> None:
    mount = lab.mount("pki")

    assert lab.prove("pki", mount, intermediate={"common_name": "x"}, roles={"web": {"allow_any_name": True}}) == ()


def open_to_acme(lab: Lab, address: str = "https://vault.example.org/v1/pki") -> str:
    mount = authority(lab)
    lab.server.write(f"{mount}/config/cluster", {"path": address})
    lab.write(f"{mount}/roles/web", allow_any_name=True)
    lab.write(f"{mount}/config/acme", enabled=True, default_directory_policy="forbid")
    return mount


def test_an_acme_directory_leads_to_the_declared_path(lab: Lab) -> None:
    mount = open_to_acme(lab)
    cluster, roles = {"path": "https://vault.example.org/v1/pki"}, {"web": {"allow_any_name": True}}

    *_, by_role = lab.prove("pki", mount, acme={"enabled": True}, cluster=cluster, roles=roles)
    lab.write(f"{mount}/config/acme", enabled=True, default_directory_policy="role:web")
    own = {"enabled": True, "default_directory_policy": "role:web"}
    *_, by_mount = lab.prove("pki", mount, acme=own, cluster=cluster, roles=roles)

    assert_ok(by_role, by_mount)
    assert by_role.title == f"secrets/{mount}/acme"


def test_an_acme_directory_that_leads_elsewhere_or_is_closed_fails(lab: Lab) -> None:
    mount = open_to_acme(lab, "https://elsewhere.example.org/v1/pki")
    cluster, acme = {"path": "https://vault.example.org/v1/pki"}, {"enabled": True, "allowed_roles": ["web"]}

    assert [f"{mount}/roles/web/acme/directory does not lead to https://vault.example.org/v1/pki"] == reasons(
        lab.one("pki", mount, acme=acme, cluster=cluster)
    )
    assert reasons(lab.one("pki", mount, acme={"enabled": True}, cluster=cluster)) == [
        "no directory is open: default_directory_policy is forbid, and there is no role"
    ]
    lab.write(f"{mount}/config/acme", enabled=False)

    assert [f"{mount}/roles/web/acme/directory is not there: ACME is off"] == reasons(
        lab.one("pki", mount, acme=acme, cluster=cluster)
    )


# TOTP


def test_a_totp_key_makes_codes_that_the_server_takes(lab: Lab) -> None:
    mount = lab.mount("totp")
    for name, more in {"ada": {}, "strict": {"skew": 0, "algorithm": "SHA512", "digits": 8}}.items():
        lab.write(f"{mount}/keys/{name}", generate=True, exported=False, issuer="x", account_name=name, **more)
    keys: dict[str, Any] = {"ada": {}, "strict": {"skew": 0}}

    first, again = lab.prove("totp", mount, keys=keys), lab.prove("totp", mount, keys=keys)

    assert_ok(*first, *again)
    assert [proof.title for proof in first] == [f"secrets/{mount}/keys/ada", f"secrets/{mount}/keys/strict"]


def test_a_totp_key_that_is_gone_or_may_not_be_used_fails(lab: Lab) -> None:
    mount = lab.mount("totp")
    lab.write(f"{mount}/keys/shut", generate=True, exported=False, issuer="x", account_name="x")
    lab.write(f"sys/policies/acl/{mount}", policy=f'path "{mount}/code/*" {{ capabilities = ["read"] }}')
    token = lab.server.write("auth/token/create", {"policies": [mount]})["client_token"]
    gone, shut = Lab(lab.server.as_token(token), lab.stack).prove("totp", mount, keys={"gone": {}, "shut": {}})

    assert "unknown key: gone" in gone.reason or gone.reason == "the key is not there"
    assert [f"update on {mount}/code/shut is denied: give the token `update` there, or take another token"] == reasons(
        shut
    )


# Transit


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "aes256-gcm96"},
        {"type": "aes128-gcm96"},
        {"type": "chacha20-poly1305", "derived": True, "convergent_encryption": True},
        {"type": "ed25519"},
        {"type": "ed25519", "derived": True},
        {"type": "ecdsa-p384"},
        {"type": "rsa-2048"},
        {"type": "hmac", "key_size": 32},
    ],
    ids=lambda spec: "-".join(str(word) for word in spec.values()),
)
def test_a_transit_key_does_what_it_is_for(lab: Lab, spec: dict[str, Any]) -> None:
    mount = lab.mount("transit")
    lab.write(f"{mount}/keys/k", **spec)

    assert_ok(lab.one("transit", mount, keys={"k": spec}))


def test_a_transit_key_that_is_gone_or_may_not_be_used_fails(lab: Lab) -> None:
    mount = lab.mount("transit")
    lab.write(f"{mount}/keys/shut", type="aes256-gcm96")
    rules = f"""
        path "{mount}/*" {{ capabilities = ["read", "update"] }}
        path "{mount}/decrypt/*" {{ capabilities = ["deny"] }}
    """
    lab.write(f"sys/policies/acl/{mount}", policy=rules)
    token = lab.server.write("auth/token/create", {"policies": [mount]})["client_token"]

    assert [
        "the key is not there",
        f"update on {mount}/decrypt/shut is denied: give the token `update` there, or take another token",
    ] == reasons(*Lab(lab.server.as_token(token), lab.stack).prove("transit", mount, keys={"gone": {}, "shut": {}}))


# SSH


@pytest.fixture
def ssh(lab: Lab) -> str:
    mount = lab.mount("ssh")
    lab.write(f"{mount}/config/ca", generate_signing_key=True, key_type="ed25519")
    return mount


@pytest.mark.parametrize(
    "spec",
    [
        {"allow_user_certificates": True, "default_user": "ops", "allowed_users": "ops,deploy", "ttl": "30m"},
        {"allow_user_certificates": True, "allowed_users": "deploy", "allowed_user_key_lengths": {"rsa": [2048, 4096]}},
        {"allow_user_certificates": True, "allowed_users": "*", "allowed_user_key_lengths": {"ecdsa": [384]}},
        {"allow_host_certificates": True, "allowed_domains": "example.org", "allow_subdomains": True, "max_ttl": "30s"},
        {"allow_host_certificates": True, "allowed_domains": "example.org", "allow_bare_domains": True},
    ],
    ids=["user", "rsa", "ecdsa", "host", "bare host"],
)
def test_an_ssh_role_signs_what_ssh_accepts(lab: Lab, ssh: str, spec: dict[str, Any]) -> None:
    lab.write(f"{ssh}/roles/r", key_type="ca", **spec)

    assert_ok(lab.one("ssh", ssh, ca={}, roles={"r": {"key_type": "ca", **spec}}))


def test_an_ssh_role_for_another_user_fails_and_one_for_nobody_has_no_proof(lab: Lab, ssh: str) -> None:
    lab.write(f"{ssh}/roles/nobody", key_type="ca", allow_user_certificates=True)
    lab.write(f"{ssh}/roles/changed", key_type="ca", allow_user_certificates=True, allowed_users="other")
    declared = {
        "nobody": {"key_type": "ca", "allow_user_certificates": True},
        "changed": {"key_type": "ca", "allow_user_certificates": True, "allowed_users": "ops"},
    }

    (changed,) = reasons(*lab.prove("ssh", ssh, ca={}, roles=declared))

    assert "ops is not a valid value for valid_principals" in changed


def test_an_ssh_mount_without_its_key_fails(lab: Lab) -> None:
    mount = lab.mount("ssh")
    spec = {"key_type": "ca", "allow_user_certificates": True, "allowed_users": "ops"}
    lab.write(f"{mount}/roles/r", **spec)

    (reason,) = reasons(lab.one("ssh", mount, roles={"r": spec}))

    assert reason.startswith(f"POST {mount}/sign/r: ")


def test_a_one_time_password_is_used_up(lab: Lab) -> None:
    mount = lab.mount("ssh")
    spec = {"key_type": "otp", "default_user": "ops", "cidr_list": "10.0.0.0/8"}
    lab.write(f"{mount}/roles/r", exclude_cidr_list="10.0.0.0/24", **spec)
    declared = {**spec, "exclude_cidr_list": ["10.0.0.0/24"]}

    assert_ok(lab.one("ssh", mount, roles={"r": declared}))
    assert lab.server.list(f"sys/leases/lookup/{mount}/creds/r") == ()
    (reason,) = reasons(lab.one("ssh", mount, roles={"r": {**spec, "cidr_list": "192.168.0.0/16"}}))

    assert "192.168.0.1" in reason or "IP" in reason


# Userpass


def test_a_user_logs_in_with_the_declared_password(lab: Lab, policy: str) -> None:
    mount = lab.mount("userpass")
    spec = {"token_policies": [policy], "password": "env:ADA"}
    lab.secrets["env:ADA"] = "canary-password-5d1"
    lab.write(f"auth/{mount}/users/ada", token_policies=[policy], password="canary-password-5d1")
    before = lab.accessors()

    proofs = lab.prove("userpass", mount, users={"ada": spec, "bob": {"password_hash": "env:HASH"}})

    assert_ok(*proofs)
    assert [f"auth/{mount}/users/ada"] == [proof.title for proof in proofs]
    lab.assert_no_token_but(before)


def test_a_wrong_password_fails_and_is_not_shown(lab: Lab) -> None:
    mount = lab.mount("userpass")
    lab.secrets["env:ADA"] = "canary-password-5d1"
    lab.write(f"auth/{mount}/users/ada", password="another-5d2")

    (reason,) = reasons(lab.one("userpass", mount, users={"ada": {"password": "env:ADA"}}))

    assert f"POST auth/{mount}/login/ada: invalid username or password (status 400)" == reason


# JWT


def test_a_jwt_mount_refuses_a_forged_token_for_its_signature(lab: Lab) -> None:
    mount = lab.mount("jwt")
    config = {"bound_issuer": "https://ci.example.org", "jwt_validation_pubkeys": [ECDSA]}
    role = {"user_claim": "sub", "bound_audiences": ["vault"]}
    lab.write(f"auth/{mount}/config", **config)
    lab.write(f"auth/{mount}/role/deploy", role_type="jwt", **role)

    proof = lab.one("jwt", mount, config=config, roles={"deploy": role})

    assert_ok(proof)
    assert f"auth/{mount}" == proof.title
    assert proof.what == "a forged token is refused for its signature (no real login)"


def test_a_jwt_mount_without_keys_or_role_fails(lab: Lab) -> None:
    bare, without = lab.mount("jwt"), lab.mount("jwt")
    lab.write(f"auth/{without}/config", jwt_validation_pubkeys=[ECDSA])
    roles = {"deploy": {"user_claim": "sub"}}

    assert [f"POST auth/{bare}/login: could not load configuration (status 400)"] == reasons(
        lab.one("jwt", bare, config={}, roles=roles)
    )
    assert [f'POST auth/{without}/login: role "deploy" could not be found (status 400)'] == reasons(
        lab.one("jwt", without, config={}, roles=roles)
    )


class KeySet(BaseHTTPRequestHandler):
    """A platform's key server, with one key."""

    def do_GET(self) -> None:
        body = json.dumps({"keys": [{"kty": "oct", "k": "AA", "kid": "1"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


def test_a_jwt_mount_whose_key_server_is_gone_fails(lab: Lab) -> None:
    mount, keys = lab.mount("jwt"), ThreadingHTTPServer(("127.0.0.1", 0), KeySet)
    threading.Thread(target=keys.serve_forever).start()
    config = {"jwks_url": f"http://127.0.0.1:{keys.server_port}/keys"}
    roles = {"deploy": {"user_claim": "sub", "bound_audiences": ["vault"]}}
    try:
        lab.write(f"auth/{mount}/config", **config)
        lab.write(f"auth/{mount}/role/deploy", role_type="jwt", **roles["deploy"])
        assert_ok(lab.one("jwt", mount, config=config, roles=roles))
    finally:
        keys.shutdown()
        keys.server_close()

    (reason,) = reasons(lab.one("jwt", mount, config=config, roles=roles))

    assert "connection refused" in reason


# OIDC


@pytest.fixture
def provider(lab: Lab) -> str:
    """The server is a provider itself."""
    return f"{lab.stack.address}/v1/identity/oidc/provider/default"


def oidc(lab: Lab, provider: str, **role: Json) -> Proof:
    """A mount as it lives, with a role that may differ from the declared one."""
    mount = lab.mount("oidc")
    config = {"oidc_discovery_url": provider, "oidc_client_id": "vault"}
    declared = {"user_claim": "sub", "allowed_redirect_uris": ["https://vault.example.org/callback"]}
    lab.write(f"auth/{mount}/config", oidc_client_secret="canary-client-81b3", **{**config, **role.pop("config", {})})
    if role.pop("there", True):
        lab.write(f"auth/{mount}/role/people", role_type="oidc", **{**declared, **role})
    return lab.one("oidc", mount, config=config, roles={"people": declared, "robots": {"role_type": "jwt"}})


def test_an_oidc_mount_sends_people_to_its_provider(lab: Lab, provider: str) -> None:
    proof = oidc(lab, provider)

    assert_ok(proof)
    assert proof.what == "ask where to log in, at the provider as the declared client (no real login)"


def test_an_oidc_role_that_is_gone_or_refuses_an_address_fails(lab: Lab, provider: str) -> None:
    (gone,) = reasons(oidc(lab, provider, there=False))
    (refuses,) = reasons(oidc(lab, provider, allowed_redirect_uris=["https://elsewhere.example.org/callback"]))
    (another,) = reasons(oidc(lab, provider, config={"oidc_client_id": "stranger"}))

    assert 'role "people" could not be found' in gone
    assert "or the live role refuses https://vault.example.org/callback" in refuses
    assert another == "people are sent to the provider as the client stranger, not as vault"


# Token roles


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"token_no_default_policy": True},
        {"renewable": True, "token_period": "1h", "token_explicit_max_ttl": "12h"},
        {"orphan": True, "token_explicit_max_ttl": 0, "token_type": "batch"},
        {"path_suffix": "jobs", "token_bound_cidrs": ["127.0.0.0/8"], "token_num_uses": 3},
    ],
    ids=lambda spec: next(iter(spec), "smallest"),
)
def test_a_token_is_made_by_its_role_and_nothing_is_left(lab: Lab, policy: str, spec: dict[str, Any]) -> None:
    before, name = lab.accessors(), f"role-{secrets.token_hex(4)}"
    for allowed in ({}, {"allowed_policies": [policy]}):
        lab.write(f"auth/token/roles/{name}", **{"renewable": False, **spec, **allowed})

        assert_ok(lab.one("tokens", "", roles={name: {**spec, **allowed}}))
    lab.assert_no_token_but(before)


def test_a_token_role_that_lives_otherwise_fails(lab: Lab, policy: str) -> None:
    name = f"role-{secrets.token_hex(4)}"
    lab.write(f"auth/token/roles/{name}", orphan=True, renewable=True, allowed_policies=[policy, "other"])

    def told(**spec: Json) -> list[str]:
        return reasons(lab.one("tokens", "", roles={name: spec}))

    assert told(allowed_policies=[policy]) == ["the token is orphan, which is not as declared"]
    assert told(allowed_policies=[policy], orphan=True) == ["the token is renewable, which is not as declared"]
    assert "must be subset of the role's allowed policies" in told(allowed_policies=["unheard-of"])[0]
    assert "unknown role nowhere" in reasons(lab.one("tokens", "", roles={"nowhere": {}}))[0]


def test_a_token_role_that_gives_nothing_harmless_has_no_proof(lab: Lab) -> None:
    assert lab.prove("tokens", "", roles={"r": {"disallowed_policies_glob": ["def*"]}}) == ()


# Namespaces


def test_a_namespace_answers(lab: Lab, inside: Lab) -> None:
    here, there = lab.server.list("sys/namespaces")[-1].rstrip("/"), f"deeper-{secrets.token_hex(4)}"
    inside.write(f"sys/namespaces/{there}")

    assert_ok(lab.one("namespaces", "", **{here: {}}), inside.one("namespaces", "", **{there: {}}))
    assert reasons(lab.one("namespaces", "", nowhere={})) == ["the namespace is not there"]


def test_a_nested_namespace_answers_from_its_parent(lab: Lab, inside: Lab) -> None:
    name = inside.server.namespace
    inside.write("sys/namespaces/deeper")

    assert_ok(lab.one("namespaces", "", **{f"{name}/deeper": {}}))
    assert reasons(lab.one("namespaces", "", **{f"{name}/nowhere": {}})) == ["the namespace is not there"]


# Password policies


def test_a_password_policy_makes_a_password(lab: Lab) -> None:
    name = f"policy-{secrets.token_hex(4)}"
    lab.write(f"sys/policies/password/{name}", policy='length = 24\nrule "charset" {\n  charset = "abc"\n}\n')

    assert_ok(lab.one("password_policies", "", **{name: {}}))
    assert reasons(lab.one("password_policies", "", nowhere={})) == ["the policy makes no password"]


# Everything


def test_every_canary_that_the_catalogue_names_is_there() -> None:
    for kind in CATALOG.values():
        if kind.canary:
            module, _, name = kind.canary.partition(":")
            assert callable(getattr(import_module(module), name))


def test_proofs_come_in_the_order_declared_and_side_by_side(lab: Lab) -> None:
    mounts = [lab.mount("kv-v2") for _ in range(8)]
    mount = lab.mount("approle")
    roles: dict[str, Any] = {f"r{number}": {} for number in range(24)}
    for name in roles:
        lab.write(f"auth/{mount}/role/{name}")
    declared = (
        *(one for path in mounts for one in declarations("kv-v2", path, {})),
        *declarations("approle", mount, {"roles": roles}),
    )
    environment = Environment("test", Cluster("test", "openbao", "2.7.2"), "", "me", declared)
    started = time.monotonic()

    proofs = prove(environment, lab.server, str)

    assert time.monotonic() - started < sum(proof.seconds for proof in proofs) / 2
    assert_ok(*proofs)
    assert [f"secrets/{path}" for path in mounts] + [f"auth/{mount}/roles/{name}" for name in roles] == [
        proof.title for proof in proofs
    ]


def test_a_proof_tells_how_long_it_took_by_the_clock_passed_in(lab: Lab) -> None:
    mount = lab.mount("kv-v1")
    environment = Environment(
        "test", Cluster("test", "openbao", "2.7.2"), "", "me", tuple(declarations("kv-v1", mount, {}))
    )

    (proof,) = prove(environment, lab.server, str, iter([10.0, 12.5]).__next__)

    assert proof.seconds == 2.5
