"""`logs/`: what every run did, a line of JSON each, a file a day (UTC), 90 days. Counts, names and states; no row, no value, no secret.

Lines are appended whole, so that runs at the same time don't cut each other's. A log that can't be written stops no run.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pipelines.exits import one_line_of

KEEP_LOGS = timedelta(days=90)
MOST_CHARACTERS = 1_000  # of one text


class RunLog:
    """The log of one home."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "logs"

    def write(self, run_id: str, event: str, *, now: datetime | None = None, **facts: float | str) -> None:
        """Append what happened: `event`, and facts about it."""
        at = (now or datetime.now(UTC)).astimezone(UTC)
        shown = {
            name: one_line_of(v)[:MOST_CHARACTERS] if isinstance(v, str) else v for name, v in facts.items()
        }
        line = json.dumps(
            {"at": at.isoformat(timespec="milliseconds"), "run": run_id, "event": event, **shown}
        )
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(
                self.folder / f"{at:%Y-%m-%d}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640
            )
            try:
                os.write(handle, f"{line}\n".encode())
            finally:
                os.close(handle)

    def prune(self, now: datetime) -> list[str]:
        """Remove the files of days long gone; returns their names. Other files in the folder are somebody else's."""
        last = (now - KEEP_LOGS).date()
        gone = []
        for path in sorted(self.folder.glob("????-??-??.jsonl")):
            with suppress(ValueError, OSError):
                if date.fromisoformat(path.stem) < last:
                    path.unlink()
                    gone.append(path.name)
        return gone
