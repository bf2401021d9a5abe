"""Sessions, reads, writes and references, on real servers: what works, and every way in which it does not."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from orchestrator.declared import Cluster, Login
from orchestrator.errors import StrongroomError, Unreachable
from orchestrator.live.secrets import resolve, resolve_all
from orchestrator.live.server import Denied, Rejected
from orchestrator.live.session import Session, connect
from orchestrator.live.wire import open_server
from orchestrator.local import process, servers
from orchestrator.local import stack as local
from orchestrator.terraform.provider.api import Api

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.live.server import Server
    from orchestrator.local.stack import Stack

pytestmark = pytest.mark.server

CANARY = "canary-9f27c1"
PATH = {"PATH": os.environ["PATH"]}


@pytest.fixture
def root(stack: Stack) -> Server:
    return open_server(stack.address, "", stack.token)


@pytest.fixture
def cluster(stack: Stack) -> Cluster:
    return Cluster("test", stack.server, stack.version, address=stack.address)


@pytest.fixture
def mount() -> str:
    """A name for whatever a test mounts."""
    return f"live-{secrets.token_hex(4)}"


def opened(cluster: Cluster, environ: dict[str, str], namespace: str = "", folder: Path = Path("/nowhere")) -> Session:
    return connect(cluster, namespace, environ, folder)


def refusal(cluster: Cluster, environ: dict[str, str], namespace: str = "", folder: Path = Path("/nowhere")) -> str:
    """Why there is no session."""
    with pytest.raises(Unreachable) as error:
        connect(cluster, namespace, environ, folder)
    assert_bare(error.value)
    return str(error.value)


def assert_bare(error: BaseException) -> None:
    """Nothing that carries the request stands behind an error of ours."""
    seen: BaseException | None = error
    while seen is not None:
        assert isinstance(seen, StrongroomError)
        assert CANARY not in repr(seen)
        assert CANARY not in str(vars(seen))
        seen = seen.__cause__ or seen.__context__


# Servers started here, beside the shared one


@dataclass(frozen=True)
class Beside:
    """A server of a test's own."""

    port: int
    folder: Path

    @property
    def ca_cert(self) -> str:
        return str(self.folder / "vault-ca.pem")


@contextmanager
def started(folder: Path, arguments: Sequence[str], port: int) -> Iterator[Beside]:
    command = [str(servers.find(folder, "openbao").program), "server", *arguments]
    with (folder / "log").open("w") as log:
        child = subprocess.Popen(command, env=process.environment(), stdout=log, stderr=log)
    try:
        wait_for_port(child.pid, port)
        yield Beside(port, folder)
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(10)


def wait_for_port(pid: int, port: int) -> None:
    deadline = time.monotonic() + 15
    while not process.listens(pid, port):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    """A development server that speaks TLS with a certificate of its own authority."""
    folder, (port, _, _) = tmp_path_factory.mktemp("tls"), process.free_ports(3)
    flags = ["-dev-tls", f"-dev-tls-cert-dir={folder}", f"-dev-root-token-id={CANARY}", "-dev-no-store-token"]
    with started(folder, [*flags, f"-dev-listen-address=127.0.0.1:{port}"], port) as beside:
        yield beside


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Stack]]:
    """An embedded stack that tests may seal and stop."""
    folder = tmp_path_factory.mktemp("own")
    yield folder, local.up(folder)
    local.down(folder)


# Sessions


def test_a_session_knows_the_server_and_who_it_is(stack: Stack, cluster: Cluster) -> None:
    session = opened(cluster, {"VAULT_TOKEN": stack.token})

    assert ("OpenBao", stack.version, stack.address) == (session.product, session.version, session.address)
    assert (session.who, session.ttl, session.warnings) == ("root (root)", 0, ())
    assert {"VAULT_ADDR": stack.address, "VAULT_TOKEN": stack.token} == session.environ()
    assert stack.token not in repr(session)


