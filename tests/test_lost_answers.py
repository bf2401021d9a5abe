"""Requests whose answer never comes: repeated where that is right, else looked for; what stays unknown is said."""

from __future__ import annotations

import contextlib
import re
import secrets
import socket
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from orchestrator.commands.plan import Asked, apply, plan
from orchestrator.errors import StrongroomError
from orchestrator.live.server import Unclear
from orchestrator.live.wire import open_server
from tests.support import POLICY, no_progress, no_question, project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.local.stack import Stack
    from orchestrator.terraform.provider.api import Api

pytestmark = pytest.mark.server

_LINE = re.compile(rb"\A([A-Z]+) /v1/(\S+) ")


@dataclass
class Loss:
    """What stands between: it passes requests on, and closes instead of the first answer to each that is chosen."""

    chosen: re.Pattern[str]
    server: tuple[str, int]
    lost: list[str] = field(default_factory=list)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def work(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        losing = threading.Event()
        with closing(client), closing(socket.create_connection(self.server)) as server:
            answers = threading.Thread(target=_answer, args=(server, client, losing))
            answers.start()
            with contextlib.suppress(OSError):
                while data := client.recv(1 << 16):
                    if self._loses(data):
                        losing.set()
                    server.sendall(data)
            _end(server)
            answers.join()

    def _loses(self, data: bytes) -> bool:
        if (line := _LINE.match(data)) is None:
            return False
        title = f"{line[1].decode()} {line[2].decode()}"
        with self._lock:
            if title in self.lost or not self.chosen.fullmatch(title):
                return False
            self.lost.append(title)
            return True


def _answer(server: socket.socket, client: socket.socket, losing: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while (data := server.recv(1 << 16)) and not losing.is_set():
            client.sendall(data)
    _end(client)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


@contextmanager
def losing(stack: Stack, chosen: str) -> Iterator[Loss]:
    parts = urlsplit(stack.address)
    loss = Loss(re.compile(chosen), (parts.hostname or "", parts.port or 80))
    thread = threading.Thread(target=loss.work, daemon=True)
    thread.start()
    try:
        yield loss
    finally:
        loss.listener.shutdown(socket.SHUT_RDWR)
        loss.listener.close()
        thread.join()


@pytest.fixture
def name() -> str:
    return f"lost-{secrets.token_hex(4)}"


def made(name: str) -> dict[str, Any]:
    """Of everything that is made once: mounts, what has an id that only the answer tells, keys."""
    return {
        "auth": {name: {"type": "approle", "roles": {"app": {"token_policies": [name]}}}},
        "secrets": {
            f"{name}-kv": {"type": "kv-v2"},
            f"{name}-transit": {"type": "transit", "keys": {"orders": {}}},
            f"{name}-ssh": {"type": "ssh", "ca": {"key_type": "ed25519"}},
        },
        "identity": {
            "entities": {name: {"policies": [name]}},
            "entity_aliases": {name: {"name": name, "entity": name, "mount": name}},
            "groups": {name: {"policies": [name]}, f"{name}-outside": {"type": "external"}},
            "group_aliases": {name: {"name": name, "group": f"{name}-outside", "mount": name}},
        },
    }


def test_an_apply_whose_answers_are_lost_makes_everything_once(stack: Stack, name: str, tmp_path: Path) -> None:
    (tmp_path / "policies" / "lost").mkdir(parents=True)
    (tmp_path / "policies" / "lost" / f"{name}.hcl").write_text(POLICY)
    environ = project(tmp_path, stack, "lost", made(name))
    with losing(stack, rf"(POST|PUT) (\S*{name}\S*|identity/(entity|group|entity-alias|group-alias))") as loss:
        asked = Asked(many=True, verify=False)
        done = apply(tmp_path, "lost", {**environ, "VAULT_ADDR": loss.address}, no_progress, no_question, asked)
    after = plan(tmp_path, "lost", environ, no_progress, None)

    assert {
        f"POST sys/auth/{name}",
        f"POST sys/mounts/{name}-kv",
        f"POST auth/{name}/role/app",
        f"POST {name}-ssh/config/ca",
        "POST identity/entity",
        "POST identity/entity-alias",
        "POST identity/group",
        "POST identity/group-alias",
    } < set(loss.lost)
    assert (done.code, done.pending) == (0, ())
    assert after.changes == ()


def test_what_cannot_be_told_from_what_stands_is_said_and_the_next_apply_goes_on(
    stack: Stack, api: Api, name: str, tmp_path: Path
) -> None:
    mount = {"type": "pki", "max_lease_ttl": "8760h", "root": {"common_name": "Lost", "ttl": "8760h"}}
    environ = project(tmp_path, stack, "lost", {"secrets": {name: mount}})
    asked, path = Asked(many=True, verify=False), f"{name}/issuers/generate/root/internal"
    with losing(stack, rf"POST {path}") as loss, pytest.raises(StrongroomError) as caught:
        apply(tmp_path, "lost", {**environ, "VAULT_ADDR": loss.address}, no_progress, no_question, asked)
    first = api.call("LIST", f"{name}/issuers", None)["keys"]
    apply(tmp_path, "lost", environ, no_progress, no_question, asked)

    assert str(caught.value) == (
        "terraform apply exited with 1:\n"
        f'- vault_pki_secret_backend_root_cert.this["{name}"]: Vault refused POST {path}: '
        f"no answer from {loss.address}: Remote end closed connection without response; it is unknown whether it was "
        "carried out: run apply again, which goes on from what stands"
    )
    assert len(first) == 1
    assert api.call("LIST", f"{name}/issuers", None)["keys"] == first


def test_a_session_repeats_reads_and_what_it_may(stack: Stack, api: Api, name: str) -> None:
    api.call("POST", f"sys/mounts/{name}", {"type": "kv"})
    with losing(stack, rf"\S+ {name}/\S+") as loss:
        server = open_server(loss.address, "", stack.token)
        server.read("sys/health")
        server.write(f"{name}/again", {"value": "1"}, again=True)
        with pytest.raises(Unclear) as caught:
            server.write(f"{name}/once", {"value": "1"})
        read = server.read(f"{name}/again")
        server.delete(f"{name}/again")

    assert read == {"value": "1"}
    assert str(caught.value) == (
        f"the answer to POST /v1/{name}/once of {loss.address} was lost: it may have been carried out, or not"
    )
    assert loss.lost == [f"POST {name}/again", f"POST {name}/once", f"GET {name}/again", f"DELETE {name}/again"]
