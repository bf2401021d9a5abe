"""A rolling upgrade: nothing acknowledged is lost, whoever is killed, and no node is touched after one that failed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster import keys, nodes
from orchestrator.cluster.sealing import Shut
from orchestrator.commands import cluster_nodes as commands
from orchestrator.commands.cluster_nodes import Asked
from orchestrator.errors import ConfigInvalid, Refused, StrongroomError
from tests.cluster.house import KMS, NAME, SHAMIR, STATIC, House, declared, standing, written
from tests.cluster.writer import writing
from tests.support import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.cluster.sealing import Sealing
    from orchestrator.cluster.upgrade_plan import Plan

OLD, NEW = "2.6.2", "2.7.2"
RUN = """
import sys
from pathlib import Path
from orchestrator.commands import cluster_nodes as commands
asked = commands.Asked(Path(sys.argv[1]), sys.argv[2], {"PATH": ""}, lambda line: print(line, flush=True))
commands.upgraded(asked, lambda plan: None)
"""
BROKEN = """#!/bin/sh
if [ "$1" = version ]; then echo "OpenBao v2.7.2 (broken)"; else echo "no such library" >&2; exit 3; fi
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with standing(tmp_path_factory.mktemp("upgrade"), declared(OLD, STATIC)) as found:
        found.settle()
        yield found


def asked(house: House, **more: str) -> Asked:
    return Asked(house.root, NAME, {**house.environ, **more}, lambda _: None)


def agreed(_: Plan | Sealing) -> None:
    """Tests have said what they want."""


def states(house: House) -> dict[str, tuple[str, bool]]:
    """The version of each node, and whether it leads."""
    return {one.node.name: (one.version, one.active) for one in nodes.look(house.cluster)}


@pytest.mark.server
def test_a_node_that_does_not_come_back_stops_the_upgrade(house: House, tmp_path: Path) -> None:
    broken = tmp_path / "bao"
    broken.write_text(BROKEN)
    broken.chmod(0o700)
    before = states(house)
    first, second = sorted(name for name, (_, leads) in before.items() if not leads)
    house.write(declared(NEW, STATIC))
    with pytest.raises(StrongroomError) as caught:
        commands.upgraded(asked(house, STRONGROOM_SERVER=str(broken)), agreed)
    after = states(house)

    said = str(caught.value)
    leader = next(name for name, (_, leads) in before.items() if leads)
    others = {second: f"{second} {OLD}: standby", leader: f"{leader} {OLD}: leader"}
    assert after == {**before, first: ("", False)}
    assert said.startswith(
        f"the upgrade of cluster {NAME} stops at {first}: {first} ended before it answers: its process ended; "
        "its log ends with:\n"
    )
    assert said.endswith(
        "no such library\n"
        f"The other nodes are left as they are ({'; '.join(others[name] for name in sorted(others))}). "
        "Put that right and run it again: it goes on here"
    )
    house.write(declared(OLD, STATIC))
    assert [step.why for step in commands.upgraded(asked(house), agreed).plan.steps] == ["it does not run"]
    assert states(house) == before


@pytest.mark.server
def test_another_seal_and_an_unknown_version_are_refused_before_anything_is_touched(house: House) -> None:
    before = states(house)
    house.write(declared(NEW, SHAMIR))
    with pytest.raises(Refused) as caught:
        commands.upgraded(asked(house), agreed)
    house.write(declared("2.7.9", STATIC))
    with pytest.raises(StrongroomError) as unknown:
        commands.plan(asked(house))
    house.write(declared(OLD, STATIC))

    place = house.root / f".strongroom/clusters/{NAME}/keys"
    assert str(caught.value).splitlines() == [
        *(
            f"{name} has the seal static, and shamir is declared; that is a seal migration: invoke cluster.migrate-seal"
            for name in ("n1", "n2", "n3")
        ),
        (
            "n2, n3, n1: the holders have the shares of the unseal key, as none lies in "
            f"{place}; give them by --keys: `-` for stdin, `file:PATH`, or `prompt`"
        ),
    ]
    assert str(unknown.value) == (
        "server 'openbao-2.7.9' is not known; write openbao, one of openbao-2.6.2, openbao-2.7.2, "
        "or the path of a vault or bao executable"
    )
    assert states(house) == before


