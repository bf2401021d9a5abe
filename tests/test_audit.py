"""Questions to the audit log of the real server, about requests that were really made, from several addresses."""

from __future__ import annotations

import gzip
import http.client
import json
import secrets
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.audit.ask import Where, ask
from orchestrator.audit.hashes import Device, as_logged, devices, hashed, writer
from orchestrator.audit.paths import LoginsAt, ReadersOf, SerialsOf, UsedSecretIds
from orchestrator.audit.read import Broken, Covered, Entry, entries
from orchestrator.audit.tokens import ByAddress, ChildrenOf, LeasesOf, OfTokens
from orchestrator.errors import StrongroomError
from orchestrator.live.server import Denied
from orchestrator.live.wire import open_server
from orchestrator.local import bao
from orchestrator.local import stack as local
from tests.support import needs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from orchestrator.audit.ask import Question
    from orchestrator.audit.read import Between
    from orchestrator.audit.tokens import Line
    from orchestrator.live.server import Server
    from orchestrator.local.stack import Stack

    Wanted = Callable[[str], bool] | None

pytestmark = pytest.mark.server

WEB, CI, OPENER = "127.0.0.2", "127.0.0.3", "127.0.0.4"
CREATION = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"


@dataclass
class Scene:
    """What was done on the server, by names of its own, and where the log of it is."""

    running: Stack
    server: Server
    name: str
    device: str = ""
    log: Path | None = None
    begun: datetime = field(default_factory=lambda: datetime.now(UTC))
    tokens: dict[str, str] = field(default_factory=dict)
    accessors: dict[str, str] = field(default_factory=dict)
    leases: dict[str, str] = field(default_factory=dict)
    serials: dict[str, str] = field(default_factory=dict)
    secret_ids: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def files(self) -> list[Path]:
        assert self.log is not None
        return [self.log]

    def hash(self, name: str) -> str:
        """What the log writes for the accessor of one of the tokens."""
        return hashed(self.server, self.device, [self.accessors[name]])[self.accessors[name]]

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        token: str = "root",  # noqa: S107 - its name
        source: str = "127.0.0.1",
        wrap: str = "",
    ) -> dict[str, Any]:
        host, _, port = self.running.address.removeprefix("http://").partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30, source_address=(source, 0))
        headers = {"X-Vault-Token": self.tokens.get(token, token)} if token else {}
        headers |= {"X-Vault-Wrap-TTL": wrap} if wrap else {}
        connection.request(method, f"/v1/{path}", None if body is None else json.dumps(body), headers)
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        return {"status": reply.status, **json.loads(text or b"{}")}

    def do(self, method: str, path: str, body: dict[str, Any] | None = None, **said: str) -> dict[str, Any]:
        answer = self.call(method, path, body, **said)
        assert answer["status"] < 300, (path, answer)
        return answer

    def keep(self, name: str, auth: dict[str, str]) -> None:
        self.tokens[name], self.accessors[name] = auth["client_token"], auth["accessor"]


