"""RADIUS on a real server: who may log in, with which policies, and what the canary sees."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from orchestrator.live.server import Rejected
from tests.real.house import House
from tests.support import beside, needs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.local.stack import Stack

pytestmark = pytest.mark.server

SHARED, ADA, BOB = "canary-shared-70aa", "canary-ada-1d9e", "canary-bob-c2f5"
CONFIG = f"""\
name = radiusd
prefix = /usr
libdir = /usr/lib/freeradius
raddbdir = {{folder}}
logdir = {{folder}}
run_dir = {{folder}}
security {{{{
  allow_vulnerable_openssl = yes
}}}}
client loopback {{{{
  ipaddr = 127.0.0.1
  secret = {SHARED}
}}}}
modules {{{{
  pap {{{{
  }}}}
  files {{{{
    usersfile = {{folder}}/users
  }}}}
}}}}
server default {{{{
  listen {{{{
    type = auth
    ipaddr = 127.0.0.1
    port = {{port}}
  }}}}
  authorize {{{{
    files
    pap
  }}}}
  authenticate {{{{
    Auth-Type PAP {{{{
      pap
    }}}}
  }}}}
}}}}
"""
USERS = f'ada Cleartext-Password := "{ADA}"\nbob Cleartext-Password := "{BOB}"\n'


@pytest.fixture(scope="module")
def freeradius() -> str:
    return needs("freeradius")


@pytest.fixture
def port(freeradius: str, tmp_path: Path) -> Iterator[int]:
    """Where a RADIUS server answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        chosen = int(free.getsockname()[1])
    folder = tmp_path / "radius"
    folder.mkdir()
    (folder / "radiusd.conf").write_text(CONFIG.format(folder=folder, port=chosen))
    (folder / "dictionary").write_text("$INCLUDE /usr/share/freeradius/dictionary\n")
    (folder / "users").write_text(USERS)
    command = [freeradius, "-f", "-l", "stdout", "-d", str(folder)]
    with beside(folder, command, lambda _, log: "Ready to process requests" in log):
        yield chosen


@pytest.fixture
def house(older: Stack, port: int, tmp_path: Path) -> House:
    mount = {
        "type": "radius",
        "config": {
            "host": "127.0.0.1",
            "port": port,
            "secret": "env:RADIUS_SECRET",
            "read_timeout": "2s",
            "unregistered_user_policies": ["strangers"],
            "token_policies": ["staff"],
        },
        "users": {"ada": {"policies": ["ada"]}},
    }
    return House(tmp_path, older, mount, ("staff", "strangers", "ada"), {"RADIUS_SECRET": SHARED})


def test_people_log_in_with_the_declared_policies_and_nobody_else(house: House) -> None:
    report = house.applied()

    assert [(proof.title, proof.reason) for proof in report.proofs] == [(f"auth/{house.path}/config", "")]
    ada = house.login("login", username="ada", password=ADA)

    assert ada["policies"] == ["ada", "default", "staff"]
    assert house.told(ada, "users", "ada", "bob") == [True, False]
    assert house.told(house.login("login/ada", password=ADA), "users", "ada", "bob") == [True, False]
    assert house.login("login", username="bob", password=BOB)["policies"] == ["default", "staff", "strangers"]
    for name, password in (("ada", BOB), ("eve", "wrong")):
        with pytest.raises(Rejected, match="access denied by the authentication server"):
            house.login("login", username=name, password=password)


def test_one_setting_leaves_the_secret_in_place(house: House) -> None:
    house.applied()
    house.mount["config"]["unregistered_user_policies"] = []
    changed = house.applied()

    assert [one.title for one in changed.plan.changes] == [f"auth/{house.path}/config"]
    assert house.login("login", username="bob", password=BOB)["policies"] == ["default", "staff"]


def test_a_secret_that_is_not_shared_is_told(house: House) -> None:
    house.environ["RADIUS_SECRET"] = "another"
    (proof,) = house.applied().proofs

    assert proof.reason
    assert "another" not in proof.reason


def test_a_server_that_is_not_there_is_told(house: House) -> None:
    house.mount["config"]["host"] = "127.0.0.9"
    (proof,) = house.applied().proofs

    assert "refused" in proof.reason or "deadline" in proof.reason
