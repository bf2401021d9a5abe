"""A new cluster: initialise, keep the shares, apply with the root token, prove the login, end the token."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator.cluster import keys, nodes
from orchestrator.cluster.seals import SEALS
from orchestrator.errors import Refused, StrongroomError, Unreachable
from orchestrator.live import probe
from orchestrator.live.session import connect
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from orchestrator.cluster.machines.control import Control
    from orchestrator.cluster.nodes import Seen
    from orchestrator.declared import Cluster, Node
    from orchestrator.documents import Json
    from orchestrator.live.probe import Said

PATIENCE = 60.0
_NO_ENVIRONMENT = "VAULT_", "BAO_"


@dataclass(frozen=True)
class Begun:
    """What came of it: where the shares are, what was applied, and that the root token is dead."""

    cluster: str
    shares: tuple[Path, ...]
    environment: str
    login: str
    dead: str  # what the server says of the root token now


@dataclass(frozen=True)
class Ground:
    """What the steps work on; `apply` applies an environment with the variables that it is given."""

    root: Path
    cluster: Cluster  # as it is placed
    control: Control | None
    environ: Mapping[str, str]
    apply: Callable[[str, Mapping[str, str]], None]
    tell: Callable[[str], None]

    @property
    def keys(self) -> Path:
        return keys.folder(self.root, self.cluster)


def begin(ground: Ground) -> Begun:
    """Make an empty cluster one that serves; run again after it was killed, it goes on."""
    check(ground.cluster)
    keys.tidy(ground.keys)
    if keys.is_unfinished(ground.keys, ground.cluster):
        _start_over(ground)
    if not keys.token(ground.keys):
        _initialise(ground)
    token = keys.token(ground.keys)
    unlock(ground)
    leader = nodes.wait_for_leader(ground.cluster, PATIENCE)
    dead = _dead(leader, ground.cluster, token)
    if not dead:
        _audited(ground, leader, token)
        environ = {**without_session(ground.environ), **_session(ground.cluster, leader, token)}
        ground.tell(f"applying {ground.cluster.init.environment} with the root token")
        ground.apply(ground.cluster.init.environment, environ)
        leader = nodes.wait_for_leader(ground.cluster, PATIENCE)
        _hand_out(ground, leader, token)
    login = _usable_login(ground, leader)
    dead = dead or _end(leader, ground.cluster, token)
    keys.forget_token(ground.keys)
    return Begun(ground.cluster.name, keys.written(ground.keys), ground.cluster.init.environment, login, dead)


def check(cluster: Cluster) -> None:
    """Without a way in that outlives the root token, nobody could come in afterwards."""
    wanted = [
        (cluster.login is not None, 'login: {approle: {role_id: NAME, secret_id: "file:PATH"}}'),
        (bool(cluster.init.environment), "init: {apply: ENVIRONMENT}, the environment that makes that login"),
    ]
    if missing := [words for there, words in wanted if not there]:
        raise Refused(
            f"cluster {cluster.name}: the root token is revoked once it has made another way in; "
            f"declare {' and '.join(missing)}"
        )


def _initialise(ground: Ground) -> None:
    place = ground.keys
    seen = nodes.look(ground.cluster)
    _refuse_initialised(seen)
    keys.refuse_overwriting(place)
    _refuse_stale_login(ground)
    first = seen[0]
    body = _asked(ground)
    files.private_folder(place)
    files.write(place / keys.UNFINISHED, "initialised without saved shares: what is stored holds nothing\n")
    ground.tell(f"initialising {ground.cluster.name} at {first.node.name}")
    ca = nodes.trusted(ground.cluster)
    said = probe.ask(first.url, "sys/init", ca=ca, method="PUT", body=body, seconds=PATIENCE)
    if not said.ok:
        if nodes.unbegun(ground.cluster, first.node, said):
            keys.finished(place)
        raise StrongroomError(f"{first.node.name}: sys/init is refused: {said.words}")
    keys.save(place, ground.cluster, _shares(ground.cluster, said))
    keys.save_token(place, str(said.document["root_token"]))
    keys.finished(place)


def _start_over(ground: Ground) -> None:
    """An earlier init was killed before the shares were on disk: nobody can open that storage, and nothing is in it."""
    seen = nodes.look(ground.cluster)
    if not all(one.answers and not one.initialised for one in seen):
        _empty(ground, nodes.told(seen))
    keys.forget(ground.keys)


def _empty(ground: Ground, told: str) -> None:
    if ground.control is None:
        raise Refused(
            f"an earlier init of {ground.cluster.name} ended before it saved the keys. If nobody else has initialised "
            f"it since, its storage holds nothing and cannot be opened ({told}): stop the nodes, delete "
            f"{ground.cluster.raft.path} on each, start them, and run this again. Else delete "
            f"{ground.keys / keys.UNFINISHED}"
        )
    ground.tell("an earlier init ended before it saved the keys; the storage held nothing and is made anew")
    for node in ground.cluster.nodes:
        ground.control.stop(node)
        ground.control.wipe(node)
    for node in ground.cluster.nodes:
        ground.control.start(node)
    nodes.wait(ground.cluster, "every node answers", _all_answer, PATIENCE)


def _refuse_initialised(seen: Sequence[Seen]) -> None:
    """A node that cannot be asked may hold data: it counts as one that does."""
    if silent := [one for one in seen if not one.answers]:
        raise Refused(f"nothing is initialised while a node does not answer, as it may hold data: {nodes.told(silent)}")
    if there := [one.node.name for one in seen if one.initialised]:
        raise Refused(
            f"nothing is done, as the cluster is initialised already: {', '.join(there)}. "
            "Look at it with `invoke cluster.status`, or name other nodes"
        )


def _refuse_stale_login(ground: Ground) -> None:
    """What another cluster's login left would be taken for that of this."""
    login = ground.cluster.login
    for name in ("secret_id", "role_id"):
        file = login.settings.get(name, "") if login else ""
        if file.startswith("file:") and (ground.root / file.removeprefix("file:")).exists():
            raise Refused(
                f"{file.removeprefix('file:')} is there before the cluster is, so it is the login of another one; "
                "move it away, or name another file in `login:`"
            )


