"""What an error tells of the request that it answers; for whoever asks a server, so with few imports."""

from __future__ import annotations

PATIENCE = 30.0  # seconds within which what may be sent again is: an election takes a few of them
_ELECTION = 10.0  # for what took longer than that, and was lost then
CLUSTER = "STRONGROOM_CLUSTER"  # the variable that names a cluster whose nodes take over from each other
UPGRADING = "Upgrading from non-versioned to versioned data"
NO_LEADER_YET = "local node not active"
SEALED = "is sealed"
CANCELED = "context canceled"
_LEADERLESS = ("leader", "shutdown", "standby mode", CANCELED)
_UNTOUCHED = {412, 429}
_UNANSWERED = {502, 503, 504}
_REDIRECT, _SEALED = 307, 503
_REFUSED, _FAILED = 400, 500


def deadline(began: float, now: float) -> float:
    """Till when a request that began then, and failed for the first time now, is sent again."""
    return max(began + PATIENCE, now + min(PATIENCE, _ELECTION))


def did_nothing(status: int, said: str) -> bool:
    """Whether even a write may be sent again: a rate limit, a standby that lags or knows no leader, a KV upgrade.

    >>> did_nothing(429, ""), did_nothing(500, "local node not active but active cluster node not found")
    (True, True)
    >>> did_nothing(503, "Vault is sealed"), did_nothing(500, "leadership lost while committing log")
    (False, False)
    """
    if status == _REFUSED:
        return UPGRADING in said
    return status in _UNTOUCHED or (status == _FAILED and NO_LEADER_YET in said)


def is_unclear(status: int, said: str) -> bool:
    """Whether the leader was lost in the middle: the request may have been carried out, or not, or in part.

    >>> is_unclear(500, "leadership lost while committing log"), is_unclear(502, "")
    (True, True)
    >>> is_unclear(503, "Vault is sealed"), is_unclear(400, "path is already in use at kv/")
    (False, False)
    """
    if status == _REFUSED:
        return CANCELED in said
    if status == _FAILED:
        return any(word in said for word in _LEADERLESS)
    return status in _UNANSWERED and SEALED not in said and "locked" not in said


def is_displaced(status: int, said: str) -> bool:
    """Whether a node of a cluster answers that does not serve any more, though another one will.

    It is sealed, or sends to a leader that it knows from before: it may have asked that one in vain.
    """
    return status == _REDIRECT or (status == _SEALED and said.endswith(SEALED))
