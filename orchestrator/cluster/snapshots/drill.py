"""A drill: the newest snapshot restored into a throw-away cluster with the same seal, looked at, and thrown away."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from orchestrator.catalog import FAMILIES
from orchestrator.cluster.snapshots import find, fits, fresh, scratch
from orchestrator.cluster.snapshots.ground import alone, now
from orchestrator.cluster.snapshots.restore import compared
from orchestrator.errors import Refused, StrongroomError
from orchestrator.local import apart, files

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from orchestrator.cluster.snapshots.find import Found
    from orchestrator.cluster.snapshots.ground import Ground
    from orchestrator.cluster.snapshots.scratch import Opener

_FILE = "drill.json"
_OWN = {"cubbyhole", "identity", "system", "ns_cubbyhole", "ns_identity", "ns_system"}  # every server has them


@dataclass(frozen=True)
class Drilled:
    """How the last drill of a cluster went."""

    cluster: str
    snapshot: str
    at: str
    nodes: int
    seconds: float  # from the snapshot's file to nodes that serve what it holds
    age: float  # of the snapshot, in seconds, when the drill began: what would have been lost
    apart: bool  # without a way to anything but the seal
    wrong: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.wrong


def drill(ground: Ground, size: int = 1, *, connected: bool = False) -> Drilled:
    """Restore the newest snapshot for practice; how it went is kept, so that the list of snapshots can show it."""
    fresh.check(ground.declared)
    with alone(ground), find.found(ground, "") as found:
        fits.check(found, ground.declared.seal, "")
        scratch.fetch(ground)
        with scratch.opener(ground) as opener:
            network = _network(ground, found, opener, connected=connected)
            with network:
                done = _restored(ground, found, opener, size, isolated=not isinstance(network, nullcontext))
        files.write(ground.home / _FILE, json.dumps(asdict(done), indent=2) + "\n")
    return done


def last(ground: Ground) -> Drilled | None:
    """The last drill from this machine."""
    said = json.loads(files.read(ground.home / _FILE) or "null")
    return Drilled(**{**said, "wrong": tuple(said["wrong"])}) if said else None


def _network(ground: Ground, found: Found, opener: Opener, *, connected: bool) -> AbstractContextManager[None]:
    """None but a way to the seal: leases that ended since the snapshot would be revoked in the systems behind it."""
    if opener.ports is not None and not connected and apart.possible():
        return apart.apart(opener.ports)
    reaching = outward(found)
    if reaching and not connected:
        raise Refused(
            f"cluster {ground.declared.name}: a copy would act on other systems: {', '.join(reaching)}. It revokes "
            "leases that have ended since the snapshot, though they may have been renewed, and rotates what is due, in "
            "the real system. Run the drill on Linux as root, where it gets a network of its own, or on a machine that "
            "reaches none of these systems, and say --connected there"
        )
    return nullcontext()


def outward(found: Found) -> tuple[str, ...]:
    """The engines in a snapshot that may act on another system; one that is not known counts as such."""
    mounts = found.manifest.holds.get("mounts") if found.manifest else None
    if mounts is None:
        return ("engines that nobody has listed, as the token that took the snapshot may not read sys/mounts",)
    inward = _OWN | {kind.type for kind in FAMILIES["secrets"].values() if kind.inward}
    return tuple(one for one in mounts if one.rpartition("(")[2].removesuffix(")") not in inward)


def _restored(ground: Ground, found: Found, opener: Opener, size: int, *, isolated: bool) -> Drilled:
    manifest, at, began = found.manifest, now(), time.monotonic()
    ground.tell(f"restoring {found.file.name} into a throw-away cluster")
    wrong: tuple[str, ...]
    try:
        with scratch.standing(ground, opener, size) as control:
            fresh.fill(control, found, control.home / "restoring")
            seconds = time.monotonic() - began
            differences, unseen = compared(ground, control.cluster, manifest)
        wrong = tuple(map(str, differences)) if differences is not None else (f"nobody could look inside: {unseen}",)
    except StrongroomError as error:
        seconds, wrong = time.monotonic() - began, (str(error),)
    age = manifest.age(at) if manifest else 0.0
    name, when = found.file.name, at.isoformat()
    return Drilled(ground.declared.name, name, when, size, round(seconds, 1), age, isolated, wrong)
