"""Nodes that commands of the cluster's file start and stop."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster.machines.commands import Commands
from orchestrator.cluster.render.server import server_hcl
from orchestrator.declared import Cluster, Node
from orchestrator.errors import Refused, StrongroomError

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
