"""What a seal needs beside a local cluster: an emulated KMS, a file with a key, another server that unseals."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import sys
import uuid
from typing import TYPE_CHECKING, Protocol
from urllib.request import ProxyHandler, build_opener

from orchestrator.cluster.machines import emulator, unsealer
from orchestrator.local import files, process

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.declared import Seal
    from orchestrator.documents import Json


class Site(Protocol):
    """The cluster that is helped: its folder, and the lock that is held over it."""

    @property
    def home(self) -> Path: ...

    @property
    def root(self) -> Path: ...

    @property
    def lock(self) -> int: ...


class Helper(Protocol):
    """One way to help a seal; `folder` is where its process runs, if it has one."""

    folder: str

    def start(self, site: Site, seal: Seal) -> None:
        """Have it there, as it was when it was there before."""

    def settings(self, home: Path, seal: Seal) -> Mapping[str, Json]:
        """The seal's settings as the nodes need them here."""

    def environ(self, home: Path, seal: Seal) -> Mapping[str, str]:
        """The variables that the nodes need for it."""

    def storage(self, home: Path) -> Mapping[str, str]:
        """How a client finds the object storage that it emulates as well; empty when it has none."""

    def ports(self, home: Path) -> tuple[int, ...]:
        """The ports of this machine on which the nodes find it."""


class Kms:
    """AWS's KMS, emulated; its keys are in a file, as a KMS that forgets its keys takes the cluster with it."""

    folder = "emulator"

    def start(self, site: Site, seal: Seal) -> None:
        here = files.private_folder(site.home / self.folder)
        if self.know(here, seal):
            process.stop(here, signal.SIGTERM)
        if process.alive(here) is not None:
            return
        port = int(files.read(here / "port") or 0)
        if not process.is_free(port):
            (port,) = process.free_ports(1)
            files.write(here / "port", str(port))
        command = [sys.executable, emulator.__file__, "127.0.0.1", str(port), "keys.json"]
        process.start(here, command, site.lock, {"PYTHONPATH": os.pathsep.join(sys.path)})
        process.wait(here, "the emulated KMS answers", lambda: _answers(port))

    @staticmethod
    def know(here: Path, seal: Seal) -> bool:
        """Have the seal's key among those of this emulator; whether it is a new one."""
        known = json.loads(files.read(here / "keys.json") or "[]")
        wanted = {"alias": str(seal.settings["kms_key_id"]), "region": str(seal.settings["region"])}
        if any(wanted.items() <= one.items() for one in known):
            return False
        known.append({**wanted, "id": str(uuid.uuid4()), "material": _random_key()})
        files.write(here / "keys.json", json.dumps(known, indent=2))
        return True

    def settings(self, home: Path, seal: Seal) -> Mapping[str, Json]:
        return {**seal.settings, "endpoint": self.endpoint(home)}

    def endpoint(self, home: Path) -> str:
        return f"http://127.0.0.1:{(files.read(home / self.folder / 'port') or '0').strip()}"

    def environ(self, home: Path, seal: Seal) -> Mapping[str, str]:  # noqa: ARG002 - others need them
        """Any key opens an emulator; without them the server would look for a cloud."""
        return {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_EC2_METADATA_DISABLED": "true"}

    def storage(self, home: Path) -> Mapping[str, str]:
        keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        return {"endpoint_url": self.endpoint(home), "region_name": "us-east-1", **keys}

    def ports(self, home: Path) -> tuple[int, ...]:
        return (int(files.read(home / self.folder / "port") or 0),)


class StaticKey:
    """A key in a file."""

    folder = "static"

    def start(self, site: Site, seal: Seal) -> None:
        self.keys(files.private_folder(site.home / self.folder), seal)

    @staticmethod
    def keys(here: Path, seal: Seal) -> dict[str, bytes]:
        """The keys that the seal names, by their files; made when there are none yet."""
        names = StaticKey.names(seal).values()
        for name in names:
            if not (here / name).exists():
                files.write(here / name, secrets.token_bytes(32))
        return {name: (here / name).read_bytes() for name in names}

    def settings(self, home: Path, seal: Seal) -> Mapping[str, Json]:
        return {**seal.settings, **self.at(f"{home / self.folder}", seal)}

    @staticmethod
    def at(folder: str, seal: Seal) -> dict[str, str]:
        """Where the keys lie, as the seal's settings say it."""
        return {f"{which}_key": f"file://{folder}/{name}" for which, name in StaticKey.names(seal).items()}

    @staticmethod
    def names(seal: Seal) -> dict[str, str]:
        ids = {which: seal.settings.get(f"{which}_key_id") for which in ("current", "previous")}
        return {which: f"{name}.key" for which, name in ids.items() if name}

    def environ(self, home: Path, seal: Seal) -> Mapping[str, str]:  # noqa: ARG002 - others need them
        return {}

    def storage(self, home: Path) -> Mapping[str, str]:  # noqa: ARG002 - it has none
        return {}

    def ports(self, home: Path) -> tuple[int, ...]:  # noqa: ARG002 - a file needs none
        return ()


class Transit:
    """Another OpenBao, whose transit engine encrypts the cluster's key."""

    folder = "unsealer"

    def start(self, site: Site, seal: Seal) -> None:
        unsealer.start(site.root, files.private_folder(site.home / self.folder), seal, site.lock)

    def settings(self, home: Path, seal: Seal) -> Mapping[str, Json]:
        return {"mount_path": "transit/", **seal.settings, "address": unsealer.address(home / self.folder)}

    def environ(self, home: Path, seal: Seal) -> Mapping[str, str]:
        return {"VAULT_TOKEN": unsealer.token(home / self.folder, seal)}

    def storage(self, home: Path) -> Mapping[str, str]:  # noqa: ARG002 - it has none
        return {}

    def ports(self, home: Path) -> tuple[int, ...]:
        return (unsealer.port(home / self.folder),)


HELPERS: Mapping[str, Helper] = {"awskms": Kms(), "static": StaticKey(), "transit": Transit()}


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _answers(port: int) -> bool | None:
    try:
        with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}/moto-api/", timeout=2):
            return True
    except OSError:
        return None
