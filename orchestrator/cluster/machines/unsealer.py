"""The server whose transit engine unseals a local cluster: one node, as the embedded stack has it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.live import probe
from orchestrator.local import bao, files, process, servers

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.declared import Seal

_PERIOD = "24h"


def start(root: Path, here: Path, seal: Seal, lock: int) -> None:
    """Have it there, with the key and the token that the seal asks for."""
    node = _node(here)
    if not bao.is_active(node):
        if process.alive(here) is None and not (process.is_free(node.port) and process.is_free(node.cluster_port)):
            files.write(here / "ports", json.dumps(process.free_ports(2)))
            node = _node(here)
        bao.start(node, servers.find(root / ".strongroom", servers.BUILT_IN), lock)
    if not (here / _token_file(seal)).exists():
        files.write(here / _token_file(seal), _prepare(here, node, seal))


def address(here: Path) -> str:
    return f"http://127.0.0.1:{port(here)}"


def port(here: Path) -> int:
    return _node(here).port


def token(here: Path, seal: Seal) -> str:
    return (files.read(here / _token_file(seal)) or "").strip()


def _token_file(seal: Seal) -> str:
    return f"{seal.settings['key_name']}.token"


def _node(here: Path) -> bao.Node:
    port, cluster_port = json.loads(files.read(here / "ports") or "[0, 0]")
    return bao.Node(here, "unsealer", port, cluster_port)


def _prepare(here: Path, node: bao.Node, seal: Seal) -> str:
    """The token that may encrypt and decrypt with the key, and with those before: a migration uses two with one."""
    key, mount = str(seal.settings["key_name"]), str(seal.settings.get("mount_path", "transit/")).strip("/")
    engines = _ask(node, "GET", "sys/mounts")
    if f"{mount}/" not in engines:
        _ask(node, "POST", f"sys/mounts/{mount}", {"type": "transit"})
    _ask(node, "POST", f"{mount}/keys/{key}", {})
    names = sorted({key, *(path.name.removesuffix(".token") for path in here.glob("*.token"))})
    rules = (_rule(mount, verb, name) for name in names for verb in ("encrypt", "decrypt"))
    _ask(node, "PUT", f"sys/policies/acl/unseal-{key}", {"policy": "\n".join(rules)})
    asked = {"policies": [f"unseal-{key}"], "no_parent": True, "period": _PERIOD, "no_default_policy": False}
    return str(_ask(node, "POST", "auth/token/create", asked, "auth")["client_token"])


def _rule(mount: str, verb: str, key: str) -> str:
    return f'path "{mount}/{verb}/{key}" {{ capabilities = ["update"] }}'


def _ask(
    node: bao.Node, method: str, path: str, body: dict[str, object] | None = None, part: str = "data"
) -> dict[str, object]:
    root = bao.token(node) or ""
    said = probe.ask(f"http://127.0.0.1:{node.port}", path, token=root, method=method, body=body)
    if not said.ok:
        raise StrongroomError(f"the unsealer refuses {method} {path}: {said.words}")
    found = said.document.get(part)
    return found if isinstance(found, dict) else {}