def test_baos_variables_serve_as_vaults_do(stack: Stack, cluster: Cluster) -> None:
    session = opened(replace(cluster, address=""), {"BAO_ADDR": f"{stack.address}/", "BAO_TOKEN": stack.token})

    assert {"VAULT_ADDR": stack.address, "VAULT_TOKEN": stack.token} == session.environ()


@pytest.mark.parametrize("name", ["ADDR", "TOKEN", "NAMESPACE", "CACERT"])
def test_contradicting_variables_are_refused_without_their_values(cluster: Cluster, name: str) -> None:
    with pytest.raises(StrongroomError) as error:
        opened(cluster, {f"VAULT_{name}": CANARY, f"BAO_{name}": f"{CANARY}2"})

    assert str(error.value) == f"VAULT_{name} and BAO_{name} are both set and differ; unset one of them"


def test_without_a_token_or_login_it_says_so(stack: Stack, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", stack.token)  # hvac would take it

    assert f"no token for {stack.address}: set VAULT_TOKEN or give the cluster test a login" == refusal(cluster, {})


def test_a_refused_token_is_not_shown(stack: Stack, cluster: Cluster) -> None:
    said = refusal(cluster, {"VAULT_TOKEN": CANARY})

    assert said.startswith(f"{stack.address}: the token is refused: it expired, was revoked, belongs to another server")
    assert CANARY not in said


def test_a_port_without_a_server_is_unreachable(cluster: Cluster) -> None:
    (port, _, _) = process.free_ports(3)
    address = f"http://127.0.0.1:{port}"

    assert f"{address} does not take connections; start the server, or set VAULT_ADDR to where it runs" == refusal(
        cluster, {"VAULT_ADDR": address, "VAULT_TOKEN": CANARY}
    )


def test_other_wrong_addresses_are_told_apart(stack: Stack, cluster: Cluster) -> None:
    tokened = {"VAULT_TOKEN": CANARY}

    assert refusal(cluster, {"VAULT_ADDR": "http://nowhere.invalid:8200", **tokened}) == (
        "http://nowhere.invalid:8200: no such host; check the address"
    )
    assert refusal(cluster, {"VAULT_ADDR": f"http://{stack.postgres}", **tokened}).startswith(
        f"http://{stack.postgres} cannot be reached"
    )
    assert refusal(replace(cluster, address=""), tokened) == (
        "cluster test has no address; set VAULT_ADDR or give it one"
    )
    with pytest.raises(StrongroomError, match="localhost:8200 is no address of a server; write it like https://"):
        opened(cluster, {"VAULT_ADDR": "localhost:8200", **tokened})


def test_a_path_of_the_address_that_is_not_vault_is_told(stack: Stack, cluster: Cluster) -> None:
    address = f"{stack.address}/ui"

    assert refusal(cluster, {"VAULT_ADDR": address, "VAULT_TOKEN": CANARY}) == (
        f"{address} answers, but not as Vault or OpenBao; check the address"
    )


def test_tls_is_verified_by_the_given_authority_alone(
    tls: Beside, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"https://127.0.0.1:{tls.port}"
    environ = {"VAULT_ADDR": address, "VAULT_TOKEN": CANARY}
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", tls.ca_cert)  # requests would trust it

    untrusted = refusal(cluster, environ)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")  # requests would prefer it
    trusted = opened(cluster, {**environ, "VAULT_CACERT": tls.ca_cert})
    declared = opened(replace(cluster, ca_cert="vault-ca.pem"), environ, folder=tls.folder)

    assert untrusted == (
        f"{address}: its TLS certificate is not trusted (unable to get local issuer certificate); "
        "set VAULT_CACERT to the CA's file"
    )
    assert {**environ, "VAULT_CACERT": tls.ca_cert} == trusted.environ() == declared.environ()


def test_skipping_verification_is_allowed_and_said(tls: Beside, cluster: Cluster) -> None:
    address = f"https://127.0.0.1:{tls.port}"
    environ = {"VAULT_ADDR": address, "VAULT_TOKEN": CANARY, "VAULT_SKIP_VERIFY": "true"}

    session = opened(replace(cluster, version=servers.find(tls.folder, "openbao").version), environ)

    assert (f"{address}: TLS is not verified, as VAULT_SKIP_VERIFY says",) == session.warnings
    assert environ == session.environ()
    with pytest.raises(StrongroomError, match="VAULT_SKIP_VERIFY is neither true nor false; correct it"):
        opened(cluster, {**environ, "VAULT_SKIP_VERIFY": "perhaps"})


def test_plain_text_and_tls_are_not_mistaken(stack: Stack, tls: Beside, cluster: Cluster) -> None:
    plain, encrypted = f"http://127.0.0.1:{tls.port}", stack.address.replace("http:", "https:")

    assert f"{plain} speaks TLS; write https://" == refusal(cluster, {"VAULT_ADDR": plain, "VAULT_TOKEN": CANARY})
    told = refusal(cluster, {"VAULT_ADDR": encrypted, "VAULT_TOKEN": CANARY})
    assert told.startswith(f"{encrypted}: TLS fails (")
    assert told.endswith("); check whether it is http:// or https://")


def test_an_authority_that_is_not_there_is_named(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(StrongroomError) as error:
        opened(replace(cluster, ca_cert="ca.pem"), {"VAULT_TOKEN": CANARY}, folder=tmp_path)

    assert str(error.value) == (
        f"the CA's file {tmp_path}/ca.pem is not there; correct VAULT_CACERT, or `ca_cert:` of the cluster"
    )


def test_another_product_is_an_error_and_another_version_a_warning(stack: Stack, cluster: Cluster) -> None:
    environ = {"VAULT_TOKEN": stack.token}

    with pytest.raises(StrongroomError) as error:
        opened(replace(cluster, server="vault"), environ)
    session = opened(replace(cluster, version="2.1.0"), environ)

    assert str(error.value) == (
        f"{stack.address} is OpenBao {stack.version}, but cluster test declares vault; correct `server:` or the address"
    )
    assert session.warnings == (
        f"{stack.address} runs {stack.version}, but cluster test declares 2.1.0; correct `version:`",
    )
    assert opened(replace(cluster, version=f"{stack.version.rpartition('.')[0]}.99"), environ).warnings == ()


@pytest.mark.usefixtures("namespaces")
def test_namespaces_are_joined_and_must_be_there(root: Server, stack: Stack, cluster: Cluster, mount: str) -> None:
    root.write(f"sys/namespaces/{mount}", {})
    root.in_namespace(mount).write("sys/namespaces/team", {})
    environ = {"VAULT_TOKEN": stack.token, "VAULT_NAMESPACE": f"{mount}/"}

    session = opened(cluster, environ, "team")

    assert f"{mount}/team" == session.namespace == session.environ()["VAULT_NAMESPACE"]
    assert refusal(cluster, environ, "other") == (
        f"namespace {mount}/other of {stack.address} is not there; create it first, or correct its name"
    )


@pytest.mark.usefixtures("namespaces")
def test_a_token_of_the_parent_namespace_serves_the_child(root: Server, cluster: Cluster, mount: str) -> None:
    root.write(f"sys/namespaces/{mount}", {})
    rules = f"""
        path "{mount}/sys/mounts" {{ capabilities = ["read"] }}
        path "auth/token/lookup-self" {{ capabilities = ["read"] }}
    """
    root.write(f"sys/policies/acl/{mount}", {"policy": rules})
    body = {"policies": [mount], "ttl": "1h", "no_default_policy": True}
    token = root.write("auth/token/create", body)["client_token"]

    session = opened(cluster, {"VAULT_TOKEN": token}, mount)

    assert f"token ({mount})" == session.who
    assert 3590 < session.ttl <= 3600
    assert session.server.read("sys/mounts") is not None


def test_an_embedded_cluster_is_the_running_stack(own: tuple[Path, Stack], tmp_path: Path) -> None:
    folder, running = own
    embedded = Cluster("local", running.server, running.version, embedded=True)

    session = opened(embedded, {}, folder=folder)

    assert {"VAULT_ADDR": running.address, "VAULT_TOKEN": running.token} == session.environ()
    assert refusal(embedded, {}, folder=tmp_path) == "the embedded stack is not running; start it: invoke up"
    elsewhere = opened(embedded, {"VAULT_ADDR": running.address, "VAULT_TOKEN": running.token}, folder=tmp_path)
    assert running.address == elsewhere.address


def test_a_sealed_server_says_so(own: tuple[Path, Stack]) -> None:
    folder, running = own
    keys = json.loads((folder / ".strongroom" / "stack" / "vault" / "keys.json").read_text())
    environ = {"VAULT_ADDR": running.address, "VAULT_TOKEN": running.token}
    server = open_server(running.address, "", running.token)
    server.request("PUT", "sys/seal")

    try:
        sealed = f"{running.address} is sealed; unseal it and run this again"
        assert sealed == refusal(Cluster("own", "openbao", running.version), environ)
        with pytest.raises(Unreachable, match=sealed):
            server.read("sys/mounts")
        with pytest.raises(Unreachable, match=sealed):
            server.write("sys/policies/acl/x", {"policy": CANARY})
    finally:
        server.write("sys/unseal", {"key": keys["unseal_key"]})


def test_a_server_that_is_not_initialised_says_so(tmp_path: Path) -> None:
    port, cluster_port, _ = process.free_ports(3)
    address = f"http://127.0.0.1:{port}"
    (tmp_path / "config.hcl").write_text(f"""
        api_addr     = "{address}"
        cluster_addr = "http://127.0.0.1:{cluster_port}"
        storage "inmem" {{}}
        listener "tcp" {{
          address         = "127.0.0.1:{port}"
          cluster_address = "127.0.0.1:{cluster_port}"
          tls_disable     = true
        }}
    """)

    with started(tmp_path, [f"-config={tmp_path / 'config.hcl'}"], port):
        assert f"{address} is not initialised; initialise it first" == refusal(
            Cluster("new", "openbao", "2.7.2"), {"VAULT_ADDR": address, "VAULT_TOKEN": CANARY}
        )


# Logins


def is_accepted(server: Server, token: str) -> bool:
    try:
        return server.as_token(token).read("auth/token/lookup-self") is not None
    except Denied:
        return False


def test_a_login_by_approle_ends_with_the_session(root: Server, cluster: Cluster, mount: str, tmp_path: Path) -> None:
    root.write(f"sys/auth/{mount}", {"type": "approle"})
    root.write(f"auth/{mount}/role/deploy", {"token_ttl": "20m"})
    role_id = (root.read(f"auth/{mount}/role/deploy/role-id") or {})["role_id"]
    secret_id = root.write(f"auth/{mount}/role/deploy/secret-id", {})["secret_id"]
    (tmp_path / "secret-id").write_text(f"{secret_id}\n")
    login = Login("approle", mount, {"role_id": role_id, "secret_id": "file:secret-id"})

    session = opened(replace(cluster, login=login), {}, folder=tmp_path)
    before = is_accepted(root, session.token)
    session.close()

    assert f"{mount} (default)" == session.who.replace("approle", mount)
    assert (before, is_accepted(root, session.token)) == (True, False)
    assert secret_id not in repr(session)


def test_a_given_token_outlives_the_session(root: Server, cluster: Cluster) -> None:
    token = root.write("auth/token/create", {"policies": ["default"]})["client_token"]
    login = Login("token", "token", {"token": "env:MINE"})

    opened(cluster, {"VAULT_TOKEN": token}).close()
    opened(replace(cluster, login=login), {"MINE": token}).close()

    assert is_accepted(root, token)


def test_a_login_by_userpass(root: Server, cluster: Cluster, mount: str) -> None:
    root.write(f"sys/auth/{mount}", {"type": "userpass"})
    root.write(f"auth/{mount}/users/ada", {"password": CANARY})
    login = Login("userpass", mount, {"username": "ada", "password": "env:ADA"})

    session = opened(replace(cluster, login=login), {"ADA": CANARY})
    session.close()

    assert f"{mount}-ada (default)" == session.who
    assert not is_accepted(root, session.token)


def signed(key: ec.EllipticCurvePrivateKey, claims: dict[str, Any]) -> str:
    """A real JWT, signed with ES256."""
    head, body = (_part(json.dumps(part).encode()) for part in ({"alg": "ES256"}, claims))
    r, s = utils.decode_dss_signature(key.sign(f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256())))
    return f"{head}.{body}.{_part(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@pytest.mark.parametrize("method", ["jwt", "kubernetes"])
def test_a_login_by_jwt(root: Server, cluster: Cluster, mount: str, method: str) -> None:
    """A login by kubernetes sends the same as one by jwt."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    root.write(f"sys/auth/{mount}", {"type": "jwt"})
    root.write(f"auth/{mount}/config", {"jwt_validation_pubkeys": [public.decode()]})
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"]}
    root.write(f"auth/{mount}/role/deploy", role)
    jwt = signed(key, {"sub": "ci", "aud": "vault", "exp": int(time.time()) + 60, "iat": int(time.time())})
    login = Login(method, mount, {"role": "deploy", "jwt": "env:JWT"})

    session = opened(replace(cluster, login=login), {"JWT": jwt})
    session.close()

    assert f"{mount}-ci (default)" == session.who
    assert not is_accepted(root, session.token)


def test_a_refused_login_says_where_and_why(root: Server, stack: Stack, cluster: Cluster, mount: str) -> None:
    root.write(f"sys/auth/{mount}", {"type": "approle"})
    login = Login("approle", mount, {"role_id": "someone", "secret_id": "env:SECRET_ID"})

    assert refusal(replace(cluster, login=login), {"SECRET_ID": CANARY}) == (
        f"{stack.address}: the login at auth/{mount}/login is refused: invalid role or secret ID; "
        "check the login of cluster test"
    )
    elsewhere = replace(login, mount="nowhere")
    assert refusal(replace(cluster, login=elsewhere), {"SECRET_ID": CANARY}) == (
        f"{stack.address}: the login at auth/nowhere/login is refused: permission denied; "
        "check the login of cluster test"
    )


def test_a_login_needs_its_secret(cluster: Cluster) -> None:
    for reference, why in (
        ("env:ABSENT", "env:ABSENT is not set; export ABSENT"),
        ("kv:a/b#c", "kv:a/b#c needs a session, and a login cannot wait for one; use env:, file: or cmd:"),
    ):
        login = Login("approle", "approle", {"role_id": "x", "secret_id": reference})
        with pytest.raises(StrongroomError) as error:
            opened(replace(cluster, login=login), {})
        assert why == str(error.value)


def test_a_login_is_given_back_when_the_session_fails_later(root: Server, cluster: Cluster, mount: str) -> None:
    root.write(f"sys/auth/{mount}", {"type": "userpass"})
    root.write(f"auth/{mount}/users/ada", {"password": CANARY})
    login = Login("userpass", mount, {"username": "ada", "password": "env:ADA"})
    before = set(root.list("auth/token/accessors"))

    with pytest.raises(StrongroomError, match="declares vault"):
        opened(replace(cluster, login=login, server="vault"), {"ADA": CANARY})

    assert before == set(root.list("auth/token/accessors"))


# Reads and writes


def test_what_is_absent_is_none_and_what_is_refused_is_an_error(root: Server, mount: str) -> None:
    gone = ("No secret engine mount at",)

    assert root.read(f"{mount}/nothing") is None
    assert root.read("sys/policies/acl/nothing-here") is None
    assert root.read(f"sys/mounts/{mount}", gone) is None
    assert root.list(f"{mount}/nothing") == ()
    root.delete(f"{mount}/nothing")
    with pytest.raises(Rejected, match=f"GET sys/mounts/{mount}: No secret engine mount at {mount}/ .status 400."):
        root.read(f"sys/mounts/{mount}")
    with pytest.raises(Rejected, match="unsupported path"):
        root.list("sys/no-such-endpoint")


def test_what_the_token_may_not_do_names_the_capability(root: Server, stack: Stack) -> None:
    nobody, told = root.as_token(root.write("auth/token/create", {"policies": ["default"]})["client_token"]), []
    for attempt in (
        lambda: nobody.read("auth/approle/role/x"),
        lambda: nobody.list("sys/policies/acl"),
        lambda: nobody.write("sys/policies/acl/x", {"policy": CANARY}),
        lambda: nobody.delete("sys/policies/acl/x"),
        lambda: nobody.in_namespace("").as_token("").read("sys/mounts"),
    ):
        with pytest.raises(Denied) as error:
            attempt()
        assert_bare(error.value)
        told.append(str(error.value))

    assert [
        f"{capability} on {path} is denied: give the token `{capability}` there, or take another token"
        for capability, path in (
            ("read", "auth/approle/role/x"),
            ("list", "sys/policies/acl"),
            ("update", "sys/policies/acl/x"),
            ("delete", "sys/policies/acl/x"),
            ("read", "sys/mounts"),
        )
    ] == told
    assert stack.token not in repr(root)


def test_names_that_need_quoting_arrive_as_they_are(root: Server, mount: str) -> None:
    root.write(f"sys/mounts/{mount}", {"type": "kv"})
    for name in ("a b", "50%", "what?", "#1", "größe"):
        root.write(f"{mount}/{name}", {"name": name})

        assert {"name": name} == root.read(f"{mount}/{name}")
    assert {"a b", "50%", "what?", "#1", "größe"} == set(root.list(mount))


def test_reads_and_writes_wait_for_a_rate_limit(root: Server, mount: str) -> None:
    root.write(f"sys/mounts/{mount}", {"type": "kv"})
    root.write(f"sys/quotas/rate-limit/{mount}", {"path": f"{mount}/", "rate": 2, "interval": "1s"})
    try:
        for number in range(3):
            root.write(f"{mount}/x", {"a": number})
            assert {"a": number} == root.read(f"{mount}/x")
    finally:
        root.delete(f"sys/quotas/rate-limit/{mount}")


def test_reads_and_writes_wait_for_a_store_that_is_being_upgraded(root: Server, mount: str) -> None:
    root.write(f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "1"}})
    for number in range(40):
        root.write(f"{mount}/{number}", {"a": "b"})

    root.write(f"sys/mounts/{mount}/tune", {"options": {"version": "2"}})
    root.write(f"{mount}/data/new", {"data": {"a": "b"}})

    assert len(root.list(f"{mount}/metadata")) == 41


class Elsewhere(BaseHTTPRequestHandler):
    """A proxy that sends everybody to another host, here itself, and notes who came with a token."""

    tokens: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        self.tokens.append(self.headers.get("X-Vault-Token"))
        self.send_response(307)
        self.send_header("Location", f"http://127.0.0.2:{self.headers['Host'].rpartition(':')[2]}{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


def test_a_redirect_is_told_and_not_followed() -> None:
    proxy = ThreadingHTTPServer(("0.0.0.0", 0), Elsewhere)  # noqa: S104 - it has two addresses on the loopback
    threading.Thread(target=proxy.serve_forever).start()
    address = f"http://127.0.0.1:{proxy.server_port}"
    try:
        with pytest.raises(Unreachable) as error:
            open_server(address, "", CANARY).read("sys/mounts")
    finally:
        proxy.shutdown()
        proxy.server_close()

    assert str(error.value) == (
        f"{address} redirects to http://127.0.0.2:{proxy.server_port}/v1/sys/mounts; use that address"
    )
    assert Elsewhere.tokens == [CANARY]


class Maps(BaseHTTPRequestHandler):
    """A server with a map path, as GitHub's auth method has them, that no server here has: nothing there is null."""

    def do_GET(self) -> None:
        body = b'{"data":{"data":null}}' if self.path == "/v1/kv/data/deleted" else b'{"data":null}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


def test_an_answer_of_null_is_nothing_there() -> None:
    maps = ThreadingHTTPServer(("127.0.0.1", 0), Maps)
    threading.Thread(target=maps.serve_forever).start()
    address = f"http://127.0.0.1:{maps.server_port}"
    try:
        readers = (open_server(address, "", CANARY), Api(address, CANARY))
        team = [one.read("auth/github/map/teams/nobody") for one in readers]
        deleted = [one.read("kv/data/deleted") for one in readers]
    finally:
        maps.shutdown()
        maps.server_close()

    assert team == [None, None]
    assert deleted == [{"data": None}, {"data": None}]


@pytest.mark.usefixtures("namespaces")
def test_a_locked_namespace_is_told_at_once(root: Server, mount: str) -> None:
    root.write(f"sys/namespaces/{mount}", {})
    key = root.write(f"sys/namespaces/api-lock/lock/{mount}", {})["unlock_key"]
    began = time.monotonic()
    try:
        with pytest.raises(Unreachable, match=f"namespace {mount} of .* does not serve now: API access .* locked"):
            root.in_namespace(mount).read("sys/mounts")
    finally:
        root.write(f"sys/namespaces/api-lock/unlock/{mount}", {"unlock_key": key})

    assert time.monotonic() - began < 1


def test_a_read_survives_a_connection_that_was_closed(own: tuple[Path, Stack]) -> None:
    folder, running = own
    server = open_server(running.address, "", running.token)
    assert server.read("sys/mounts")

    local.down(folder)
    with pytest.raises(Unreachable, match="does not take connections"):
        server.read("sys/mounts")
    local.up(folder)

    assert server.read("sys/mounts")


# References


def test_a_variable(tmp_path: Path) -> None:
    assert resolve("env:NAME", {"NAME": CANARY}, tmp_path) == CANARY


def test_a_file_is_found_from_the_root_and_loses_one_newline(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{CANARY}\n\n")

    assert f"{CANARY}\n" == resolve("file:secret", {}, tmp_path)
    assert f"{CANARY}\n" == resolve(f"file:{tmp_path}/secret", {}, Path("/"))


def test_a_command_runs_in_the_root_without_a_shell(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(CANARY)

    assert f"{CANARY} $HOME;*" == resolve("cmd:printf '%s\\n' \"$(cat) $HOME;*\"", PATH, tmp_path).replace(
        "$(cat)", CANARY
    )
    assert resolve("cmd:cat secret", PATH, tmp_path) == CANARY


@pytest.mark.parametrize(("version", "path"), [("1", "app/db"), ("2", "app/db")])
def test_a_stored_secret_is_named_as_on_the_command_line(
    root: Server, mount: str, tmp_path: Path, version: str, path: str
) -> None:
    root.write(f"sys/mounts/{mount}/deep", {"type": "kv", "options": {"version": version}})
    body = {"password": CANARY, "data": "x", "metadata": "y"}
    where, content = (f"{mount}/deep/data/{path}", {"data": body}) if version == "2" else (f"{mount}/deep/{path}", body)
    root.write(where, content)

    assert resolve(f"kv:{mount}/deep/{path}#password", {}, tmp_path, root) == CANARY
    for reference, why in (
        (f"kv:{mount}/deep/{path}#user", f"the secret at {mount}/deep/{path} has no text named user"),
        (f"kv:{mount}/deep/none#user", f"there is no secret at {mount}/deep/none"),
        ("kv:nowhere/x#y", "read on sys/internal/ui/mounts/nowhere/x is denied"),
    ):
        with pytest.raises(StrongroomError) as error:
            resolve(reference, {}, tmp_path, root)
        assert str(error.value).startswith(f"{reference}: {why}")
        assert CANARY not in str(error.value)


def test_a_deleted_version_is_no_secret(root: Server, mount: str, tmp_path: Path) -> None:
    root.write(f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "2"}})
    root.write(f"{mount}/data/x", {"data": {"password": CANARY}})
    root.delete(f"{mount}/data/x")

    with pytest.raises(StrongroomError, match=f"kv:{mount}/x#password: there is no secret at {mount}/x"):
        resolve(f"kv:{mount}/x#password", {}, tmp_path, root)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("env:ABSENT", "env:ABSENT is not set; export ABSENT"),
        ("env:EMPTY", "env:EMPTY is empty; give it a value"),
        ("file:absent", "file:absent cannot be read: No such file or directory; correct the path, or write the file"),
        ("file:.", "file:. cannot be read: Is a directory; correct the path, or write the file"),
        ("file:empty", "file:empty is empty; give it a value"),
        ("file:binary", "file:binary cannot be read: not a UTF-8 text; correct the path, or write the file"),
        ("cmd:absent-program x", "cmd:absent-program x cannot be run: No such file or directory; {hint}"),
        ("cmd:echo 'x", "cmd:echo 'x cannot be run: No closing quotation; {hint}"),
        ("cmd:true", "cmd:true is empty; give it a value"),
        ("cmd:cat binary", "cmd:cat binary cannot be run: it prints no UTF-8 text; {hint}"),
        ("cmd:./fail", "cmd:./fail fails with status 3: the last line; {hint}"),
        (CANARY, "a secret is written as a reference: env:NAME, file:PATH, cmd:COMMAND or kv:PATH#FIELD"),
    ],
)
def test_what_cannot_be_resolved_is_told_without_a_value(tmp_path: Path, reference: str, message: str) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(CANARY.encode() + b"\xff\xfe")
    (tmp_path / "fail").write_text(f"#!/bin/sh\necho {CANARY}\necho first >&2\necho the last line >&2\nexit 3\n")
    (tmp_path / "fail").chmod(0o755)

    with pytest.raises(StrongroomError) as error:
        resolve(reference, {**PATH, "EMPTY": ""}, tmp_path)

    assert message.format(hint="run it by hand to see more") == str(error.value)
    cause: BaseException | None = error.value
    while cause is not None:
        assert CANARY not in repr(cause)
        cause = cause.__cause__ or cause.__context__


