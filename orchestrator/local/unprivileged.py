"""A launcher: becomes the program named on its command line, which refuses to run as root, without being root.

In a user namespace of its own the caller has another number and still owns its files. Where the system refuses root a
namespace (Docker does), it becomes an ordinary account that keeps one right of root: to reach root's files.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 8, 47, 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
REFUSED = (
    "PostgreSQL refuses to run as root, and root may neither enter a user namespace nor become another account here "
    "({reason}). Run as an ordinary user, or allow one of them (Docker: --security-opt seccomp=unconfined, or --user)."
)


def someone() -> tuple[int, int]:
    """An account that is not root; it must exist, initdb looks up its name."""
    accounts = sorted((entry for entry in pwd.getpwall() if entry.pw_uid), key=lambda entry: entry.pw_name != "nobody")
    return (accounts[0].pw_uid, accounts[0].pw_gid) if accounts else (65534, 65534)


def enter_namespace(libc: ctypes.CDLL, uid: int, gid: int) -> None:
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    _check(libc.unshare(CLONE_NEWUSER))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {outer_gid} 1")


def change_account(libc: ctypes.CDLL, uid: int, gid: int) -> None:
    _check(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    kept = 1 << CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(
        kept, kept, kept, 0, 0, 0
    )  # effective, permitted, inheritable; then their upper halves
    _check(libc.capset(header, sets))
    _check(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0))


def cease_to_be_root() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        enter_namespace(libc, *someone())
    except OSError:
        change_account(libc, *someone())


def _check(answer: int) -> None:
    if answer != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def main(*command: str) -> None:
    try:
        cease_to_be_root()
    except (OSError, AttributeError) as error:  # AttributeError: no unshare outside Linux
        sys.exit(REFUSED.format(reason=error))
    os.execv(command[0], command)  # noqa: S606 - a list, and no shell


if __name__ == "__main__":
    main(*sys.argv[1:])
