"""Databases as witnesses: the accounts of leases, static roles and connections, at the database itself."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident import evidence
from orchestrator.incident.model import Proof
from orchestrator.incident.proofs import postgresql
from orchestrator.incident.proofs.postgresql import Silent
from orchestrator.live.server import Denied, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.declared import Declaration
    from orchestrator.documents import Json, Spec
    from orchestrator.incident.ground import Ground
    from orchestrator.incident.journal import Journal
    from orchestrator.incident.model import Accounts, Credential

_CLIENT = "postgresql"  # the connections that the driver of the embedded stack speaks to
_MADE, _KEPT = "roles", "static_roles"
_SHOWN = 5
_MEANS = (
    (
        ("password authentication failed",),
        "the database refuses the connection's own password, so the account is alive: write the right one, and apply",
    ),
    (("depend on it",), "the account owns something, so that the database keeps it, alive: run DROP OWNED BY for it"),
    (
        ("connection refused", "failed to connect", "timeout", "deadline exceeded", "closed the connection"),
        "the database does not answer: the account is alive; start it, then resume the incident",
    ),
)


@dataclass
class Behind:
    """The database behind a connection, and what is asked about there."""

    namespace: str
    path: str  # of the connection: `database/config/orders`
    asked: list[Accounts]
    spec: Spec = field(default_factory=dict)
    silent: str = ""  # why it cannot be asked
    database: postgresql.Database | None = None
    made: dict[str, int] = field(default_factory=dict)  # accounts that end with their leases, and their ids
    kept: dict[str, Accounts] = field(default_factory=dict)  # accounts that stay, with another password
    old: dict[str, str] = field(default_factory=dict, repr=False)  # what was their password before the cut

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.path


@contextmanager
def witness(ground: Ground, journal: Journal, asked: Sequence[Accounts]) -> Iterator[Books]:
    """Every database that is asked about, with what it knows before the cut, which the evidence keeps."""
    with ExitStack() as stack:
        behind = _behind(ground, asked)
        for one in behind:
            _open(ground, one, stack)
            _before(ground, journal, one)
        yield Books(ground, journal, behind, stack)


def _behind(ground: Ground, asked: Sequence[Accounts]) -> list[Behind]:
    """The databases behind what is asked about; one of which the server tells nothing stands for itself."""
    found: dict[tuple[str, str], Behind] = {}
    for one in asked:
        live, why = _live(ground, one)
        name = str(live.get("db_name", f"? ({one.title}: {why})"))
        here = Behind(one.namespace, f"{one.mount}/config/{name}", [])
        here = found.setdefault(here.key, here)
        here.asked.append(one)
        if one.key == _KEPT and live:
            here.kept[str(live["username"])] = one
    for here in found.values():
        _declared(ground, here)
    return list(found.values())


def _live(ground: Ground, one: Accounts) -> tuple[Mapping[str, Json], str]:
    """What the server tells of a role, or why nothing: to look must never stop the cut."""
    folder = {_MADE: "roles", _KEPT: "static-roles"}.get(one.key)
    if folder is None:
        return {"db_name": one.name}, ""
    try:
        found = ground.inside(one.namespace).server.read(f"{one.mount}/{folder}/{one.name}")
    except (Denied, Rejected) as error:
        return {}, str(error)
    return found or {}, "it is gone"


def _declared(ground: Ground, here: Behind) -> None:
    """What the YAML says of the connection: only with that can the database be asked."""
    found = _declaration(ground, here)
    if found is None:
        here.silent = f"the YAML declares no connection {here.path}, so nobody can log in there and look"
    elif found.object and found.object.key != _CLIENT:
        here.silent = f"it is of {found.object.key}, which nothing here speaks: look there by hand"
    else:
        here.spec = found.spec
        here.kept |= {str(found.spec["username"]): one for one in here.asked if one.key not in {_MADE, _KEPT}}


def _declaration(ground: Ground, here: Behind) -> Declaration | None:
    if ground.environment is None or here.namespace != ground.namespace:
        return None
    return next(
        (
            one
            for one in ground.environment.declarations
            if one.object and one.object.witness and one.object.key not in {_MADE, _KEPT}
            if f"{one.mount}/config/{one.name}" == here.path
        ),
        None,
    )


def _open(ground: Ground, here: Behind, stack: ExitStack) -> None:
    """Log in as the connection's administrator, or say why that cannot be done."""
    if not here.spec or here.database:
        return
    here.silent = ""
    try:
        password = ground.secret(str(here.spec["password"]))
        here.database = stack.enter_context(postgresql.opened(here.spec, password))
    except StrongroomError as error:
        here.silent = str(error)


