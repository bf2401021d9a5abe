"""What a bulk run still has to send: fresh asks, those that go again, and those that wait for their time."""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
_LATENESS = 0.01  # how much of a delay of our own may be caught up with


@dataclass(eq=False)
class Job(Generic[T]):
    ask: T
    refused: float = 0.0  # when it was for the first time
    pause: float = FIRST_PAUSE


class Pace:
    """When the next request may go, so that there are never more than the rate says; 0 is no limit."""

    def __init__(self, rate: float, now: float) -> None:
        self.rate, self.free = rate, now

    def allowed(self, wanted: int, now: float) -> int:
        if not self.rate:
            return wanted
        self.free = max(self.free, now - _LATENESS)
        return 0 if now < self.free else min(wanted, 1 + int((now - self.free) * self.rate))

    def spend(self, count: int) -> None:
        self.free += count / self.rate if self.rate else 0


class Jobs(Generic[T]):
    """No more than `most` asks are taken and not yet answered."""

    def __init__(self, asks: Iterable[T], rate: float, most: int) -> None:
        self._asks, self._most = iter(asks), most
        self._pace = Pace(rate, time.monotonic())
        self._again: deque[Job[T]] = deque()
        self._later: list[tuple[float, int, Job[T]]] = []
        self._order = itertools.count()
        self._dry, self._taken = False, 0

    @property
    def done(self) -> bool:
        return self._dry and not self._taken

    def take(self, count: int, now: float) -> list[Job[T]]:
        """What may be sent now, the oldest first."""
        while self._later and self._later[0][0] <= now:
            self._again.append(heapq.heappop(self._later)[2])
        allowed = self._pace.allowed(count, now)
        jobs = [self._again.popleft() for _ in range(min(allowed, len(self._again)))]
        fresh = min(allowed - len(jobs), self._most - self._taken)
        if fresh > 0 and not self._dry:
            new = [Job(ask) for ask in itertools.islice(self._asks, fresh)]
            self._dry = len(new) < fresh
            self._taken += len(new)
            jobs += new
        self._pace.spend(len(jobs))
        return jobs

    def back(self, jobs: Iterable[Job[T]]) -> None:
        """Send these first, and again."""
        self._again.extendleft(reversed(list(jobs)))

    def postpone(self, job: Job[T], due: float) -> None:
        heapq.heappush(self._later, (due, next(self._order), job))

    def answered(self) -> None:
        self._taken -= 1

    def wake(self, now: float) -> float:
        """When there may be more to take than there was."""
        times = [self._later[0][0]] if self._later else []
        if self._pace.rate and self._pace.free >= now:
            times.append(self._pace.free)
        return min(times, default=float("inf"))
