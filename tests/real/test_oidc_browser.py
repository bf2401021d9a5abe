"""People log in through their browser: an OpenID Connect provider, its pages, and the redirect back."""

from __future__ import annotations

import subprocess
import threading
import urllib.parse
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from orchestrator.commands.drift import drift
from orchestrator.commands.plan import Asked, apply, plan
from tests.real.browser import browser
from tests.support import needs, no_progress, no_question, project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.local.stack import Stack
    from orchestrator.terraform.provider.api import Api

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("namespaces")]

NAME = "sso"
CLIENT_SECRET = "canary-oidc-client-3c9e"
SCRIPT = Path(__file__).with_name("oidc_provider.mjs")


class Landing(HTTPServer):
    """Where the provider sends the browser back to: remembers what it brought."""

    def __init__(self) -> None:
        self.brought: dict[str, str] = {}
        self.there = threading.Event()
        super().__init__(("127.0.0.1", 0), _Page)

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/oidc/callback"


class _Page(BaseHTTPRequestHandler):
    server: Landing

    def do_GET(self) -> None:
        where = urllib.parse.urlsplit(self.path)
        if where.path == "/oidc/callback":
            self.server.brought = dict(urllib.parse.parse_qsl(where.query))
            self.server.there.set()
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet: a line holds the code."""


@pytest.fixture
def landing() -> Iterator[Landing]:
    server = Landing()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the npm package of the provider."""
    needs("node")
    folder = tmp_path_factory.mktemp("npm")
    command = [needs("npm"), "install", "--silent", "--no-audit", "--no-fund", "oidc-provider@9"]
    subprocess.run(command, cwd=folder, check=True, timeout=120)
    return folder


@contextmanager
def provider(packages: Path, redirect: str) -> Iterator[str]:
    command = [needs("node"), str(SCRIPT), "vault", redirect]
    with subprocess.Popen(
        command, cwd=packages, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(CLIENT_SECRET)
        running.stdin.close()
        try:
            yield next(line.strip() for line in running.stdout if line.startswith("http"))
        finally:
            running.terminate()


def environment(issuer: str, redirect: str) -> dict[str, object]:
    role = {
        "user_claim": "sub",
        "groups_claim": "groups",
        "oidc_scopes": ["groups"],
        "allowed_redirect_uris": [redirect],
        "bound_audiences": ["vault"],
        "token_ttl": "15m",
        "token_max_ttl": "8h",
    }
    config = {
        "oidc_discovery_url": issuer,
        "oidc_client_id": "vault",
        "oidc_client_secret": "env:OIDC_CLIENT_SECRET",
        "default_role": "people",
    }
    return {
        "namespace": NAME,
        "auth": {"sso": {"type": "oidc", "config": config, "roles": {"people": role}}},
        "identity": {
            "groups": {"payments": {"type": "external", "policies": ["payments-read"]}},
            "group_aliases": {"payments-team": {"group": "payments", "mount": "sso", "name": "ada-team"}},
        },
    }


def test_somebody_logs_in_with_a_browser_and_is_in_the_group_of_the_yaml(
    stack: Stack, api: Api, tmp_path: Path, landing: Landing, packages: Path
) -> None:
    api.call("POST", f"sys/namespaces/{NAME}", {})
    with provider(packages, landing.uri) as issuer, browser() as window:
        environ = project(tmp_path, stack, NAME, environment(issuer, landing.uri))
        environ["OIDC_CLIENT_SECRET"] = CLIENT_SECRET
        applied = apply(tmp_path, NAME, environ, no_progress, no_question, Asked(verify=False))

        assert applied.pending == ()
        assert drift(tmp_path, NAME, environ).drifts == ()

        asked = {"role": "people", "redirect_uri": landing.uri, "client_nonce": "n-1"}
        window.open(_vault(stack, "POST", "oidc/auth_url", json=asked)["data"]["auth_url"])
        window.type("input[name=login]", "ada")
        window.type("input[name=password]", "any: the provider of this test takes everybody")
        window.click("button[type=submit]")
        window.click("button[type=submit]")

        assert landing.there.wait(20)

        auth = _vault(stack, "GET", "oidc/callback", params={**landing.brought, "client_nonce": "n-1"})["auth"]

        assert auth["identity_policies"] == ["payments-read"]
        assert auth["lease_duration"] == 15 * 60
        assert plan(tmp_path, NAME, environ, no_progress, None).changes == ()

    held = [
        path for path in tmp_path.rglob("*") if path.is_file() and CLIENT_SECRET in path.read_text(errors="replace")
    ]
    assert held == []


def _vault(stack: Stack, method: str, path: str, **more: object) -> dict[str, dict[str, Any]]:
    headers = {"X-Vault-Namespace": NAME}
    answer = requests.request(method, f"{stack.address}/v1/auth/sso/{path}", headers=headers, timeout=10, **more)  # type: ignore[arg-type]
    assert answer.ok, answer.text
    found: dict[str, dict[str, Any]] = answer.json()
    return found
