"""What a process, and each step of a run, used. CPU and memory repeat on a shared machine; wall time does not."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Spent:
    """Seconds, and gigabytes at the peak."""

    wall: float
    cpu: float
    peak: float


def measure(words: list[str], *, good: tuple[int, ...] = (0,)) -> Spent:
    """Run a process to its end. Raises CalledProcessError when its exit code is not a good one."""
    started = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in good:
        raise subprocess.CalledProcessError(process.returncode, words)
    return Spent(time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6)


def middle(spent: list[Spent]) -> Spent:
    """Median of each figure."""
    return Spent(*(median(getattr(s, name) for s in spent) for name in ("wall", "cpu", "peak")))


def read_steps(home: Path) -> dict[str, Spent]:
    """What each step of the newest run used; the peak is that of the process so far."""
    run = max((home / "runs").glob("*/results"), key=lambda path: path.stat().st_mtime)
    found: dict[str, Spent] = {}
    for path in sorted(run.glob("*/*.json")):
        stored = json.loads(path.read_text())
        step = stored.get("content", stored)
        if "cpu_seconds" in step:
            found[f"{path.parent.name}/{path.stem}"] = Spent(
                step["seconds"], step["cpu_seconds"], step["peak_gb"]
            )
    return found
