"""A journal's lines in words, a sentence each; a sort that nobody described here is told generically, never dropped."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

from orchestrator.incident.model import STATES, Target, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from orchestrator.documents import Json, Spec
    from orchestrator.incident.journal import Line

_LONGEST = 300
_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
ENDS = {
    0: "all that was found is proven dead",
    1: "something lives on",
    2: "nothing is known to live, but not all of it is proven dead",
}


def plain(value: Json) -> str:
    r"""A value of a server on one line, with nothing in it that a reader cannot see.

    >>> plain("pay\nments \u202e!")
    'pay ments \\u202e!'
    """
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return "".join(_seen(one) for one in " ".join(text.split()))


def _seen(one: str) -> str:
    return f"\\u{ord(one):04x}" if unicodedata.category(one) in _HIDDEN else one


def short(value: Json) -> str:
    """The same, cut where it is long."""
    text = plain(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def counted(count: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(1, "SecretID"), counted(3, "key pair")
    ('1 SecretID', '3 key pairs')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def enumerated(counts: Mapping[str, int]) -> str:
    """So many of this, and so many of that.

    >>> enumerated({"token": 12, "SecretID": 1, "key": 2}), enumerated({})
    ('1 SecretID, 2 keys and 12 tokens', 'nothing')
    """
    *most, last = [counted(count, what) for what, count in sorted(counts.items())] or ["nothing"]
    return f"{', '.join(most)} and {last}" if most else last


def moment(at: str) -> str:
    """A line's time as people read it, in UTC.

    >>> moment("2026-11-21T03:12:04.500+00:00")
    '2026-11-21 03:12:04.500'
    """
    return at.replace("T", " ").removesuffix("+00:00")


def seconds(before: str, after: str) -> float:
    return (datetime.fromisoformat(after) - datetime.fromisoformat(before)).total_seconds()


def lasting(duration: float) -> str:
    """How long something took.

    >>> lasting(4.26), lasting(200), lasting(7500)
    ('4.3 s', '3 min 20 s', '2 h 5 min')
    """
    if duration < 120:  # noqa: PLR2004 - two minutes are still read as seconds
        return f"{duration:.1f} s"
    minutes, rest = divmod(round(duration), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def targets(said: Iterable[Spec]) -> list[str]:
    return [plain(str(Target(one["sort"], one["value"], one.get("namespace", "")))) for one in said]


def sentence(line: Line) -> str:
    """What a line of the journal says; values of servers are made harmless by `plain`."""
    try:
        return SAYS[line.what](line.data) if line.what in SAYS else _generic(line)
    except (KeyError, TypeError, AttributeError, ValueError):
        return _generic(line)


def _generic(line: Line) -> str:
    told = "; ".join(f"{plain(name)}: {short(value)}" for name, value in sorted(line.data.items()))
    return f"{plain(line.what)}{f' ({told})' if told else ''}"


def _inside(data: Spec) -> str:
    return within(plain(data.get("namespace") or ""))


def _agreed(data: Spec) -> str:
    second = f", approved by {plain(data['approved_by'])}" if data.get("approved_by") else ""
    return (
        f"{plain(data['who'])} agreed to cut {', '.join(targets(data['targets']))}, "
        f"on {plain(data['server'])}, digest {plain(data['digest'])}{second}"
    )


def _names(data: Spec) -> str:
    return ", ".join(plain(one) for one in data["facts"])


def _closing(data: Spec) -> str:
    if data.get("lasts"):
        return f"turning over {plain(data['title'])}{_inside(data)}, for good"
    was = "where nothing stood before" if data["before"] is None else "what stood there is recorded"
    return f"shutting {plain(data['title'])}{_inside(data)}: {was}"


def _found(data: Spec) -> str:
    hung = sum(count for *_, count in data.get("leases") or ())
    leases = f"; {counted(hung, 'lease')} where the tokens could have asked for one" if hung else ""
    spared = f"; spared: {'; '.join(plain(one) for one in data['spared'])}" if data.get("spared") else ""
    return f"found alive: {enumerated(data['counts'])}; {counted(data['tokens'], 'token')} looked at{leases}{spared}"


def _revoking(data: Spec) -> str:
    return f"revoking {enumerated(Counter(plain(what) for what, *_ in data['credentials']))}"


def _revoked(data: Spec) -> str:
    refused = [f"{plain(one)}: {plain(why)}" for one, why in data["refused"].items()]
    return f"{data['count']:,} revoked" + (f"; refused: {short('; '.join(refused))}" if refused else "")


def _looked(data: Spec) -> str:
    alive = f"{data['alive']:,} alive" if data["alive"] else "nothing is alive"
    more = ((data.get("late"), "came to light only now"), (data.get("overdue"), "past their end"))
    told = [f"{count:,} {what}" for count, what in more if count]
    return f"looked again, round {data['round']}: {alive}" + (f" ({'; '.join(told)})" if told else "")


def _cut(data: Spec) -> str:
    late = f"{data['late']:,} of them made meanwhile, " if data["late"] else ""
    left = f"{len(data['left']):,} live on" if data["left"] else "none is left"
    return f"{data['ended']:,} cut in {counted(data['rounds'], 'round')}, {late}{left}"


def _proved(data: Spec) -> str:
    states: Counter[str] = Counter()
    for one in data["proofs"]:
        states[STATES[one["dead"]].lower()] += one["count"]
    return f"tried again: {', '.join(f'{count:,} {state}' for state, count in states.items()) or 'nothing'}"


def _logged(data: Spec) -> str:
    more = f", {data['more']:,} more are not kept" if data["more"] else ""
    unasked = f"; {counted(data['tokens_not_asked'], 'token')} not asked for" if data["tokens_not_asked"] else ""
    broken = f"; {counted(data['broken'], 'line')} could not be read" if data["broken"] else ""
    of = f"the log of audit device {plain(data['device'])}, {counted(data['lines_read'], 'line')}"
    return (
        f"kept {counted(data['lines'], 'line')} about {counted(data['tokens'], 'token')} of {of}{more}{unasked}{broken}"
    )


def _step(data: Spec) -> str:
    title, words, number = plain(data["title"]), plain(data["words"]), data["number"]
    if data["state"] == "begins":
        return f"step {number} begins: {title}"
    return f"step {number}, {title}: {plain(data['state'])}, {words}, by {plain(data['who'])}"


def _walked(data: Spec) -> str:
    skipped = f", {len(data['skipped'])} of them skipped" if data["skipped"] else ""
    return f"runbook {plain(data['runbook'])}: all {data['done']} steps are behind us{skipped}"


def _turn(data: Spec) -> str:
    """What is turned: `turn.Turn.key`, its namespace first."""
    namespace, title, what = data["key"]
    return f"the {plain(what)} of {plain(title)}{_inside({'namespace': namespace})}"


def _hooks(data: Spec) -> str:
    return f", with hooks of {', '.join(map(plain, data['hooks']))}" if data["hooks"] else ""


def _called(data: Spec) -> str:
    said = f": {plain(data['why'])}" if data["why"] else ""
    return f"the hook of {plain(data['title'])} ended with {data['code']} after {data['seconds']} s{said}"


SAYS: Mapping[str, Callable[[Spec], str]] = {
    "runbook": lambda data: f"{plain(data['who'])} began runbook {plain(data['runbook'])}: {plain(data['title'])}",
    "answer": lambda data: f"{plain(data['who'])} answered {plain(data['name'])}: {plain(data['answer'])}",
    "step": _step,
    "walked": _walked,
    "agreed": _agreed,
    "closing": _closing,
    "closed": lambda data: f"{plain(data['title'])}{_inside(data)} is shut, and was seen to be",
    "found": _found,
    "revoking": _revoking,
    "revoked": _revoked,
    "planted": lambda data: f"{plain(data['key'][0])} {plain(data['key'][-1])}: kept for its proof: {_names(data)}",
    "settling": lambda data: f"{plain(data['path'])} is asked to put this into effect{_inside(data)}",
    "bringing": lambda data: f"the KRL that hosts have so far was kept as {plain(data['file'])}",
    "writing": lambda data: f"{plain(data['file'])} was written for hosts to load, SHA-256 {plain(data['sha256'])}",
    "looked again": _looked,
    "cut": _cut,
    "proved": _proved,
    "logged": _logged,
    "not logged": lambda data: f"no lines of an audit log were kept: {plain(data['why'])}",
    "accounts": lambda data: f"{plain(data['connection'])}{_inside(data)}: the accounts there are recorded",
    "ending sessions": lambda data: f"ending {counted(len(data['sessions']), 'session')} of cut accounts",
    "ended sessions": lambda data: f"{counted(data['count'], 'session')} ended, {len(data['left'])} left",
    "turning": lambda data: f"turning {_turn(data)}",
    "turned": lambda data: f"{_turn(data)} is turned",
    "not turned": lambda data: f"{_turn(data)} is not turned: {plain(data['why'])}",
    "reissuing": lambda data: f"replacing what was cut{_hooks(data)}",
    "issuing": lambda data: f"issuing a new SecretID of {plain(data['title'])}, wrapped",
    "issued": lambda data: f"a new one of {plain(data['title'])} waits, wrapped, till {plain(data['until'])}",
    "not issued": lambda data: f"none was issued for {plain(data['title'])}: {plain(data['why'])}",
    "not taken back": lambda data: f"a wrapped one could not be taken back: {plain(data['why'])}",
    "calling": lambda data: f"calling the owner's hook of {plain(data['title'])}",
    "called": _called,
    "handed": lambda data: f"the new one of {plain(data['title'])} was handed to whoever ran this",
    "reissued": lambda data: f"replaced; {counted(len(data['by_hand']), 'thing')} left to do by hand",
    "finished": lambda data: f"finished: {ENDS[data['code']]}",
    "resumed": lambda data: f"{plain(data['who'])} goes on where it was broken off",
    "undoing": lambda data: f"{plain(data['who'])} opens again {', '.join(map(plain, data['closes']))}",
    "reopened": lambda data: f"{plain(data['title'])}{_inside(data)} is open again",
    "left shut": lambda data: f"{plain(data['title'])}{_inside(data)} stays shut: {data['holder']} holds it shut too",
}
