"""Many questions at once, none of which may hold up the answer."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True)
class Unknown:
    """A question without an answer, which is neither yes nor no."""

    why: str


def within(seconds: float, questions: Mapping[K, Callable[[], T]]) -> dict[K, T | Unknown]:
    """What each question gives before the deadline; Unknown for one that fails or is late.

    The threads are daemons: what hangs may not keep the program from ending.
    """
    done: queue.SimpleQueue[tuple[K, T | Unknown | BaseException]] = queue.SimpleQueue()
    for key, question in questions.items():
        threading.Thread(target=_put, args=(done, key, question), daemon=True).start()
    deadline = time.monotonic() + seconds
    found: dict[K, T | Unknown] = dict.fromkeys(questions, Unknown(f"no answer within {seconds:.0f} s"))
    for _ in questions:
        try:
            key, answer = done.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            break
        if isinstance(answer, BaseException):
            raise answer
        found[key] = answer
    return found


def _put(
    done: queue.SimpleQueue[tuple[K, T | Unknown | BaseException]], key: K, question: Callable[[], T | Unknown]
) -> None:
    try:
        done.put((key, question()))
    except (StrongroomError, OSError) as error:
        done.put((key, Unknown(str(error))))
    except BaseException as error:  # noqa: BLE001 - a bug is raised where the question was put
        done.put((key, error))
