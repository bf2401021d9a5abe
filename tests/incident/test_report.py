"""The report tells what the journal tells, all of it, and nothing in it becomes markup."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import StrongroomError
from orchestrator.incident import evidence, report, seal
from orchestrator.incident.journal import Journal, Tampered
from orchestrator.incident.model import Blast
from orchestrator.incident.sentences import SAYS, sentence
from orchestrator.incident.story import shuttings, story
from tests.incident import written
from tests.support import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = REPOSITORY / "tests/examples/incident"
SIGNER = {"key": "transit:transit/releases", "algorithm": "ed25519", "fingerprint": "3a" * 32}


def told(folder: Path) -> str:
    report.write(story(folder), None)
    return (folder / report.MARKDOWN).read_text()


@pytest.mark.parametrize("name", [report.MARKDOWN, report.HTML])
def test_the_report_of_an_incident_is_this(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "INC-7"
    written.whole(folder)

    report.write(story(folder), SIGNER)

    assert (EXAMPLES / name).read_text() == (folder / name).read_text()


def test_it_reads_well_in_eighty_columns(tmp_path: Path) -> None:
    written.whole(tmp_path / "INC-7")

    assert [line for line in told(tmp_path / "INC-7").splitlines() if len(line) > 80] == []


def test_one_that_was_killed_says_so_first_and_hides_what_nobody_knows(tmp_path: Path) -> None:
    folder = tmp_path / "INC-7"
    whole = written.whole(folder)
    number = next(line.number for line in whole.lines if line.what == "revoked")
    kept = "".join(line.text() for line in whole.lines[:number])
    whole.path.write_text(kept)

    text = " ".join(told(folder).split())

    assert text.startswith(
        "# Incident INC-7 **UNFINISHED: the last line of the journal, of 2026-11-21 03:12:06.250 UTC"
    )
    assert "time to dead | not reached" in text
    assert "after: not known" in text
    assert "Not known: nobody has looked since the last revoking." in text
    assert "finish this incident: invoke incident.resume INC-7" in text
    assert "None: nothing was tried again." in text


def test_one_that_goes_on_is_unfinished_again(tmp_path: Path) -> None:
    journal = written.small(tmp_path / "INC-7")
    journal.write("resumed", who="ada")

    assert "UNFINISHED" in told(tmp_path / "INC-7").splitlines()[2]


def test_every_line_is_told_and_a_strange_one_generically(tmp_path: Path) -> None:
    journal = written.small(tmp_path / "INC-7")
    journal.write("reissued", role="orders", count=3)
    journal.write("revoked", strange=True)

    assert [sentence(line) for line in journal.lines[-2:]] == [
        "reissued (count: 3; role: orders)",
        "revoked (strange: true)",
    ]
    text = told(tmp_path / "INC-7")
    assert len(re.findall(r"·\s+line:\s+\d", text)) == len(journal.lines)


def test_what_another_step_leaves_to_people_is_in_the_list(tmp_path: Path) -> None:
    journal = written.small(tmp_path / "INC-7")
    journal.write("reissued", by_hand=[{"title": "x", "owner": "orders-team", "what": "give orders its new SecretID"}])

    assert "| give orders its new SecretID | orders-team |" in told(tmp_path / "INC-7")


def test_what_a_proof_found_alive_is_to_be_ended_by_hand(tmp_path: Path) -> None:
    journal = written.small(tmp_path / "INC-7")
    proof = {"what": "token", "title": "token leaked", "dead": False, "said": "it is still accepted", "count": 1}
    journal.write("proved", proofs=[proof])

    text = " ".join(told(tmp_path / "INC-7").split())

    assert "end token leaked: it is still accepted" in text


def test_what_was_shut_twice_is_told_twice_and_open_only_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path, written.clock())
    written.shut(journal)
    journal.write("reopened", title=written.ROLE, namespace="", path=f"{written.ROLE}/x")
    written.shut(journal)

    assert [bool(one.reopened) for one in shuttings(journal.lines)] == [True, False]


def test_a_blast_radius_that_was_changed_is_never_reported(tmp_path: Path) -> None:
    written.small(tmp_path / "INC-7")
    (tmp_path / "INC-7/blast-1.json").write_text("[]\n")

    with pytest.raises(Tampered, match=r"blast-1\.json: this file was changed after it was written"):
        story(tmp_path / "INC-7").blast()


class _Seen(HTMLParser):
    """The tags and the words of a page, as a browser takes them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on") or name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_what_a_server_says_is_never_markup(tmp_path: Path) -> None:
    folder = tmp_path / "INC-7"
    folder.mkdir()
    journal = Journal(folder, written.clock())
    nasty = written.NASTY
    written.agree(journal, who=nasty, server=nasty, notes=[nasty], problems=[nasty])
    written.shut(journal, nasty)
    one = written.credential("token", nasty, nasty, ends=False)
    evidence.keep(journal, Blast((one,), 1, 1, spared=(nasty,)), {nasty: nasty})
    journal.write("cut", ended=0, rounds=1, late=0, left={f"token {nasty}": nasty})
    journal.write("proved", proofs=[{"what": "token", "title": nasty, "dead": None, "said": nasty, "count": 1}])
    journal.write(nasty, **{nasty: nasty})

    text = told(folder)
    page = (folder / report.HTML).read_text()
    seen = _Seen(page)

    assert not re.search(r"(?<!\\)<script|(?<!\\)\*all", text)
    assert "\u202e" not in text + page
    assert all(line.count(" | ") in {1, 2, 3} for line in text.splitlines() if line.startswith("|") and " | " in line)
    assert "script" not in seen.tags
    assert "<script>alert(1)</script>|*all* # \\u202eowned" in seen.text
    assert html.escape("<script>") in page


