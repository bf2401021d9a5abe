"""Where a task meets the world: errors become messages and exit codes, here and nowhere else."""

from __future__ import annotations

import json
import os
import select
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.errors import ConfigInvalid, Refused, StrongroomError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_INTERRUPTED = 130
_UNREAD = 141


@contextmanager
def answering(form: str = "text") -> Iterator[Callable[[int], None]]:
    """A command's body; what it hands to `answer` becomes the exit code."""
    code = 0

    def answer(value: int) -> None:
        nonlocal code
        code = value

    try:
        _known(form)
        yield answer
        sys.stdout.flush()
    except StrongroomError as error:
        _failed(error, form)
        code = error.code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the next run finishes the work\n")
        code = _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the one place: a bug must not print values it may hold
        code = _UNREAD if isinstance(error, BrokenPipeError) and _nobody_reads() else 1
        if code == 1:
            _failed(StrongroomError(_bug(error)), form)
    if code:
        sys.exit(code)


def _known(form: str) -> None:
    if form not in ("text", "json"):
        raise StrongroomError(f"--format {form}: write text or json")


def _failed(error: StrongroomError, form: str) -> None:
    """An error for people on stderr, or as the JSON answer."""
    if form != "json":
        sys.stderr.write(f"{error}\n")
        return
    document: dict[str, object] = {"exit_code": error.code, "message": str(error)}
    if isinstance(error, ConfigInvalid):
        document["problems"] = [vars(problem) for problem in error.problems]
    sys.stdout.write(json.dumps({"error": document}, indent=2, sort_keys=True) + "\n")


def _nobody_reads() -> bool:
    """Whether whoever was given the answer has read enough, as `head` does; then it goes nowhere."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    if not output.poll(0):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def _bug(error: Exception) -> str:
    if os.environ.get("STRONGROOM_DEBUG"):
        return "".join(traceback.format_exception(error))
    place = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"a mistake of Strongroom's own: {type(error).__name__} at {place.filename}:{place.lineno}; "
        "please report it; STRONGROOM_DEBUG=1 prints the whole traceback, which may hold values"
    )


def ask(question: str, instead: str = "--yes") -> None:
    """Goes on only when a person types yes; without a terminal there is nobody to ask."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise Refused(f"there is no terminal to ask on; say {instead} to go on without being asked")
    sys.stderr.write(f"{question} Only 'yes' goes on: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != "yes":
        raise Refused("nothing is done: the answer was not yes")


def ask_for(name: str, question: str, instead: str) -> None:
    """Goes on only when a person types the name of what is at stake."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise Refused(f"there is no terminal to ask on; say {instead} to go on without being asked")
    sys.stderr.write(f"{question} Only its name, {name}, goes on: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != name:
        raise Refused(f"nothing is done: the answer was not {name}")
