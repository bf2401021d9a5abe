"""What the catalogue says of every kind: what it gives out, how that is told, and how it is shut and opened again."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field
from string import Formatter
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from orchestrator.catalog import CATALOG
from orchestrator.config.checks import lacks
from orchestrator.declared import Cluster
from orchestrator.incident import close
from orchestrator.incident.ground import Ground
from orchestrator.incident.journal import Journal
from orchestrator.incident.origin import Origin
from orchestrator.live.bulk import Line
from orchestrator.live.server import Denied, Rejected
from tests.real import test_kubernetes
from tests.real.test_kubernetes import REVIEWER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from orchestrator.model import Gives, Kind, Object, Write
    from tests.incident.scene import Scene

GIVING = [(kind, one) for kind in CATALOG.values() for one in kind.objects if one.gives]
SHUTTING = [(kind, one) for kind, one in GIVING if one.shut]
SHUT_MOUNTS = [kind for kind in CATALOG.values() if kind.shut]
cluster = test_kubernetes.cluster


def name(value: object) -> str:
    return str(getattr(value, "id", None) or getattr(value, "key", value))


# --- the words ---


def templates(gives: Gives) -> Iterator[str]:
    yield from (gives.list, gives.id, gives.untold, *gives.telling)
    yield from (*gives.says.values(), *gives.held.values())
    for write in (gives.end, gives.look, gives.by_value, gives.then):
        yield from texts(write) if write else ()


def texts(write: Write) -> Iterator[str]:
    yield write.path
    yield from (text for text in write.data.values() if isinstance(text, str))


@pytest.mark.parametrize(("kind", "one"), GIVING, ids=name)
def test_every_template_speaks_of_what_there_is(kind: Kind, one: Object) -> None:
    known = {attribute.api for attribute in one.parts[0].resource.attributes()} | {"name", "id", "key"}
    known |= {"mount"} if kind.mount else set()
    said = {word for gives in one.gives for text in (*templates(gives), one.alias) for word in words(text)}

    assert said - known == set()


def words(text: str) -> set[str]:
    return {word for _, word, _, _ in Formatter().parse(text) if word}


@pytest.mark.parametrize(("kind", "one"), GIVING, ids=name)
def test_what_is_given_is_told_or_said_not_to_be(kind: Kind, one: Object) -> None:
    for gives in one.gives:
        assert sum(map(bool, (gives.says, gives.list or gives.unkept, gives.untold))) == 1
        assert not gives.list or gives.look.path
        assert not gives.list or gives.end or gives.stays
    assert one.shut or one.open or all(gives.untold for gives in one.gives), f"{kind.id}: nothing says how it is shut"


@pytest.mark.parametrize(("kind", "one"), SHUTTING, ids=name)
def test_what_shuts_is_a_setting_of_the_object(kind: Kind, one: Object) -> None:
    assert one.shut.keys() <= {attribute.api for attribute in one.parts[0].resource.attributes()}, kind.id


# --- shut and opened again ---


def skip_unless_there(scene: Scene, absent: Mapping[str, str]) -> None:
    if why := lacks(absent, Cluster("", scene.running.server, scene.running.version)):
        pytest.skip(str(why))


def mounted(scene: Scene, kind: Kind) -> str:
    """A mount of the kind, by its own name."""
    if kind.mount is None:
        return ""
    family = "sys/auth" if kind.family == "auth" else "sys/mounts"
    scene.server.write(f"{family}/{kind.name}", {"type": kind.type})
    return kind.name


def declared(scene: Scene, kind: Kind, one: Object) -> list[Origin]:
    """The objects of the kind's own example, as an apply writes them."""
    mount = mounted(scene, kind)
    found = [Origin(kind, one, mount, name) for name in kind.example[one.key]]
    attributes = one.parts[0].resource.attributes()
    settled = {it.yaml: it.field.default for it in attributes if it.field.default is not None and not it.field.only}
    for origin in found:
        spec = {**settled, **kind.example[one.key][origin.name]}
        body = {it.key: it.shape.send(it.shape.canon(spec[it.yaml])) for it in attributes if it.yaml in spec}
        scene.server.write(origin.path, {**body, **({"password": "of-a-test"} if "password" in spec else {})})
    return found


def ground(scene: Scene) -> Ground:
    me = scene.server.as_token(scene.running.token).in_namespace("").read("auth/token/lookup-self") or {}
    return Ground(scene.server, Line(scene.server.address, scene.running.token), me)


