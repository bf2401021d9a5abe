"""Accounts of a database are cut at the database itself: gone, their sessions ended, their passwords refused."""

from __future__ import annotations

import signal
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest

from orchestrator.commands.check import incident_rights
from orchestrator.incident.journal import FILE, read
from orchestrator.local import stack as local
from orchestrator.local.files import locked
from orchestrator.local.postgres import Database, start, stop
from tests.incident.databases import House
from tests.incident.scene import NAME, Scene
from tests.incident.test_resume import killed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.incident.run import Outcome
    from orchestrator.local.stack import Stack

pytestmark = pytest.mark.server
TURNED = ("agreed", "found", "accounts", "looked again", "turning", "turned", "cut", "proved", "finished")


@pytest.fixture
def house(stack: Stack, tmp_path: Path, namespaces: None) -> Iterator[House]:  # noqa: ARG001 - it skips
    with closing(House.on(stack, tmp_path)) as found:
        found.mount()
        yield found


def proofs(outcome: Outcome, *what: str) -> list[tuple[bool | None, str, str]]:
    return [(one.dead, one.title, one.said) for one in outcome.proofs if one.what in what]


def test_open_sessions_of_a_cut_role_end_and_another_role_s_live(house: House) -> None:
    leaked, other = house.role("-read"), house.role("-write")
    cut = [house.leased(leaked) for _ in range(2)]
    kept = house.leased(other)

    outcome = house.scene.cut(("database-role", f"db/{leaked}"))

    assert (outcome.code, outcome.cut.left) == (0, {})
    assert [house.knows(one.name) for one in (*cut, kept)] == [False, False, True]
    assert [one.is_connected() for one in (*cut, kept)] == [False, False, True]
    names = ", ".join(sorted(one.name for one in cut))
    assert proofs(outcome, "account", "session") == [
        (True, "2 accounts", "each looked up again: the server knows none of them"),
        (True, "2 accounts of db/config/orders", "PostgreSQL knows none of them"),
        (True, f"2 sessions of {names}", "still open after the cut; PostgreSQL ended it"),
    ]


def test_a_session_that_outlived_its_account_is_told(house: House) -> None:
    role = house.role("-read")
    earlier, leaked = house.leased(role), house.leased(role)
    house.scene.server.write("sys/leases/revoke", {"lease_id": earlier.lease, "sync": True})
    assert (house.knows(earlier.name), earlier.is_connected()) == (False, True)

    outcome = house.scene.cut(("database-role", f"db/{role}"))

    assert (outcome.code, leaked.is_connected(), earlier.is_connected()) == (2, False, True)
    pid = earlier.session.info.backend_pid
    assert proofs(outcome, "session")[-1] == (
        None,
        "1 session of accounts that are gone",
        f"PostgreSQL forgot whose they were; if they may be of this leak, run: SELECT pg_terminate_backend({pid});",
    )
    earlier.session.close()


def test_a_lease_prefix_is_cut_at_the_database_as_well(house: House) -> None:
    leaked = house.role("-read")
    account = house.leased(leaked)

    outcome = house.scene.cut(("lease-prefix", f"db/creds/{leaked}"))

    assert (outcome.code, house.knows(account.name), account.is_connected()) == (0, False, False)
    assert [one.source for one in outcome.found.credentials] == [f"secrets/db/roles/{leaked}"]


def test_the_accounts_of_a_cut_token_lose_their_sessions(house: House) -> None:
    role = house.role("-read")
    policy = f'path "db/creds/{role}" {{ capabilities = ["read"] }}'
    house.scene.server.write("sys/policies/acl/reader", {"policy": policy})
    house.scene.approle("payments", "orders", token_policies=["reader"])
    leaked, other = (house.leased(role, house.scene.login(name)["client_token"]) for name in ("payments", "orders"))

    outcome = house.scene.cut(("role", "auth/approle/payments"))

    assert (outcome.code, outcome.cut.left) == (0, {})
    assert [(house.knows(one.name), one.is_connected()) for one in (leaked, other)] == [(False, False), (True, True)]
    assert proofs(outcome, "account", "session") == [
        (
            True,
            "1 account of db/config/orders",
            f"PostgreSQL knows none of them; {other.name} live by leases that are not cut, or by none",
        ),
        (True, f"1 session of {leaked.name}", "still open after the cut; PostgreSQL ended it"),
    ]


