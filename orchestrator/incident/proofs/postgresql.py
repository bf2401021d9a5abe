"""PostgreSQL as a witness: which accounts it knows, which sessions are open, whether it still takes a password."""

from __future__ import annotations

import re
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from orchestrator.errors import StrongroomError
from orchestrator.live.canaries.postgresql import parameters

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.documents import Spec

_PATIENCE = 10.0
_CUT_AT = 8  # what the default template keeps of a role's name
_REFUSED = ("authentication failed", "does not exist", "not permitted to log in")
_ACCOUNTS = "SELECT rolname, oid FROM pg_roles WHERE rolcanlogin"
_SESSIONS = "SELECT pid, usesysid FROM pg_stat_activity WHERE usesysid = ANY(%s) AND pid <> pg_backend_pid()"
_STRAY = """SELECT pid FROM pg_stat_activity AS one WHERE usesysid IS NOT NULL
    AND NOT EXISTS (SELECT FROM pg_roles WHERE pg_roles.oid = one.usesysid) ORDER BY pid"""
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = %s AND pid = %s"


class Silent(StrongroomError):  # noqa: N818 - the name is the sentence: the database is silent
    """The database does not let its own administrator in, or does not answer at all."""


def is_of(role: str, account: str) -> bool:
    """Whether an account may be one that the role made, as far as its name tells.

    >>> is_of("orders-read", "v-my-app-orders-r-ZkJI4Eza9y9DkU0bCIcm-1795278687")
    True
    """
    pattern = rf"v-.{{0,8}}-{re.escape(role[:_CUT_AT])}-[A-Za-z0-9]{{20}}-\d{{10}}"
    return re.fullmatch(pattern, account) is not None


def made_at(account: str) -> int:
    """When the server made an account of the default template, in seconds since 1970."""
    return int(account.rpartition("-")[2])


@dataclass(frozen=True)
class Database:
    """A database as its administrator sees it."""

    connection: psycopg.Connection = field(repr=False)

    def accounts(self) -> dict[str, int]:
        """Every account that may log in, with its id, which a session keeps when the account is dropped."""
        return {str(name): int(oid) for name, oid in self._asked(_ACCOUNTS)}

    def sessions(self, accounts: Sequence[int]) -> dict[int, int]:
        """The open sessions of these accounts, but for this one: {pid: account}."""
        return {int(pid): int(oid) for pid, oid in self._asked(_SESSIONS, [list(accounts)])}

    def strays(self) -> list[int]:
        """The open sessions of accounts that are dropped: their names are forgotten."""
        return [int(pid) for (pid,) in self._asked(_STRAY)]

    def end(self, pid: int, account: int) -> str:
        """End a session if it is still that account's; the reason when it lives on."""
        try:
            self._asked(_END, [account, pid])
        except psycopg.errors.InsufficientPrivilege as error:
            return _words(error)
        deadline = time.monotonic() + _PATIENCE
        while self.sessions([account]).get(pid) == account:
            if time.monotonic() > deadline:
                return f"it does not end within {_PATIENCE:.0f} s"
            time.sleep(0.02)
        return ""

    def _asked(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        try:
            return self.connection.execute(statement.encode(), values or None).fetchall()
        except psycopg.errors.InsufficientPrivilege:
            raise
        except psycopg.Error as error:
            raise Silent(_words(error)) from None


@contextmanager
def opened(spec: Spec, password: str) -> Iterator[Database]:
    """The database of a declared connection, for its own administrator; one session for the whole of it."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            connection = psycopg.connect(**parameters(spec, scratch, str(spec["username"]), password), autocommit=True)
        except psycopg.Error as error:
            raise Silent(_words(error, password)) from None
        with connection:
            yield Database(connection)


def refuses(spec: Spec, account: str, password: str) -> str | None:
    """The words by which the database refuses an account with this password, None where it lets it in."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            psycopg.connect(**parameters(spec, scratch, account, password)).close()
        except psycopg.OperationalError as error:
            words = _words(error, password)
            if any(one in words for one in _REFUSED):
                return words.partition("FATAL: ")[2] or words
            raise Silent(words) from None
    return None


def ending(accounts: Sequence[str]) -> str:
    """The statements that a person runs to end accounts which outlive their leases."""
    lines = (
        sql.SQL("DROP OWNED BY {0}; DROP ROLE {0};").format(sql.Identifier(one)).as_string(None) for one in accounts
    )
    return " ".join(lines)


def stop(*pids: int) -> str:
    """The statements that a person runs to end sessions."""
    return " ".join(f"SELECT pg_terminate_backend({pid});" for pid in pids)


def _words(error: psycopg.Error, password: str = "") -> str:
    said = str(error).replace(password, "…") if password else str(error)
    return " ".join(said.split())
