"""LDAP on a real directory: who may log in, with which policies, and what the canary sees."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from orchestrator.live.server import Rejected
from orchestrator.local import process
from tests.real.authority import Authority
from tests.real.house import House
from tests.support import beside, needs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.local.stack import Stack

pytestmark = pytest.mark.server

BINDPASS, ADA, BOB = "canary-bind-31f0", "canary-ada-5a77", "canary-bob-91cc"
CONFIG = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
database mdb
suffix "dc=example,dc=org"
directory {folder}/data
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="cn=vault,dc=example,dc=org" read by * none
"""
PEOPLE = f"""\
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: cn=vault,dc=example,dc=org
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: vault
userPassword: {BINDPASS}

dn: uid=ada,dc=example,dc=org
objectClass: inetOrgPerson
cn: Ada Lovelace
sn: Lovelace
uid: ada
userPassword: {ADA}

dn: uid=bob,dc=example,dc=org
objectClass: inetOrgPerson
cn: Bob Kahn
sn: Kahn
uid: bob
userPassword: {BOB}

dn: cn=Payment Engineers,dc=example,dc=org
objectClass: groupOfNames
cn: Payment Engineers
member: uid=ada,dc=example,dc=org
"""


@dataclass(frozen=True)
class Directory:
    url: str
    ca: str


@pytest.fixture(scope="module")
def slapd() -> str:
    return needs("slapd")


@pytest.fixture
def directory(slapd: str, tmp_path: Path) -> Iterator[Directory]:
    authority, (port,) = Authority(), process.free_ports(1)
    folder = tmp_path / "slapd"
    (folder / "data").mkdir(parents=True)
    (folder / "slapd.conf").write_text(CONFIG.format(folder=folder))
    for name, text in zip(("server.pem", "server.key"), authority.issue("ldap"), strict=True):
        (folder / name).write_text(text)
    (folder / "people.ldif").write_text(PEOPLE)
    config = str(folder / "slapd.conf")
    subprocess.run([needs("slapadd"), "-f", config, "-l", str(folder / "people.ldif")], check=True)
    url = f"ldaps://127.0.0.1:{port}"
    with beside(folder, [slapd, "-f", config, "-h", url, "-d", "0"], lambda pid, _: process.listens(pid, port)):
        yield Directory(url, authority.pem)


@pytest.fixture
def house(older: Stack, directory: Directory, tmp_path: Path) -> House:
    mount = {
        "type": "ldap",
        "config": {
            "url": directory.url,
            "certificate": directory.ca,
            "binddn": "cn=vault,dc=example,dc=org",
            "bindpass": "env:LDAP_BINDPASS",
            "userdn": "dc=example,dc=org",
            "userattr": "uid",
            "groupdn": "dc=example,dc=org",
            "groupfilter": "(member={{.UserDN}})",
            "token_policies": ["staff"],
            "token_ttl": "1h",
        },
        "groups": {"payment engineers": {"policies": ["engineers"]}},
        "users": {"ada": {"policies": ["ada"]}},
    }
    return House(tmp_path, older, mount, ("staff", "engineers", "ada"), {"LDAP_BINDPASS": BINDPASS})


def test_people_log_in_with_the_declared_policies_and_nobody_else(house: House) -> None:
    report = house.applied()
    ada, bob = house.login("login/ada", password=ADA), house.login("login/bob", password=BOB)

    assert [(proof.title, proof.reason) for proof in report.proofs] == [(f"auth/{house.path}", "")]
    assert ada["policies"] == ["ada", "default", "engineers", "staff"]
    assert bob["policies"] == ["default", "staff"]
    assert ada["lease_duration"] == 3600
    assert house.told(house.login("login/ADA", password=ADA), "users", "ada", "bob") == [True, False]
    for name, password in (("ada", BOB), ("ada", "wrong"), ("eve", "wrong")):
        with pytest.raises(Rejected, match="failed to bind as user"):
            house.login(f"login/{name}", password=password)


def test_a_second_apply_changes_nothing_and_one_setting_leaves_the_password_in_place(house: House) -> None:
    house.applied()
    again = house.applied()
    house.mount["config"]["token_ttl"] = "30m"
    changed = house.applied()

    assert again.plan.changes == ()
    assert [one.title for one in changed.plan.changes] == [f"auth/{house.path}"]
    assert house.login("login/ada", password=ADA)["lease_duration"] == 1800


def test_a_directory_that_cannot_be_trusted_is_told(house: House) -> None:
    house.mount["config"]["certificate"] = Authority("Another").pem
    (proof,) = house.applied().proofs

    assert "certificate signed by unknown authority" in proof.reason


def test_a_directory_that_is_gone_is_told(house: House) -> None:
    (port,) = process.free_ports(1)
    house.mount["config"]["url"] = f"ldaps://127.0.0.1:{port}"
    (proof,) = house.applied().proofs

    assert "connection refused" in proof.reason