@pytest.fixture(scope="module")
def scene(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    if stack.server == "vault":
        pytest.skip("HashiCorp Vault gets audit devices by its API, so the embedded one has none")
    server = open_server(stack.address, "", stack.token)
    (device,) = devices(server, stack.folder)
    made = Scene(stack, server, f"audit-{secrets.token_hex(4)}", device.path, device.file)
    made.tokens["root"] = stack.token
    _prepare(made)
    _log_in(made)
    _work(made)
    _sign(made, tmp_path_factory.mktemp("keys"))
    _die(made)
    yield made
    for mount in ("kv", "db", "pki", "ssh"):
        made.do("DELETE", f"sys/mounts/{made.name}-{mount}")
    made.do("DELETE", f"sys/auth/{made.name}")
    made.do("DELETE", f"sys/policies/acl/{made.name}")


def _prepare(it: Scene) -> None:
    """Two roles, and what they may use."""
    rules = [f'path "{it.name}-*" {{ capabilities = ["create", "update", "read"] }}']
    rules += ['path "auth/token/create*" { capabilities = ["create", "update", "sudo"] }']
    rules += ['path "sys/leases/renew" { capabilities = ["update"] }']
    it.do("POST", f"sys/policies/acl/{it.name}", {"policy": "\n".join(rules)})
    for mount, kind in (("db", "database"), ("pki", "pki"), ("ssh", "ssh")):
        it.do("POST", f"sys/mounts/{it.name}-{mount}", {"type": kind})
    it.do("POST", f"sys/mounts/{it.name}-kv", {"type": "kv"})
    it.do("POST", f"sys/mounts/{it.name}-kv/tune", {"options": {"version": "2"}})
    for value in ("old", "new", "gone"):
        it.server.write(f"{it.name}-kv/data/app", {"data": {"password": value}})  # waits for the upgrade
    it.do("POST", f"{it.name}-kv/delete/app", {"versions": [3]})
    address = f"postgresql://{{{{username}}}}:{{{{password}}}}@{it.running.postgres}/orders?sslmode=disable"
    known = {"username": "strongroom", "password": it.running.postgres_password}
    plugin = {"plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "connection_url": address}
    it.do("POST", f"{it.name}-db/config/main", {**plugin, **known})
    it.do(
        "POST", f"{it.name}-db/roles/app", {"db_name": "main", "creation_statements": [CREATION], "default_ttl": "1h"}
    )
    it.do("POST", f"{it.name}-pki/root/generate/internal", {"common_name": "Example"})
    it.do("POST", f"{it.name}-pki/roles/web", {"allow_any_name": True, "ttl": "1h"})
    it.do("POST", f"{it.name}-pki/roles/other", {"allow_any_name": True, "ttl": "1h"})
    it.do("POST", f"{it.name}-ssh/config/ca", {"generate_signing_key": True})
    role = {"key_type": "ca", "allow_user_certificates": True, "allowed_users": "*", "ttl": "1h"}
    it.do("POST", f"{it.name}-ssh/roles/web", role)
    it.do("POST", f"sys/auth/{it.name}", {"type": "approle"})
    for role_name in ("web", "ci"):
        it.do("POST", f"auth/{it.name}/role/{role_name}", {"token_policies": [it.name]})


def _log_in(it: Scene) -> None:
    """One SecretID is handed out in the open, the other wrapped."""
    it.secret_ids["web"] = it.do("POST", f"auth/{it.name}/role/web/secret-id", {})["data"]
    wrapped = it.do("POST", f"auth/{it.name}/role/ci/secret-id", {}, wrap="60s")["wrap_info"]
    again = it.do("POST", "sys/wrapping/rewrap", {"token": wrapped["token"]})["wrap_info"]
    it.secret_ids["ci"] = it.do("POST", "sys/wrapping/unwrap", token=again["token"], source=CI)["data"]
    for role, source in (("web", WEB), ("ci", CI)):
        role_id = it.do("GET", f"auth/{it.name}/role/{role}/role-id")["data"]["role_id"]
        body = {"role_id": role_id, "secret_id": it.secret_ids[role]["secret_id"]}
        it.keep(role, it.do("POST", f"auth/{it.name}/login", body, token="", source=source)["auth"])
    it.call("POST", f"auth/{it.name}/login", {**body, "role_id": "none"}, token="", source=CI)


def _work(it: Scene) -> None:
    """What the two tokens, and the children of one, did."""
    create = {"policies": [it.name]}
    it.keep("child", it.do("POST", "auth/token/create", create, token="web", source=WEB)["auth"])
    it.keep("grandchild", it.do("POST", "auth/token/create", create, token="child", source=WEB)["auth"])
    it.keep("orphan", it.do("POST", "auth/token/create-orphan", create, token="web", source=WEB)["auth"])
    wrapped = it.do("POST", "auth/token/create", create, token="web", source=WEB, wrap="60s")["wrap_info"]
    it.accessors["wrapped"] = wrapped["wrapped_accessor"]
    batch = it.do("POST", "auth/token/create", {**create, "type": "batch"}, token="web", source=WEB)["auth"]
    it.tokens["batch"] = batch["client_token"]
    it.keep("stranger", it.do("POST", "auth/token/create", create, token="ci", source=CI)["auth"])

    for path in ("data/app?version=2", "data/app?version=1", "data/app", "data/none", "metadata/app"):
        it.call("GET", f"{it.name}-kv/{path}", token="web", source=WEB)
    it.do("GET", f"{it.name}-kv/data/app?version=2", token="batch", source=WEB)
    it.call("GET", f"{it.name}-kv/data/app?version=2", token="s.unknown", source=WEB)
    hidden = it.do("GET", f"{it.name}-kv/data/app?version=1", token="ci", source=CI, wrap="60s")["wrap_info"]
    it.do("POST", "sys/wrapping/unwrap", token=hidden["token"], source=OPENER)

    creds = f"{it.name}-db/creds/app"
    for name in ("web", "grandchild", "ci", "batch"):
        it.leases[name] = it.do("GET", creds, token=name, source=WEB)["lease_id"]
    it.call("POST", "sys/wrapping/unwrap", {"token": ["x"]}, token="web", source=WEB)
    odd = {"data": {}, "secret_id": ["x"], "accessor": {"x": 1}}
    it.do("POST", f"{it.name}-kv/data/other", odd, token="web", source=WEB)
    hidden = it.do("GET", creds, token="web", source=WEB, wrap="60s")["wrap_info"]
    it.leases["hidden"] = it.do("POST", "sys/wrapping/unwrap", {"token": hidden["token"]})["lease_id"]
    it.do("PUT", "sys/leases/renew", {"lease_id": it.leases["web"]}, token="ci", source=CI)


def _sign(it: Scene, folder: Path) -> None:
    for name, role in (("first", "web"), ("second", "web"), ("elsewhere", "other")):
        answer = it.do("POST", f"{it.name}-pki/issue/{role}", {"common_name": "a.example.org"}, token="web", source=WEB)
        it.serials[name] = answer["data"]["serial_number"]
    body = {"common_name": "b.example.org"}
    hidden = it.do("POST", f"{it.name}-pki/issuer/default/issue/web", body, token="web", source=WEB, wrap="60s")
    opened = it.do("POST", "sys/wrapping/unwrap", token=hidden["wrap_info"]["token"])
    it.serials["hidden"] = opened["data"]["serial_number"]
    key = folder / "key"
    subprocess.run([needs("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    body = {"public_key": key.with_suffix(".pub").read_text(), "valid_principals": "ada"}
    it.serials["ssh"] = it.do("POST", f"{it.name}-ssh/sign/web", body, token="ci", source=CI)["data"]["serial_number"]


def _die(it: Scene) -> None:
    """One token is revoked by its accessor, and tried again."""
    it.keep("leaked", it.do("POST", "auth/token/create", {"policies": [it.name]}, token="ci", source=CI)["auth"])
    it.do("GET", f"{it.name}-kv/metadata/app", token="leaked", source=WEB)
    it.do("POST", "auth/token/revoke-accessor", {"accessor": it.accessors["leaked"]})
    it.call("GET", f"{it.name}-kv/metadata/app", token="leaked", source=WEB)


def asked(scene: Scene, *questions: Question) -> None:
    done = ask(scene.files, questions, (scene.begun, datetime.now(UTC)))

    assert (done.broken, done.examples) == (0, ())


def test_devices_are_named_with_their_file(scene: Scene) -> None:
    (unknown,) = devices(scene.server)
    (device,) = devices(scene.server, scene.running.folder)

    assert unknown == Device("strongroom", "file", None, readable=False)
    assert device == Device("strongroom", "file", scene.log, readable=True)
    assert device.file is not None
    assert device.file.stat().st_mode & 0o777 == 0o600


def test_a_token_that_may_not_ask_for_devices_is_told_so(scene: Scene) -> None:
    with pytest.raises(Denied) as refused:
        devices(scene.server.as_token(scene.tokens["ci"]))

    assert str(refused.value) == (
        "the audit devices may not be read: give the token `read` and `sudo` on sys/audit, or take another token"
    )


def test_hashes_lead_from_the_log_back_to_accessors(scene: Scene) -> None:
    known = as_logged(scene.server, scene.device, scene.accessors.values())
    question = ByAddress(CI)

    asked(scene, question)

    wrapping = set(question.seen) - set(known)
    assert {scene.accessors["ci"]} == {known[name] for name in set(question.seen) & set(known)}
    assert len(wrapping) == 1  # the token that opened the SecretID's wrapping


def test_of_an_address_the_tokens_are_found_with_what_they_did(scene: Scene) -> None:
    host, network, other = ByAddress(WEB), ByAddress("127.0.0.2/31"), ByAddress("10.0.0.0/8")

    asked(scene, host, network, other)

    web, child = host.seen[scene.hash("web")], host.seen[scene.hash("child")]
    assert (child.requests, dict(child.paths)) == (1, {"auth/token/create": 1})
    assert {WEB: web.requests} == dict(web.addresses)
    assert (web.paths[f"auth/{scene.name}/login"], web.paths["auth/token/create"] + 2) == (1, 5)
    assert web.first is not None
    assert web.last is not None
    assert scene.begun < web.first < web.last
    batch = hashed(scene.server, scene.device, [scene.tokens["batch"]])[scene.tokens["batch"]]
    assert host.nameless[batch].requests == 2
    assert {scene.hash("web"), scene.hash("ci")} <= set(network.seen)
    assert (scene.hash("ci") in host.seen, dict(other.seen)) == (True, {})  # its lease was made from there
    assert scene.hash("stranger") not in network.seen


def test_a_wrong_address_is_refused() -> None:
    with pytest.raises(StrongroomError) as refused:
        ByAddress("10.0.0.300")

    assert str(refused.value) == "'10.0.0.300' is neither an address nor a network; write 10.1.2.3 or 10.1.0.0/16"


def test_the_evidence_of_a_token_goes_from_its_making_past_its_death(scene: Scene) -> None:
    lines: list[Line] = []

    asked(scene, OfTokens([scene.hash("leaked")], lines.append))

    path = f"{scene.name}-kv/metadata/app"
    assert [
        (False, "response", "auth/token/create", CI, ""),
        (True, "request", path, WEB, ""),
        (True, "response", path, WEB, ""),
        (False, "request", "auth/token/revoke-accessor", "127.0.0.1", ""),
        (False, "response", "auth/token/revoke-accessor", "127.0.0.1", ""),
        (True, "request", path, WEB, "permission denied"),
        (True, "response", path, WEB, "1 error occurred: * permission denied"),
    ] == [(one.by, one.kind, one.path, one.remote_address, one.error) for one in lines]
    assert {scene.hash("leaked")} == {one.accessor for one in lines}
    text = scene.files[0].read_text().splitlines()
    assert all(one.path in text[one.number - 1] for one in lines)


def test_children_are_found_with_their_children(scene: Scene) -> None:
    question = ChildrenOf([scene.hash("web")])

    asked(scene, question)

    made = {
        parent: [(child.accessor, child.type, child.path) for child in children]
        for parent, children in question.children.items()
    }
    create = "auth/token/create"
    assert {
        scene.hash("web"): [
            (scene.hash("child"), "service", create),
            (scene.hash("orphan"), "service", f"{create}-orphan"),
            (scene.hash("wrapped"), "", create),
            ("", "batch", create),
        ],
        scene.hash("child"): [(scene.hash("grandchild"), "service", create)],
    } == made


def test_leases_are_found_of_tokens_and_of_their_children(scene: Scene) -> None:
    children = ChildrenOf([scene.hash("web")])
    alone, family = LeasesOf({scene.hash("web")}), LeasesOf(children.family)

    asked(scene, children, alone, family)

    def ids(question: LeasesOf) -> dict[str, set[str]]:
        return {name: {lease.lease_id for lease in leases} for name, leases in question.leases.items()}

    web = {scene.hash("web"): {scene.leases["web"], scene.leases["hidden"]}}
    batch = hashed(scene.server, scene.device, [scene.tokens["batch"]])[scene.tokens["batch"]]
    below = {scene.hash("grandchild"): {scene.leases["grandchild"]}, batch: {scene.leases["batch"]}}
    assert web == ids(alone)
    assert {**web, **below} == ids(family)


def test_readers_are_named_with_the_versions_that_came_out(scene: Scene) -> None:
    exact, below = ReadersOf(Where(f"{scene.name}-kv/data/app")), ReadersOf(Where(f"{scene.name}-kv/*", namespace=""))

    asked(scene, exact, below)

    batch = hashed(scene.server, scene.device, [scene.tokens["batch"]])[scene.tokens["batch"]]
    found = {name: (one.display_name, one.versions, set(one.seen.addresses)) for name, one in exact.readers.items()}
    assert {
        scene.hash("web"): (scene.name, {1, 2}, {WEB}),
        scene.hash("ci"): (scene.name, {1}, {CI, OPENER}),
        batch: ("token", {2}, {WEB}),
    } == found
    assert exact.readers[scene.hash("web")].seen.requests == 2
    assert {*exact.readers, scene.hash("leaked")} == set(below.readers)
    assert f"{scene.name}-kv/metadata/app" in below.readers[scene.hash("web")].seen.paths


def test_serial_numbers_of_a_role_are_matched_to_the_certificates_that_are_known(scene: Scene) -> None:
    mount = f"{scene.name}-pki"
    question = SerialsOf(Where(f"{mount}/issue/web"), Where(f"{mount}/issuer/+/issue/web"))
    signed = SerialsOf(Where(f"{scene.name}-ssh/sign/*"))

    asked(scene, question, signed)

    known = hashed(scene.server, scene.device, scene.server.list(f"{mount}/certs"))
    ours = {serial for serial, written in known.items() if written in question.serials}
    assert {scene.serials[name] for name in ("first", "second", "hidden")} == ours
    assert len(question.serials) == 3
    assert {(scene.hash("web"), WEB)} == {(one.accessor, one.remote_address) for one in question.serials.values()}
    assert list(hashed(scene.server, scene.device, [scene.serials["ssh"]]).values()) == list(signed.serials)


@pytest.mark.parametrize("role", ["web", "ci"])
@pytest.mark.parametrize("name", ["secret_id", "secret_id_accessor"])
def test_a_secret_id_leads_to_the_tokens_it_gave(scene: Scene, role: str, name: str) -> None:
    known = as_logged(scene.server, scene.device, [scene.secret_ids[role][name]])
    question = UsedSecretIds(known)

    asked(scene, question)

    source = {"web": WEB, "ci": CI}[role]
    found = [(one.accessor, one.role, one.remote_address) for one in question.logins if one.accessor]
    assert [(scene.hash(role), role, source)] == found
    assert {"web": [], "ci": [""]}[role] == [one.role for one in question.logins if not one.accessor]


def test_logins_of_a_mount_are_found_with_their_roles(scene: Scene) -> None:
    question = LoginsAt(Where(f"auth/{scene.name}/login"))

    asked(scene, question)

    assert [(one.role, one.remote_address) for one in question.logins] == [("web", WEB), ("ci", CI), ("", CI)]


def everything(scene: Scene) -> list[list[Question]]:
    """The questions, in the passes that they need."""
    children = ChildrenOf([scene.hash("web"), scene.hash("ci")])
    serials = SerialsOf(Where(f"{scene.name}-pki/+/web"), Where(f"{scene.name}-ssh/sign/web"))
    secret_ids = UsedSecretIds(as_logged(scene.server, scene.device, [scene.secret_ids["ci"]["secret_id_accessor"]]))
    readers = ReadersOf(Where(f"{scene.name}-kv/*"))
    alone: list[Question] = [ByAddress("127.0.0.2/31"), serials, secret_ids, readers]
    return [[children, LeasesOf(children.family)], *([one] for one in alone)]


def said(passes: list[list[Question]]) -> list[object]:
    names = ("seen", "nameless", "children", "leases", "serials", "logins", "readers")
    return [getattr(one, name) for group in passes for one in group for name in names if hasattr(one, name)]


def test_what_is_not_parsed_would_change_no_answer(scene: Scene) -> None:
    until = datetime.now(UTC)
    quick, slow = everything(scene), everything(scene)

    for group in quick:
        ask(scene.files, group, (scene.begun, until))
    for one in entries(scene.files, (scene.begun, until)):
        for question in [question for group in slow for question in group]:
            if isinstance(one, Entry):
                question.sees(one)

    assert said(slow) == said(quick)
    assert all(said(quick))


def test_a_copied_log_is_known_by_what_stands_in_it(scene: Scene, tmp_path: Path) -> None:
    copied, foreign = tmp_path / "copy.gz", tmp_path / "foreign.log"
    copied.write_bytes(gzip.compress(scene.files[0].read_bytes()))
    foreign.write_text(scene.files[0].read_text().replace("hmac-sha256:", "hmac-sha256:0"))
    among = devices(scene.server)

    assert among[0] == writer(scene.server, among, copied)
    assert among[0] == writer(scene.server, among, scene.files[0])
    with pytest.raises(StrongroomError) as refused:
        writer(scene.server, among, foreign)
    assert str(refused.value) == (
        f"{foreign}: none of this server's audit devices (strongroom) is known to have written it; "
        "name a log of this server that holds requests of a token that is named"
    )


def test_a_namespace_is_told_apart_and_its_accessors_are_found(scene: Scene, namespaces: None) -> None:
    del namespaces
    inside = scene.server.in_namespace(scene.name)
    scene.server.write(f"sys/namespaces/{scene.name}", {})
    made = dict(inside.write("auth/token/create", {"policies": ["default"]}))
    inside.as_token(made["client_token"]).read("auth/token/lookup-self")
    scene.server.delete(f"sys/namespaces/{scene.name}")
    here, elsewhere = (ReadersOf(Where("auth/token/lookup-self", name)) for name in (scene.name, "elsewhere"))
    myself = scene.call("GET", "auth/token/lookup-self")["data"]["accessor"]
    (own,) = hashed(scene.server, scene.device, [myself]).values()
    children = ChildrenOf([own])

    asked(scene, here, elsewhere, children)

    (accessor,) = hashed(inside, scene.device, [made["accessor"]]).values()
    assert (list(here.readers), list(elsewhere.readers)) == ([accessor], [])
    assert (accessor, scene.name) in {(one.accessor, one.namespace) for one in children.children[own]}


def test_accessors_that_a_device_logs_in_clear_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bao, "AUDIT", bao.AUDIT.replace("mode ", 'hmac_accessor = "false"\n    mode '))
    at = local.up(tmp_path)
    try:
        server = open_server(at.address, "", at.token)
        (device,) = devices(server, at.folder)
        made = [server.write("auth/token/create", {"policies": ["default"]}) for _ in range(2)]
        server.as_token(made[0]["client_token"]).read("auth/token/lookup-self")
        server.write("auth/token/revoke-accessor", {"accessor": made[0]["accessor"]})
        lines: list[Line] = []
        assert device.file is not None
        names = as_logged(server, device.path, [made[0]["accessor"]])
        ask([device.file], [OfTokens(names, lines.append)])
    finally:
        local.down(tmp_path)

    assert {names[one.accessor] for one in lines} == {made[0]["accessor"]}
    paths = [(one.by, one.path) for one in lines if one.kind == "response"]
    assert paths == [
        (False, "auth/token/create"),
        (True, "auth/token/lookup-self"),
        (False, "auth/token/revoke-accessor"),
    ]


@pytest.fixture(scope="module")
def lines(scene: Scene) -> list[str]:
    """Some lines of the real log."""
    return scene.files[0].read_text().splitlines(keepends=True)[-40:]


def numbers(files: Sequence[Path], between: Between | None = None, wanted: Wanted = None) -> list[tuple[str, int]]:
    return [(one.file.name, one.number) for one in entries(files, between, wanted) if isinstance(one, Entry)]


def test_rotated_logs_are_read_in_the_order_of_their_writing(lines: list[str], tmp_path: Path) -> None:
    older, newer = tmp_path / "z.gz", tmp_path / "a.log"
    older.write_bytes(gzip.compress("".join(lines[:3]).encode()))
    newer.write_text("".join(f"@cee: {line}" for line in lines[3:5]))

    found = list(entries([newer, older]))

    texts = [json.dumps(one.raw, separators=(",", ":"), ensure_ascii=False) for one in found if isinstance(one, Entry)]
    assert [json.loads(line) for line in lines[:5]] == [json.loads(text) for text in texts]
    assert numbers([newer, older]) == [("z.gz", 1), ("z.gz", 2), ("z.gz", 3), ("a.log", 1), ("a.log", 2)]
    times = [datetime.fromisoformat(json.loads(line)["time"]) for line in lines[:5]]
    assert [one for one in found if isinstance(one, Covered)] == [
        Covered(older, 3, times[0], times[2]),
        Covered(newer, 2, times[3], times[4]),
    ]


def test_only_the_interval_is_read(lines: list[str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(lines[:9]))
    times = [datetime.fromisoformat(json.loads(line)["time"]) for line in lines[:9]]

    inside = [number for number, at in enumerate(times, 1) if times[2] <= at <= times[5]]
    assert [("log", number) for number in inside] == numbers([log], between=(times[2], times[5]))
    assert numbers([log], between=(times[8] + timedelta(hours=1), times[8] + timedelta(hours=2))) == []


@pytest.mark.parametrize("wanted", [None, lambda _: False], ids=["all", "none wanted"])
def test_a_damaged_line_is_told_and_one_still_being_written_is_not(
    lines: list[str], tmp_path: Path, wanted: Wanted
) -> None:
    log = tmp_path / "log"
    torn = lines[1][:200] + lines[2]
    hole = "\0" * 300 + lines[3]
    other = '{"time":"2026-01-01T00:00:00Z","level":"info"}\n'
    half = lines[5][:-60] + "\n"
    log.write_text(lines[0] + torn + hole + other + half + "\n" + lines[6][:-9])

    broken = [one for one in entries([log], wanted=wanted) if isinstance(one, Broken)]

    damaged = "this is no JSON; the line is damaged"
    told = [
        f"{log}:2: {damaged}",
        f"{log}:3: some bytes are damaged here; what is left of the line is read",
        f"{log}:4: this is JSON, but no entry of an audit log",
        f"{log}:5: {damaged}",
        f"{log}:6: {damaged}",
    ]
    assert (told if wanted is None else [*told[:2], *told[3:]]) == [str(one) for one in broken]


def test_a_line_that_nests_too_deep_is_told_and_stops_nothing(lines: list[str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    deep = '{"time":"2026-01-01T00:00:00Z","type":"request","request":{"data":' + "[" * 9000 + "]" * 9000 + "}}\n"
    log.write_text(deep + lines[0])

    done = ask([log], [ByAddress("::/0")])

    assert [str(one) for one in done.examples] == [f"{log}:1: this nests too deep to be read"]
    assert done.lines == 2


def test_a_cut_compressed_log_is_told_with_what_it_had(lines: list[str], tmp_path: Path) -> None:
    log = tmp_path / "log.gz"
    log.write_bytes(gzip.compress("".join(lines).encode())[:-20])

    last = list(entries([log]))[-2:]

    assert isinstance(last[0], Broken)
    assert "the compressed file is cut or damaged here" in last[0].why
    assert isinstance(last[1], Covered)


def test_a_line_in_another_form_is_read_though_no_mark_fits_it(lines: list[str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(json.dumps(json.loads(line)) + "\n" for line in lines[:4]))

    assert len(numbers([log], wanted=lambda _: False)) == 4


def test_a_log_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    missing = tmp_path / "missing.log"

    with pytest.raises(StrongroomError) as refused:
        ask([missing], [ByAddress(WEB)])

    assert str(refused.value) == (
        f"{missing}: the audit log cannot be read: No such file or directory; name a copy that this account may read"
    )
