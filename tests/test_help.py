"""`invoke --list` and `invoke TASK --help`: what somebody reads who has never seen the project."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tasks import namespace
from tests.support import REPOSITORY

TASKS = sorted(namespace.task_names)


def invoke(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "invoke", *words], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("words", [("cluster.up", "--help"), ("cluster.up", "-c", "ha", "--help")])
def test_help_is_no_value_of_an_argument_that_must_be_given(words: tuple[str, ...]) -> None:
    done = invoke(*words)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == invoke("--help", "cluster.up").stdout
    assert "cluster.up [--options]" in done.stdout


def test_help_of_a_task_that_is_none_says_so() -> None:
    done = invoke("cluster.nothing", "--help")

    assert (done.returncode, done.stderr) == (1, "No idea what 'cluster.nothing' is!\n")


@pytest.mark.parametrize("name", TASKS)
def test_a_task_tells_in_a_line_what_it_does_and_each_flag_what_it_is_for(name: str) -> None:
    found = namespace[name]

    assert found.__doc__
    assert "\n" not in found.__doc__
    assert [flag.name for flag in found.get_arguments() if not flag.help] == []
