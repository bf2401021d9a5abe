"""The files of `runbooks/`, each read to a Runbook, or to every mistake in it with its place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.catalog import CATALOG
from orchestrator.config import source
from orchestrator.config.words import meant
from orchestrator.declared import Where
from orchestrator.errors import ConfigInvalid, Problem, StrongroomError
from orchestrator.incident.runbooks import drills
from orchestrator.incident.runbooks.runbook import DOES, FOLDER, KINDS, NONE, Question, Runbook, Step, placeholders
from orchestrator.incident.scope import CLOSES, SORTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from orchestrator.config.source import Node

HEADINGS = ("Meaning", "Impact", "Diagnosis", "Mitigation", "Proof")
WORDS = ("title", "targets", "asks", "close", "steps", "proofs", "tell", "drill", "because", "drilled")
_REQUIRED = ("title", "close", "steps", "tell", "drill")
_STAMP = ("at", "server", "seconds", "result")
_HEADING = re.compile(r"^## (.+?)\s*$")


def files(root: Path) -> list[Path]:
    return sorted((root / FOLDER).glob("*.md"))


def problems(root: Path) -> list[Problem]:
    """All that is wrong with the runbooks of a project."""
    found: list[Problem] = []
    for path in files(root):
        Sheet(path, found).read()
    return found


def load_all(root: Path) -> list[Runbook]:
    """Every runbook, right; ConfigInvalid with every mistake of all of them otherwise."""
    found: list[Problem] = []
    read = [Sheet(path, found).read() for path in files(root)]
    if found:
        raise ConfigInvalid(found)
    return [one for one in read if one]


def load(root: Path, name: str) -> Runbook:
    """The runbook of that name."""
    path = root / FOLDER / f"{name}.md"
    if path not in files(root):
        raise StrongroomError(f"runbook {name}: there is none; {meant(name, [one.stem for one in files(root)])}")
    found: list[Problem] = []
    read = Sheet(path, found).read()
    if read is None or found:
        raise ConfigInvalid(found)
    return read


def _classes() -> set[str]:
    """The classes of credentials that an incident may prove dead."""
    given = {gives.what for kind in CATALOG.values() for one in kind.objects for gives in one.gives}
    return given.union(*(leak.proofs for kind in CATALOG.values() for leak in kind.leaks.values()))


class Sheet:
    """One file on its way to a Runbook; what is wrong goes into `problems`."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        self.path, self.file, self.problems = path, f"{FOLDER}/{path.name}", problems

    def read(self) -> Runbook | None:
        before = len(self.problems)
        parts = source.front_matter(self.path, self.file, self.problems)
        if parts is None:
            return None
        front, body = parts
        self._headings(body)
        if not isinstance(front.value, dict):
            self._wrong(front.where, f"expected a map with {', '.join(_REQUIRED)}")
            return None
        self._known(front, WORDS, _REQUIRED)
        found = self._runbook(front)
        self._whole(front, found)
        return found if len(self.problems) == before else None

    def _runbook(self, front: Node) -> Runbook:
        stamp = front.get("drilled")
        if stamp:
            self._known(stamp, _STAMP, _STAMP)
        return Runbook(
            self.path.stem,
            self._text(front, "title"),
            tuple(self._question(name, node) for name, node in self._map(front, "asks")),
            tuple(self._targets(front)),
            self._word(front, "close", CLOSES),
            tuple(self._step(number, node) for number, node in enumerate(self._list(front, "steps"), 1)),
            tuple(self._words(front, "proofs", _classes())),
            tuple(self._texts(front, "tell")),
            self._word(front, "drill", {NONE, *drills.names()}),
            self._text(front, "because"),
            stamp.plain() if stamp else {},
        )

    def _question(self, name: str, node: Node) -> Question:
        self._known(node, ("question", "kind", "example", "optional"), ("question", "kind", "example"))
        optional = node.get("optional")
        kind = self._word(node, "kind", KINDS)
        made = Question(
            name, self._text(node, "question"), kind, self._text(node, "example"), bool(optional and optional.value)
        )
        if kind in KINDS and made.example and (wrong := made.wrong(made.example)):
            self._wrong(node.where, wrong)
        return made

    def _step(self, number: int, node: Node) -> Step:
        self._known(node, ("do", "say", "run", "see"), ())
        does, says = node.get("do"), node.get("say")
        if (does is None) == (says is None):
            self._wrong(node.where, "a step has either `do:`, a command of ours, or `say:`, what a person does")
        if does and (node.get("run") or node.get("see")):
            self._wrong(node.where, "`run:` and `see:` belong to a step with `say:`")
        do = self._word(node, "do", DOES) if does else ""
        return Step(number, do, self._text(node, "say"), tuple(self._texts(node, "run")), self._text(node, "see"))

    def _targets(self, front: Node) -> Iterator[tuple[str, str]]:
        for sort, node in self._map(front, "targets"):
            if sort not in SORTS:
                self._wrong(
                    front.value["targets"].keys[sort], f"{sort}: no flag of `invoke revoke`; {meant(sort, SORTS)}"
                )
            for one in node.texts():
                yield sort, one.value

    def _whole(self, front: Node, found: Runbook) -> None:
        """What one key says must fit what the others say."""
        texts = [
            *((value, "targets") for _, value in found.targets),
            *((text, "steps") for one in found.steps for text in (one.say, one.see, *one.run)),
            *((text, "tell") for text in found.tell),
        ]
        asked = {one.name for one in found.questions}
        used = {name for text, key in texts for name in self._filled(front, key, text)}
        for name in sorted(used - asked - {"incident", "environment"}):
            self._wrong(front.where, f"{{{name}}} is used, and `asks:` has no {name}")
        for name in sorted(asked - used):
            self._wrong(front.value["asks"].keys[name], f"{name} is asked for, and used nowhere")
        cuts = any(one.do == "revoke" for one in found.steps)
        if cuts != bool(found.targets) or cuts != bool(found.proofs):
            self._wrong(front.where, "`targets:`, `proofs:` and a step `do: revoke` come together, or none of them")
        if (found.drill == NONE) != bool(found.because):
            self._wrong(front.where, "`because:` says why `drill: none`, and stands with it alone")

    def _filled(self, front: Node, key: str, text: str) -> list[str]:
        try:
            return placeholders(text)
        except ValueError as error:
            self._wrong(self._at(front, key), f"{text!r}: {error}; write {{{{ for a brace")
            return []

    def _headings(self, body: str) -> None:
        lines = body.split("\n")
        at = {match[1]: number for number, line in enumerate(lines, 1) if (match := _HEADING.match(line))}
        if tuple(at) != HEADINGS:
            wanted = ", ".join(HEADINGS)
            self._wrong(Where(self.file, 1, 1), f"the headings (##) are {', '.join(at) or 'none'}; expected {wanted}")
            return
        ends = [*list(at.values())[1:], len(lines) + 1]
        for (name, start), end in zip(at.items(), ends, strict=True):
            if not any(line.strip() for line in lines[start : end - 1]):
                self._wrong(Where(self.file, start, 1), f"nothing stands under {name}")

    def _known(self, node: Node, keys: Iterable[str], required: Iterable[str]) -> None:
        if not isinstance(node.value, dict):
            self._wrong(node.where, f"expected a map with {', '.join(keys)}")
            return
        for key in node.value:
            if key not in keys:
                self._wrong(node.keys[key], f"{key}: no word of a runbook here; {meant(key, keys)}")
        for key in required:
            if key not in node.value:
                self._wrong(node.where, f"{key} is missing")

    def _text(self, node: Node, key: str) -> str:
        found = node.get(key)
        if found is None:
            return ""
        if not isinstance(found.value, str) or not found.value.strip():
            self._wrong(found.where, f"{key}: expected a text")
            return ""
        return found.value.strip()

    def _texts(self, node: Node, key: str) -> list[str]:
        """A text, or a list of them."""
        found = node.get(key)
        if found is None:
            return []
        every = found.value if isinstance(found.value, list) else [found]
        good = [one.value for one in every if isinstance(one.value, str) and one.value.strip()]
        if not every or len(good) != len(every):
            self._wrong(found.where, f"{key}: expected a text, or a list of texts")
        return good

    def _word(self, node: Node, key: str, known: Iterable[str]) -> str:
        said = self._text(node, key)
        if said and said not in known:
            self._wrong(self._at(node, key), f"{key}: {said!r} is not known; {meant(said, known)}")
        return said

    def _words(self, node: Node, key: str, known: set[str]) -> list[str]:
        said = self._texts(node, key)
        for one in said:
            if one not in known:
                self._wrong(self._at(node, key), f"{key}: {one!r} is not known; {meant(one, known)}")
        return said

    def _map(self, node: Node, key: str) -> Iterable[tuple[str, Node]]:
        found = node.get(key)
        if found and not isinstance(found.value, dict):
            self._wrong(found.where, f"{key}: expected a map")
        return list(found.items()) if found else []

    def _list(self, node: Node, key: str) -> list[Node]:
        found = node.get(key)
        if found and not (isinstance(found.value, list) and found.value):
            self._wrong(found.where, f"{key}: expected a list of steps")
            return []
        return list(found.value) if found else []

    def _at(self, node: Node, key: str) -> Where:
        found = node.get(key)
        return found.where if found else node.where

    def _wrong(self, where: Where, message: str) -> None:
        self.problems.append(source.problem(where, message))