def _before(ground: Ground, journal: Journal, here: Behind) -> None:
    """Which accounts live, and the passwords that are about to be turned; what an earlier run saw still counts."""
    known: Mapping[str, int] = {}
    try:
        known = here.database.accounts() if here.database else {}
    except Silent as error:
        here.database, here.silent = None, str(error)
    candidates = {name: oid for name, oid in known.items() if name not in here.kept and _is_asked(here, name)}
    kept = {name: known[name] for name in here.kept if name in known}
    earlier = [line for line in journal.of("accounts") if (line.data["namespace"], line.data["connection"]) == here.key]
    for line in earlier:
        here.made |= evidence.stored(journal.path.parent, line)["made"]
    name = f"accounts-{sum(1 for _ in journal.of('accounts')) + 1}.json"
    document = {"made": candidates, "kept": kept, "silent": here.silent}
    hash_ = evidence.store(journal, name, document)
    here.made |= candidates
    asked = [asdict(one) for one in here.asked]
    journal.write("accounts", namespace=here.namespace, connection=here.path, asked=asked, file=name, sha256=hash_)
    begun = {tuple(line.data["key"])[1] for line in journal.of("turning")}
    here.old = {
        account: password
        for account, one in here.kept.items()
        if one.title not in begun and (password := _password(ground, here, one))
    }


def _is_asked(here: Behind, account: str) -> bool:
    """Whether an account is one of those that are cut, as far as its name tells."""
    roles = [one for one in here.asked if one.key == _MADE]
    if any(one.only for one in roles):
        return account in {one.only for one in roles}
    if here.spec.get("username_template"):
        return bool(roles) and account != here.spec["username"]
    return any(postgresql.is_of(one.name, account) for one in roles)


def _password(ground: Ground, here: Behind, one: Accounts) -> str:
    """The present password of an account that stays; nothing where it has none, or nobody lets us see it."""
    if one.key != _KEPT:
        return ground.secret(str(here.spec["password"])) if here.database else ""
    with suppress(Denied, Rejected):
        found = ground.inside(one.namespace).server.read(f"{one.mount}/static-creds/{one.name}") or {}
        return str(found.get("password") or "")
    return ""


@dataclass(frozen=True)
class Books:
    """What the databases knew before the cut, to be held against what they know after it."""

    ground: Ground
    journal: Journal
    behind: Sequence[Behind]
    stack: ExitStack

    def explained(self, left: Mapping[str, str]) -> dict[str, str]:
        """The reasons why accounts live on, in words that say what to do; the server's own follow."""
        ours = {_key(one) for here in self.behind for one in self._leases(here)} if left else set()
        return {key: _meaning(words) if key in ours else words for key, words in left.items()}

    def after(self, left: Mapping[str, str]) -> Iterator[Proof]:
        for here in self.behind:
            if here.database is None:
                _open(self.ground, here, self.stack)  # it may be back
            try:
                yield from self._proven(here, left)
            except Silent as error:
                yield from self._unproven(here, str(error))

    def _unproven(self, here: Behind, why: str) -> Iterator[Proof]:
        said = f"the database itself was not asked: {why}"
        yield Proof("account", f"accounts of {here.path}", dead=None, said=said)

    def _proven(self, here: Behind, left: Mapping[str, str]) -> Iterator[Proof]:
        if here.database is None:
            yield from self._unproven(here, here.silent)
            return
        alive = here.database.accounts()
        yield from self._accounts(here, alive, left)
        for account, one in here.kept.items():
            if not _is_left(one, left):
                yield self._refused(here, account, one)
        dropped = {oid: name for name, oid in here.made.items() if alive.get(name) != oid}
        turned = {alive[name]: name for name, one in here.kept.items() if name in alive and not _is_left(one, left)}
        yield from self._sessions(here, here.database, {**dropped, **turned})
        strays = here.database.strays() if any(one.key == _MADE for one in here.asked) else []
        if strays:
            title = f"{_count(len(strays), 'session')} of accounts that are gone"
            said = f"PostgreSQL forgot whose they were; if they may be of this leak, run: {postgresql.stop(*strays)}"
            yield Proof("session", title, dead=None, said=said)

    def _accounts(self, here: Behind, alive: Mapping[str, int], left: Mapping[str, str]) -> Iterator[Proof]:
        """As many accounts must be gone as leases ended: a lease does not tell the name of its account."""
        lives = [name for name, oid in here.made.items() if alive.get(name) == oid]
        if leaked := [one.only for one in here.asked if one.only]:
            yield from (_leaked(name, lives) for name in leaked)
            return
        gone = len(here.made) - len(lives)
        ended = sum(_key(one) not in left for one in self._leases(here))
        now = [name for name in alive if name not in here.kept and _is_asked(here, name)]
        if ended <= gone:
            yield from _gone(here, gone, now)
        elif not now:
            said = "PostgreSQL has no account with such a name any more"
            yield Proof("account", f"{_count(ended, 'account')} of {here.path}", dead=True, said=said, count=ended)
        elif lives:
            yield _outlived(here, ended, gone, lives)
        else:
            said = f"{_count(ended, 'lease')} ended; PostgreSQL did not answer before, and knows {_shown(now)} now"
            yield Proof("account", f"{_count(ended, 'account')} of {here.path}", dead=None, said=said)

    def _leases(self, here: Behind) -> list[Credential]:
        """The leases of these roles that the incident found."""
        below = tuple(f"{one.mount}/creds/{one.name}/" for one in here.asked if one.key == _MADE)
        known = evidence.known(self.journal) if below else []
        return [one for one in known if one.namespace == here.namespace and one.id.startswith(below)]

    def _refused(self, here: Behind, account: str, one: Accounts) -> Proof:
        """The leaked password, as its thief would try it; where it is not known any more, the one in its place."""
        title = f"password of {one.title}"
        old = here.old.get(account)
        if not old:
            return self._taken(here, account, one, title)
        words = postgresql.refuses(here.spec, account, old)
        if words is None:
            return Proof("password", title, dead=False, said=f"PostgreSQL still lets {account} in with it")
        return Proof("password", title, dead=True, said=f"the old one tried at PostgreSQL: {words}")

    def _taken(self, here: Behind, account: str, one: Accounts, title: str) -> Proof:
        present = _password(self.ground, here, one)
        if present and postgresql.refuses(here.spec, account, present) is None:
            said = "PostgreSQL takes the one that the server holds now, and an account has but one"
            return Proof("password", title, dead=True, said=said)
        return Proof("password", title, dead=None, said=f"nobody holds the old one of {account}, to try it")

    def _sessions(self, here: Behind, database: postgresql.Database, cut: Mapping[int, str]) -> Iterator[Proof]:
        """A session outlives its account, so each is ended."""
        found = database.sessions(list(cut)) if cut else {}
        if not found:
            return
        sessions = [[pid, cut[oid]] for pid, oid in found.items()]
        self.journal.write("ending sessions", namespace=here.namespace, connection=here.path, sessions=sessions)
        lives = {pid: why for pid, oid in found.items() if (why := database.end(pid, oid))}
        self.journal.write(
            "ended sessions", count=len(found) - len(lives), left={str(pid): lives[pid] for pid in lives}
        )
        ended = [pid for pid in found if pid not in lives]
        if ended:
            names = _shown(sorted({cut[found[pid]] for pid in ended}))
            title = f"{_count(len(ended), 'session')} of {names}"
            yield Proof(
                "session", title, dead=True, said="still open after the cut; PostgreSQL ended it", count=len(ended)
            )
        for pid, why in lives.items():
            said = f"it is open still: {why}; run as a superuser: {postgresql.stop(pid)}"
            yield Proof("session", f"session {pid} of {cut[found[pid]]}", dead=False, said=said)


