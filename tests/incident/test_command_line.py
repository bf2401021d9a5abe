"""What leaked is named on the command line; a secret never is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import StrongroomError
from orchestrator.incident import command_line

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "s." + "0aB" * 8
WAYS = "write `-` for stdin, `file:PATH`, or `prompt`"


def test_an_accessor_is_typed_or_stands_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "two").write_text("one\n\ntwo\n")

    named = {"accessor": ["zero", f"file:{tmp_path}/two"], "role": ["file:no"], "entity": None}

    assert command_line.targets(named) == [
        ("accessor", "zero"),
        ("accessor", "one"),
        ("accessor", "two"),
        ("role", "file:no"),
    ]


@pytest.mark.parametrize(
    ("way", "said"),
    [
        (TOKEN, f"--token: a token stands on the command line, where every process of this machine sees it; {WAYS}"),
        ("hunter2", f"--token: the token itself is never an argument; {WAYS}"),
        ("file:/no/such", "--token file:/no/such: No such file or directory"),
        ("file:/dev/null", "--token file:/dev/null: there is nothing in it"),
    ],
)
def test_a_token_is_no_argument(way: str, said: str) -> None:
    with pytest.raises(StrongroomError) as refused:
        command_line.tokens([way])

    assert str(refused.value) == said
    assert TOKEN not in str(refused.value)