@pytest.mark.server
def test_an_upgrade_that_is_killed_again_and_again_loses_no_acknowledged_write(house: House) -> None:
    house.write(declared(NEW, STATIC))
    (leader,) = (name for name, (_, leads) in states(house).items() if leads)
    first, second = sorted({"n1", "n2", "n3"} - {leader})
    instants = [
        f"{first}: {OLD} -> {NEW}",
        f"{first} is back",
        f"{second}: {OLD} -> {NEW}",
        f"{leader} leads: it steps",
    ]
    with writing(house) as writer:
        reached = [killed_at(house, instant) for instant in instants]
        done = commands.upgraded(asked(house), agreed)
        writer.wait_for(20)
    again = commands.plan(asked(house))

    assert reached == instants
    assert [step.node for step in done.plan.steps][-1] == leader
    assert {version for version, _ in states(house).values()} == {NEW}
    assert again.steps == ()
    assert len(writer.acknowledged) > 100
    assert writer.lost() == []


def killed_at(house: House, instant: str) -> str:
    """Run an upgrade until it says this, and kill it; the instant, if it was reached."""
    command = [sys.executable, "-c", RUN, str(house.root), NAME]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if line.startswith(instant):
                run.send_signal(signal.SIGKILL)
                return instant
    return f"ended with {run.returncode}"


@pytest.mark.server
def test_a_changed_configuration_alone_is_rolled_out_too(house: House) -> None:
    house.write(declared(NEW, STATIC, telemetry={"prometheus_retention": "48h"}))
    plan = commands.plan(asked(house))
    house.write(declared(NEW, STATIC))

    assert {(step.before, step.after, step.why) for step in plan.steps} == {(NEW, NEW, "another configuration")}
    assert [step.leads for step in plan.steps] == [False, False, True]


@pytest.mark.server
def test_a_node_that_was_sealed_by_hand_is_opened_by_a_restart_or_by_recovery_shares(house: House) -> None:
    place = keys.folder(house.root, house.cluster)
    ways = tuple(f"file:{path}" for path in sorted(place.glob("recovery-*.key")))
    found = []
    for given in ((), ways):
        leader = nodes.wait_for_leader(house.cluster).node.name
        shut = commands.seal(asked(house), leader, agreed, all_=False)
        opened = commands.unseal(replace(asked(house), ways=given), "")
        found.append((shut == (Shut(leader, "sealed"),), [(one.node == leader, one.sealed) for one in opened]))

    assert found == [(True, [(True, False)])] * 2


@pytest.mark.server
def test_a_newer_server_is_not_replaced_by_an_older_one(house: House) -> None:
    house.write(declared(OLD, STATIC))
    with pytest.raises(Refused) as caught:
        commands.upgraded(asked(house), agreed)
    house.write(declared(NEW, STATIC))

    assert str(caught.value).splitlines() == [
        f"{name} runs {NEW}, and {OLD} is older: it cannot be trusted with what a newer one stored. Declare {NEW} or "
        f"newer; or take {name} out with cluster.leave and have it join anew, or restore a snapshot into a new cluster"
        for name in ("n1", "n2", "n3")
    ]
    assert {version for version, _ in states(house).values()} == {NEW}


@pytest.mark.server
def test_sealing_all_leaves_nothing_open_that_would_open_itself(house: House) -> None:
    house.write(declared(NEW, STATIC))
    shut = commands.seal(asked(house), "", agreed, all_=True)
    after = sorted(one.word for one in nodes.look(house.cluster))
    opened = commands.unseal(asked(house), "")
    house.up()

    assert {one.node: one.sealed for one in opened} == {one.node: False for one in shut if one.how == "sealed"}
    assert [one.how for one in shut] == ["sealed", "sealed", "stopped, as it would open itself"]
    assert after == ["sealed", "sealed", "silent"]


def test_a_version_that_lacks_the_seal_is_refused(tmp_path: Path) -> None:
    house = written(tmp_path, declared(NEW, KMS))
    with pytest.raises(ConfigInvalid) as caught:
        commands.plan(asked(house))

    assert str(caught.value) == (
        f"vault-config/clusters/{NAME}.yaml:1:227: seal/awskms: the server has it by a plugin of this name, as OpenBao "
        "2.7 has no KMS seals of its own; write plugins: {awskms: {command: PROGRAM, sha256sum: SUM}}"
    )
