"""The report of an incident for people, from its journal and its files alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.incident.journal import FILE
from orchestrator.incident.logged import FILE as FILE_OF_LINES
from orchestrator.incident.model import STATES, within
from orchestrator.incident.pages import Block, Commands, Heading, Paragraph, Table, markdown, page
from orchestrator.incident.sentences import ENDS, counted, lasting, moment, plain, seconds, sentence, short, targets
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from orchestrator.documents import Spec
    from orchestrator.incident.story import Run, Story

MARKDOWN, HTML = "report.md", "report.html"
_MOST = 200
_SAID = 3
_HEADS = {
    0: "Contained: everything that was found is dead, and was proven to be.",
    1: "NOT CONTAINED: something that was found lives on.",
    2: "Contained as far as is known: nothing is seen to live, but not all of it could be proven dead.",
}


def write(story: Story, signer: Mapping[str, str] | None) -> None:
    """Make report.md and report.html; `signer` is the key that the manifest is signed by."""
    blocks = list(report(story, signer))
    files.write(story.folder / MARKDOWN, markdown(blocks))
    files.write(story.folder / HTML, page(f"Incident {story.incident}", blocks))


def report(story: Story, signer: Mapping[str, str] | None) -> Iterator[Block]:
    """All of it, most important first."""
    yield Heading(f"Incident {story.incident}", 1)
    yield Paragraph(head(story), strong=True)
    yield from _summary(story, signer)
    yield from _by_hand(story)
    yield from _shut(story)
    yield from _blast(story)
    yield from _lives(story)
    yield from _proofs(story)
    yield from _remarks(story)
    yield from _steps(story)
    yield from _timeline(story)
    yield from _audit(story)
    yield from _verify(story, signer)
    yield from _sign_off()


def head(story: Story) -> str:
    """How the incident stands, in a sentence or two."""
    if not story.runs:
        return _uncut(story)
    if story.code is not None:
        return _HEADS[story.code]
    line = story.lines[-1]
    return (
        f"UNFINISHED: the last line of the journal, of {moment(line.at)} UTC, says: {sentence(line)}. What came after "
        f"it is not known, and nothing below speaks of it. To finish the work: invoke incident.resume {story.incident}"
    )


def _uncut(story: Story) -> str:
    """How an incident stands in which nothing was cut."""
    step = story.last("step", "walked")
    if step is None:
        return "UNFINISHED: nothing was agreed to, and nothing was done."
    name = plain(step.data["runbook"])
    if step.what == "walked":
        return f"The runbook {name} was walked to its end, and nothing was to be cut."
    return (
        f"UNFINISHED: the runbook {name} is at step {step.data['number']}, and nothing was cut. To go on: "
        f"invoke runbook {name} --incident {story.incident}"
    )


def _summary(story: Story, signer: Mapping[str, str] | None) -> Iterator[Block]:
    for run in story.runs:
        yield Table(("", ""), tuple(_facts(run, alone=len(story.runs) == 1)))
    if signer:
        key = f"{signer['algorithm']} key {plain(signer['key'])}, SHA-256 {signer['fingerprint']}"
        yield Paragraph(f"This report belongs to a manifest that is signed by the {key}.")
    else:
        yield Paragraph("UNSIGNED: who can write this folder could have written all of it.")


def _facts(run: Run, *, alone: bool) -> Iterator[tuple[str, str]]:
    data = run.agreed.data
    yield "leaked" if alone else "said to have leaked", "; ".join(targets(data["targets"]))
    yield "server", plain(data["server"])
    yield "environment", plain(data["environment"])
    yield "agreed by", f"{plain(data['who'])}, digest {plain(data['digest'])}"
    yield "agreed at", f"{moment(run.agreed.at)} UTC"
    yield "time to contain", _time(run.since_agreed("closed"), "from the agreement to the last thing shut", run)
    yield "time to dead", _time(run.since_agreed("proved"), "from the agreement to the last proof", run)
    last = run.last("agreed", "resumed", "finished")
    ended = last is not None and last.what == "finished"
    yield "ended", f"{moment(last.at)} UTC: {ENDS[last.data['code']]}" if last and ended else "UNFINISHED"


def _time(duration: float | None, meaning: str, run: Run) -> str:
    if duration is not None:
        return f"{lasting(duration)}, {meaning}"
    return "nothing was shut" if run.last("finished") else "not reached"


def _by_hand(story: Story) -> Iterator[Block]:
    rows = tuple(_todo(story))
    yield Heading("To be done by hand")
    yield _table(("what", "owner"), rows) if rows else Paragraph("Nothing.")


def _todo(story: Story) -> Iterator[tuple[str, str]]:
    """What a person has to do, with who owns it."""
    if story.code is None and story.runs:
        yield f"finish this incident: invoke incident.resume {story.incident}", plain(story.runs[-1].agreed.data["who"])
    for one in story.lives():
        yield (
            f"end {counted(len(one.ids), plain(one.what))} of {plain(one.source)}: {short(one.reason)}",
            plain(one.owner),
        )
    who = plain(story.runs[-1].agreed.data["who"]) if story.runs else ""
    for proof in story.proofs:
        if proof["dead"] is False and proof["title"] not in story.left:
            yield f"end {short(proof['title'])}: {short(proof['said'])}", who
        elif proof["dead"] is None:
            yield f"find out whether {short(proof['title'])} is dead: {short(proof['said'])}", who
    for title in dict.fromkeys(one.title for one in story.still_shut):
        text = f"give out new credentials, then open {plain(title)}: invoke incident.undo-close {story.incident}"
        yield text, plain(story.owner(title))
    for what, owner in story.by_hand().items():
        yield plain(what), plain(owner)


def _shut(story: Story) -> Iterator[Block]:
    yield Heading("What was shut")
    rows = tuple(
        (_titled(one.title, one.namespace), _at(one.closed) or "not seen to be shut", _at(one.reopened) or "still shut")
        for one in story.shut
    )
    yield _table(("object", "shut (UTC)", "opened again (UTC)"), rows) if rows else Paragraph("Nothing.")


def _at(moment_: str) -> str:
    return moment(moment_) if moment_ else ""


def _titled(title: str, namespace: str) -> str:
    return f"{plain(title)}{within(plain(namespace))}"


def _blast(story: Story) -> Iterator[Block]:
    yield Heading("Blast radius")
    if story.last("found") is None:
        yield Paragraph("Nobody has counted: the incident ended before that.")
        return
    rows = tuple(
        (
            plain(one.source),
            plain(one.what),
            plain(one.owner),
            f"{one.found:,}",
            f"{one.late:,}",
            "not known" if one.alive is None else f"{one.alive:,}",
        )
        for one in story.blast()
    )
    titles = ("source", "what", "owner", "before", "late", "after")
    yield _table(titles, rows, {3, 4, 5}) if rows else Paragraph("Nothing of it was alive.")
    if rows:
        yield Paragraph(_sum(story))
        yield Paragraph(
            "before: alive at the first look. late: made, or come to light, after it. after: alive at the last look."
        )
    yield from _leases(story)
    for one in dict.fromkeys(plain(one) for line in story.of("found") for one in line.data.get("spared") or ()):
        yield Paragraph(f"Spared: {one}")


def _leases(story: Story) -> Iterator[Block]:
    """What the tokens could have asked for; a server does not tell whose a lease is."""
    held: dict[str, int] = {}
    for line in story.of("found"):
        for namespace, path, count in line.data.get("leases") or ():
            held.setdefault(_titled(path, namespace), count)
    if held:
        yield Paragraph("Leases where the tokens could have asked for one; those that hang on a cut token end with it:")
        yield _table(("path", "leases"), tuple((where, f"{count:,}") for where, count in held.items()), {1})


def _sum(story: Story) -> str:
    rows = story.blast()
    before, late = sum(one.found for one in rows), sum(one.late for one in rows)
    lives = sum(one.alive or 0 for one in rows) if story.looked_after else None
    after = "how many live on is not known" if lives is None else f"{lives:,} live on" if lives else "none lives on"
    return f"In all: {before:,} before, {late:,} late; {after}."


def _lives(story: Story) -> Iterator[Block]:
    yield Heading("What lives on, and why")
    if not story.looked_after:
        yield Paragraph("Not known: nobody has looked since the last revoking.")
    elif rows := tuple(
        (counted(len(one.ids), plain(one.what)), plain(one.source), plain(one.owner), short(one.reason), _ids(one.ids))
        for one in story.lives()
    ):
        yield _table(("what", "source", "owner", "why", "which"), rows)
    else:
        yield Paragraph("Nothing.")


def _ids(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _SAID:,} more" if len(ids) > _SAID else ""
    return ", ".join(plain(one) for one in ids[:_SAID]) + more


def _proofs(story: Story) -> Iterator[Block]:
    yield Heading("Proofs")
    line = story.last("proved")
    if line is None:
        yield Paragraph("None: nothing was tried again.")
        return
    yield Paragraph(f"Each was tried again at {moment(line.at)} UTC.{_older(story, line.at)}")
    rows = sorted(story.proofs, key=lambda one: {False: 0, None: 1, True: 2}[one["dead"]])
    if rows:
        yield _table(("", "what", "what was tried, and the answer"), tuple(_proof(one) for one in rows))


def _older(story: Story, at: str) -> str:
    return " That was before the latest revocation began." if at < story.runs[-1].agreed.at else ""


def _proof(one: Spec) -> tuple[str, str, str]:
    return STATES[one["dead"]], short(one["title"]), short(one["said"])


def _remarks(story: Story) -> Iterator[Block]:
    for title, name in (("Problems that were told before", "problems"), ("Notes", "notes")):
        said = story.said(name)
        yield Heading(title)
        yield _table(("",), tuple((plain(one),) for one in said)) if said else Paragraph("None.")


def _steps(story: Story) -> Iterator[Block]:
    yield Heading("How long each step took")
    for run in story.runs:
        rows = tuple((title, lasting(took)) for title, took in run.steps())
        yield _table(("step", "took"), rows, {1}) if rows else Paragraph("No step was finished.")


def _timeline(story: Story) -> Iterator[Block]:
    yield Heading("Timeline")
    began = story.lines[0].at if story.lines else ""
    rows = tuple(
        (moment(line.at), f"+{lasting(seconds(began, line.at))}", sentence(line), str(line.number))
        for line in story.lines
    )
    yield _table(("UTC", "after", "what", "line"), rows, {3})
    yield Paragraph(f"line: where it stands in {FILE}.")


def _audit(story: Story) -> Iterator[Block]:
    yield Heading("Audit log")
    line = story.last("logged", "not logged")
    if line is None:
        yield Paragraph("No lines of an audit log were kept.")
    elif line.what == "not logged":
        yield Paragraph(f"{_begun(sentence(line))}.")
    else:
        between = (
            f", from {moment(line.data['first'])} to {moment(line.data['last'])} UTC" if line.data["first"] else ""
        )
        yield Paragraph(f"{_begun(sentence(line))}{between}. They are in {FILE_OF_LINES}, as the server logged them.")


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:]


def _verify(story: Story, signer: Mapping[str, str] | None) -> Iterator[Block]:
    yield Heading("How to verify this")
    yield Paragraph(
        f"Each line of {FILE} holds the hash of the one before; manifest.json holds the hash of every file, the "
        "journal's last hash and its number of lines. This command finds any byte that was changed since, offline:"
    )
    key = " --key PUBLIC.pem" if signer else ""
    yield Commands((f"invoke incident.verify {story.incident}{key}",))
    if signer:
        yield Paragraph("The signature of the manifest, without this program:")
        yield Commands((*_TAKE, *_OPENSSL[signer["algorithm"]]))
        yield Paragraph("Take PUBLIC.pem from where the key is kept, not from this folder.")


_TAKE = (r"""sed -n 's/^ "signature": "\(.*\)"$/\1/p' signature.json | base64 -d > signature.bin""",)
_DIGEST = "openssl dgst -sha256 -verify PUBLIC.pem -signature signature.bin"
_OPENSSL: Mapping[str, tuple[str, ...]] = {
    "ed25519": (
        "openssl pkeyutl -verify -pubin -inkey PUBLIC.pem -rawin -in manifest.json \\",
        "  -sigfile signature.bin",
    ),
    "ecdsa-sha256": (f"{_DIGEST} manifest.json",),
    "rsa-pss-sha256": (f"{_DIGEST} \\", "  -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:auto manifest.json"),
}


def _sign_off() -> Iterator[Block]:
    yield Heading("Read and accepted")
    yield Table(("name", "date", "signature"), ((" " * 26, " " * 12, " " * 26),))


def _table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]], numbers: Iterable[int] = ()) -> Table:
    """A table that stays readable: of very many rows the first, and how many more the journal holds."""
    if len(rows) > _MOST:
        more = (f"and {len(rows) - _MOST:,} more, in {FILE}", *[""] * (len(titles) - 1))
        rows = (*rows[:_MOST], more)
    return Table(titles, tuple(rows), frozenset(numbers))
