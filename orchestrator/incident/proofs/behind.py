"""The database behind a connection, before the cut: who is asked about, and what it knows of them."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident import evidence
from orchestrator.incident.proofs import postgresql
from orchestrator.incident.proofs.postgresql import Silent
from orchestrator.live.server import Denied, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.declared import Declaration
    from orchestrator.documents import Json, Spec
    from orchestrator.incident.ground import Ground
    from orchestrator.incident.journal import Journal
    from orchestrator.incident.model import Accounts

_CLIENT = "postgresql"  # the connections that the driver of the embedded stack speaks to
MADE, _KEPT = "roles", "static_roles"


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


def gathered(ground: Ground, asked: Sequence[Accounts]) -> list[Behind]:
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
    folder = {MADE: "roles", _KEPT: "static-roles"}.get(one.key)
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
        here.kept |= {str(found.spec["username"]): one for one in here.asked if one.key not in {MADE, _KEPT}}


def _declaration(ground: Ground, here: Behind) -> Declaration | None:
    if ground.environment is None or here.namespace != ground.namespace:
        return None
    return next(
        (
            one
            for one in ground.environment.declarations
            if one.object and one.object.witness and one.object.key not in {MADE, _KEPT}
            if f"{one.mount}/config/{one.name}" == here.path
        ),
        None,
    )


def log_in(ground: Ground, here: Behind, stack: ExitStack) -> None:
    """Log in as the connection's administrator, or say why that cannot be done."""
    if not here.spec or here.database:
        return
    here.silent = ""
    try:
        password = ground.secret(str(here.spec["password"]))
        here.database = stack.enter_context(postgresql.opened(here.spec, password))
    except StrongroomError as error:
        here.silent = str(error)


def record(ground: Ground, journal: Journal, here: Behind) -> None:
    """Which accounts live, and the passwords that are about to be turned; what an earlier run saw still counts."""
    known: Mapping[str, int] = {}
    try:
        known = here.database.accounts() if here.database else {}
    except Silent as error:
        here.database, here.silent = None, str(error)
    candidates = {name: oid for name, oid in known.items() if name not in here.kept and is_asked(here, name)}
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
        if one.title not in begun and (password := present_password(ground, here, one))
    }


def is_asked(here: Behind, account: str) -> bool:
    """Whether an account is one of those that are cut, as far as its name tells."""
    roles = [one for one in here.asked if one.key == MADE]
    if any(one.only for one in roles):
        return account in {one.only for one in roles}
    if here.spec.get("username_template"):
        return bool(roles) and account != here.spec["username"]
    return any(postgresql.is_of(one.name, account) for one in roles)


def present_password(ground: Ground, here: Behind, one: Accounts) -> str:
    """The present password of an account that stays; nothing where it has none, or nobody lets us see it."""
    if one.key != _KEPT:
        return ground.secret(str(here.spec["password"])) if here.database else ""
    with suppress(Denied, Rejected):
        found = ground.inside(one.namespace).server.read(f"{one.mount}/static-creds/{one.name}") or {}
        return str(found.get("password") or "")
    return ""
