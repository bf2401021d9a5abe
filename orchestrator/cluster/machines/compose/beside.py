"""What stands beside the nodes in containers: an emulated KMS, a key in a file, PostgreSQL; and the files of each."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Protocol

from orchestrator.cluster.machines import helpers
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from orchestrator.declared import Seal
    from orchestrator.documents import Json

CONFIG = "/bao/config"
_HBA = "host all all all scram-sha-256\n"


class Beside(Protocol):
    """What a seal needs in containers."""

    service: str  # whose volume `files` are for; empty for those of the nodes themselves

    def settings(self, seal: Seal, port: int) -> Mapping[str, Json]:
        """The seal's settings as a node needs them in its container, or with the published port as we do."""

    def files(self, home: Path, seal: Seal) -> Mapping[str, bytes]:
        """What has to lie there, made when there is none yet."""


class Kms:
    service = "kms"

    def settings(self, seal: Seal, port: int) -> Mapping[str, Json]:
        return {**seal.settings, "endpoint": f"http://127.0.0.1:{port}" if port else f"http://{self.service}:5000"}

    def files(self, home: Path, seal: Seal) -> Mapping[str, bytes]:
        here = files.private_folder(home / helpers.Kms.folder)
        helpers.Kms.know(here, seal)
        return {"keys.json": (here / "keys.json").read_bytes()}


class StaticKey:
    service = ""

    def settings(self, seal: Seal, port: int) -> Mapping[str, Json]:  # noqa: ARG002 - others need it
        return {**seal.settings, **helpers.StaticKey.at(CONFIG, seal)}

    def files(self, home: Path, seal: Seal) -> Mapping[str, bytes]:
        here = files.private_folder(home / helpers.StaticKey.folder)
        return helpers.StaticKey.keys(here, seal)


BESIDE: Mapping[str, Beside] = {"awskms": Kms(), "static": StaticKey()}


def kms(home: Path) -> Mapping[str, bytes]:
    """The keys that it knew last: none before a seal asks for one."""
    return {"keys.json": (files.read(home / helpers.Kms.folder / "keys.json") or "[]").encode()}


def postgresql(home: Path) -> Mapping[str, bytes]:
    """Who may come in: with the password that lies in the cluster's folder."""
    here = files.private_folder(home / "postgresql")
    if not (here / "password").exists():
        files.write(here / "password", secrets.token_hex(24))
    return {"password": (here / "password").read_bytes(), "pg_hba.conf": _HBA.encode()}


OTHERS: Mapping[str, Callable[[Path], Mapping[str, bytes]]] = {"kms": kms, "postgresql": postgresql}