def said(found: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a server says: nothing and an empty list are the same to it."""
    return {name: value for name, value in (found or {}).items() if value not in (None, "", [], {})}


@pytest.mark.server
@pytest.mark.parametrize(("kind", "one"), SHUTTING, ids=name)
def test_an_object_is_shut_and_opened_again_as_it_was(scene: Scene, tmp_path: Path, kind: Kind, one: Object) -> None:
    skip_unless_there(scene, {**kind.absent, **one.absent})
    if one.key not in kind.example:
        pytest.skip("its example declares none")
    origins = declared(scene, kind, one)
    before = [said(origin.whole(scene.server)) for origin in origins]
    journal = Journal(tmp_path)
    closes = [origins[0].close(scene.namespace, origins[0].live(scene.server))]

    assert [it.title for it in close.shut(ground(scene), journal, [it for it in closes if it])] == [origins[0].title]
    assert said(origins[0].whole(scene.server)) != before[0]
    assert [said(origin.whole(scene.server)) for origin in origins[1:]] == before[1:]

    list(close.reopen(ground(scene), journal))

    assert [said(origin.whole(scene.server)) for origin in origins] == before


@pytest.mark.server
@pytest.mark.parametrize("kind", SHUT_MOUNTS, ids=name)
def test_a_whole_mount_is_shut_and_opened_again_as_it_was(scene: Scene, kind: Kind) -> None:
    skip_unless_there(scene, kind.absent)
    mount = mounted(scene, kind)
    assert kind.shut
    path = kind.shut.path.format(mount=mount)
    scene.server.write(path, {"url": "ldap://127.0.0.1:9", "host": "127.0.0.1", "secret": "s", "token_ttl": "20m"})
    before = said(scene.server.read(path))

    outcome = scene.cut(("mount", f"auth/{mount}"))

    assert outcome.shut == (f"auth/{mount}",)
    assert said(scene.server.read(path)) == {**before, "token_bound_cidrs": ["255.255.255.255"]}

    scene.undo()

    assert said(scene.server.read(path)) == before


# --- told apart, and nothing new ---


@dataclass(frozen=True)
class House:
    """Where somebody logs in, by roles of two mounts."""

    scene: Scene
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    more: Any = None  # what answers beside the server

    def write(self, path: str, **body: Any) -> dict[str, Any]:  # noqa: ANN401 - any setting
        return dict(self.scene.server.write(path, body))

    def login(self, path: str, **body: Any) -> dict[str, Any]:  # noqa: ANN401 - any setting
        return dict(self.scene.server.as_token("").write(path, body))


def approle(house: House, mount: str, role: str) -> dict[str, Any]:
    return house.login(f"auth/{mount}/login", **house.scene.secret_id(role, mount))


def approle_made(house: House, mount: str, role: str) -> None:
    house.write(f"auth/{mount}/role/{role}", token_ttl="1h")


def userpass(house: House, mount: str, role: str) -> dict[str, Any]:
    return house.login(f"auth/{mount}/login/{role.upper()}", password="of-a-test")


def userpass_made(house: House, mount: str, role: str) -> None:
    house.write(f"auth/{mount}/users/{role}", password="of-a-test", token_ttl="1h")


def jwt(house: House, mount: str, role: str) -> dict[str, Any]:
    now = int(time.time())
    claims = {"sub": "job", "aud": "vault", "iat": now, "nbf": now, "exp": now + 300}
    return house.login(f"auth/{mount}/login", role=role.upper(), jwt=signed(house.key, claims))


def signed(key: ec.EllipticCurvePrivateKey, claims: Mapping[str, Any]) -> str:
    head, body = (_text(json.dumps(part).encode()) for part in ({"alg": "ES256", "typ": "JWT"}, claims))
    pair = utils.decode_dss_signature(key.sign(f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256())))
    return f"{head}.{body}.{_text(b''.join(number.to_bytes(32, 'big') for number in pair))}"


def _text(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def jwt_made(house: House, mount: str, role: str) -> None:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = house.key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    house.write(f"auth/{mount}/config", jwt_validation_pubkeys=[pem])
    house.write(f"auth/{mount}/role/{role}", role_type="jwt", user_claim="sub", bound_audiences=["vault"])


def kubernetes(house: House, mount: str, role: str) -> dict[str, Any]:
    return house.login(f"auth/{mount}/login", role=role.upper(), jwt=house.more.token("payments"))


def kubernetes_made(house: House, mount: str, role: str) -> None:
    host = f"https://127.0.0.1:{house.more.port}"
    config = {"kubernetes_host": host, "kubernetes_ca_cert": house.more.ca, "token_reviewer_jwt": REVIEWER}
    house.write(f"auth/{mount}/config", **config, disable_local_ca_jwt=True)
    accounts = {"bound_service_account_names": ["payments"], "bound_service_account_namespaces": ["shop"]}
    house.write(f"auth/{mount}/role/{role}", audience="vault", **accounts)


WAYS: Mapping[str, tuple[Callable[[House, str, str], None], Callable[[House, str, str], dict[str, Any]], str]] = {
    "approle": (approle_made, approle, "role"),
    "userpass": (userpass_made, userpass, "users"),
    "jwt": (jwt_made, jwt, "role"),
    "kubernetes": (kubernetes_made, kubernetes, "role"),
}


@pytest.mark.server
@pytest.mark.parametrize("kind", WAYS)
def test_tokens_of_one_role_are_told_from_all_others(scene: Scene, kind: str, request: pytest.FixtureRequest) -> None:
    more = request.getfixturevalue("cluster") if kind == "kubernetes" else None
    house, (make, login, key) = House(scene, more=more), WAYS[kind]
    places = [("first", "leak"), ("first", "leak-2"), ("second", "leak")]
    for mount in ("first", "second"):
        scene.server.write(f"sys/auth/{mount}", {"type": kind})
    for place in places:
        make(house, *place)
    tokens = {place: [login(house, *place)["client_token"] for _ in range(3)] for place in places}

    outcome = scene.cut(("role", f"auth/first/{key}/leak"))

    assert outcome.code == 0
    assert [sum(scene.lives(token) for token in tokens[place]) for place in places] == [0, 3, 3]
    with pytest.raises((Denied, Rejected)):
        login(house, "first", "leak")
    assert scene.lives(login(house, "first", "leak-2")["client_token"])

    scene.undo()

    assert scene.lives(login(house, "first", "leak")["client_token"])


@pytest.mark.server
@pytest.mark.parametrize("suffix", ["", "jobs"])
def test_tokens_of_a_token_role_are_told_from_all_others(scene: Scene, suffix: str) -> None:
    for role in ("leak", "leak-2", "LEAK"):
        scene.server.write(f"auth/token/roles/{role}", {"allowed_policies": ["default"], "path_suffix": suffix})

    def made(role: str = "") -> str:
        return str(scene.server.write(f"auth/token/create{role}", {"policies": ["default"]})["client_token"])

    leaked, others = made("/leak"), [made("/leak-2"), made("/LEAK"), made()]

    outcome = scene.cut(("role", "tokens/roles/leak"))

    assert outcome.code == 0
    assert [scene.lives(token) for token in (leaked, *others)] == [False, True, True, True]
    assert [scene.lives(made("/leak")), scene.lives(made("/leak-2"))] == [False, True]

    scene.undo()

    assert scene.lives(made("/leak"))


@pytest.mark.server
def test_accounts_of_one_database_role_are_told_from_all_others(scene: Scene) -> None:
    connection = {
        "plugin_name": "postgresql-database-plugin",
        "connection_url": f"postgresql://{{{{username}}}}:{{{{password}}}}@{scene.running.postgres}/orders",
        "username": "strongroom",
        "password": scene.running.postgres_password,
        "allowed_roles": ["*"],
    }
    scene.server.write("sys/mounts/database", {"type": "database"})
    scene.server.write("database/config/orders", connection)
    create = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"
    for role in ("leak", "leak-2"):
        body = {"db_name": "orders", "creation_statements": [create], "default_ttl": "1h"}
        scene.server.write(f"database/roles/{role}", body)

    def account(role: str) -> tuple[str, str]:
        made = scene.server.request("GET", f"database/creds/{role}").data
        return made["username"], made["password"]

    def enters(user: str, password: str) -> bool:
        try:
            psycopg.connect(f"postgresql://{user}:{password}@{scene.running.postgres}/orders").close()
        except psycopg.OperationalError:
            return False
        return True

    leaked, other = account("leak"), account("leak-2")
    before = [enters(*leaked), enters(*other)]

    outcome = scene.cut(("database-role", "database/roles/leak"))

    assert before == [True, True]
    assert (outcome.code, outcome.cut.left) == (2, {}), "no connection is declared: the database itself is not asked"
    assert [enters(*leaked), enters(*other)] == [False, True]
    with pytest.raises(Rejected):
        account("leak")

    scene.undo()

    assert enters(*account("leak"))
