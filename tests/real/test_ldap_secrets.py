"""LDAP secrets on a real directory: what the server rotates, makes and lends binds there, and nothing older does."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.catalog import SECRETS
from orchestrator.config.checks import lacks
from orchestrator.declared import Cluster
from orchestrator.local import stack as local
from tests.bench import Bench
from tests.support import free_port, needs, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.local.stack import Stack

pytestmark = pytest.mark.server

BASE = "dc=example,dc=org"
ADMIN, PASSWORD = f"cn=admin,{BASE}", "canary-directory-51c9"
CONFIG = """\
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/pid
database mdb
suffix "{base}"
rootdn "{admin}"
rootpw {password}
directory {folder}/data
"""
TREE = f"""\
dn: {BASE}
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: ou=people,{BASE}
objectClass: organizationalUnit
ou: people
"""
PERSON = f"""
dn: cn={{name}},ou=people,{BASE}
objectClass: person
cn: {{name}}
sn: {{name}}
userPassword: first
"""


@dataclass(frozen=True)
class Directory:
    """A slapd with a few accounts, whose password is `first`."""

    url: str

    def binds(self, name: str, password: str) -> bool:
        asked = [needs("ldapwhoami"), "-x", "-H", self.url, "-D", name, "-w", password]
        return subprocess.run(asked, capture_output=True, check=False, timeout=30).returncode == 0


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    program, fill, folder = needs("slapd"), needs("slapadd"), tmp_path_factory.mktemp("slapd")
    (folder / "data").mkdir()
    config, tree = folder / "slapd.conf", folder / "tree.ldif"
    config.write_text(CONFIG.format(folder=folder, base=BASE, admin=ADMIN, password=PASSWORD))
    people = "".join(PERSON.format(name=name) for name in ("batch", "nightly", "lent-1", "lent-2"))
    tree.write_text(TREE + people)
    subprocess.run([fill, "-f", config, "-l", tree], check=True, capture_output=True, timeout=60)
    port = free_port()
    server = subprocess.Popen([program, "-f", config, "-h", f"ldap://127.0.0.1:{port}", "-d", "0"])
    try:
        wait_for(port, server)
        yield Directory(f"ldap://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(scope="module")
def running(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack, or where its server lacks LDAP, one with an OpenBao that has it."""
    if not lacks(SECRETS["ldap"].absent, Cluster("test", stack.server, stack.version)):
        yield stack
        return
    root = tmp_path_factory.mktemp("older")
    yield local.up(root, "openbao-2.6.2")
    local.down(root)


@pytest.fixture
def bench(running: Stack, tmp_path: Path) -> Iterator[Bench]:
    with Bench.on(running, tmp_path, "ldap") as found:
        found.secrets["LDAP_PASSWORD"] = PASSWORD
        yield found


def mount(directory: Directory, **objects: Any) -> dict[str, Any]:  # noqa: ANN401 - any object
    return {
        "type": "ldap",
        "config": {
            "url": directory.url,
            "binddn": ADMIN,
            "bindpass": "env:LDAP_PASSWORD",
            "userdn": f"ou=people,{BASE}",
        },
        **objects,
    }


def role(name: str) -> dict[str, Any]:
    return {"username": name, "dn": f"cn={name},ou=people,{BASE}", "rotation_period": "24h"}


def test_a_static_roles_password_is_rotated_and_binds(bench: Bench, directory: Directory) -> None:
    name = role("batch")["dn"]
    assert directory.binds(name, "first")
    report = bench.one(**mount(directory, static_roles={"batch": role("batch")}))
    made = bench.read("static-cred/batch")["password"]
    bench.write("rotate-role/batch")
    rotated = bench.read("static-cred/batch")["password"]

    assert [proof.title for proof in report.proofs] == [f"secrets/{bench.mount}/static_roles/batch"]
    assert [directory.binds(name, each) for each in ("first", made, rotated)] == [False, False, True]
    assert PASSWORD not in bench.state()


def test_a_password_that_the_directory_changed_fails_the_proof(bench: Bench, directory: Directory) -> None:
    bench.one(**mount(directory, static_roles={"nightly": role("nightly")}))
    admin = ["-x", "-H", directory.url, "-D", ADMIN, "-w", PASSWORD]
    subprocess.run([needs("ldappasswd"), *admin, "-s", "by-hand", role("nightly")["dn"]], check=True, timeout=30)
    (proof,) = bench.apply().proofs

    assert proof.reason == f"the directory refuses the password that the server holds for {role('nightly')['dn']}"


def test_a_dynamic_account_binds_until_its_lease_is_revoked(bench: Bench, directory: Directory) -> None:
    person = f"cn={{{{.Username}}}},ou=people,{BASE}"
    roles = {
        "job": {
            "creation_ldif": f"dn: {person}\nobjectClass: person\ncn: {{{{.Username}}}}\nsn: x\n"
            "userPassword: {{.Password}}\n",
            "deletion_ldif": f"dn: {person}\nchangetype: delete\n",
        }
    }
    report = bench.one(**mount(directory, dynamic_roles=roles))

    assert [(proof.title, proof.ok) for proof in report.proofs] == [(f"secrets/{bench.mount}/dynamic_roles/job", True)]


def test_a_lent_account_binds_with_the_password_it_is_lent_with(bench: Bench, directory: Directory) -> None:
    names = ["lent-1", "lent-2"]
    bench.one(**mount(directory, library={"night": {"service_account_names": names, "ttl": "1h"}}))
    lent = bench.write("library/night/check-out")
    account = f"cn={lent['service_account_name']},ou=people,{BASE}"

    assert directory.binds(account, lent["password"])
    bench.write("library/night/check-in")
    assert not directory.binds(account, lent["password"])


def test_what_leaves_the_yaml_goes_back_to_its_default(bench: Bench, directory: Directory) -> None:
    said = mount(directory, library={"day": {"service_account_names": ["lent-1"], "ttl": "1h", "max_ttl": "2h"}})
    said["config"] |= {"request_timeout": "10s", "connection_timeout": "5s"}
    bench.one(**said)
    bench.one(**mount(directory, library={"day": {"service_account_names": ["lent-1"]}}))
    config, library = bench.read("config"), bench.read("library/day")

    assert (config["request_timeout"], config["connection_timeout"]) == (90, 30)
    assert (library["ttl"], library["max_ttl"]) == (86400, 86400)
