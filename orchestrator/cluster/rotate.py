"""New keys for a cluster: the one that encrypts, or the shares that people hold; no moment without a set that counts.

The server takes new shares for good only once they were given back to it. Until then the old ones count, and the new
ones lie beside them under another name: whoever is killed leaves one set that the next run can prove.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import combinations, islice
from typing import TYPE_CHECKING

from orchestrator.cluster import keys, lead, migration, nodes, shares
from orchestrator.cluster.keys import NEW, OLD
from orchestrator.cluster.machines import choose, local
from orchestrator.errors import Refused, StrongroomError
from orchestrator.live import probe
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from orchestrator.cluster.lead import Led
    from orchestrator.cluster.shares import Share
    from orchestrator.declared import Cluster
    from orchestrator.documents import Json
    from orchestrator.live.probe import Said

BARRIER = "barrier"
_PATHS = {  # by what the shares are called: where they are rotated, and where older servers and HashiCorp Vault do it
    "recovery": ("sys/rotate/recovery", "sys/rekey-recovery-key"),
    "unseal": ("sys/rotate/root", "sys/rekey"),
}
_KEYRING = "sys/rotate/keyring", "sys/rotate"
_NOT_FOUND, _NOT_ALLOWED = 404, 405
_SLOW = 30.0
_TRIES = 200
_SHARES_STAND = (
    "; the shares that counted before count still, unless the new ones were proven: run this again, which finds out"
)


@dataclass(frozen=True)
class Ground:
    """What a rotation stands on; `agree` asks before a rotation of somebody else is called off."""

    root: Path
    declared: Cluster
    environ: Mapping[str, str] = field(repr=False)
    given: tuple[Share, ...]
    tell: Callable[[str], None]
    agree: Callable[[str], None]

    @property
    def keys(self) -> Path:
        return keys.folder(self.root, self.declared)

    @property
    def memory(self) -> Path:
        return local.folder(self.root, self.declared.name) / "rotation.json"


@dataclass(frozen=True)
class Rotated:
    """What came of it: the term of the encryption key before and after, or where the new shares are."""

    cluster: str
    what: str
    before: int = 0
    after: int = 0
    shares: tuple[Path, ...] = ()
    kept: tuple[Path, ...] = ()  # the old ones
    waits: str = ""  # what the holders have to do yet


@dataclass(frozen=True)
class Desk:
    """Where one sort of shares is rotated, at the node that leads."""

    led: Led
    path: str

    def ask(self, method: str, path: str, body: Mapping[str, Json] | None = None) -> Said:
        leader = nodes.wait_for_leader(self.led.cluster)
        ca = nodes.trusted(self.led.cluster)
        url = f"{self.path}/{path}"
        return probe.ask(leader.url, url, ca=ca, token=self.led.token, method=method, body=body, seconds=_SLOW)

    def status(self) -> Said:
        return _good(self.ask("GET", "init"), f"GET {self.path}/init")

    def cancel(self) -> None:
        _good(self.ask("DELETE", "init"), f"DELETE {self.path}/init")


def rotate(ground: Ground, what: str) -> Rotated:
    """Rotate the encryption key, or the shares under the name that the cluster's seal gives them.

    One command at a time: new shares lie under one name, and those of two would be mixed.
    """
    with (
        choose.locked(ground.root, ground.declared),
        lead.session(ground.root, ground.declared, ground.environ) as led,
    ):
        if what == BARRIER:
            return _rotate_barrier(ground, led)
        _check(ground, what)
        return _rotate_shares(ground, _desk(led, what), what)


def fits(ground: Ground, led: Led, what: str, threshold: int) -> bool:
    """Whether the given shares are those that count, by a rotation that is begun with them and called off."""
    desk = _desk(led, what)
    _clear(ground, desk)
    tried = islice(combinations(ground.given, max(threshold, 1)), _TRIES)
    return any(_counts(desk, ground, some) for some in tried)


def _rotate_barrier(ground: Ground, led: Led) -> Rotated:
    before = led.do(lambda server: server.read("sys/key-status")) or {}
    for path in _KEYRING:
        leader = nodes.wait_for_leader(led.cluster)
        said = probe.ask(
            leader.url, path, ca=nodes.trusted(led.cluster), token=led.token, method="POST", body={}, seconds=_SLOW
        )
        if said.status != _NOT_FOUND:
            break
    _good(said, path)
    after = led.do(lambda server: server.read("sys/key-status")) or {}
    return Rotated(ground.declared.name, BARRIER, int(before.get("term") or 0), int(after.get("term") or 0))


def _check(ground: Ground, what: str) -> None:
    has = migration.called(ground.declared.seal)
    if what != has:
        raise Refused(
            f"cluster {ground.declared.name} is sealed by {ground.declared.seal.kind}: it has {has} keys and no {what} "
            f"keys; say --what {has}"
        )


def _desk(led: Led, what: str) -> Desk:
    for path in _PATHS[what]:
        said = Desk(led, path).ask("GET", "init")
        if said.status == _NOT_ALLOWED:
            raise Refused(
                f"the server has {path} switched off; set `disable_unauthed_rekey_endpoints = false` in the listener "
                "of the leader, restart it, and take the line out afterwards"
            )
        if said.status != _NOT_FOUND:
            return Desk(led, path)
    raise StrongroomError(
        f"the server has no way to rotate {what} keys that is known here: {' and '.join(_PATHS[what])}"
    )


def _good(said: Said, what: str) -> Said:
    if not said.ok:
        raise StrongroomError(f"{what}: {said.words}{_SHARES_STAND if what.startswith('POST') else ''}")
    return said


# one rotation


def _rotate_shares(ground: Ground, desk: Desk, what: str) -> Rotated:
    if _remembered(ground).get("proven") == what:
        return _finish(ground, what)
    if _lying(ground, what, NEW):
        found = _resume(ground, desk, what)
        if found is not None:
            return found
    _clear(ground, desk)
    old = _old(ground, desk, what)
    nonce = _begin(ground, desk)
    said = _hand(desk, "update", old, nonce)
    _save(ground, what, said)
    ground.tell(f"the new {what} shares are saved, and the old ones count until the new ones are proven")
    return _prove(ground, desk, what, str(said.data.get("verification_nonce") or ""))


def _resume(ground: Ground, desk: Desk, what: str) -> Rotated | None:
    """Go on with new shares that an earlier run saved; None where they are worth nothing."""
    status, said = desk.status().data, _remembered(ground)
    nonce = str(status.get("verification_nonce") or "")
    ours = bool(nonce) and status.get("nonce") == said.get("nonce") and not said.get("trying")
    if ours and len(_lying(ground, what, NEW)) >= int(status.get("n") or 0):
        ground.tell(f"an earlier run saved new {what} shares, and the server waits for their proof")
        return _prove(ground, desk, what, nonce)
    _clear(ground, desk)
    new = _bare(ground, what, NEW)
    if not ours and new and _counts(desk, ground, new):
        ground.tell(f"an earlier run proved its new {what} shares, and did not come to say so")
        return _proven(ground, what)
    if not ours and not new:
        return _doubt(ground, desk, what)
    ground.tell(f"an earlier run saved new {what} shares that count for nothing: not all of them, or not in time")
    for path in _lying(ground, what, NEW):
        path.unlink()
    return None


def _doubt(ground: Ground, desk: Desk, what: str) -> Rotated:
    """Encrypted shares cannot be tried here: their holders have to."""
    if not ground.given:
        raise Refused(
            f"new {what} shares lie in {ground.keys} ({what}-*{NEW}), and the server does not wait for their proof: "
            "either the holders gave it, or the lead has changed and they are worth nothing. Have a threshold of "
            "holders decrypt these, and say --keys prompt: if they count, they are taken; where they do not, delete "
            "the files and rotate anew"
        )
    if not _counts(desk, ground, ground.given):
        raise Refused(
            f"the given shares do not count. If they are those of {what}-*{NEW} in {ground.keys}, these are worth "
            "nothing: delete them, and rotate anew"
        )
    ground.agree(f"The given shares count. Are they the new ones, of {what}-*{NEW}?")
    return _proven(ground, what)


def _clear(ground: Ground, desk: Desk) -> None:
    """Call off what an earlier run of ours began, and with consent what somebody else did."""
    status = desk.status().data
    if not status.get("started"):
        return
    nonce, done, needed = (status.get(name) for name in ("nonce", "progress", "required"))
    if nonce != _remembered(ground).get("nonce"):
        ground.agree(
            f"somebody has begun a rotation (nonce {nonce}, {done} of {needed} shares given), and not from here. "
            "Call it off?"
        )
    desk.cancel()
    ground.tell(f"the rotation {nonce} is called off")


def _old(ground: Ground, desk: Desk, what: str) -> list[Share]:
    found = list(ground.given or shares.lying(ground.keys, what))
    needed = int(desk.status().data.get("required") or 0)
    if len(found) < needed:
        raise Refused(
            f"{needed} {what} shares are needed, and {len(found)} are here "
            f"({shares.FLAG if ground.given else ground.keys}); let the holders give them: --keys prompt, "
            "--keys file:PATH, or `--keys -`"
        )
    return found[:needed] if not ground.given else found


def _begin(ground: Ground, desk: Desk) -> str:
    init = ground.declared.init
    holders = list(keys.holders(ground.root, ground.declared).values())
    body: dict[str, Json] = {
        "secret_shares": init.shares,
        "secret_threshold": init.threshold,
        "require_verification": True,
        **({"pgp_keys": holders} if holders else {}),
    }
    said = _good(desk.ask("POST", "init", body), f"POST {desk.path}/init")
    if not said.data.get("verification_required"):
        desk.cancel()
        raise Refused(f"{desk.path}: the server does not ask for a proof of the new shares, so one could lose them")
    nonce = str(said.data["nonce"])
    _remember(ground, {"nonce": nonce})
    return nonce


def _hand(desk: Desk, step: str, given: Sequence[Share], nonce: str) -> Said:
    """Give shares until it is complete; when they do not fit, nothing has changed."""
    for share in given:
        said = desk.ask("POST", step, {"key": share.value, "nonce": nonce})
        if not said.ok:
            where = ", ".join(one.where for one in given)
            desk.cancel()
            raise StrongroomError(f"the shares ({where}) do not fit: {said.words}; nothing has changed")
        if said.data.get("complete"):
            return said
    desk.cancel()
    raise StrongroomError(f"{len(given)} shares are too few; nothing has changed")


def _save(ground: Ground, what: str, said: Said) -> None:
    """On disk before anything is answered: the server tells them once."""
    init = ground.declared.init
    given = [str(one) for one in said.data.get("keys_base64") or ()]
    names = [f"{name}.pgp" for name in init.holders] or [f"{number + 1}.key" for number in range(len(given))]
    files.private_folder(ground.keys)
    for name, share in zip(names, given, strict=True):
        files.write(ground.keys / f"{what}-{name}{NEW}", share + "\n")


def _prove(ground: Ground, desk: Desk, what: str, nonce: str) -> Rotated:
    """Give the new shares back to the server, which forgets the old ones then."""
    new = _bare(ground, what, NEW)
    if not new:
        new = list(ground.given) if _remembered(ground).get("waits") else []
    if not new:
        _remember(ground, {**_remembered(ground), "waits": nonce})
        saved = tuple(_lying(ground, what, NEW))
        return Rotated(
            ground.declared.name,
            what,
            shares=saved,
            waits="the old shares count until the holders have proven the new ones: let a threshold of them decrypt "
            f"theirs, and run invoke cluster.rotate-keys -c {ground.declared.name} --what {what} --keys prompt; a "
            "change of the leader before that calls the rotation off",
        )
    for share in new:
        said = _good(desk.ask("POST", "verify", {"key": share.value, "nonce": nonce}), f"POST {desk.path}/verify")
        if said.data.get("complete"):
            return _proven(ground, what)
    raise StrongroomError(f"{len(new)} new shares are too few to prove them; the old ones count still")


def _counts(desk: Desk, ground: Ground, found: Sequence[Share]) -> bool:
    """Whether these are the shares that count: a rotation is begun with them, and called off."""
    nonce = _begin(ground, desk)
    _remember(ground, {"nonce": nonce, "trying": True})
    try:
        for share in found:
            said = desk.ask("POST", "update", {"key": share.value, "nonce": nonce})
            if said.data.get("complete"):
                return True
            if not said.ok:
                return False
        return False
    finally:
        desk.cancel()


# the files


def _proven(ground: Ground, what: str) -> Rotated:
    names = [path.name.removesuffix(NEW) for path in _lying(ground, what, NEW)]
    _remember(ground, {"proven": what, "names": names})
    return _finish(ground, what)


def _finish(ground: Ground, what: str) -> Rotated:
    """Give the new shares the names of the old; the old ones open nothing but snapshots from before."""
    names = set(_remembered(ground)["names"])
    waiting = _lying(ground, what, NEW)
    replaced = {path.name.removesuffix(NEW) for path in waiting}
    for path in _named(ground, what):
        if path.name not in names or path.name in replaced:
            path.rename(keys.free(path))
    for path in waiting:
        path.rename(path.with_name(path.name.removesuffix(NEW)))
    ground.memory.unlink(missing_ok=True)
    kept = tuple(sorted(ground.keys.glob(f"{what}-*{OLD}-*")))
    return Rotated(ground.declared.name, what, shares=tuple(_named(ground, what)), kept=kept)


def _named(ground: Ground, what: str) -> list[Path]:
    return sorted([*ground.keys.glob(f"{what}-*.key"), *ground.keys.glob(f"{what}-*.pgp")])


def _lying(ground: Ground, what: str, ending: str) -> list[Path]:
    return sorted(ground.keys.glob(f"{what}-*{ending}"))


def _bare(ground: Ground, what: str, ending: str) -> list[Share]:
    return [
        shares.Share(path.name, path.read_text().strip()) for path in sorted(ground.keys.glob(f"{what}-*.key{ending}"))
    ]


def _remembered(ground: Ground) -> dict[str, Json]:
    found = json.loads(files.read(ground.memory) or "{}")
    return found if isinstance(found, dict) else {}


def _remember(ground: Ground, said: Mapping[str, Json]) -> None:
    files.private_folder(ground.memory.parent)
    files.write(ground.memory, json.dumps(said))
