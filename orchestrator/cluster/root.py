"""A root token made from the shares of the key, for one purpose, and ended whatever happens.

What must be known to end it is on disk before the server can have made it, so that a run that was killed is cleaned up
by the next one.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from orchestrator.cluster import lead, migration, nodes, shares
from orchestrator.cluster.keys import folder
from orchestrator.cluster.machines import choose, local
from orchestrator.errors import Refused, StrongroomError, Unreachable
from orchestrator.live import probe
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from orchestrator.cluster.lead import Led
    from orchestrator.cluster.machines.control import Control
    from orchestrator.cluster.shares import Share
    from orchestrator.declared import Cluster
    from orchestrator.documents import Json
    from orchestrator.live.probe import Said

TOKEN = "root-token"  # noqa: S105 - a file's name
SETTING = "disable_unauthed_generate_root_endpoints = false"
_BY_LOGIN, _BY_SHARES = "sys/generate-root-token", "sys/generate-root"
_PATIENCE = 60.0
_SLOW = 30.0
_LOGIN = 5.0  # whoever makes a root token may have lost the login
_MEANWHILE = 2.0
_SERVER_ERROR = 500


@dataclass(frozen=True)
class Ground:
    """What it stands on; `unlock` allows one node to be restarted so that it takes shares from whoever has them."""

    root: Path
    declared: Cluster
    environ: Mapping[str, str] = field(repr=False)
    open: Callable[[Cluster], AbstractContextManager[Control]]
    given: tuple[Share, ...]
    tell: Callable[[str], None]
    agree: Callable[[str], None]
    unlock: bool = False

    @property
    def home(self) -> Path:
        return files.private_folder(local.folder(self.root, self.declared.name))

    @property
    def memory(self) -> Path:
        return self.home / "generate-root.json"

    @property
    def token(self) -> Path:
        """Where the token lies while it lives."""
        return self.home / TOKEN


@dataclass(frozen=True)
class Root:
    """A root token, and where it is good."""

    url: str
    ca_cert: str
    accessor: str
    file: Path
    token: str = field(repr=False)

    def environ(self) -> dict[str, str]:
        found = {"VAULT_ADDR": self.url, "VAULT_TOKEN": self.token, "VAULT_CACERT": self.ca_cert}
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True)
class Ended:
    """What came of it."""

    cluster: str
    way: str
    accessor: str
    dead: str  # what the server says of the token now
    cleaned: tuple[str, ...] = ()  # what an earlier run had left


@dataclass(frozen=True)
class Way:
    """Who takes the shares: a node, at a path, from a login or from anybody."""

    url: str
    ca: bool | str
    path: str
    told: str
    login: str = field(default="", repr=False)

    def ask(self, method: str, step: str, body: Mapping[str, Json] | None = None) -> Said:
        path = f"{self.path}/{step}"
        return probe.ask(self.url, path, ca=self.ca, token=self.login, method=method, body=body, seconds=_SLOW)


def generate(ground: Ground, use: Callable[[Root], None]) -> Ended:
    """Make a root token, use it, and see it dead; first whatever an earlier run left is ended."""
    with _alone(ground):
        return _generate(ground, use)


def recover(ground: Ground) -> tuple[str, ...]:
    """Make none: end a token that an earlier run left, and lock a node that it unlocked."""
    with _alone(ground):
        return _recover(ground)


def _alone(ground: Ground) -> AbstractContextManager[int]:
    """Another run would take the token of this one for one that was left."""
    who = f"another command has made or held a root token of {ground.declared.name}"
    return files.locked(ground.home / "generate-root.lock", _MEANWHILE, who)


def _generate(ground: Ground, use: Callable[[Root], None]) -> Ended:
    cleaned = _recover(ground)
    cluster = choose.placed(ground.root, ground.declared)
    needed = max((int(one.seal.document.get("t") or 0) for one in nodes.look(cluster)), default=0)
    found = _shares(ground, max(needed, 1))
    try:
        with _way(ground) as way:
            ground.tell(f"the shares go to {way.told}")
            _clear(ground, way)
            root = _kept(ground, _made(ground, way, found))
        cleaned += _sweep(ground, root)
        ground.tell(f"a root token lives (accessor {root.accessor})")
        use(root)
    finally:
        dead = _end(ground) if ground.token.exists() else ""
    return Ended(ground.declared.name, way.told, root.accessor, dead, cleaned)


# what an earlier run left


def _recover(ground: Ground) -> tuple[str, ...]:
    cleaned = []
    said = _remembered(ground)
    if ground.token.exists():
        cleaned.append(f"the root token of an earlier run (accessor {said.get('accessor')}) was ended: {_end(ground)}")
    if name := said.get("unlocked"):
        _lock(ground, str(name))
        cleaned.append(f"{name} was unlocked by an earlier run, and is locked again")
    for line in cleaned:
        ground.tell(line)
    return tuple(cleaned)


def _end(ground: Ground) -> str:
    """Revoke the token that is on disk, and see that the server knows it no more."""
    token = (files.read(ground.token) or "").strip()
    again = f"it lies in {ground.token}: invoke cluster.generate-root -c {ground.declared.name} --end ends it"
    try:
        cluster = choose.placed(ground.root, ground.declared)
        leader = nodes.wait_for_leader(cluster, _PATIENCE)
    except StrongroomError as error:
        raise type(error)(f"{error}. The root token lives; {again}") from error
    ca = nodes.trusted(cluster)
    said = probe.ask(leader.url, "auth/token/revoke-self", ca=ca, token=token, method="POST", body={})
    after = probe.ask(leader.url, "auth/token/lookup-self", ca=ca, token=token)
    if after.status != probe.FORBIDDEN:
        raise StrongroomError(
            f"the root token may live: revoking it answers {said.words}, looking it up {after.words}; {again}, or "
            "revoke it by hand"
        )
    ground.token.unlink(missing_ok=True)
    _settled(ground)
    return f"{after.status} {after.words}"


def _sweep(ground: Ground, root: Root) -> tuple[str, ...]:
    """End root tokens whose value was lost with a run that was killed as the server gave it, if people agree.

    A server makes one at a time, so it is the first one since the last share was given; unless that attempt was called
    off, and somebody else made one.
    """
    lost, ended = _lost(ground), []
    made = _made_since(root, min(lost.values())) if lost else []
    for nonce, since in sorted(lost.items(), key=lambda one: one[1]):
        found = next((one for one in made if one[0] >= since), None)
        try:
            if found:
                made.remove(found)
                ended.append(_end_lost(ground, root, *found))
        except Refused as error:
            ground.tell(f"the root token with the accessor {found and found[1]} is left alone: {error}")
        else:
            lost = {name: at for name, at in lost.items() if name != nonce}
    _remember(ground, {**_remembered(ground), "lost": lost})
    return tuple(ended)


def _made_since(root: Root, since: float) -> list[tuple[int, str]]:
    """When each living root token was made that shares gave, and its accessor; the first comes first."""
    ca = root.ca_cert or True
    listed = _good(
        probe.ask(root.url, "auth/token/accessors", ca=ca, token=root.token, method="LIST"), "looking around"
    )
    found = []
    for accessor in map(str, listed.data.get("keys") or ()):
        data = _looked_up(root, accessor).data
        at = int(data.get("creation_time") or 0)
        if data.get("path") == "auth/token/root" and accessor != root.accessor and at >= since:
            found.append((at, accessor))
    return sorted(found)


def _end_lost(ground: Ground, root: Root, made: int, accessor: str) -> str:
    at = dt.datetime.fromtimestamp(made, dt.UTC).isoformat()
    ground.agree(
        f"An earlier run was killed as its root token was made. The one with the accessor {accessor}, made {at}, is "
        "that one, unless somebody else made one just then. End it?"
    )
    ca, body = root.ca_cert or True, {"accessor": accessor}
    probe.ask(root.url, "auth/token/revoke-accessor", ca=ca, token=root.token, method="POST", body=body)
    gone = _looked_up(root, accessor)
    if gone.ok or not gone.status:
        raise StrongroomError(f"the root token with the accessor {accessor} may live: looking it up, {gone.words}")
    line = f"a root token that an earlier run had lost (accessor {accessor}) was ended: {gone.words}"
    ground.tell(line)
    return line


def _looked_up(root: Root, accessor: str) -> Said:
    ca = root.ca_cert or True
    body = {"accessor": accessor}
    return probe.ask(root.url, "auth/token/lookup-accessor", ca=ca, token=root.token, method="POST", body=body)


# who takes the shares


@contextmanager
def _way(ground: Ground) -> Iterator[Way]:
    """A login that may; else a node that asks for none; else one that is unlocked for it, and locked again."""
    with _login(ground) as way:
        if way is not None:
            yield way
            return
    cluster = choose.placed(ground.root, ground.declared)
    if (way := _open_node(cluster)) is not None:
        yield way
        return
    with _unlocked(ground, cluster) as way:
        yield way


@contextmanager
def _login(ground: Ground) -> Iterator[Way | None]:
    """The way of our own login; None where there is none, or it may not."""
    with ExitStack() as stack:
        try:
            led = stack.enter_context(lead.session(ground.root, ground.declared, ground.environ, _LOGIN))
        except StrongroomError as error:
            ground.tell(f"no login is to be had: {error}")
            led = None
        yield _by_login(ground, led) if led else None


def _by_login(ground: Ground, led: Led) -> Way | None:
    leader = nodes.wait_for_leader(led.cluster, _PATIENCE)
    told = f"{leader.node.name}, by the login {led.who}"
    way = Way(leader.url, nodes.trusted(led.cluster), _BY_LOGIN, told, led.token)
    said = way.ask("GET", "attempt")
    if not said.ok:
        ground.tell(f"the login {led.who} may not give shares: {said.words}")
    return way if said.ok else None


def _open_node(cluster: Cluster) -> Way | None:
    """A node that takes shares from anybody."""
    for node in cluster.nodes:
        way = Way(cluster.url(node), nodes.trusted(cluster), _BY_SHARES, f"{node.name}, without a login")
        if way.ask("GET", "attempt").ok:
            return way
    return None


@contextmanager
def _unlocked(ground: Ground, cluster: Cluster) -> Iterator[Way]:
    """A node restarted so that it takes shares from anybody: a standby, so that nobody notices."""
    seen = nodes.look(cluster)
    chosen = next((one.node.name for one in seen if one.answers and not one.active), cluster.nodes[0].name)
    if not ground.unlock:
        raise Refused(
            f"cluster {cluster.name}: no login may give shares, and no node takes them without one. Set `{SETTING}` in "
            f"the listener of {chosen} and restart it, or let this do it and undo it: --unlock"
        )
    with ground.open(ground.declared) as control:
        control.require("stop", "install", "start")
    _remember(ground, {**_remembered(ground), "unlocked": chosen})
    ground.tell(f"{chosen} is restarted so that it takes shares without a login")
    try:
        _restart(
            ground, replace(ground.declared, listener=replace(ground.declared.listener, generate_root=True)), chosen
        )
        if (way := _open_node(cluster)) is None:
            raise StrongroomError(f"{chosen} was restarted with `{SETTING}`, and takes no shares even so")
        yield way
    finally:
        _lock(ground, chosen)


def _lock(ground: Ground, name: str) -> None:
    ground.tell(f"{name} is restarted as it is declared")
    _restart(ground, ground.declared, name)
    _remember(ground, {key: value for key, value in _remembered(ground).items() if key != "unlocked"})


def _restart(ground: Ground, declared: Cluster, name: str) -> None:
    with ground.open(declared) as control:
        node = next(one for one in control.cluster.nodes if one.name == name)
        control.require("stop", "install", "start")
        control.stop(node)
        control.install(node)
        control.start(node)
        what = migration.called(ground.declared.seal)
        if what == "unseal":
            shares.hand(control.cluster, node, ground.given or shares.lying(folder(ground.root, declared), what))
        wanted = f"{name} is open"
        nodes.wait(control.cluster, wanted, lambda seen: not migration.of(seen, node).sealed, _PATIENCE)
        nodes.wait_for_leader(control.cluster, _PATIENCE)


# one token


def _clear(ground: Ground, way: Way) -> None:
    """Call off what an earlier run of ours began, and with consent what somebody else did."""
    said = _good(way.ask("GET", "attempt"), "looking whether somebody makes one").data
    if not said.get("started"):
        return
    nonce, done, needed = (said.get(name) for name in ("nonce", "progress", "required"))
    if nonce is None or nonce != _remembered(ground).get("nonce"):
        ground.agree(
            f"somebody makes a root token (nonce {nonce}, {done} of {needed} shares given), and not from here. "
            "Call it off?"
        )
    else:
        _settled(ground)  # it waited for shares still, so nothing came of it
    _good(way.ask("DELETE", "attempt"), "calling it off")
    ground.tell(f"the attempt {nonce or ''} is called off")


def _made(ground: Ground, way: Way, found: Sequence[Share]) -> str:
    """The token: the shares given, one after the other, and what comes back decoded."""
    begun = _good(way.ask("PUT", "attempt", {}), "beginning").data
    nonce, otp = str(begun["nonce"]), str(begun["otp"])
    _remember(ground, {**_remembered(ground), "nonce": nonce})
    for share in found:
        _remember(ground, {**_remembered(ground), "lost": {**_lost(ground), nonce: _server_time(ground)}})
        said = way.ask("PUT", "update", {"key": share.value, "nonce": nonce})
        if not said.status or said.status >= _SERVER_ERROR:
            raise Unreachable(
                f"the shares went to {way.told}, which does not say what came of it: {said.words}; run this again, "
                "which ends what was made"
            )
        if not said.ok:
            where = ", ".join(one.where for one in found)
            _give_up(ground, way)
            raise StrongroomError(f"the shares ({where}) do not fit: {said.words}; no token was made")
        ground.tell(f"{said.data.get('progress')} of {said.data.get('required')} shares (nonce {nonce})")
        if said.data.get("complete"):
            return _decoded(str(said.data.get("encoded_token") or said.data.get("encoded_root_token")), otp)
    _give_up(ground, way)
    raise StrongroomError(f"{len(found)} shares are too few; no token was made")


def _server_time(ground: Ground) -> int:
    """By the clock that tells when a token was made."""
    leader = nodes.wait_for_leader(choose.placed(ground.root, ground.declared), _PATIENCE)
    return int(leader.health.document.get("server_time_utc") or time.time())


def _give_up(ground: Ground, way: Way) -> None:
    way.ask("DELETE", "attempt")
    _settled(ground)


def _shares(ground: Ground, needed: int) -> list[Share]:
    what = migration.called(ground.declared.seal)
    place = folder(ground.root, ground.declared)
    found = list(ground.given or shares.lying(place, what))
    if len(found) < needed:
        raise Refused(
            f"{needed} {what} shares are needed, and {len(found)} are here "
            f"({shares.FLAG if ground.given else place}); let the holders give them: --keys prompt, "
            "--keys file:PATH, or `--keys -`"
        )
    return found


def _decoded(encoded: str, otp: str) -> str:
    """The token out of what the server gave, which only the one-time password opens.

    >>> _decoded(base64.b64encode(bytes(a ^ b for a, b in zip(b"s.token", b"onetime"))).decode().rstrip("="), "onetime")
    's.token'
    """
    raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    return bytes(one ^ other for one, other in zip(raw, otp.encode(), strict=True)).decode()


def _kept(ground: Ground, token: str) -> Root:
    """On disk before it is used, with the accessor by which anybody can end it."""
    files.write(ground.token, token)
    _settled(ground)
    cluster = choose.placed(ground.root, ground.declared)
    leader = nodes.wait_for_leader(cluster, _PATIENCE)
    said = probe.ask(leader.url, "auth/token/lookup-self", ca=nodes.trusted(cluster), token=token)
    if not said.ok:
        raise Unreachable(f"{leader.node.name} does not know the new root token: {said.words}; run this again")
    accessor = str(said.data["accessor"])
    _remember(ground, {**_remembered(ground), "accessor": accessor})
    return Root(leader.url, cluster.ca_cert, accessor, ground.token, token)


def _good(said: Said, what: str) -> Said:
    if not said.ok:
        raise StrongroomError(f"generate-root, {what}: {said.words}")
    return said


def _remembered(ground: Ground) -> dict[str, Json]:
    found = json.loads(files.read(ground.memory) or "{}")
    return found if isinstance(found, dict) else {}


def _lost(ground: Ground) -> dict[str, int]:
    """The attempts of which nobody knows what came of them, and when their last share was given."""
    found = _remembered(ground).get("lost")
    return found if isinstance(found, dict) else {}


def _settled(ground: Ground) -> None:
    """It is known what came of the attempt that was begun last."""
    said = _remembered(ground)
    lost = {nonce: since for nonce, since in _lost(ground).items() if nonce != said.get("nonce")}
    _remember(ground, {**{name: said[name] for name in said if name == "unlocked"}, "lost": lost})


def _remember(ground: Ground, said: Mapping[str, Json]) -> None:
    if known := {name: value for name, value in said.items() if value}:
        files.write(ground.memory, json.dumps(known))
    else:
        ground.memory.unlink(missing_ok=True)
