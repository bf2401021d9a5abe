"""The shares of a cluster's keys: one private file a holder, written the moment that the server gives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.errors import Refused
from orchestrator.local import files

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.declared import Cluster

ROOT_TOKEN = "root-token"  # noqa: S105 - a file's name


@dataclass(frozen=True)
class Shares:
    """What `init` or a rotation gave: the shares, encrypted to their holders or bare."""

    what: str  # unseal or recovery
    shares: tuple[str, ...] = field(repr=False)
    encrypted: bool = False


def folder(root: Path, cluster: Cluster) -> Path:
    return root / (cluster.init.keys or f".strongroom/clusters/{cluster.name}/keys")


def refuse_overwriting(place: Path) -> None:
    """Nothing may lie where the shares will be: it may be the only copy of another cluster's keys."""
    there = sorted(path.name for path in place.glob("*")) if place.is_dir() else []
    if there:
        raise Refused(
            f"{place} holds {', '.join(there)}, which may be the only copy of a cluster's keys; "
            "move them to where they are safe, or name another folder in `init: {keys: ...}`"
        )


def holders(root: Path, cluster: Cluster) -> dict[str, str]:
    """The PGP public keys, as the server takes them: base64 without armour."""
    return {name: _unarmoured((root / file).read_bytes()) for name, file in cluster.init.holders.items()}


def _unarmoured(content: bytes) -> str:
    import base64  # noqa: PLC0415 - few clusters have holders

    text = content.decode("ascii", errors="replace")
    if "-----BEGIN PGP PUBLIC KEY BLOCK-----" not in text:
        return base64.b64encode(content).decode()
    _, _, body = text.partition("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    body, _, _ = body.partition("-----END")
    lines = body.strip("\r\n").splitlines()
    start = next((at for at, line in enumerate(lines) if not line.strip()), -1) + 1
    return "".join(line.strip() for line in lines[start:] if line.strip() and not line.startswith("="))


def save(place: Path, cluster: Cluster, given: Shares) -> list[Path]:
    """One file a share: `<what>-<holder>.pgp` for whoever can decrypt it, `<what>-<n>.key` for nobody in particular."""
    files.private_folder(place)
    names = list(cluster.init.holders) if given.encrypted else [str(number + 1) for number in range(len(given.shares))]
    ending = "pgp" if given.encrypted else "key"
    written = []
    for name, share in zip(names, given.shares, strict=True):
        path = place / f"{given.what}-{name}.{ending}"
        files.write(path, share + "\n")
        written.append(path)
    return written


def bare(place: Path, what: str) -> list[str]:
    """The shares that lie here unencrypted."""
    return [path.read_text().strip() for path in sorted(place.glob(f"{what}-*.key"))]


def rename(place: Path, before: str, now: str) -> list[Path]:
    """Call the shares that lie here what they are now; those that were not there stay with their holders."""
    for path in [*place.glob(f"{before}-*.key"), *place.glob(f"{before}-*.pgp")]:
        path.rename(place / f"{now}{path.name.removeprefix(before)}")
    return sorted([*place.glob(f"{now}-*.key"), *place.glob(f"{now}-*.pgp")])


def save_token(place: Path, token: str) -> None:
    """The root token, until it is revoked."""
    files.private_folder(place)
    files.write(place / ROOT_TOKEN, token)


def token(place: Path) -> str:
    return (files.read(place / ROOT_TOKEN) or "").strip()


def forget_token(place: Path) -> None:
    (place / ROOT_TOKEN).unlink(missing_ok=True)
