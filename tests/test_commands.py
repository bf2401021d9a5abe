"""The commands as people and CI call them: `invoke …` in a project of its own, on real servers."""

from __future__ import annotations

import contextlib
import copy
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from orchestrator.catalog import SECRETS
from orchestrator.catalog.shared import EXAMPLE_CA
from tests.support import REPOSITORY, everything, postgres, project

if TYPE_CHECKING:
    from orchestrator.local.stack import Stack
    from orchestrator.terraform.provider.api import Api

pytestmark = pytest.mark.server

NAME = "shop"
CANARY = "canary-ada-7f3b"


@dataclass(frozen=True)
class Project:
    """A folder with an environment in it, and what talks to its server behind its back."""

    root: Path
    running: Stack
    document: dict[str, Any]
    environ: dict[str, str]
    api: Api

    def invoke(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "invoke", *words],
            cwd=self.root,
            env={**self.environ, "PYTHONPATH": str(REPOSITORY), **more},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )

    def answer(self, *words: str) -> Any:  # noqa: ANN401 - a JSON answer
        done = self.invoke(*words, "-e", NAME, "--format", "json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def declare(self, document: dict[str, Any]) -> None:
        project(self.root, self.running, NAME, document)

    def token(self, policy: str) -> str:
        """A token with one policy and no other."""
        role = f"{policy}-role"
        self.api.call("POST", f"auth/token/roles/{role}", {"allowed_policies": policy, "token_no_default_policy": True})
        connection = http.client.HTTPConnection(self.running.address.removeprefix("http://"))
        body = json.dumps({"policies": [policy], "no_default_policy": True})
        connection.request("POST", f"/v1/auth/token/create/{role}", body, {"X-Vault-Token": self.running.token})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return str(answer["auth"]["client_token"])

    def applied(self) -> Project:
        done = self.invoke("apply", "-e", NAME, "--yes", "--no-verify")
        assert done.returncode == 0, done.stdout + done.stderr
        return self


def prefix(request: pytest.FixtureRequest) -> str:
    """Mounts of its own for each test: a word out of its name, and a random one."""
    return f"{request.node.name[5:17].strip('_').replace('_', '-')}-{random.randrange(10**6)}"  # noqa: S311 - no secret


@pytest.fixture
def shop(stack: Stack, api: Api, tmp_path: Path, request: pytest.FixtureRequest) -> Project:
    """A small environment: an AppRole role, a user, a KV mount."""
    word = prefix(request)
    document = {
        "auth": {
            f"{word}-approle": {
                "type": "approle",
                "roles": {"payments": {"token_policies": ["payments-read"], "token_ttl": "20m"}},
            },
            f"{word}-people": {
                "type": "userpass",
                "users": {"ada": {"password": "env:ADA_PASSWORD", "token_policies": ["payments-read"]}},
            },
        },
        "secrets": {f"{word}-apps": {"type": "kv-v2", "settings": {"max_versions": 5}}},
    }
    return _project(tmp_path, stack, api, document)


def _project(root: Path, running: Stack, api: Api, document: dict[str, Any]) -> Project:
    environ = project(root, running, NAME, document)
    shutil.copy(REPOSITORY / "tasks.py", root / "tasks.py")
    return Project(root, running, document, environ, api)


def mount(shop: Project, family: str, kind: str) -> str:
    return next(str(path) for path, one in shop.document[family].items() if one["type"] == kind)


def test_a_second_apply_changes_nothing_and_says_so(shop: Project) -> None:
    shop.applied()
    again = shop.invoke("apply", "-e", NAME, "--no-verify")

    assert again.returncode == 0
    assert again.stdout == "no changes\n"


def test_a_change_by_hand_is_exactly_one_planned_change(shop: Project) -> None:
    shop.applied()
    path = mount(shop, "auth", "approle")
    shop.api.call("POST", f"auth/{path}/role/payments", {"token_ttl": 90})
    planned = shop.invoke("plan", "-e", NAME, "--format", "json")
    document = json.loads(planned.stdout)

    assert planned.returncode == 2
    assert document["changes"] == [
        {
            "object": f"auth/{path}/roles/payments",
            "action": "update",
            "address": f'vault_approle_auth_backend_role.this["{path}/payments"]',
            "settings": {"token_ttl": {"before": "90s", "after": "20m"}},
        }
    ]


def test_drift_says_declared_and_live(shop: Project) -> None:
    shop.applied()
    path = mount(shop, "auth", "approle")
    shop.api.call("POST", f"auth/{path}/role/payments", {"token_ttl": 90})
    found = shop.invoke("drift", "-e", NAME, "--format", "json")
    ours = [one for one in json.loads(found.stdout)["drift"] if one["object"].startswith(f"auth/{path}")]

    assert found.returncode == 2
    assert ours == [{"object": f"auth/{path}/roles/payments", "setting": "token_ttl", "declared": "20m", "live": 90}]


def test_nothing_is_destroyed_that_the_command_line_does_not_name(shop: Project) -> None:
    shop.applied()
    path = mount(shop, "secrets", "kv-v2")
    shop.declare({**shop.document, "secrets": {}})
    refused = shop.invoke("apply", "-e", NAME, "--yes", "--no-verify")

    assert refused.returncode == 4
    assert f"secrets/{path} would be destroyed; name it if you mean it: --destroy secrets/{path}" in refused.stderr
    assert shop.api.read(f"sys/mounts/{path}", gone=("No secret engine",))

    done = shop.invoke("apply", "-e", NAME, "--yes", "--no-verify", "--destroy", f"secrets/{path}")

    assert done.returncode == 0, done.stderr
    assert shop.api.read(f"sys/mounts/{path}", gone=("No secret engine",)) is None


def test_a_saved_plan_is_applied_exactly(shop: Project) -> None:
    planned = shop.invoke("plan", "-e", NAME, "--out", "reviewed.plan")
    roles = shop.document["auth"][mount(shop, "auth", "approle")]["roles"]
    roles["later"] = {"token_policies": ["payments-read"]}
    shop.declare(shop.document)
    done = shop.invoke("apply", "-e", NAME, "--plan", "reviewed.plan", "--yes", "--no-verify")

    assert planned.returncode == 2
    assert (shop.root / "reviewed.plan").stat().st_mode & 0o777 == 0o600
    assert done.returncode == 1, done.stderr
    assert "a second plan still finds changes" in done.stdout
    assert shop.api.read(f"auth/{mount(shop, 'auth', 'approle')}/role/payments")
    assert shop.api.read(f"auth/{mount(shop, 'auth', 'approle')}/role/later") is None


def test_a_saved_plan_is_refused_when_the_state_has_moved_on(shop: Project) -> None:
    shop.invoke("plan", "-e", NAME, "--out", "old.plan")
    shop.applied()
    done = shop.invoke("apply", "-e", NAME, "--plan", "old.plan", "--yes", "--no-verify")

    assert done.returncode == 1
    assert "stale" in done.stderr


def test_what_is_no_plan_is_refused(shop: Project) -> None:
    (shop.root / "other.plan").write_text("hello")
    done = shop.invoke("apply", "-e", NAME, "--plan", "other.plan", "--yes")

    assert done.returncode == 1
    assert "other.plan: no plan of ours" in done.stderr


def test_without_a_terminal_and_without_yes_nothing_is_applied(shop: Project) -> None:
    done = shop.invoke("apply", "-e", NAME, "--no-verify")

    assert done.returncode == 4
    assert "there is no terminal to ask on; say --yes" in done.stderr
    assert shop.api.read(f"sys/mounts/{mount(shop, 'secrets', 'kv-v2')}", gone=("No secret engine",)) is None


def test_a_secret_is_in_no_file_and_no_output(shop: Project) -> None:
    done = shop.invoke("apply", "-e", NAME, "--yes")
    planned = shop.invoke("plan", "-e", NAME, "--out", "kept.plan", "--format", "json")
    holding = [str(path) for path in shop.root.rglob("*") if path.is_file() and CANARY.encode() in contents(path)]

    assert done.returncode == 0, done.stdout + done.stderr
    assert holding == []
    assert CANARY not in done.stdout + done.stderr + planned.stdout + planned.stderr
    assert _login(shop)


def contents(path: Path) -> bytes:
    """A file's bytes; a plan is a zip, and is looked into."""
    import zipfile  # noqa: PLC0415 - only here

    raw = path.read_bytes()
    if not zipfile.is_zipfile(path):
        return raw
    with zipfile.ZipFile(path) as archive:
        inner = [archive.read(name) for name in archive.namelist()]
    return raw + b"".join(inner)


def _login(shop: Project) -> dict[str, Any]:
    path = mount(shop, "auth", "userpass")
    shop.api.call("POST", f"auth/{path}/login/ada", {"password": CANARY})
    return shop.document


def test_a_secret_is_sent_again_when_its_version_moves(shop: Project) -> None:
    shop.applied()
    user = shop.document["auth"][mount(shop, "auth", "userpass")]["users"]["ada"]
    user["password_version"] = 2
    shop.declare(shop.document)
    changes = shop.answer("plan")["changes"]
    done = shop.invoke("apply", "-e", NAME, "--yes", "--no-verify", ADA_PASSWORD="another-9c2d")
    path = mount(shop, "auth", "userpass")

    assert [change["settings"] for change in changes] == [{"password": {"before": "(secret)", "after": "(secret)"}}]
    assert done.returncode == 0, done.stderr
    shop.api.call("POST", f"auth/{path}/login/ada", {"password": "another-9c2d"})


def test_what_lives_already_is_adopted(shop: Project) -> None:
    path = mount(shop, "auth", "approle")
    shop.api.call("POST", f"sys/auth/{path}", {"type": "approle"})
    shop.api.call("POST", f"auth/{path}/role/payments", {"token_ttl": 90, "token_policies": ["payments-read"]})
    before = shop.api.read(f"auth/{path}/role/payments/role-id")
    actions = {change["object"]: change["action"] for change in shop.answer("plan")["changes"]}
    shop.applied()

    assert actions[f"auth/{path}"] == "adopt"
    assert actions[f"auth/{path}/roles/payments"] == "adopt"
    assert shop.api.read(f"auth/{path}/role/payments/role-id") == before
    assert (shop.api.read(f"auth/{path}/role/payments") or {})["token_ttl"] == 1200


def test_a_setting_that_the_yaml_drops_goes_back_to_its_default(shop: Project) -> None:
    path, login = mount(shop, "secrets", "kv-v2"), mount(shop, "auth", "approle")
    role = shop.document["auth"][login]["roles"]["payments"]
    role |= {"secret_id_num_uses": 3, "secret_id_bound_cidrs": ["127.0.0.0/8"], "secret_id_ttl": "1h"}
    shop.document["secrets"][path] |= {"max_lease_ttl": "24h", "description": "soon gone"}
    shop.declare(shop.document)
    shop.applied()
    for name in ("secret_id_num_uses", "secret_id_bound_cidrs", "secret_id_ttl"):
        del role[name]
    shop.document["secrets"][path] = {"type": "kv-v2"}
    shop.declare(shop.document)
    shop.applied()

    found = shop.api.read(f"auth/{login}/role/payments") or {}
    assert (found["secret_id_num_uses"], found["secret_id_ttl"], found["secret_id_bound_cidrs"]) == (1, 600, [])
    assert (shop.api.read(f"sys/mounts/{path}") or {})["description"] == ""
    assert (shop.api.read(f"sys/mounts/{path}") or {})["config"]["max_lease_ttl"] == 0
    assert (shop.api.read(f"{path}/config") or {})["max_versions"] == 0


def test_what_an_auth_mount_is_tuned_to_goes_back_to_its_default(shop: Project) -> None:
    path = mount(shop, "auth", "approle")
    tuned = {
        "default_lease_ttl": "1h",
        "max_lease_ttl": "24h",
        "listing_visibility": "unauth",
        "token_type": "default-batch",
        "passthrough_request_headers": ["X-Request"],
        "allowed_response_headers": ["X-Response"],
        "audit_non_hmac_request_keys": ["role_id"],
        "audit_non_hmac_response_keys": ["policies"],
    }
    shop.document["auth"][path] |= tuned
    shop.declare(shop.document)
    shop.applied()
    before = (shop.api.read(f"sys/mounts/auth/{path}") or {})["config"]
    for name in tuned:
        del shop.document["auth"][path][name]
    shop.declare(shop.document)
    shop.applied()
    after = (shop.api.read(f"sys/mounts/auth/{path}") or {})["config"]

    durations = {"default_lease_ttl": 3600, "max_lease_ttl": 86400}
    assert {name: before[name] for name in tuned} == {**tuned, **durations}
    assert {name: after.get(name, []) for name in tuned} == {
        **{name: [] for name in tuned},
        **dict.fromkeys(durations, 0),
        "listing_visibility": "hidden",
        "token_type": "default-service",
    }


def test_an_auth_mount_says_all_of_its_tune_where_the_yaml_says_nothing(shop: Project) -> None:
    """The official provider keeps what is not said, and sends neither an empty duration nor an empty word."""
    values = json.loads(shop.invoke("render", "-e", NAME).stdout)["locals"]["vault_auth_backend"]
    tuned = {name: value for name, value in values[mount(shop, "auth", "approle")].items() if "tune__" in name}

    assert tuned == {
        "tune__default_lease_ttl": "0s",
        "tune__max_lease_ttl": "0s",
        "tune__listing_visibility": "hidden",
        "tune__token_type": "default-service",
    }


def test_the_server_refuses_in_its_own_words_and_by_the_setting(shop: Project) -> None:
    path = mount(shop, "auth", "approle")
    shop.document["auth"][path]["roles"]["payments"] |= {"token_max_ttl": "10m"}
    shop.declare(shop.document)
    done = shop.invoke("apply", "-e", NAME, "--yes", "--no-verify")

    assert done.returncode == 1
    assert "'token_ttl' cannot be greater than 'token_max_ttl'" in done.stderr
    assert f'vault_approle_auth_backend_role.this["{path}/payments"]' in done.stderr


def test_an_unreachable_server_is_exit_code_5(shop: Project) -> None:
    done = shop.invoke("plan", "-e", NAME, VAULT_ADDR="http://127.0.0.1:9")

    assert done.returncode == 5
    assert "127.0.0.1:9" in done.stderr


def test_a_refused_token_is_exit_code_5(shop: Project) -> None:
    done = shop.invoke("plan", "-e", NAME, VAULT_TOKEN="s.nobody")

    assert done.returncode == 5


def test_an_unset_secret_is_named_before_anything_happens(shop: Project) -> None:
    done = shop.invoke("apply", "-e", NAME, "--yes", ADA_PASSWORD="")

    assert done.returncode == 1
    assert "ADA_PASSWORD" in done.stderr
    assert shop.api.read(f"sys/mounts/{mount(shop, 'secrets', 'kv-v2')}", gone=("No secret engine",)) is None


def test_five_mistakes_are_five_messages(shop: Project) -> None:
    path = mount(shop, "auth", "approle")
    shop.document["auth"][path]["roles"] = {
        "payments": {"token_polices": [], "token_ttl": "20 minutes", "token_policies": ["nobody"]},
        "orders": {"secret_id_num_uses": "one", "token_num_uses": -1},
    }
    shop.declare(shop.document)
    done = shop.invoke("plan", "-e", NAME, "--format", "json")
    error = json.loads(done.stdout)["error"]

    assert done.returncode == 3
    assert error["exit_code"] == 3
    assert len(error["problems"]) == 5
    assert all(problem["line"] and problem["column"] for problem in error["problems"])


def test_two_applies_at_once_both_end_well(shop: Project) -> None:
    running = [started(shop) for _ in range(2)]
    outputs = [one.communicate(timeout=120) for one in running]

    assert [one.returncode for one in running] == [0, 0], outputs


def started(shop: Project) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "invoke", "apply", "-e", NAME, "--yes", "--no-verify"],
        cwd=shop.root,
        env={**shop.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill(leader: int, *, everything: bool) -> None:
    """Kill -9 of the command alone, which leaves its Terraform at work, or of all that it started."""
    for stat in Path("/proc").glob("[0-9]*/stat") if everything else []:
        with contextlib.suppress(OSError, ProcessLookupError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader:
                os.kill(int(stat.parent.name), signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(leader, signal.SIGKILL)


def test_killed_at_any_moment_the_next_apply_ends_clean(
    stack: Stack,
    api: Api,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    namespaces: None,  # noqa: ARG001
) -> None:
    """Twenty applies of everything, killed with all their children at a random moment, each time a little later."""
    word = prefix(request)
    api.call("POST", f"sys/namespaces/{word}", {})
    document = everything(word, stack, namespace=word)
    document["passthrough"] = {}
    del document["secrets"][f"{word}-database"]["static_roles"]
    document["secrets"][f"{word}-database"]["postgresql"]["orders"]["allowed_roles"] = ["orders-read"]
    document.pop("namespaces", None)
    one = _project(tmp_path, stack, api, document)
    moments = sorted(random.uniform(0.2, 3.0) for _ in range(20))  # noqa: S311 - no secret
    for turn, moment in enumerate(moments):
        running = started(one)
        try:
            running.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            kill(running.pid, everything=turn % 2 == 0)
            running.communicate()
    done = one.invoke("apply", "-e", NAME, "--yes", "--no-verify", "--many")  # much may have been left half done
    again = one.invoke("plan", "-e", NAME)

    assert done.returncode == 0, done.stdout + done.stderr
    assert again.returncode == 0, again.stdout + again.stderr


def failed_apply(shop: Project, *words: str) -> str:
    done = shop.invoke("apply", "-e", NAME, "--yes", "--no-verify", *words)
    assert done.returncode == 4, done.stdout + done.stderr
    return done.stderr


def declared(shop: Project, family: str, mounts: dict[str, Any]) -> Project:
    """The project with these mounts of a family, and no others of it."""
    shop.document[family] = mounts
    shop.declare(shop.document)
    return shop


def test_a_mount_of_another_type_is_not_taken_over(shop: Project) -> None:
    path = mount(shop, "secrets", "kv-v2")
    shop.api.call("POST", f"sys/mounts/{path}", {"type": "transit"})
    said = failed_apply(shop)

    assert f"secrets/{path} is declared as kv, and a mount of type transit stands there" in said
    assert (shop.api.read(f"sys/mounts/{path}") or {})["type"] == "transit"


def test_a_mount_of_ours_changes_its_type_when_it_is_named(shop: Project) -> None:
    path = mount(shop, "secrets", "kv-v2")
    shop.applied()
    declared(shop, "secrets", {path: {"type": "pki", "root": {"common_name": "Root", "ttl": "24h"}}})

    assert f"secrets/{path} would be destroyed and made anew" in failed_apply(shop)

    done = shop.invoke("apply", "-e", NAME, "--yes", "--no-verify", "--many", "--destroy", f"secrets/{path}")

    assert done.returncode == 0, done.stdout + done.stderr
    assert shop.api.read(f"{path}/cert/ca")


def test_a_name_that_the_plan_does_not_destroy_is_told(shop: Project) -> None:
    said = failed_apply(shop, "--destroy", "secrets/tpyo")

    assert said.endswith("--destroy secrets/tpyo: the plan destroys no such object; name it as the plan does\n")


def test_a_key_that_the_server_would_not_delete_is_refused_before_anything(shop: Project) -> None:
    path = f"{mount(shop, 'secrets', 'kv-v2')}-transit"
    transit = {"type": "transit", "keys": {"orders": {}}}
    declared(shop, "secrets", {path: transit}).applied()
    declared(shop, "secrets", {})
    said = failed_apply(shop, "--many", "--destroy", f"secrets/{path}")

    assert f"secrets/{path}/keys/orders cannot be destroyed while deletion_allowed is false" in said


def test_what_the_server_never_takes_back_is_refused(shop: Project) -> None:
    path = f"{mount(shop, 'secrets', 'kv-v2')}-transit"
    declared(shop, "secrets", {path: {"type": "transit", "keys": {"orders": {"exportable": True}}}}).applied()
    declared(shop, "secrets", {path: {"type": "transit", "keys": {"orders": {}}}})

    assert f"secrets/{path}/keys/orders: the server never takes exportable back" in failed_apply(shop)


def test_settings_made_by_hand_before_are_written_over_at_once(shop: Project) -> None:
    path = f"{mount(shop, 'secrets', 'kv-v2')}-pki"
    shop.api.call("POST", f"sys/mounts/{path}", {"type": "pki"})
    shop.api.call("POST", f"{path}/config/urls", {"ocsp_servers": ["https://stranger.example.org"]})
    declared(shop, "secrets", {path: {"type": "pki"}}).applied()

    assert (shop.api.read(f"{path}/config/urls") or {})["ocsp_servers"] == []


def test_a_certificate_role_made_by_hand_before_is_written_over_at_once(shop: Project) -> None:
    path = f"{mount(shop, 'secrets', 'kv-v2')}-cert"
    shop.api.call("POST", f"sys/auth/{path}", {"type": "cert"})
    made = {"certificate": EXAMPLE_CA, "allowed_organizational_units": ["strangers"], "token_ttl": 60}
    shop.api.call("POST", f"auth/{path}/certs/web", made)
    declared(shop, "auth", {path: {"type": "cert", "roles": {"web": {"certificate": EXAMPLE_CA}}}}).applied()
    live = shop.api.read(f"auth/{path}/certs/web") or {}

    assert (live["allowed_organizational_units"], live["token_ttl"], live["display_name"]) == ([], 0, "web")


def authority(path: str) -> dict[str, Any]:
    subject = {"common_name": "Root", "ttl": "48h"}
    return {
        f"{path}-root": {"type": "pki", "root": subject},
        path: {"type": "pki", "intermediate": {**subject, "ttl": "24h", "signed_by": f"{path}-root"}},
    }


@pytest.mark.parametrize("lost", ["root", "intermediate"])
def test_an_authority_that_was_deleted_by_hand_is_made_again(shop: Project, lost: str) -> None:
    path = f"{mount(shop, 'secrets', 'kv-v2')}-pki"
    declared(shop, "secrets", authority(path)).applied()
    where = f"{path}-root" if lost == "root" else path
    shop.api.call("DELETE", f"{where}/issuer/default", None)
    allowed = ["--many", "--destroy", f"secrets/{path}"] if lost == "intermediate" else []
    found = shop.invoke("apply", "-e", NAME, "--yes", "--no-verify", *allowed)

    assert found.returncode == 0, found.stdout + found.stderr
    assert shop.api.read(f"{where}/cert/ca")
    assert shop.invoke("plan", "-e", NAME).returncode == 0


def test_a_database_goes_with_the_accounts_it_gave_out(shop: Project) -> None:
    path = f"{mount(shop, 'secrets', 'kv-v2')}-db"
    database = copy.deepcopy(SECRETS["database"].example)
    database = {key: value for key, value in database.items() if key in ("type", "postgresql", "roles")}
    database["postgresql"]["orders"] |= {"allowed_roles": ["orders-read"], "root_rotation_statements": ["SELECT 1"]}
    declared(shop, "secrets", {path: database}).applied()
    account = (shop.api.read(f"{path}/creds/orders-read") or {})["username"]
    declared(shop, "secrets", {})
    done = shop.invoke("apply", "-e", NAME, "--yes", "--no-verify", "--many", "--destroy", f"secrets/{path}")

    assert done.returncode == 0, done.stdout + done.stderr
    with psycopg.connect(postgres(shop.running)) as connection:
        found = connection.execute("SELECT count(*) FROM pg_roles WHERE rolname = %s", [account]).fetchone()
    assert found == (0,)


def test_a_plan_that_cannot_be_saved_says_so(shop: Project) -> None:
    done = shop.invoke("plan", "-e", NAME, "--out", "no/such/folder/plan")

    assert done.returncode == 1
    assert "--out no/such/folder/plan: No such file or directory; name a file in a folder that there is" in done.stderr


def test_a_state_of_another_server_is_not_taken_for_this_ones(shop: Project) -> None:
    shop.applied()
    state = shop.root / ".strongroom" / "terraform" / NAME / "terraform.tfstate"
    document = json.loads(state.read_text())
    document["outputs"]["home"]["value"]["cluster_id"] = "another"
    state.write_text(json.dumps(document))

    assert "belongs to another place: it was made on cluster another, namespace root" in failed_apply(shop)


def test_a_create_that_fails_halfway_is_finished_by_the_next_apply(shop: Project) -> None:
    """The mount is made and its tuning refused; the next apply adopts it instead of asking to destroy it."""
    path = mount(shop, "secrets", "kv-v2")
    shop.document["secrets"][path] |= {"default_lease_ttl": "24h", "max_lease_ttl": "1h"}
    shop.declare(shop.document)
    failed = shop.invoke("apply", "-e", NAME, "--yes", "--no-verify")
    shop.document["secrets"][path]["max_lease_ttl"] = "48h"
    shop.declare(shop.document)
    shop.applied()

    assert failed.returncode == 1
    assert "backend max lease TTL of 3600 would be less than backend default lease TTL" in failed.stderr
    assert (shop.api.read(f"sys/mounts/{path}") or {})["config"]["max_lease_ttl"] == 48 * 3600


def test_a_denied_request_names_the_right_that_is_missing(shop: Project) -> None:
    reader = """
path "auth/token/lookup-self" { capabilities = ["read"] }
path "sys/*" { capabilities = ["read"] }
path "auth/*" { capabilities = ["read"] }
"""
    name = f"{mount(shop, 'secrets', 'kv-v2')}-reader"
    shop.api.call("POST", f"sys/policies/acl/{name}", {"policy": reader})
    token = shop.token(name)
    planned = shop.invoke("plan", "-e", NAME, VAULT_TOKEN=token)
    done = shop.invoke("apply", "-e", NAME, "--yes", "--no-verify", VAULT_TOKEN=token)

    assert planned.returncode == 2, planned.stderr
    assert done.returncode == 1
    assert f"permission denied; give the token `create` or `update` on sys/auth/{mount(shop, 'auth', 'approle')}" in (
        done.stderr.replace("\n", " ").replace("\t", "").replace("* ", "")
    )


@pytest.mark.usefixtures("namespaces")
def test_a_namespace_that_holds_another_environment_is_not_destroyed(shop: Project) -> None:
    name = f"{mount(shop, 'secrets', 'kv-v2')}-team"
    shop.document["namespaces"] = {name: {}}
    shop.declare(shop.document)
    shop.applied()
    del shop.document["namespaces"]
    shop.declare(shop.document)
    other = shop.root / "vault-config" / "environments" / "other.yaml"
    other.write_text(json.dumps({"environment": "other", "cluster": "test", "namespace": name, "owner": "tests"}))

    said = failed_apply(shop, "--destroy", f"namespaces/{name}")
    assert f"namespaces/{name} holds the environment other; take that environment's file away first" in said

    other.unlink()
    done = shop.invoke("apply", "-e", NAME, "--yes", "--no-verify", "--destroy", f"namespaces/{name}")

    assert done.returncode == 0, done.stderr
    assert shop.api.read(f"sys/namespaces/{name}") is None


def test_a_lax_value_is_warned_of_by_every_command_that_reads_it(shop: Project) -> None:
    path = mount(shop, "auth", "approle")
    shop.document["auth"][path]["roles"]["payments"]["token_ttl"] = "30d"
    shop.declare(shop.document)
    validated, planned = shop.invoke("validate"), shop.invoke("plan", "-e", NAME)

    assert validated.returncode == 0
    assert f"warning: auth/{path}/roles/payments/token_ttl: '30d': a stolen token serves for days" in validated.stderr
    assert "warning: 1 declared value is laxer than it should be: invoke validate -e shop says which" in planned.stderr
