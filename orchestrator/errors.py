"""One error for each exit code; every message says what happened and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class StrongroomError(Exception):
    """Something failed (exit code 1)."""

    code = 1


class Refused(StrongroomError):  # noqa: N818 - the name is the sentence: the gate refused
    """A guard stopped an effect that the command line did not name (exit code 4)."""

    code = 4


class Unreachable(StrongroomError):  # noqa: N818 - the name is the sentence: the server is unreachable
    """The server cannot be reached, is sealed, or refused the login (exit code 5)."""

    code = 5


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in the configuration, and where it stands."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class ConfigInvalid(StrongroomError):  # noqa: N818 - the name is the sentence: the configuration is invalid
    """The configuration has mistakes; all of them are listed (exit code 3)."""

    code = 3

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))
