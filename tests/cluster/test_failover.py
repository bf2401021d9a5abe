"""Nodes that are lost while something is at work: it goes on at the next leader, and nothing of it is missing."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from orchestrator import outcome
from orchestrator.commands.drift import drift
from orchestrator.commands.plan import Asked, apply, plan
from orchestrator.errors import Unreachable
from orchestrator.live import front
from orchestrator.local import process
from tests.cluster.house import NAME, declared, standing
from tests.support import POLICY, REPOSITORY, no_progress, no_question

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.declared import Node
    from tests.cluster.house import House

pytestmark = [pytest.mark.server, pytest.mark.long]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with standing(tmp_path_factory.mktemp("failover"), declared()) as house:
        house.wait_until_voters()
        yield house


def environment(house: House, name: str, policies: int) -> None:
    """An environment with a namespace of its own, many policies and some of what is made only once."""
    folder = house.root / "policies" / name
    folder.mkdir()
    for number in range(policies):
        (folder / f"p{number}.hcl").write_text(POLICY)
    role = {"token_policies": ["p1"]}
    document = {
        "environment": name,
        "cluster": NAME,
        "owner": "tests",
        "namespace": name,
        "auth": {f"approle-{number}": {"type": "approle", "roles": {"app": role}} for number in range(10)},
        "secrets": {
            **{f"kv-{number}": {"type": "kv-v2"} for number in range(10)},
            "transit": {"type": "transit", "keys": {f"key-{number}": {} for number in range(10)}},
        },
    }
    (house.root / f"vault-config/environments/{name}.yaml").write_text(json.dumps(document))
    with house.session() as session:
        session.server.write(f"sys/namespaces/{name}", {})


@contextmanager
def losing(house: House, choose: Callable[[], Node], how: signal.Signals, times: int) -> Iterator[list[str]]:
    """Nodes are lost, one after the other, at moments that nobody knows; each is back before the next one."""
    over, lost, failed = threading.Event(), list[str](), list[BaseException]()

    def work() -> None:
        try:
            for _ in range(times):
                if over.wait(random.uniform(0.2, 1.2)):  # noqa: S311 - no secret
                    return
                node = choose()
                house.kill(node, how)
                lost.append(node.name)
                house.start(node)
        except BaseException as error:  # noqa: BLE001 - told where it can be seen
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield lost
    finally:
        over.set()
        thread.join()
    assert failed == []


def test_an_apply_goes_on_though_three_leaders_are_lost(house: House) -> None:
    environment(house, "leaders", 200)
    with losing(house, house.leader, signal.SIGKILL, 3) as lost:
        done = apply(house.root, "leaders", house.environ, no_progress, no_question, Asked(many=True))
    after = plan(house.root, "leaders", house.environ, no_progress, None)

    assert len(lost) == 3
    assert [one.reason for one in done.proofs if not one.ok] == []
    assert (done.code, done.pending) == (0, ())
    assert after.changes == ()
    assert drift(house.root, "leaders", house.environ).drifts == ()


def test_a_command_goes_on_though_a_standby_and_a_leader_are_lost(house: House) -> None:
    environment(house, "command", 60)
    shutil.copy(REPOSITORY / "tasks.py", house.root)
    standby = next(one for one in house.cluster.nodes if one.name != house.leader().name)
    turns = iter((standby, None))
    with losing(house, lambda: next(turns) or house.leader(), signal.SIGTERM, 2) as lost:
        command = [sys.executable, "-m", "invoke", "apply", "-e", "command", "--yes", "--many"]
        done = subprocess.run(
            command,
            cwd=house.root,
            env={**house.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    assert len(lost) == 2
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_step_down_is_not_noticed(house: House) -> None:
    with house.session() as session:
        before = house.leader()
        session.server.request("PUT", "sys/step-down", {})
        found = [session.server.read("sys/policies/acl/default") is not None for _ in range(50)]
        after = house.leader()

    assert all(found)
    assert after.name != before.name


def test_a_session_is_called_by_its_cluster_and_leaves_nothing(house: House) -> None:
    threads = {one.name for one in threading.enumerate()}
    with house.session() as session:
        told, leader = str(session), house.leader()
        kept = {one.name for one in threading.enumerate()} - threads
    port = urlsplit(session.address).port or 0

    assert told == f"OpenBao 2.7.2 at cluster {NAME} (leader {leader.name} {house.cluster.url(leader)})"
    assert kept == {f"front of {NAME}"}
    assert {one.name for one in threading.enumerate()} == threads
    assert process.is_free(port)


def test_who_waits_for_a_leader_in_vain_is_told_which_cluster_has_none(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "PATIENCE", 0.5)
    monkeypatch.setattr(outcome, "PATIENCE", 0.5)
    with house.session() as session:
        leader = house.leader()  # one that is left would go on leading for a moment
        lost = [leader, next(one for one in house.cluster.nodes if one.name != leader.name)]
        for node in lost:
            house.kill(node)
        with pytest.raises(Unreachable) as caught:
            session.server.read("sys/policies/acl/default")
        house.up()

    assert str(caught.value).startswith(f"cluster {NAME}")
