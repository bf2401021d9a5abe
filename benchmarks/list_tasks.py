"""How long `invoke --list` takes, as a ratio to a Python that does nothing. Run: python benchmarks/list_tasks.py."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TURNS = 15


def median_seconds(*words: str) -> float:
    return statistics.median(_seconds(words) for _ in range(TURNS))


def _seconds(words: tuple[str, ...]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    nothing, listing = median_seconds("-c", "pass"), median_seconds("-m", "invoke", "--list")
    print(f"python -c pass  {nothing * 1000:6.0f} ms")
    print(f"invoke --list   {listing * 1000:6.0f} ms   {listing / nothing:.1f} times")