def test_one_leaked_account_is_cut_and_its_role_serves_on(house: House) -> None:
    role = house.role("-read")
    leaked = house.leased(role)
    other = house.leased(house.role("-write"))

    outcome = house.scene.cut(("account", leaked.name))

    assert (outcome.code, outcome.shut, house.knows(leaked.name), leaked.is_connected()) == (0, (), False, False)
    assert (True, f"account {leaked.name}", "PostgreSQL does not know it") in proofs(outcome, "account")
    assert house.leased(role).is_connected()
    assert other.is_connected()


def test_an_account_that_outlives_its_lease_is_alive(house: House) -> None:
    role = house.role("-read", revocation_statements=["SELECT 1"])
    account = house.leased(role)

    outcome = house.scene.cut(("database-role", f"db/{role}"))
    drop = f'look, then run: DROP OWNED BY "{account.name}"; DROP ROLE "{account.name}";'

    assert (outcome.code, house.knows(account.name)) == (1, True)
    assert proofs(outcome, "account")[1:] == [
        (
            False,
            "1 account of db/config/orders",
            f"1 lease ended, and no account with it; PostgreSQL still knows {account.name}; {drop}",
        )
    ]


def test_an_account_without_a_lease_is_alive(house: House) -> None:
    role = house.role("-read", revocation_statements=["SELECT 1"])
    account = house.leased(role)
    house.scene.server.write("sys/leases/revoke", {"lease_id": account.lease, "sync": True})

    outcome = house.scene.cut(("account", account.name))

    assert outcome.code == 1
    assert outcome.notes == (f"no lease stands for account {account.name}: if it lives, only the database can end it",)
    assert proofs(outcome, "account") == [
        (
            False,
            f"account {account.name}",
            f'PostgreSQL still knows it; look, then run: DROP OWNED BY "{account.name}"; DROP ROLE "{account.name}";',
        )
    ]


def test_a_static_role_s_old_password_is_refused(house: House) -> None:
    leaked, other = house.static("owner"), house.static("reader")
    old = house.password(leaked)
    thief, reader = house.login(leaked, old), house.login(other, house.password(other))

    outcome = house.scene.cut(("database-role", f"db/{leaked}"))

    assert outcome.code == 0
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        house.login(leaked, old)
    with pytest.raises(psycopg.OperationalError):
        thief.execute("SELECT 1")
    assert reader.execute("SELECT 1").fetchone() == (1,)
    house.login(leaked, house.password(leaked)).close()
    refused = f'password authentication failed for user "{leaked}"'
    assert (
        True,
        f"password of secrets/db/static_roles/{leaked}",
        f"the old one tried at PostgreSQL: {refused}",
    ) in proofs(outcome, "password")
    evidence = "".join(path.read_text() for path in house.scene.folder.iterdir())
    assert old not in evidence
    assert house.password(leaked) not in evidence


def test_a_static_role_is_turned_once_an_incident(house: House) -> None:
    leaked = house.static("owner")
    house.scene.cut(("database-role", f"db/static_roles/{leaked}"))
    turned = house.password(leaked)

    outcome = house.scene.resume()

    assert (outcome.code, house.password(leaked)) == (0, turned)
    assert [one.what for one in read(house.scene.folder / FILE)].count("turning") == 1
    said = "PostgreSQL takes the one that the server holds now, and an account has but one"
    assert (True, f"password of secrets/db/static_roles/{leaked}", said) in proofs(outcome, "password")


@pytest.mark.parametrize("line", range(1, len(TURNED) + 1))
def test_killed_at_each_line_a_password_is_turned_once(house: House, line: int) -> None:
    leaked = house.static("owner")
    old = house.password(leaked)

    assert killed(house.scene, line, ("database-role", f"db/{leaked}")) == -signal.SIGKILL
    assert tuple(one.what for one in read(house.scene.folder / FILE)) == TURNED[:line]
    between = house.password(leaked)
    outcome = house.scene.resume()

    assert (outcome.code, house.password(leaked) != old) == (0, True)
    assert (between == old) == (line <= TURNED.index("turning") + 1)
    assert between in {old, house.password(leaked)}, "turned twice"


