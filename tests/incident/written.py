"""Incidents that no server was needed for: journals by hand, with a clock that says what it is told."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from orchestrator.incident import evidence
from orchestrator.incident.journal import Journal
from orchestrator.incident.model import Blast, Credential, Look
from orchestrator.live.bulk import Ask
from tests.support import needs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BEGAN = datetime(2026, 11, 21, 3, 12, 4, 500_000, tzinfo=UTC)
ROLE, ORDERS = "auth/approle/payments", "database/roles/orders-read"
OWNERS = {ROLE: "payments-team", ORDERS: "platform-team"}
REFUSED = "dial tcp 10.0.0.5:5432: connection refused (status 400)"
LIVES = f"database user {ORDERS}/lease-2: {REFUSED}"
NASTY = "auth/approle/<script>alert(1)</script>|*all*\n# \u202eowned"


GOOD = ("Signature Verified Successfully", "Verified OK")


def verified_by_openssl(folder: Path) -> str:
    """What the commands of the report say, typed in a folder that has the public key too."""
    assert needs("openssl")
    (folder / "PUBLIC.pem").write_text(json.loads((folder / "signature.json").read_text())["public_key"])
    report = (folder / "report.md").read_text()
    start = report.index("    sed -n")
    typed = report[start : report.index("\n\n", start)]
    done = subprocess.run(["/bin/sh", "-ec", typed], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr


def clock(step: float = 0.25) -> Callable[[], datetime]:
    """Each look at it is a step later."""
    count = 0

    def tick() -> datetime:
        nonlocal count
        count += 1
        return BEGAN + timedelta(seconds=step * (count - 1))

    return tick


def credential(what: str, identity: str, source: str, *, ends: bool = True, stays: str = "") -> Credential:
    ask = Ask("POST", "sys/look", {"id": identity}, "")
    return Credential(what, identity, "", source, ask if ends else None, Look(ask), stays=stays)


def agree(journal: Journal, **more: Any) -> None:  # noqa: ANN401 - any value of a journal
    said = {
        "incident": "INC-7",
        "environment": "prod",
        "server": "OpenBao 2.7.2 at https://vault.example.org:8200",
        "cluster_id": "9c3f",
        "who": "userpass-ada (incident-response)",
        "digest": "a4cf26f0fd61",
        "targets": [{"sort": "role", "value": ROLE, "namespace": ""}],
        "closes": [ROLE],
        "notes": [f"{ROLE} gives out batch tokens too, which nothing revokes"],
        "problems": ["the server has 1 audit device: two keep the record when one fails"],
        "close": "hard",
        "rate": 0,
    }
    journal.write("agreed", **{**said, **more})


def shut(journal: Journal, title: str = ROLE) -> None:
    journal.write("closing", title=title, namespace="", path=f"{title}/x", before={"token_ttl": 3600})
    journal.write("closed", title=title, namespace="", path=f"{title}/x")


def whole(folder: Path) -> Journal:
    """An incident from its first line to its last: most is dead, one lives, one cannot be proven, one is open again."""
    folder.mkdir(parents=True)
    journal = Journal(folder, clock())
    agree(journal)
    shut(journal)
    shut(journal, ORDERS)
    found = (
        *(credential("token", f"accessor-{number}", ROLE) for number in range(12)),
        *(credential("SecretID", f"secret-id-{number}", ROLE) for number in range(2)),
        *(credential("database user", f"{ORDERS}/lease-{number}", ORDERS) for number in range(3)),
    )
    spared = ("token mine: it is your own (auth/approle/payments)",)
    evidence.keep(
        journal, Blast(found, 1234, 1236, spared=spared, leases=(("", "database/creds/orders-read", 40),)), OWNERS
    )
    _revoke(journal, found, {f"{ORDERS}/lease-2": REFUSED})
    late = (credential("token", "accessor-late", ROLE),)
    evidence.keep(journal, Blast(late, 1235, 1236), OWNERS)
    journal.write("looked again", round=1, alive=2, late=1, overdue=0)
    _revoke(journal, late, {})
    journal.write("looked again", round=2, alive=1, late=0, overdue=0)
    left = {f"database user {ORDERS}/lease-2": REFUSED}
    journal.write("cut", ended=17, rounds=2, late=1, left=left)
    journal.write(
        "proved",
        proofs=[
            _proof("token", "13 tokens", "each looked up again: the server knows none of them", 13, dead=True),
            _proof("SecretID", "2 SecretIDs", "each looked up again: the server knows none of them", 2, dead=True),
            _proof("database user", f"database user {ORDERS}/lease-2", "it lives", 1, dead=False),
            _proof("database user", "v-payments-x9", "nobody can reach the database", 1, dead=None),
        ],
    )
    journal.write("finished", code=1)
    journal.write("undoing", who="userpass-ada (incident-response)", closes=[ROLE])
    journal.write("reopened", title=ROLE, namespace="", path=f"{ROLE}/x")
    return journal


def _revoke(journal: Journal, credentials: tuple[Credential, ...], refused: dict[str, str]) -> None:
    journal.write("revoking", credentials=[[one.what, one.namespace, one.id, one.source] for one in credentials])
    journal.write("revoked", count=len(credentials) - len(refused), refused=refused)


def _proof(what: str, title: str, said: str, count: int, *, dead: bool | None) -> dict[str, Any]:
    return {"what": what, "title": title, "dead": dead, "said": said, "count": count}


def small(folder: Path) -> Journal:
    """The shortest incident that is finished."""
    folder.mkdir(parents=True)
    journal = Journal(folder, clock())
    agree(journal, closes=[], notes=[], problems=[])
    found = (credential("token", "accessor-0", ROLE),)
    evidence.keep(journal, Blast(found, 3, 4), OWNERS)
    _revoke(journal, found, {})
    journal.write("looked again", round=1, alive=0, late=0, overdue=0)
    journal.write("cut", ended=1, rounds=1, late=0, left={})
    journal.write("proved", proofs=[_proof("token", "1 token", "looked up again: unknown", 1, dead=True)])
    journal.write("finished", code=0)
    return journal
