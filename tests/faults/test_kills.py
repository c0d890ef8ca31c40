"""A run killed at every operation, processes at once, readers during writers: nothing torn, missing or mixed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SHARES = 2  # one per core


def nursery(*arguments: object) -> subprocess.Popen[str]:
    """Start the helper process in which children may be forked."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", HERE / "nursery.py", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": f"{ROOT}:{HERE}", "POLARS_MAX_THREADS": "1", "PATH": ""},
    )


def answer(process: subprocess.Popen[str]) -> dict:
    out, err = process.communicate(timeout=1200)
    assert process.returncode == 0, err
    return json.loads(out)


def test_a_run_killed_at_any_operation_leaves_the_last_snapshot_and_a_plain_rerun_finishes(tmp_path):
    processes = []
    for share in range(SHARES):
        folder = tmp_path / str(share)
        folder.mkdir()
        processes.append(nursery("kill", folder, share, SHARES))
    found = [answer(p) for p in processes]
    assert [p for f in found for p in f["problems"]] == []
    # a floor under the number of places, so that the seam can't quietly be bypassed
    assert sum(f["kills"] for f in found) >= 120
    assert all(f["both_seen"] for f in found)


def test_processes_at_once_in_one_home_make_one_snapshot(tmp_path):
    found = answer(nursery("race", tmp_path, 4))
    assert found["codes"] == [0, 0, 0, 0]
    assert found["problems"] == []
    assert len(found["hashes"]) == 1
    assert found["snapshots"] == 1
    assert found["leftovers"] == []


@pytest.mark.parametrize("reads", [2_000])
def test_readers_during_four_writers_see_whole_snapshots_of_one_generation(tmp_path, reads):
    found = answer(nursery("readers", tmp_path, 4, reads))
    assert found["problems"] == []
    assert found["reads"] >= reads
    assert found["generations_seen"] > 5