def test_all_references_are_resolved_each_once(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("#!/bin/sh\necho x >> counted\nwc -l < counted\n")
    (tmp_path / "count").chmod(0o755)
    references = {"a": "cmd:./count", "b": "cmd:./count", "c": "env:NAME"}

    assert resolve_all(references, {**PATH, "NAME": CANARY}, tmp_path) == {"a": "1", "b": "1", "c": CANARY}


def test_all_failures_are_told_at_once(tmp_path: Path) -> None:
    references = {"one": "env:ABSENT", "two": "env:NAME", "three": "file:absent"}

    with pytest.raises(StrongroomError) as error:
        resolve_all(references, {"NAME": CANARY}, tmp_path)

    assert str(error.value).splitlines() == [
        "one: env:ABSENT is not set; export ABSENT",
        "three: file:absent cannot be read: No such file or directory; correct the path, or write the file",
    ]


def test_a_token_that_ends_soon_is_warned_of(stack: Stack, root: Server, cluster: Cluster) -> None:
    made = root.request("POST", "auth/token/create", {"ttl": "120s", "num_uses": 9}).auth
    session = opened(cluster, {"VAULT_ADDR": stack.address, "VAULT_TOKEN": made["client_token"]})

    ending, counted = session.warnings
    assert re.fullmatch(r"the token ends in 1[12]\d s; an apply may need longer, .*", ending)
    assert counted == "the token may be used 8 times more; a plan or an apply needs many more than that"
