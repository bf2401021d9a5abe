"""`up` and `down` after whatever happened to them or to the machine."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster import nodes
from orchestrator.cluster.machines import local
from orchestrator.errors import StrongroomError, Unreachable
from orchestrator.local import process
from tests.cluster.house import KMS, NAME, STATIC, declared, standing, written
from tests.support import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.house import House

pytestmark = [pytest.mark.server, pytest.mark.long]


def left(house: House) -> list[int]:
    """What runs in the cluster's folders."""
    home = local.folder(house.root, NAME)
    return [pid for one in home.rglob("*") if one.is_dir() for pid in process.inhabitants(one)]


def test_down_ends_a_node_that_hangs_and_the_orphans_of_one_that_was_killed(tmp_path: Path) -> None:
    with standing(tmp_path, declared("2.6.2", KMS, size=1)) as house:
        (node,) = house.cluster.nodes
        here = local.folder(house.root, NAME) / "nodes" / node.name
        orphan = subprocess.Popen(["/bin/sleep", "600"], cwd=here, start_new_session=True)
        house.kill(node, signal.SIGSTOP)
        house.down()
        ended = orphan.wait(10)
        again = left(house)
        with pytest.raises(Unreachable, match=rf"^cluster {NAME} does not run; start it: invoke cluster.up -c {NAME}$"):
            nodes.wait_for_leader(house.cluster, silence=0.0)

    assert ended == -signal.SIGKILL
    assert again == []


def test_a_killed_up_is_finished_by_the_next(tmp_path: Path) -> None:
    house = written(tmp_path, declared("2.7.2", STATIC, size=1))
    shutil.copy(REPOSITORY / "tasks.py", tmp_path)
    program = "import sys; from pathlib import Path; from orchestrator.commands import cluster; import os; "
    program += f"cluster.up(Path({str(tmp_path)!r}), {NAME!r}, os.environ, lambda _: None, lambda _: None)"
    environ = {**house.environ, "PYTHONPATH": str(REPOSITORY)}
    try:
        for _ in range(6):
            started = subprocess.Popen([sys.executable, "-c", program], env=environ, stderr=subprocess.PIPE)
            try:
                started.communicate(timeout=random.uniform(0.5, 5.0))  # noqa: S311 - no secret
            except subprocess.TimeoutExpired:
                started.kill()
            started.communicate()
        house.up()
        with house.session() as session:
            who = session.who
    finally:
        house.down()

    assert who == "approle (default, strongroom)"
    assert left(house) == []


def test_two_ups_at_once_are_one(tmp_path: Path) -> None:
    house = written(tmp_path, declared("2.7.2", STATIC, size=1))
    begun, refused = list[bool](), list[str]()

    def up() -> None:
        try:
            begun.append(house.up().begun is not None)
        except StrongroomError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=up) for _ in range(2)]
    try:
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    finally:
        house.down()

    assert begun.count(True) == 1
    assert all("another command has held cluster house for 10 s" in one for one in refused)
    assert left(house) == []


def test_a_node_that_cannot_start_is_told_with_its_log(tmp_path: Path) -> None:
    house = written(tmp_path, declared("2.7.2", STATIC, size=1))
    try:
        house.up()
        house.down()
        os.truncate(local.folder(tmp_path, NAME) / "static" / "k1.key", 3)
        with pytest.raises(StrongroomError) as caught:
            house.up()
    finally:
        house.down()

    first, *log = str(caught.value).splitlines()
    assert first == "n1 ends as soon as it is started; its log says:"
    assert any("seal" in line for line in log)
