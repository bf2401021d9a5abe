"""Nodes that commands of the cluster's file start and stop."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster import members
from orchestrator.cluster.machines.commands import Commands
from orchestrator.cluster.render.server import server_hcl
from orchestrator.cluster.standing import Ground
from orchestrator.declared import Cluster, Node
from orchestrator.errors import Refused, StrongroomError
from orchestrator.local import detach

if TYPE_CHECKING:
    from pathlib import Path

NODE = Node("vault-1", "10.0.1.11")


def control(root: Path, **commands: tuple[str, ...]) -> Commands:
    cluster = Cluster("prod", "openbao", "2.7.2", nodes=(NODE,), control=commands)
    return Commands(root, cluster, {"PATH": os.environ["PATH"]})


def test_the_words_of_a_command_are_filled_in(tmp_path: Path) -> None:
    control(tmp_path, start=("sh", "-c", 'echo "$@" > said', "-", "{node}", "bao@{host}", "v{version}")).start(NODE)

    assert (tmp_path / "said").read_text() == "vault-1 bao@10.0.1.11 v2.7.2\n"


def test_a_node_is_installed_with_what_is_declared_now(tmp_path: Path) -> None:
    found = control(tmp_path, install=("cp", "{config}", "here.hcl"))
    found.install(NODE)

    assert (tmp_path / "here.hcl").read_text() == server_hcl(found.cluster, NODE)


def test_a_node_is_current_once_it_was_started_with_what_is_declared(tmp_path: Path) -> None:
    does = ("true",)
    found = control(tmp_path, install=does, start=does, stop=does)
    before = found.is_current(NODE)
    found.install(NODE)
    found.start(NODE)
    started = found.is_current(NODE)
    changed = replace(found, cluster=replace(found.cluster, settings={"log_level": "debug"}))
    after = changed.is_current(NODE)
    changed.start(NODE)  # without `install` it has what it had
    again = changed.is_current(NODE)
    changed.stop(NODE)

    assert (before, started, after, again, changed.is_current(NODE)) == (None, True, False, False, None)


def test_a_command_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(StrongroomError) as caught:
        control(tmp_path, stop=("sh", "-c", "echo no route to host >&2; exit 7")).stop(NODE)

    assert str(caught.value) == "control/stop of vault-1 fails with status 7: no route to host"


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StrongroomError) as caught:
        control(tmp_path, wipe=("no-such-program", "{node}")).wipe(NODE)

    assert str(caught.value) == "control/wipe: no-such-program cannot be run: No such file or directory"


def test_what_nobody_declared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        control(tmp_path, start=("true",)).stop(NODE)

    assert str(caught.value) == (
        'cluster prod: nobody here can stop a node; declare how, such as `control: {stop: [ssh, "{host}", ...]}`'
    )


def test_what_a_command_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    script = "sleep 30 & echo $! > pid; echo started"
    found = control(tmp_path, start=("sh", "-c", script), log=("sh", "-c", script))
    try:
        said = found.why(NODE)
        left = detach.born(int((tmp_path / "pid").read_text()))
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)

    assert said == "started"
    assert left is not None


def test_a_node_is_not_stopped_where_nobody_could_start_it_again(tmp_path: Path) -> None:
    found = control(tmp_path, stop=("touch", "stopped"))
    ground = Ground(tmp_path, found.cluster, found.environ, found, print)
    with pytest.raises(Refused) as caught:
        ground.restart(NODE)

    assert str(caught.value) == (
        'cluster prod: nobody here can start a node; declare how, such as `control: {start: [ssh, "{host}", ...]}`'
    )
    assert not (tmp_path / "stopped").exists()


def test_a_node_that_nobody_can_wipe_does_not_leave(tmp_path: Path) -> None:
    found = control(tmp_path, stop=("touch", "stopped"))
    ground = Ground(tmp_path, found.cluster, found.environ, found, print)
    with pytest.raises(Refused) as caught:
        members.leave(ground, NODE.name, lambda _: None)

    assert str(caught.value) == (
        'cluster prod: nobody here can wipe a node; declare how, such as `control: {wipe: [ssh, "{host}", ...]}`'
    )
    assert not (tmp_path / "stopped").exists()