def test_a_database_that_cannot_be_asked_is_unproven(house: House) -> None:
    role = house.role("-read")
    account = house.leased(role)
    house.scene.said["LOCAL_POSTGRES_PASSWORD"] = "canary-wrong-7f3b"

    outcome = house.scene.cut(("database-role", f"db/{role}"))

    assert (outcome.code, house.knows(account.name), account.is_connected()) == (2, False, True)
    [(dead, title, said)] = proofs(outcome, "account")[1:]
    assert (dead, title) == (None, "accounts of db/config/orders")
    assert said.startswith("the database itself was not asked: ")
    assert 'password authentication failed for user "strongroom"' in said
    assert "canary-wrong" not in said

    house.scene.said.clear()
    again = house.scene.resume()

    assert [(dead, title) for dead, title, _ in proofs(again, "account", "session")[1:]] == [
        (True, "1 account of db/config/orders"),
        (None, "1 session of accounts that are gone"),
    ]


@pytest.fixture
def own(tmp_path: Path, request: pytest.FixtureRequest, namespaces: None) -> Iterator[House]:  # noqa: ARG001 - it skips
    """A stack of the test's own, whose PostgreSQL may be stopped."""
    home = tmp_path / "stack"
    home.mkdir()
    found = House.on(local.up(home, request.config.getoption("--server")), tmp_path)
    found.mount()
    yield found
    found.close()
    local.down(home)


def database(house: House) -> Database:
    """The PostgreSQL of a stack of one's own."""
    return Database(
        house.scene.root / "stack/.strongroom/stack/postgres", int(house.running.postgres.partition(":")[2])
    )


def test_accounts_live_as_long_as_the_database_is_down_and_end_once_it_is_back(own: House) -> None:
    role = own.role("-read")
    leaked = [own.leased(role) for _ in range(2)]
    own.close()
    stop(database(own))

    outcome = own.scene.cut(("database-role", f"db/{role}"))

    assert outcome.code == 1
    assert set(outcome.cut.left) == {f"account {one.lease}" for one in leaked}
    meaning = "the database does not answer: the account is alive; start it, then resume the incident"
    assert {words.partition(" (the server's words: ")[0] for words in outcome.cut.left.values()} == {meaning}
    [(dead, title, said)] = proofs(outcome, "account")[-1:]
    assert (dead, title) == (None, "accounts of db/config/orders")
    assert said.startswith("the database itself was not asked: ")

    with locked(own.scene.root / "lock") as lock:
        start(database(own), lock)
    again = own.scene.resume()

    assert (again.code, again.cut.left) == (0, {})
    assert proofs(again, "account")[-1] == (True, "2 accounts of db/config/orders", "PostgreSQL knows none of them")


def test_a_wrong_password_of_the_connection_is_told_as_the_reason(house: House) -> None:
    admin = f"{house.drawn}_admin"
    house.admin.execute(f"CREATE ROLE \"{admin}\" LOGIN SUPERUSER PASSWORD 'canary-first-7f3b'".encode())
    house.connection("canary-first-7f3b", username=admin)
    role = house.role("-read")
    account = house.leased(role)
    house.admin.execute(f"ALTER ROLE \"{admin}\" PASSWORD 'canary-second-7f3b'".encode())
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
    house.admin.execute(ended, [admin])  # the server's, so that its next statement needs a new one

    outcome = house.scene.cut(("database-role", f"db/{role}"))

    assert outcome.code == 1
    assert outcome.cut.left[f"account {account.lease}"].startswith(
        "the database refuses the connection's own password, so the account is alive: write the right one, and apply "
    )
    assert account.is_connected()

    house.connection("canary-second-7f3b", username=admin)

    assert house.scene.resume().code == 0
    assert (house.knows(account.name), account.is_connected()) == (False, False)


def test_an_account_that_owns_a_table_is_named_with_what_to_do(house: House) -> None:
    role = house.role("-read", revocation_statements=['DROP ROLE "{{name}}"'])
    account = house.leased(role)
    house.admin.execute(f'CREATE TABLE "{house.drawn}" (one int)'.encode())
    house.admin.execute(f'ALTER TABLE "{house.drawn}" OWNER TO "{account.name}"'.encode())

    outcome = house.scene.cut(("database-role", f"db/{role}"))

    assert outcome.code == 1
    assert outcome.cut.left[f"account {account.lease}"].startswith(
        "the account owns something, so that the database keeps it, alive: run DROP OWNED BY for it "
    )
    house.admin.execute(f'DROP OWNED BY "{account.name}"'.encode())

    assert house.scene.resume().code == 0
    assert (house.knows(account.name), account.is_connected()) == (False, False)


