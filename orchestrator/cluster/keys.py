"""The shares of a cluster's keys: one private file a holder, written the moment that the server gives them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.cluster import pgp
from orchestrator.errors import Refused, StrongroomError
from orchestrator.local import files

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.declared import Cluster

ROOT_TOKEN = "root-token"  # noqa: S105 - a file's name
NEW, OLD = ".new", ".old"  # behind the name of shares that do not count yet, or no more
UNFINISHED = "unfinished"  # stands as long as the storage may be initialised without saved shares


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
    return {name: _holder(root / file, name) for name, file in cluster.init.holders.items()}


def _holder(path: Path, name: str) -> str:
    try:
        found = pgp.public(path.read_bytes())
    except OSError as error:
        raise StrongroomError(f"{path}: {error.strerror}; it should hold the PGP public key of {name}") from error
    except pgp.NoPublicKeyError as error:
        raise StrongroomError(f"{path}, the key of {name}, {error}") from error
    if found.ends is not None and found.ends <= time.time():
        raise StrongroomError(
            f"{path}, the key of {name}, is no longer valid; have {name} extend it and export it anew"
        )
    return found.text


def names(cluster: Cluster, given: Shares) -> list[str]:
    """A file each: `<what>-<holder>.pgp` for whoever can decrypt it, `<what>-<n>.key` for nobody in particular."""
    if given.encrypted:
        return [f"{given.what}-{holder}.pgp" for holder in cluster.init.holders]
    return [f"{given.what}-{number + 1}.key" for number in range(len(given.shares))]


def save(place: Path, cluster: Cluster, given: Shares) -> list[Path]:
    files.private_folder(place)
    saved = []
    for name, share in zip(names(cluster, given), given.shares, strict=True):
        files.write(place / name, share + "\n")
        saved.append(place / name)
    return saved


def written(place: Path) -> tuple[Path, ...]:
    """The files of the shares."""
    return tuple(sorted([*place.glob("[!.]*.key"), *place.glob("[!.]*.pgp")]))


def tidy(place: Path) -> None:
    """Delete what a write left that was killed half way; nothing refers to it."""
    for pattern in (f".{ROOT_TOKEN}.*", f".{UNFINISHED}.*", ".*.key.*", ".*.pgp.*"):
        for path in place.glob(pattern):
            path.unlink()


def is_begun(place: Path) -> bool:
    """Whether a beginning goes on, or was killed: its root token may live."""
    return (place / ROOT_TOKEN).exists() or (place / UNFINISHED).exists()


def is_unfinished(place: Path, cluster: Cluster) -> bool:
    """Whether an earlier init ended before it saved all that the server gave."""
    if not (place / UNFINISHED).exists():
        return False
    if not token(place) or len(written(place)) < cluster.init.shares:
        return True
    finished(place)
    return False


def finished(place: Path) -> None:
    (place / UNFINISHED).unlink(missing_ok=True)


def forget(place: Path) -> None:
    """Delete the keys of a storage that is gone, which are not all of them."""
    for path in (*written(place), place / ROOT_TOKEN, place / UNFINISHED):
        path.unlink(missing_ok=True)


def bare(place: Path, what: str) -> list[str]:
    """The shares that lie here unencrypted."""
    return [path.read_text().strip() for path in sorted(place.glob(f"{what}-*.key"))]


def refuse_rotating(place: Path, cluster: str) -> None:
    """Nothing else is done with keys of which two sets lie here, as one of them does not count."""
    if new := sorted(place.glob(f"*{NEW}")):
        what = new[0].name.partition("-")[0]
        raise Refused(
            f"{place} holds {', '.join(path.name for path in new)}: a rotation of the keys did not come to its end. "
            f"End it first: invoke cluster.rotate-keys -c {cluster} --what {what}"
        )


def rename(place: Path, before: str, now: str) -> list[Path]:
    """Call the shares that lie here what they are now; those that were not there stay with their holders."""
    for path in [*place.glob(f"{before}-*.key"), *place.glob(f"{before}-*.pgp")]:
        final = place / f"{now}{path.name.removeprefix(before)}"
        if final.exists():
            final.rename(free(final))
        path.rename(final)
    return sorted([*place.glob(f"{now}-*.key"), *place.glob(f"{now}-*.pgp")])


def free(path: Path) -> Path:
    """What a file of shares is called from now on that count no more: they open snapshots of their time."""
    number = 1
    while (found := path.with_name(f"{path.name}{OLD}-{number}")).exists():
        number += 1
    return found


def save_token(place: Path, token: str) -> None:
    """The root token, until it is revoked."""
    files.private_folder(place)
    files.write(place / ROOT_TOKEN, token)


def token(place: Path) -> str:
    return (files.read(place / ROOT_TOKEN) or "").strip()


def forget_token(place: Path) -> None:
    (place / ROOT_TOKEN).unlink(missing_ok=True)
