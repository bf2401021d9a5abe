"""What can be done to a node from outside its API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.declared import Cluster, Node


class Control(Protocol):
    """Whoever starts and stops the nodes of one cluster. Each of it may be repeated."""

    @property
    def cluster(self) -> Cluster:
        """The cluster with every address and path as it really is."""

    def require(self, *verbs: str) -> None:
        """Raise Refused, before anything is begun, where one of these can be done to no node from here."""

    def prepare(self) -> None:
        """Have what `install` will need, and a place for every declared node; raise where that cannot be had.

        No node that runs is touched.
        """

    def install(self, node: Node) -> None:
        """Have it start next time with the program and the configuration that are declared now."""

    def start(self, node: Node) -> None:
        """Start it unless it runs; it takes connections soon after, or `why` says why not."""

    def stop(self, node: Node) -> None:
        """Stop it, so that nothing of it runs any more."""

    def runs(self, node: Node) -> bool | None:
        """Whether anything of it runs; None where that cannot be seen from here."""

    def is_current(self, node: Node) -> bool | None:
        """Whether it was started with the configuration that is declared now; None where nobody knows."""

    def wipe(self, node: Node) -> None:
        """Delete what it stored; only while it is stopped."""

    def why(self, node: Node) -> str:
        """The end of its log, for a message; empty where that cannot be read."""


class Machines(Control, Protocol):
    """Whoever also makes the machines that the nodes are on."""

    def place(self, tell: Callable[[str], None] = ...) -> None:
        """Give each node its place and its certificate, and start what stands beside the nodes."""

    def down(self) -> tuple[str, ...]:
        """Stop every node and then what stands beside them; the names of what there was."""

    def forget(self) -> None:
        """Delete all that was kept, keys and data too; only after `down`."""
