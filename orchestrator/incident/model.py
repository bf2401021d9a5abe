"""The words of an incident: what leaked, what is shut, what is cut, and what is proven."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.live.bulk import Ask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.documents import Json, Spec


def within(namespace: str) -> str:
    """The namespace as the end of a sentence; nothing for the root."""
    return f" in namespace {namespace}" if namespace else ""


NOBODY = "nobody declared it"  # who owns what the YAML does not know


class Gone(StrongroomError):  # noqa: N818 - the name is the sentence: what was named is gone
    """There is no such thing on the server (any more)."""


@dataclass(frozen=True, order=True)
class Target:
    """One thing that is said to have leaked; its value is fit to be shown, a token is told by its accessor."""

    sort: str  # the flag that names it: "role", "accessor"
    value: str
    namespace: str = ""  # from the root
    below: bool = False  # and in every namespace below it

    def __str__(self) -> str:
        return f"{self.sort} {self.value}{within(self.namespace)}{' and all below' if self.below else ''}"


@dataclass(frozen=True)
class Look:
    """How to see whether a credential lives: a request, and what its answer says of a dead one."""

    ask: Ask
    gone: tuple[str, ...] = ()
    flag: str = ""
    lives: tuple[str, ...] = ()  # words by which the request is refused though it lives
    past: str = ""  # what the answer holds, a number greater than `version`, of one that is dead
    version: int = 0


UNSEEN = Look(Ask("", ""))  # nothing on the server tells of it


@dataclass(frozen=True)
class Credential:
    """One thing that a thief could use. Nothing in it is a secret."""

    what: str
    id: str
    namespace: str
    source: str  # the title of what gave it out
    end: Ask | None  # None for one that nothing ends but time
    look: Look
    facts: Mapping[str, Json] = field(default_factory=dict)  # what the server tells of it
    proof: str = ""
    stays: str = ""  # why nothing ends it, as half a sentence
    then: Ask | None = None  # puts the end into effect, once for all that have the same
    file: str = ""  # `module:function`: what writes the file that ends it where no request does
    plant: str = ""  # `module:function`: what makes, before anything is shut, the facts that the proof needs

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same one in two looks."""
        return self.what, self.namespace, self.id

    def document(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def of(cls, document: Spec) -> Credential:
        """The one that a journal holds."""
        asks = {name: Ask(*document[name]) if document[name] else None for name in ("end", "then")}
        look = document["look"]
        words = {name: tuple(look[name]) for name in ("gone", "lives")}
        return cls(**{**document, **asks, "look": Look(**{**look, **words, "ask": Ask(*look["ask"])})})


@dataclass(frozen=True)
class Rule:
    """Which tokens of a namespace are cut: those of whose lookup `matches` says so."""

    source: str
    namespace: str
    matches: Callable[[Spec], bool]
    proof: str = ""  # what tries again, besides a look, once they are cut: `module:function`


@dataclass(frozen=True)
class Lister:
    """A list of credentials that are cut, and what to make of each of its keys.

    Where it holds others' too, each is looked at: `fits` tells by the answer whether it may be cut, and its facts.
    """

    path: str
    namespace: str
    made: Callable[[str], Credential]
    fits: Callable[[Spec], tuple[bool, Spec]] | None = None


@dataclass(frozen=True)
class Close:
    """One thing that is shut, so that nothing new comes out of it: a document that gets other settings.

    Where nothing stands at the path it is made, and undoing it deletes it again.
    """

    title: str
    namespace: str
    path: str
    change: Mapping[str, Json]
    stops: str  # what no longer works, as half a sentence
    whole: bool = False  # a write that leaves out a setting would reset it
    fixed: frozenset[str] = frozenset()  # but for these, which no write may carry
    soft: bool = False  # holds back instead of shutting
    sent: Mapping[str, Callable[[Json], Json]] = field(default_factory=dict)  # how a request takes what answers hold
    opens: bool = False  # once all is cut it may be opened again: nothing that a thief still has fits it
    to: str = ""  # where it is written, when that is not where it is read
    least: bool = False  # a greater number is as good
    needed: bool = False  # the cut needs it, whichever way of shutting is asked for
    lasting: bool = False  # the request alone brings it about, and nothing undoes it
    keeps: tuple[str, ...] = ()  # settings that an undo puts back besides

    @property
    def place(self) -> tuple[str, str]:
        """What makes it the same one when it is said again."""
        return self.namespace, self.to or self.path


@dataclass(frozen=True)
class Accounts:
    """What an object made, or keeps, in a system behind the server; `witness` asks that system about them."""

    witness: str  # `module:function`
    key: str  # the YAML key of the object
    title: str
    namespace: str
    mount: str
    name: str
    only: str = ""  # the one account that leaked


@dataclass(frozen=True)
class Turn:
    """Something new in place of what leaked."""

    title: str
    namespace: str
    what: str
    ask: Ask
    ends: bool = False  # it cuts the leak; else it only follows one
    wrapped: bool = False  # what it answers goes out wrapped
    stamp: tuple[str, str] = ("", "")
    stops: str = ""
    warns: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.namespace, self.title, self.what


@dataclass(frozen=True)
class Scope:
    """What hangs on the leak: decided once, counted again and again."""

    closes: tuple[Close, ...] = ()
    rules: tuple[Rule, ...] = ()
    listers: tuple[Lister, ...] = ()
    singles: tuple[Credential, ...] = ()
    accounts: tuple[Accounts, ...] = ()
    turns: tuple[Turn, ...] = ()
    notes: tuple[str, ...] = ()  # what cannot be told, or not be cut
    unproven: tuple[Proof, ...] = ()  # what may live on, and nobody can say

    def __add__(self, other: Scope) -> Scope:
        return Scope(
            closes=tuple({one.place: one for one in (*self.closes, *other.closes)}.values()),
            rules=(*self.rules, *other.rules),
            listers=(*self.listers, *other.listers),
            singles=tuple({one.key: one for one in (*self.singles, *other.singles)}.values()),
            accounts=tuple(dict.fromkeys((*self.accounts, *other.accounts))),
            turns=tuple({one.key: one for one in (*self.turns, *other.turns)}.values()),
            notes=(*self.notes, *(note for note in other.notes if note not in self.notes)),
            unproven=tuple(dict.fromkeys((*self.unproven, *other.unproven))),
        )


Leases = tuple[tuple[str, str, int], ...]  # how many, by namespace and path


@dataclass(frozen=True)
class Blast:
    """What was found alive, and what was looked through to find it."""

    credentials: tuple[Credential, ...]
    tokens: int  # how many tokens were looked at
    requests: int
    seconds: float = 0.0  # how long it took
    leases: Leases = ()  # at the paths where the tokens could have got one
    orphans: tuple[Credential, ...] = ()  # tokens that somebody made without a parent, and that no rule names
    children: tuple[Credential, ...] = ()  # tokens that somebody made, with a parent, and that no rule names
    spared: tuple[str, ...] = ()  # what fits and is not cut, with the reason

    def __len__(self) -> int:
        return len(self.credentials)


STATES = {True: "dead", False: "ALIVE", None: "unproven"}  # of what was tried again, by `Proof.dead`


@dataclass(frozen=True)
class Proof:
    """One credential, or a class of them, tried again: dead (True), alive (False), or nobody can say (None)."""

    what: str
    title: str
    dead: bool | None
    said: str  # by whom and in which words
    count: int = 1
