"""The words of an examination: a check, what it finds, and what it may look at."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestrator.cluster import nodes
from orchestrator.cluster.health.asking import Unknown
from orchestrator.cluster.machines import beside
from orchestrator.live import probe, trust

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from orchestrator.cluster.doctor.process import Process
    from orchestrator.cluster.health.facts import Facts
    from orchestrator.declared import Cluster, Node
    from orchestrator.documents import Json
    from orchestrator.live.probe import Said

OK, WARNING, BAD, UNKNOWN = "ok", "warning", "bad", "unknown"
NOT_OF_THIS_MACHINE = "it is another machine's; look there"
SECONDS = 2.0


@dataclass(frozen=True)
class Result:
    """What one check found at a node, or of the cluster; `fix` where something is to be done."""

    verdict: str
    evidence: str
    fix: str = ""
    about: str = ""


@dataclass(frozen=True)
class Token:
    """A living token, without anything that could be used."""

    accessor: str
    policies: tuple[str, ...]
    display_name: str
    ttl: int
    endless: bool
    period: int
    namespace: str


@dataclass(frozen=True)
class Patient:
    """What the checks look at: the facts, the leader's answers to a session, and nodes without a token."""

    root: Path
    declared: Cluster
    facts: Facts
    answers: Mapping[str, Said | Unknown]  # by path: what the leader said to the login of the cluster
    direct: Mapping[str, Said | Unknown]  # by node: the configuration, asked through this very node
    tokens: tuple[Token, ...] | Unknown
    processes: Mapping[str, Process | Unknown]
    current: Mapping[str, bool | Unknown | None]  # whether a node runs with what is declared now
    key_rotation: bool | Unknown | None  # None where a key is not turned, or not by whom we could ask

    @property
    def cluster(self) -> Cluster:
        return self.facts.cluster

    def answer(self, path: str) -> Mapping[str, Json] | Unknown:
        """What stands at a path; nothing where the server says that there is nothing."""
        said = self.answers[path]
        if isinstance(said, Unknown):
            return said
        if said.ok:
            return said.data
        return {} if said.status == probe.ABSENT else Unknown(f"{path}: {said.words}")

    def ask(self, node: Node, path: str) -> Said:
        """What a node answers to somebody without a token."""
        return probe.ask(self.cluster.url(node), path, ca=nodes.trusted(self.cluster), seconds=SECONDS)

    def header(self, node: Node, name: str) -> str | Unknown:
        """A header of the answer to a question about health; empty where there is none."""
        parts, context = urlsplit(self.cluster.url(node)), trust.context(nodes.trusted(self.cluster))
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=SECONDS, context=context)
        try:
            connection.request("GET", f"/v1/{nodes.HEALTH}")
            return connection.getresponse().headers.get(name, "")
        except (OSError, http.client.HTTPException) as error:
            return Unknown(f"{self.cluster.url(node)} breaks off ({type(error).__name__})")
        finally:
            connection.close()

    def folder(self, node: Node) -> Path | None:
        return beside.folder(self.root, self.declared, node)

    @cached_property
    def config(self) -> Mapping[str, Json] | Unknown:
        """The leader's configuration without its secrets."""
        return self.answer("sys/config/state/sanitized")

    @cached_property
    def mounts(self) -> Mapping[str, Mapping[str, Json]] | Unknown:
        """Each mount of both families by its path in the API."""
        found: dict[str, Mapping[str, Json]] = {}
        for path, prefix in (("sys/auth", "auth/"), ("sys/mounts", "")):
            said = self.answer(path)
            if isinstance(said, Unknown):
                return said
            found |= {f"{prefix}{name}": one for name, one in said.items() if isinstance(one, dict) and "type" in one}
        return found


@dataclass(frozen=True)
class Check:
    """One rule: its name for `--only`, what it asks, and how it is looked at."""

    rule: str
    question: str
    look: Callable[[Patient], Iterator[Result]]


@dataclass(frozen=True)
class Examined:
    """A check and what it found."""

    check: Check
    results: tuple[Result, ...]

    @property
    def verdict(self) -> str:
        """The worst of its results."""
        return next((word for word in (BAD, WARNING, UNKNOWN) if any(one.verdict == word for one in self.results)), OK)


def unknown(why: Unknown | str, about: str = "") -> Result:
    return Result(UNKNOWN, why.why if isinstance(why, Unknown) else why, about=about)
