"""Kubernetes: a login is what the cluster's token review says of it.

No cluster can be had here: what answers is a small server that reviews tokens as the cluster's API documents it, by the
signature, the audience and the end of a token, and only for a reviewer that it knows.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from orchestrator.live.server import Denied, Rejected
from tests.real.authority import Authority
from tests.real.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.local.stack import Stack

pytestmark = pytest.mark.server

REVIEWER = "canary-reviewer-8c3e"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


def _text(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True)
class Cluster:
    """What signs the tokens of service accounts, and reviews them."""

    ca: str
    port: int
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    bearers: list[str] = field(default_factory=list)

    def token(self, name: str, namespace: str = "shop", audience: str = "vault") -> str:
        """A token as a pod finds it."""
        account, now = {"name": name, "uid": f"uid-of-{name}"}, int(time.time())
        claims = {
            "iss": "https://kubernetes.default.svc.cluster.local",
            "sub": f"system:serviceaccount:{namespace}:{name}",
            "aud": [audience],
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            "kubernetes.io": {"namespace": namespace, "serviceaccount": account},
        }
        signed = f"{_text(json.dumps({'alg': 'ES256'}).encode())}.{_text(json.dumps(claims).encode())}"
        first, second = utils.decode_dss_signature(self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_text(first.to_bytes(32, 'big') + second.to_bytes(32, 'big'))}"

    def review(self, token: str, audiences: list[str]) -> dict[str, Any]:
        """The status of a TokenReview."""
        claims = json.loads(_bytes(token.split(".")[1]))
        shared = [one for one in claims["aud"] if not audiences or one in audiences]
        if not self._is_ours(token) or claims["exp"] < time.time() or not shared:
            return {"authenticated": False, "error": "the token is not valid"}
        user = {"username": claims["sub"], "uid": claims["kubernetes.io"]["serviceaccount"]["uid"]}
        return {"authenticated": True, "user": user, "audiences": shared}

    def _is_ours(self, token: str) -> bool:
        signed, _, signature = token.rpartition(".")
        both = _bytes(signature)
        given = utils.encode_dss_signature(*(int.from_bytes(half, "big") for half in (both[:32], both[32:])))
        try:
            self.key.public_key().verify(given, signed.encode(), ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    def answer(self, path: str, bearer: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.bearers.append(bearer)
        if path != REVIEWS:
            return 404, {"kind": "Status", "status": "Failure", "code": 404}
        if bearer != REVIEWER:
            return 401, {"kind": "Status", "status": "Failure", "code": 401, "reason": "Unauthorized"}
        spec = asked["spec"]
        return 201, {**asked, "status": self.review(spec["token"], spec.get("audiences") or [])}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    class Api(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, answer = known.answer(self.path, bearer, asked)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    authority, server = Authority(), ThreadingHTTPServer(("127.0.0.1", 0), Api)
    files = (tmp_path / "api.pem", tmp_path / "api.key")
    for file, text in zip(files, authority.issue("kubernetes"), strict=True):
        file.write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    known = Cluster(authority.pem, server.server_port)
    threading.Thread(target=server.serve_forever).start()
    yield known
    server.shutdown()
    server.server_close()


@pytest.fixture
def house(stack: Stack, cluster: Cluster, tmp_path: Path) -> House:
    mount = {
        "type": "kubernetes",
        "config": {
            "kubernetes_host": f"https://127.0.0.1:{cluster.port}",
            "kubernetes_ca_cert": cluster.ca,
            "token_reviewer_jwt": "env:REVIEWER",
            "disable_local_ca_jwt": True,
        },
        "roles": {
            "payments": {
                "bound_service_account_names": ["payments"],
                "bound_service_account_namespaces": ["shop"],
                "audience": "vault",
                "token_policies": ["payments"],
                "token_ttl": "20m",
            }
        },
    }
    return House(tmp_path, stack, mount, ("payments",), {"REVIEWER": REVIEWER})


def test_a_service_account_gets_what_its_role_says(house: House, cluster: Cluster) -> None:
    house.applied()
    auth = house.login("login", role="payments", jwt=cluster.token("payments"))

    assert auth["policies"] == ["default", "payments"]
    assert auth["lease_duration"] == 1200
    assert auth["metadata"]["service_account_name"] == "payments"
    assert house.told(auth, "roles", "payments", "orders") == [True, False]
    assert set(cluster.bearers) == {REVIEWER}


def test_another_service_account_or_a_forged_token_is_refused(house: House, cluster: Cluster) -> None:
    house.applied()
    forged = Cluster("", 0).token("payments")
    tokens = [
        cluster.token("orders"),
        cluster.token("payments", namespace="elsewhere"),
        cluster.token("payments", audience="elsewhere"),
        forged,
    ]

    for token in tokens:
        with pytest.raises((Denied, Rejected)):
            house.login("login", role="payments", jwt=token)


def test_one_setting_leaves_the_reviewer_in_place_and_leaving_it_out_takes_it_away(
    house: House, cluster: Cluster
) -> None:
    house.applied()
    house.mount["config"]["issuer"] = "https://kubernetes.default.svc.cluster.local"
    changed = house.applied()
    house.login("login", role="payments", jwt=cluster.token("payments"))
    del house.mount["config"]["token_reviewer_jwt"]
    house.applied()
    again = house.applied()

    assert [one.title for one in changed.plan.changes] == [f"auth/{house.path}/config"]
    assert again.plan.changes == ()
    with pytest.raises(Denied):
        house.login("login", role="payments", jwt=cluster.token("payments"))
    assert cluster.bearers[-1] != REVIEWER
