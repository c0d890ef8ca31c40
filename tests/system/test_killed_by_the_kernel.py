"""kill -9 in the middle of real system calls, by strace: what the seam's own kills (tests/faults) can't show.

Only `.ci/run` collects this folder. A missing capability fails here; it is never skipped.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pipelines.warehouse.runs import Runs, State
from pipelines.warehouse.snapshots import latest_snapshot, verify
from tests.faults import small_run

ROOT = Path(__file__).parents[2]
CALLS = "link,linkat,rename,renameat,renameat2,symlink,symlinkat,fsync,mkdir,write,pwrite64"
MOST_PER_CALL = 16
STRACED = "import sys; from pathlib import Path; from tests.faults.small_run import run; run(Path(sys.argv[1]), int(sys.argv[2]))"


def strace(home: Path, generation: int, *options: str) -> int:
    """Run the small job below strace; returns its exit code, minus the signal where it was killed."""
    command = ["strace", "-f", "-qq", *options, sys.executable, "-c", STRACED, str(home), str(generation)]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "POLARS_MAX_THREADS": "1",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=1200)
    return done.returncode if done.returncode <= 128 else 128 - done.returncode


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one published snapshot."""
    home = tmp_path_factory.mktemp("base") / "home"
    small_run.run(home, 1)
    return home


def count_calls(base: Path, folder: Path) -> dict[str, int]:
    """How often the busiest thread of a clean run makes each call; strace counts per thread."""
    home, log = folder / "counted", folder / "calls.txt"
    shutil.copytree(base, home, symlinks=True)
    assert strace(home, 2, "-e", f"trace={CALLS}", "-o", str(log)) == 0
    counts = Counter(re.findall(r"^(\d+) +(\w+)\(", log.read_text(), re.MULTILINE))
    return {call: max(n for (_, name), n in counts.items() if name == call) for _, call in counts}


def test_a_kill_in_any_system_call_leaves_the_last_snapshot_and_a_plain_rerun_finishes(
    base: Path, tmp_path: Path
) -> None:
    calls = count_calls(base, tmp_path)
    assert {"link", "rename", "fsync", "symlink", "mkdir"} <= set(calls)
    clean = tmp_path / "counted"
    old, new = small_run.content(latest_snapshot(base)), small_run.content(latest_snapshot(clean))
    kills, seen = 0, set()
    for call, number in sorted(calls.items()):
        for k in range(1, number + 1, -(-number // MOST_PER_CALL)):
            home = tmp_path / f"{call}-{k}"
            shutil.copytree(base, home, symlinks=True)
            options = ("-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={k}", "-o", os.devnull)
            code = strace(home, 2, *options)
            assert code in (-9, 0), (call, k)
            kills += code == -9
            assert verify(home) == [], (call, k)
            found = small_run.content(latest_snapshot(home))
            assert found in {old, new}, (call, k)
            seen.add(found)
            small_run.run(home, 2)
            assert (verify(home), small_run.content(latest_snapshot(home))) == ([], new), (call, k)
            Runs(home).reap_dead()
            assert all(run.state is not State.STARTED for run in Runs(home).all()), (call, k)
            shutil.rmtree(home)
    assert kills >= 50
    assert seen == {old, new}
