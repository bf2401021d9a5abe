"""What people write of a leaked thing: a path on a mount with versions, or a file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident.model import Gone

if TYPE_CHECKING:
    from collections.abc import Sequence

_VERSIONS = re.compile(r"(?P<path>[^@]+?)(@(?P<upto>\.\.)?(?P<versions>[1-9][0-9]*(,[1-9][0-9]*)*))?")


@dataclass(frozen=True)
class Versions:
    """A path on a mount, and its versions: by name, or all up to one, or all that there are."""

    mount: str
    path: str
    named: tuple[int, ...] = ()  # versions that go though they are in use
    upto: int = 0  # this one and all before it, but for what is in use


def versions(flag: str, value: str, mounts: Sequence[str]) -> Versions:
    """`apps/payments/db`, `apps/payments/db@3,4`, or as an incident keeps it: `apps/payments/db@..4`."""
    found = _VERSIONS.fullmatch(value.strip("/"))
    if found is None or (found["upto"] and "," in found["versions"]):
        raise StrongroomError(
            f"{flag} {value}: write MOUNT/PATH, or MOUNT/PATH@3 for a version that goes though in use"
        )
    mount, path = on_mount(flag, found["path"].removeprefix("secrets/"), mounts)
    numbers = tuple(int(one) for one in (found["versions"] or "").split(",") if one)
    return Versions(mount, path, upto=numbers[0]) if found["upto"] else Versions(mount, path, numbers)


def on_mount(flag: str, value: str, mounts: Sequence[str]) -> tuple[str, str]:
    """The mount, the longest that fits, and what follows it."""
    fits = [one for one in mounts if value.startswith(f"{one}/")]
    if not fits:
        raise Gone(f"{flag} {value}: it is on none of the mounts that have such: {', '.join(mounts)}")
    mount = max(fits, key=len)
    return mount, value[len(mount) + 1 :].strip("/")


def text(flag: str, value: str) -> str:
    """What stands in the file that `file:PATH` names; a private key has no business here."""
    try:
        found = Path(value.removeprefix("file:")).expanduser().read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise Gone(f"{flag} {value}: there is no such file") from error
    except OSError as error:
        raise StrongroomError(f"{flag} {value}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StrongroomError(f"{flag} {value}: this is no text") from error
    if "PRIVATE KEY-----" in found and "-----BEGIN CERTIFICATE-----" not in found:
        raise StrongroomError(f"{flag} {value}: this is a private key; name the public file beside it")
    return found
