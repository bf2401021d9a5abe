"""The CI was taken over: whoever holds it logs in as its jobs do."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from orchestrator.incident.runbooks.drills.stage import Life, Planted
from orchestrator.live.server import Denied, Rejected

if TYPE_CHECKING:
    from orchestrator.documents import Json
    from orchestrator.incident.runbooks.drills.stage import Stage

JOBS = 50
LOGIN = "auth/jwt/login"


def plant(stage: Stage) -> Planted:
    """A platform that signs the tokens of its jobs, and two roles for them; the thief has what it signs with."""
    old, new = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    stage.server.write("sys/auth/jwt", {"type": "jwt"})
    _trusts(stage, old)
    for role in ("deploy", "lint"):
        settings = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "token_ttl": "1h"}
        stage.server.write(f"auth/jwt/role/{role}", {**settings, "bound_subject": role})
    leaked = [stage.token(stage.login(LOGIN, _job(old, "deploy"))) for _ in range(JOBS)]
    others = [stage.token(stage.login(LOGIN, _job(old, "lint"))) for _ in range(JOBS)]
    answers = {"roles": "auth/jwt/deploy", "mount": "auth/jwt"}
    hands = {"bao write auth/jwt/config jwt_validation_pubkeys=@ci-new.pem": lambda: _trusts(stage, new)}
    return Planted([*leaked, _login(stage, old)], [*others, *stage.bystanders(2)], answers, hands)


def _trusts(stage: Stage, key: ec.EllipticCurvePrivateKey) -> None:
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    stage.server.write("auth/jwt/config", {"jwt_validation_pubkeys": [public.decode()]})


def _job(key: ec.EllipticCurvePrivateKey, name: str) -> dict[str, Json]:
    """What a job logs in with: a role, and a token of the platform that is good for ten minutes."""
    now = int(time.time())
    claims = {"sub": name, "aud": "vault", "iat": now - 60, "nbf": now - 60, "exp": now + 600}
    signed = ".".join(_text(json.dumps(part).encode()) for part in ({"alg": "ES256", "typ": "JWT"}, claims))
    first, second = utils.decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    signature = first.to_bytes(32) + second.to_bytes(32)
    return {"role": name, "jwt": f"{signed}.{_text(signature)}"}


def _text(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def _login(stage: Stage, key: ec.EllipticCurvePrivateKey) -> Life:
    """The way in lives as long as a login by it gives a token that is of use."""
    body = _job(key, "deploy")

    def lives() -> bool:
        try:
            return stage.token(stage.login(LOGIN, body)).lives()
        except (Denied, Rejected):
            return False

    return Life("login", lives)
