"""What somebody meets who has never seen the project: `invoke TASK --help`, and an answer sent through `head`."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.support import REPOSITORY


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


UNTOLD = """
import json
from tasks import namespace
tasks = {name: namespace[name] for name in namespace.task_names}
untold = {name: [flag.name for flag in one.get_arguments() if not flag.help] for name, one in tasks.items()}
lines = [name for name, one in tasks.items() if not one.__doc__ or "\\n" in one.__doc__]
print(json.dumps([len(tasks), lines, {name: flags for name, flags in untold.items() if flags}]))
"""


def test_each_task_tells_in_a_line_what_it_does_and_each_flag_what_it_is_for() -> None:
    """In a process of its own: Invoke takes the help out of a task when it is asked for its flags."""
    done = subprocess.run([sys.executable, "-c", UNTOLD], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    count, without_a_line, untold = json.loads(done.stdout)

    assert count > 40
    assert (without_a_line, untold) == ([], {})


def test_whoever_reads_no_further_is_told_of_no_mistake() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "invoke", "cluster.render", "-c", "ha", "--only", "nodes/ha-1/server.hcl"]
    with os.fdopen(writer) as nobody:
        done = subprocess.run(command, cwd=REPOSITORY, stdout=nobody, stderr=subprocess.PIPE, text=True, check=False)

    assert (done.returncode, done.stderr) == (141, "")
