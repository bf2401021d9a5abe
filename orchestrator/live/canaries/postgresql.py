"""PostgreSQL: a login with the driver that the embedded stack brings."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict

from orchestrator.live.canaries.trial import Failed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents import Json, Spec

REFUSED = "FATAL"
_PATIENCE = 5


def connect(spec: Spec, account: Mapping[str, Json]) -> None:
    """Log in at the declared address with this account; the error says why not, without the password."""
    password = str(account["password"])
    with tempfile.TemporaryDirectory() as scratch:
        try:
            with psycopg.connect(**parameters(spec, scratch, str(account["username"]), password)) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error as error:
            failure = " ".join(str(error).replace(password, "…").split())
        else:
            return
    raise Failed(f"account {account['username']} cannot connect: {failure}")


def parameters(spec: Spec, scratch: str, user: str, password: str) -> dict[str, Json]:
    """The declared address as psycopg takes it; the account goes beside it, so nothing needs escaping."""
    url = str(spec["connection_url"]).replace("{{username}}", "user").replace("{{password}}", "password")
    found: dict[str, Json] = {**conninfo_to_dict(url), "user": user, "password": password}
    found["connect_timeout"] = _PATIENCE
    if authority := spec.get("tls_ca"):
        found["sslrootcert"] = str(Path(scratch, "ca.pem"))
        Path(found["sslrootcert"]).write_text(authority)
    return found
