"""Where an incident stands is told from its folder alone, with what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import StrongroomError
from orchestrator.incident import seal, status
from orchestrator.incident.show import evidence
from orchestrator.local import files
from tests.incident import written

if TYPE_CHECKING:
    from pathlib import Path


def where(root: Path, name: str = "INC-7") -> Path:
    return root / "incidents" / name


def standing(root: Path) -> tuple[str, str]:
    found = status.standing(root, "INC-7")
    return found.state, found.next


def test_one_where_something_lives_is_resumed(tmp_path: Path) -> None:
    written.whole(where(tmp_path))

    found = status.standing(tmp_path, "INC-7")

    assert found == status.Standing(
        "INC-7",
        "something lives",
        "invoke incident.resume INC-7",
        ("role auth/approle/payments",),
        "2026-11-21T03:12:04.500+00:00",
        "2026-11-21T03:12:08.750+00:00",
        "auth/approle/payments is open again",
        ("shut", "counted", "cut", "proven"),
        ("database/roles/orders-read",),
        1,
        (written.LIVES,),
    )


@pytest.mark.parametrize(
    ("lines", "done", "alive"),
    [(1, (), None), (2, (), None), (3, ("counted",), 1), (5, ("counted",), 0), (6, ("counted", "cut"), 0)],
)
def test_one_that_was_killed_is_resumed(tmp_path: Path, lines: int, done: tuple[str, ...], alive: int | None) -> None:
    folder = where(tmp_path)
    journal = written.small(folder)
    texts = [line.text() for line in journal.lines]
    journal.path.write_text("".join([*texts[:1], *texts[1:lines]] if lines > 2 else texts[:1]))

    found = status.standing(tmp_path, "INC-7")

    assert (found.state, found.next) == ("unfinished", "invoke incident.resume INC-7")
    assert (found.done, found.alive) == (done, alive)


def test_what_is_next_follows_what_is_done(tmp_path: Path) -> None:
    journal = written.small(where(tmp_path))
    assert standing(tmp_path) == ("proven dead", "invoke incident.report INC-7")

    seal.seal(where(tmp_path), "", None, written.clock())
    assert standing(tmp_path) == ("proven dead", "invoke incident.verify INC-7")

    written.shut(journal)
    assert standing(tmp_path) == ("proven dead", "invoke incident.undo-close INC-7")


def test_one_that_somebody_works_on(tmp_path: Path) -> None:
    written.small(where(tmp_path))

    with files.locked(where(tmp_path) / "lock"):
        assert standing(tmp_path) == ("running", "invoke incident.status INC-7")


def test_one_that_was_tampered_with(tmp_path: Path) -> None:
    path = written.small(where(tmp_path)).path
    path.write_text(path.read_text().replace("accessor-0", "accessor-1"))

    found = status.standing(tmp_path, "INC-7")

    assert (found.state, found.next) == ("damaged", "invoke incident.verify INC-7")
    assert found.said == f"{path}:3: this line was changed after it was written"


def test_all_are_listed_and_a_wrong_name_is_told_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.every(tmp_path) == []
    written.small(where(tmp_path, "INC-7"))
    written.whole(where(tmp_path, "INC-8"))
    damaged = written.small(where(tmp_path, "INC-9")).path
    damaged.write_text(damaged.read_text().replace("ada", "eve"))

    evidence.show_every(status.every(tmp_path))

    assert capsys.readouterr().out.splitlines() == [
        "incident  state            last recorded (UTC)      shut  alive",
        "INC-7     proven dead      2026-11-21 03:12:06.250     0      0",
        "INC-8     something lives  2026-11-21 03:12:08.750     1      1",
        "INC-9     damaged                                      0      ?",
    ]
    with pytest.raises(
        StrongroomError, match=r"there is no incident INC-6 in .*incidents; there are: INC-7, INC-8, INC-9"
    ):
        status.standing(tmp_path, "INC-6")


def test_a_person_sees_the_next_command_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written.whole(where(tmp_path))

    evidence.show_standing(status.standing(tmp_path, "INC-7"))

    assert capsys.readouterr().out.splitlines() == [
        "INC-7: something lives",
        "  leaked   role auth/approle/payments",
        "  last     2026-11-21 03:12:08.750 UTC: auth/approle/payments is open again",
        "  done     shut, counted, cut, proven",
        "  shut     database/roles/orders-read",
        "  alive    1 at the last look",
        f"  lives    {written.LIVES}",
        "  next     invoke incident.resume INC-7",
    ]