def _asked(ground: Ground) -> dict[str, Json]:
    init = ground.cluster.init
    what = "recovery" if SEALS[ground.cluster.seal.kind].auto else "secret"
    holders = list(keys.holders(ground.root, ground.cluster).values())
    pgp = {"recovery_pgp_keys" if what == "recovery" else "pgp_keys": holders} if holders else {}
    return {f"{what}_shares": init.shares, f"{what}_threshold": init.threshold, **pgp}


def _shares(cluster: Cluster, said: Said) -> keys.Shares:
    auto = SEALS[cluster.seal.kind].auto
    found = said.document["recovery_keys_base64" if auto else "keys_base64"]
    return keys.Shares("recovery" if auto else "unseal", tuple(map(str, found)), bool(cluster.init.holders))


def unlock(ground: Ground) -> None:
    """Have every node unsealed, by itself or with the shares that lie here."""
    if SEALS[ground.cluster.seal.kind].auto:
        try:
            nodes.wait(ground.cluster, "every node unseals itself", _all_open, PATIENCE)
        except Unreachable as error:
            raise Unreachable(f"{error}{_last_words(ground)}") from error
        return
    shares = keys.bare(ground.keys, "unseal")
    seen = nodes.wait(ground.cluster, "every node answers", _all_answer, PATIENCE)
    if not shares and (sealed := [one.node.name for one in seen if one.sealed]):
        raise Refused(f"{', '.join(sealed)}: sealed, and only the holders have the keys: {_by_hand(ground)}")
    for node in ground.cluster.nodes:
        unseal(ground.cluster, node, shares)
    nodes.wait(ground.cluster, "every node is unsealed", _all_open, PATIENCE)


def _last_words(ground: Ground) -> str:
    """Why the first node that is not open is so, as its log has it."""
    shut = next((one for one in nodes.look(ground.cluster) if not _all_open([one])), None)
    log = ground.control.why(shut.node) if shut and ground.control else ""
    return f"; the log of {shut.node.name} ends with:\n{log}" if shut and log else ""


def _by_hand(ground: Ground) -> str:
    name, again = ground.cluster.name, "up" if ground.cluster.run else "init"
    told = f"unseal with `invoke cluster.unseal -c {name}`"
    if not keys.token(ground.keys):
        return told
    goes_on = f"run `invoke cluster.{again} -c {name}` again, which goes on"
    return f"{told} and {goes_on}; till then the root token lies in {ground.keys}"


