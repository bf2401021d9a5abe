"""Databases as witnesses: the accounts of leases, static roles and connections, at the database itself."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.incident import evidence
from orchestrator.incident.model import Proof
from orchestrator.incident.proofs import postgresql
from orchestrator.incident.proofs.behind import MADE, Behind, gathered, is_asked, log_in, present_password, record
from orchestrator.incident.proofs.postgresql import Silent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.incident.ground import Ground
    from orchestrator.incident.journal import Journal
    from orchestrator.incident.model import Accounts, Credential

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


@contextmanager
def witness(ground: Ground, journal: Journal, asked: Sequence[Accounts]) -> Iterator[Books]:
    """Every database that is asked about, with what it knows before the cut, which the evidence keeps."""
    with ExitStack() as stack:
        behind = gathered(ground, asked)
        for one in behind:
            log_in(ground, one, stack)
            record(ground, journal, one)
        yield Books(ground, journal, behind, stack)


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
                log_in(self.ground, here, self.stack)  # it may be back
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
        strays = here.database.strays() if any(one.key == MADE for one in here.asked) else []
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
        now = [name for name in alive if name not in here.kept and is_asked(here, name)]
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
        below = tuple(f"{one.mount}/creds/{one.name}/" for one in here.asked if one.key == MADE)
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
        present = present_password(self.ground, here, one)
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