def test_a_root_password_is_turned_only_where_it_is_named(house: House, tmp_path: Path) -> None:
    admin, first = f"{house.drawn}_admin", "canary-root-7f3b"
    house.admin.execute(f"CREATE ROLE \"{admin}\" LOGIN SUPERUSER PASSWORD '{first}'".encode())
    own = house.beside(tmp_path / "own", username=admin, password="env:ROOT_PASSWORD")
    own.scene.said["ROOT_PASSWORD"] = first
    own.mount(first)
    thief = own.login(admin, first)
    own.scene.cut(("mount", "db"))
    own.login(admin, first).close()

    outcome = own.scene.cut(("role", "db/config/orders"))

    refused = f'password authentication failed for user "{admin}"'
    assert (True, "password of secrets/db/postgresql/orders", f"the old one tried at PostgreSQL: {refused}") in proofs(
        outcome, "password"
    )
    with pytest.raises(psycopg.OperationalError):
        thief.execute("SELECT 1")
    [note] = outcome.notes
    assert note == (
        "secrets/db/postgresql/orders: nobody but the server knows its password from then on, and the YAML's no longer "
        "fits: raise password_version only once the database has a password that you know"
    )
    own.role("-read")
    assert own.leased(f"{own.drawn}-read").is_connected(), "the server itself goes on with the new one"


def test_the_printed_rights_are_enough_for_accounts(house: House) -> None:
    role, static = house.role("-read"), house.static("owner")
    account = house.leased(role)
    house.scene.server.write("sys/policies/acl/on-call", {"policy": incident_rights(house.scene.root, NAME)})
    targets = [("database-role", f"db/{static}"), ("account", account.name)]

    outcome = house.scene.cut(*targets, token=house.scene.token("on-call"))

    assert (outcome.code, account.is_connected()) == (0, False)
    assert [one.dead for one in outcome.proofs] == [True] * 5


def test_a_session_that_may_not_be_ended_is_alive(house: House, tmp_path: Path) -> None:
    admin, password = f"{house.drawn}_maker", "canary-maker-7f3b"
    house.admin.execute(f"CREATE ROLE \"{admin}\" LOGIN CREATEROLE PASSWORD '{password}'".encode())
    own = house.beside(tmp_path / "own", username=admin, password="env:MAKER_PASSWORD")
    own.scene.said["MAKER_PASSWORD"] = password
    own.mount(password)
    account = own.leased(own.role("-read", revocation_statements=['DROP ROLE "{{name}}"']))
    pid = account.session.info.backend_pid

    outcome = own.scene.cut(("database-role", f"db/{own.drawn}-read"))

    assert outcome.cut.left == {}
    assert (outcome.code, own.knows(account.name), account.is_connected()) == (1, False, True)
    [(dead, title, said)] = proofs(outcome, "session")[:1]
    assert (dead, title) == (False, f"session {pid} of {account.name}")
    assert said.startswith("it is open still: permission denied to terminate process ")
    assert said.endswith(f"run as a superuser: SELECT pg_terminate_backend({pid});")


def test_a_database_that_nothing_here_speaks_to_is_unproven(stack: Stack, tmp_path: Path, namespaces: None) -> None:  # noqa: ARG001 - it skips
    cache = {"host": "127.0.0.1", "username": "admin", "password": "env:CACHE_PASSWORD", "allowed_roles": []}
    document = {"secrets": {"db": {"type": "database", "redis": {"cache": {**cache, "verify_connection": False}}}}}
    scene = Scene.on(stack, tmp_path, document)
    scene.server.write("sys/mounts/db", {"type": "database"})
    scene.server.write("db/roles/reader", {"db_name": "cache", "creation_statements": ["[]"]})

    outcome = scene.cut(("database-role", "db/reader"))

    assert [(one.dead, one.title, one.said) for one in outcome.proofs] == [
        (
            None,
            "accounts of db/config/cache",
            "the database itself was not asked: it is of redis, which nothing here speaks: look there by hand",
        )
    ]