def unseal(cluster: Cluster, node: Node, shares: Sequence[str]) -> None:
    """Hand shares to one node until it is open; a follower takes them only once it has joined."""
    nodes.wait(cluster, f"{node.name} has joined", lambda seen: _of(seen, node).initialised, PATIENCE)
    for share in shares:
        if not _of(nodes.look(cluster), node).sealed:
            return
        url, ca = cluster.url(node), nodes.trusted(cluster)
        said = probe.ask(url, "sys/unseal", ca=ca, method="PUT", body={"key": share}, seconds=PATIENCE)
        if not said.ok:
            raise StrongroomError(f"{node.name}: a share is refused: {said.words}")


def _of(seen: Sequence[Seen], node: Node) -> Seen:
    return next(one for one in seen if one.node.name == node.name)


def _all_answer(seen: Sequence[Seen]) -> bool:
    return all(one.answers for one in seen)


def _all_open(seen: Sequence[Seen]) -> bool:
    return all(one.answers and one.initialised and not one.sealed for one in seen)


def _audited(ground: Ground, leader: Seen, token: str) -> None:
    """HashiCorp Vault takes its audit devices by the API: before anything else is written."""
    if ground.cluster.server != "vault":
        return
    ca = nodes.trusted(ground.cluster)
    there = probe.ask(leader.url, "sys/audit", ca=ca, token=token)
    for device in ground.cluster.audit:
        if f"{device.name}/" in there.data:
            continue
        body = {"type": device.type, "options": dict(device.options)}
        said = probe.ask(leader.url, f"sys/audit/{device.name}", ca=ca, token=token, method="PUT", body=body)
        if not said.ok:
            raise StrongroomError(f"audit device {device.name} is refused: {said.words}")


def without_session(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith(_NO_ENVIRONMENT)}


def _session(cluster: Cluster, leader: Seen, token: str) -> dict[str, str]:
    found = {"VAULT_ADDR": leader.url, "VAULT_TOKEN": token, "VAULT_CACERT": cluster.ca_cert}
    return {name: value for name, value in found.items() if value}


def _usable_login(ground: Ground, leader: Seen) -> str:
    """Log in as the cluster's file says."""
    there = replace(ground.cluster, address=leader.url, run="")
    for _ in range(2):  # a SecretID that may be used once would lock everybody out
        session = connect(there, "", without_session(ground.environ), ground.root)
        session.close()
    return session.who


def _hand_out(ground: Ground, leader: Seen, token: str) -> None:
    """Write what the login's `file:` references wait for: the role's id, and a SecretID of its own."""
    login = ground.cluster.login
    if login is None or login.method != "approle":
        return
    role = f"auth/{login.mount}/role/{ground.cluster.init.role}"
    ca = nodes.trusted(ground.cluster)
    for name, method in (("role_id", "GET"), ("secret_id", "POST")):
        scheme, _, file = login.settings[name].partition(":")
        path = ground.root / file
        if scheme != "file" or path.exists():
            continue
        body: dict[str, Json] | None = {} if method == "POST" else None
        said = probe.ask(leader.url, f"{role}/{name.replace('_', '-')}", ca=ca, token=token, method=method, body=body)
        if not said.ok:
            raise StrongroomError(
                f"{role}: {said.words}; declare that role in environment {ground.cluster.init.environment}, "
                "and name it in `init: {role: ...}`"
            )
        files.private_folder(path.parent)
        files.write(path, str(said.data[name]))


def _dead(leader: Seen, cluster: Cluster, token: str) -> str:
    """What the server says of a token that is dead; empty when it lives."""
    said = probe.ask(leader.url, "auth/token/lookup-self", ca=nodes.trusted(cluster), token=token)
    return f"{said.status} {said.words}" if said.status == probe.FORBIDDEN else ""


def _end(leader: Seen, cluster: Cluster, token: str) -> str:
    """Revoke the root token and see that it is dead."""
    ca = nodes.trusted(cluster)
    said = probe.ask(leader.url, "auth/token/revoke-self", ca=ca, token=token, method="POST", body={})
    dead = _dead(leader, cluster, token)
    if not dead:
        raise StrongroomError(
            f"the root token is not seen to be dead: revoking it answers {said.words if not said.ok else said.status}; "
            f"it lies in {keys.ROOT_TOKEN} beside the shares; run this again"
        )
    return dead