def _leaked(name: str, lives: Sequence[str]) -> Proof:
    if name in lives:
        said = f"PostgreSQL still knows it; look, then run: {postgresql.ending([name])}"
        return Proof("account", f"account {name}", dead=False, said=said)
    return Proof("account", f"account {name}", dead=True, said="PostgreSQL does not know it")


def _gone(here: Behind, gone: int, now: Sequence[str]) -> Iterator[Proof]:
    if gone:
        others = f"; {_shown(now)} live by leases that are not cut, or by none" if now else ""
        title = f"{_count(gone, 'account')} of {here.path}"
        yield Proof("account", title, dead=True, said=f"PostgreSQL knows none of them{others}", count=gone)


def _outlived(here: Behind, ended: int, gone: int, lives: Sequence[str]) -> Proof:
    """More leases ended than accounts are gone; which ones outlived theirs is certain where no other name fits."""
    short = ended - gone
    with_them = f"{gone or 'no'} account{'s' * (gone > 1)} with {'it' if ended == 1 else 'them'}"
    said = f"{_count(ended, 'lease')} ended, and {with_them}; "
    if len(lives) > short:
        said += f"{short} of these live on without one: {_shown(lives)}; look, and drop them by hand"
    else:
        said += f"PostgreSQL still knows {_shown(lives)}; look, then run: {postgresql.ending(lives)}"
    return Proof("account", f"{_count(short, 'account')} of {here.path}", dead=False, said=said)


def _is_left(one: Accounts, left: Mapping[str, str]) -> bool:
    """Whether what stays was not turned."""
    return any(key.endswith(f" of {one.title}") for key in left)


def _key(one: Credential) -> str:
    return f"{one.what} {one.id}"


def _meaning(words: str) -> str:
    means = next((means for some, means in _MEANS if any(one in words for one in some)), "")
    return f"{means} (the server's words: {words})" if means else words


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def account(ground: Ground, mount: str, name: str) -> Iterator[tuple[str, int]]:
    """Whose an account of this name may be, and the second in which it was made, 0 for one that stays."""
    server = ground.server
    for role in server.list(f"{mount}/static-roles"):
        if (server.read(f"{mount}/static-roles/{role}") or {}).get("username") == name:
            yield f"{mount}/static_roles/{role}", 0
    for connection in server.list(f"{mount}/config"):
        details = (server.read(f"{mount}/config/{connection}") or {}).get("connection_details") or {}
        if details.get("username") == name:
            yield f"{mount}/config/{connection}", 0
    for role in server.list(f"{mount}/roles"):
        if postgresql.is_of(role, name):
            yield f"{mount}/roles/{role}", postgresql.made_at(name)
