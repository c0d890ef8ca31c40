"""A disk that is really full: a small tmpfs in a mount namespace of its own. `.ci/run` only; needs root, and fails without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]


def on_small_disk(folder: Path, megabytes: int, code: str) -> dict[str, object]:
    """Run Python with `disk`, a mounted tmpfs of that size; returns the dictionary `said` that the code leaves behind."""
    disk = folder / "disk"
    disk.mkdir()
    script = "\n".join(
        [
            "import json, sys",
            "from pathlib import Path",
            f"disk = Path({str(disk)!r})",
            textwrap.dedent(code),
            "print(json.dumps(said))",
        ]
    )
    mount = f'mount -t tmpfs -o size={megabytes}m tmpfs "{disk}" && exec "$0" -c "$1"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", mount, sys.executable, script],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(folder)},
        capture_output=True, text=True, check=False, timeout=1200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_a_full_disk_changes_nothing_published_and_says_what_to_do(tmp_path: Path) -> None:
    """From no free page to enough for everything, four kilobytes at a time."""
    said = on_small_disk(
        tmp_path,
        1,
        """
        from pipelines.warehouse.files import StorageError
        from pipelines.warehouse.snapshots import latest_snapshot, verify
        from tests.faults.small_run import content, run

        home, filler = disk / "home", disk / "filler"
        run(home, 1)
        said = {"failed": 0, "published": 0, "problems": []}
        for free in range(0, 260, 4):
            before = content(latest_snapshot(home))
            filler.write_bytes(b"")
            with filler.open("ab", buffering=0) as file:
                try:
                    while file.write(b"x" * 4096):
                        pass
                except OSError:
                    pass
            with filler.open("ab") as file:
                file.truncate(max(0, filler.stat().st_size - 1024 * free))
            try:
                run(home, 2 + free, run_id=f"run-{free}")
                said["published"] += 1
            except StorageError as error:
                said["failed"] += 1
                if "free some space" not in str(error):
                    said["problems"].append(str(error))
                after = latest_snapshot(home)
                # an error after the flip leaves the new snapshot, complete
                if content(after) != before and after.run_id != f"run-{free}":
                    said["problems"].append(f"{free}: changed")
            except OSError as error:
                # the record of the run itself found no room
                said["problems"].append(f"{free}: {error!r}")
            if verify(home):
                said["problems"].append(f"{free}: {verify(home)}")
            if said["published"]:
                break
        filler.unlink()
        run(home, 9_999)
        said["problems"] += verify(home)
        """,
    )
    assert said["problems"] == []
    assert said["failed"] >= 3
    assert said["published"] == 1


def test_the_command_on_a_full_disk_ends_with_one_line_that_helps_and_exit_1(tmp_path: Path) -> None:
    said = on_small_disk(
        tmp_path,
        3,
        """
        import subprocess
        from pipelines.sources.demo import simulate

        simulate(disk.parent / "source", deals=200, months=12)
        done = subprocess.run(
            [sys.executable, "-c", "from pipelines.cli import main; main()", "run", "--home", str(disk / "home"),
             "--config", str(disk.parent / "source" / "aftersale.yaml")],
            capture_output=True, text=True, check=False,
        )
        said = {"code": done.returncode, "error": done.stderr, "published": (disk / "home" / "published" / "latest").exists()}
        """,
    )
    assert said["code"] == 1, said["error"]
    # Dagster's log handler complains before us where its database finds no room
    assert "Traceback" not in str(said["error"])
    last = str(said["error"]).strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert "No space left on device" in last
    assert "free some space" in last
    assert said["published"] is False