@pytest.mark.parametrize("line", ["1. one", "- one", "+ one", "---", "===", "# one", "> one", "12) one"])
def test_no_text_begins_a_list_or_a_heading(tmp_path: Path, line: str) -> None:
    journal = written.small(tmp_path / "INC-7")
    written.agree(journal, notes=[line])

    notes = told(tmp_path / "INC-7").partition("## Notes")[2].strip().splitlines()[0]

    assert re.match(r"- (\\[-+=#>]|\d+\\[.)])", notes)


def test_of_very_many_rows_the_report_holds_the_first_and_says_so(tmp_path: Path) -> None:
    journal = written.small(tmp_path / "INC-7")
    for number in range(200):
        journal.write("reissued", number=number)

    assert "- and 8 more, in journal.jsonl" in told(tmp_path / "INC-7")


def test_an_unfinished_incident_is_reported_and_not_sealed(tmp_path: Path) -> None:
    journal = written.small(tmp_path / "INC-7")
    journal.write("resumed", who="ada")

    made = seal.seal(tmp_path / "INC-7", "", None, written.clock())

    assert (made.finished, made.signer) == (False, None)
    assert sorted(path.name for path in (tmp_path / "INC-7").iterdir()) == [
        "blast-1.json",
        "journal.jsonl",
        "report.html",
        "report.md",
    ]


def test_of_one_that_is_broken_off_there_is_a_report_at_least(tmp_path: Path) -> None:
    journal = written.small(tmp_path / "INC-7")
    journal.write("resumed", who="ada")

    def fails() -> None:
        raise StrongroomError("the server is gone")

    with pytest.raises(StrongroomError, match="the server is gone"):
        seal.sealed(tmp_path / "INC-7", "", None, written.clock(), fails)

    assert "UNFINISHED" in (tmp_path / "INC-7" / report.MARKDOWN).read_text()


def test_every_line_that_is_written_is_told_in_words_of_its_own() -> None:
    sources = (REPOSITORY / "orchestrator").rglob("*.py")
    sorts = {name for file in sources for name in re.findall(r'journal\.write\(\s*"([^"]+)"', file.read_text())}

    assert sorts - SAYS.keys() == set()
    assert len(sorts) > 20
