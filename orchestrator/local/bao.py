"""The Vault or OpenBao server of the stack: one raft node on the loopback, initialised and unsealed without help."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import StrongroomError
from orchestrator.local import files, process

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.local.servers import Server

ACTIVE, SEALED = 200, 503

CONFIG = """\
ui           = true
cluster_name = "{cluster}"
api_addr     = "http://127.0.0.1:{port}"
cluster_addr = "https://127.0.0.1:{cluster_port}"
{mlock}
plugin_directory = {plugins}

listener "tcp" {{
  address         = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster_port}"
  tls_disable     = true
}}

storage "raft" {{
  path                   = {data}
  node_id                = "local"
  performance_multiplier = 1
}}
"""

# By configuration alone: OpenBao takes no audit device by its API, and a boot without the stanza would drop it again.
# From the server's folder, where it runs: it would not start with a device whose file is called otherwise than before.
AUDIT = """
audit "file" "strongroom" {
  options {
    file_path = "audit.log"
    mode      = "0600"
  }
}
"""
FULL = 64 * 1024 * 1024


@dataclass(frozen=True)
class Node:
    """Where the server lives and listens; the cluster's name is random, to know our server from another."""

    folder: Path
    cluster: str
    port: int
    cluster_port: int

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def plugins(self) -> Path:
        """Where programs lie that the server may be told to run."""
        return self.folder / "plugins"

    @property
    def keys(self) -> Path:
        return self.folder / "keys.json"

    @property
    def audit_log(self) -> Path:
        """What OpenBao logs of every request; HashiCorp Vault gets its devices by its API, so none here."""
        return self.folder / "audit.log"

    @property
    def unfinished(self) -> Path:
        """A mark that stands as long as the storage exists without saved keys."""
        return self.folder / "unfinished"


def call(port: int, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    """Status and reply of one request; no proxy is ever asked. OSError when nothing answers."""
    from http.client import HTTPConnection, HTTPException  # noqa: PLC0415 - it brings ssl and email along

    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, f"/v1/sys/{path}", None if body is None else json.dumps(body))
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read() or b"{}")
    except (HTTPException, ValueError) as error:
        raise ConnectionError(f"no Vault answers on port {port}: {error}") from error
    finally:
        connection.close()


def health(node: Node) -> tuple[int, dict[str, Any]] | None:
    """What our server says of itself; None when it does not run or another one holds the port."""
    if not process.listens(process.alive(node.folder), node.port):
        return None
    try:
        return call(node.port, "GET", "health")
    except OSError:
        return None


def is_active(node: Node) -> bool:
    answer = health(node)
    return answer is not None and answer[0] == ACTIVE and answer[1].get("cluster_name") == node.cluster


def has_data(node: Node) -> bool:
    return node.data.exists() and not _is_orphan(node)


def token(node: Node) -> str | None:
    saved = files.read(node.keys)
    return None if saved is None else str(json.loads(saved)["root_token"])


def start(node: Node, server: Server, lock: int) -> str:
    """Bring the server to where it answers, whatever an earlier start left; its root token."""
    files.private_folder(node.folder)
    if _is_orphan(node):
        stop(node)
        files.remove(node.data)
        node.audit_log.unlink(missing_ok=True)
        process.note(
            node.folder, "an earlier up ended before it saved the keys; the storage held nothing and is remade"
        )
    if process.alive(node.folder) is None:
        _launch(node, server, lock)
    _, says = process.wait(node.folder, f"{server} answers on port {node.port}", lambda: health(node))
    keys = _saved_keys(node) if says["initialized"] else _initialise(node)
    node.unfinished.unlink(missing_ok=True)
    if says["sealed"]:
        _expect(node, "unseal", {"key": keys["unseal_key"]})
    process.wait(node.folder, f"{server} becomes active", lambda: is_active(node) or None)
    return keys["root_token"]


def stop(node: Node) -> bool:
    return process.stop(node.folder, signal.SIGTERM)


def _is_orphan(node: Node) -> bool:
    return node.unfinished.exists() and not node.keys.exists()


def _launch(node: Node, server: Server, lock: int) -> None:
    if not node.data.exists():
        node.unfinished.touch(mode=0o600)
    files.private_folder(node.data)
    files.private_folder(node.plugins)
    mlock = "disable_mlock = true\n" if server.product == "vault" else ""
    filled = CONFIG.format(
        cluster=node.cluster,
        port=node.port,
        cluster_port=node.cluster_port,
        data=json.dumps(str(node.data)),
        plugins=json.dumps(str(node.plugins)),
        mlock=mlock,
    )
    if server.product == "openbao":
        _rotate(node.audit_log)
        filled += AUDIT
    files.write(node.folder / "config.hcl", filled)
    process.start(node.folder, [str(server.program), "server", f"-config={node.folder / 'config.hcl'}"], lock)


def _rotate(log: Path) -> None:
    """Put a full log aside, in place of the one before; only while no server writes it."""
    if log.exists() and log.stat().st_size > FULL:
        log.replace(log.with_name(f"{log.name}.1"))


def _initialise(node: Node) -> dict[str, str]:
    if node.keys.exists():
        raise StrongroomError(f"{node.keys} is there but {node.data} is empty; bring the data back, or `invoke reset`")
    reply = _expect(node, "init", {"secret_shares": 1, "secret_threshold": 1})
    keys = {"unseal_key": reply["keys_base64"][0], "root_token": reply["root_token"]}
    files.write(node.keys, json.dumps(keys))
    return keys


def _saved_keys(node: Node) -> dict[str, str]:
    saved = files.read(node.keys)
    if saved is None:
        raise StrongroomError(
            f"{node.keys} is gone, and without it the data stays sealed; bring it back, or `invoke reset`"
        )
    return dict(json.loads(saved))


def _expect(node: Node, path: str, body: dict[str, Any]) -> dict[str, Any]:
    status, reply = call(node.port, "PUT", path, body)
    if status != ACTIVE:
        raise StrongroomError(f"sys/{path} answers {status}: {reply.get('errors')}. {process.tail(node.folder)}")
    return reply
