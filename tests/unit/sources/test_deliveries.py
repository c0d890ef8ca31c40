"""What the sensor takes: 1,000 random histories of a landing folder against a model that remembers every look in full."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest

from pipelines.deliveries import Deliveries, Seen, look, recall
from pipelines.jobs import DAILY
from pipelines.sensors import DELIVERED, build_sensors
from pipelines.sources.config import Configuration
from pipelines.sources.landing import ConfiguredLanding
from tests.unit.sources.test_landing import configure

HISTORIES = 1_000
STEPS = 14
HEADER = "account_id,occurred_at,kind\n"
SOURCE = "customer_activity"

Listing = dict[str, tuple[str, int]]  # file -> what it holds, and when it was written


class Folder:
    """A landing folder, its people and its writers. Time goes on by one with every write."""

    def __init__(self, path: Path, rng: random.Random) -> None:
        self.path, self.rng = path, rng
        self.clock = 0
        self.names = 0
        self.older: dict[str, list[str]] = {}  # contents that each file has had
        self.writing: dict[str, int] = {}  # files being written, and the rows still to come
        self.put("base.csv", self.rows(1))

    def rows(self, count: int) -> str:
        self.clock += 1
        return HEADER + "".join(f"A{self.clock},2025-01-01T00:00:0{n}Z,order\n" for n in range(count))

    def put(self, name: str, text: str, *, whole: bool = True) -> None:
        self.clock += 1
        self.older.setdefault(name, []).extend([text] * whole)
        file = self.path / name
        file.write_text(text)
        os.utime(file, ns=(self.clock, self.clock))

    def new_name(self) -> str:
        self.names += 1
        return f"d{self.names}.csv"

    def files(self) -> list[str]:
        return sorted(f.name for f in self.path.iterdir() if f.name not in self.writing)

    def listing(self) -> Listing:
        return {f.name: (f.read_text(), f.stat().st_mtime_ns) for f in self.path.iterdir()}

    def happen(self) -> None:
        """One thing that people and programs do to a landing folder."""
        name = self.rng.choice(self.files())
        text = (self.path / name).read_text()
        match self.rng.choice(
            ["deliver", "again", "copy", "move", "start", "restore", "correct", "delete", "touch"]
        ):
            case "deliver":
                self.put(self.new_name(), self.rows(self.rng.randint(0, 3)))
            case "again" | "touch":
                self.put(name, text)
            case "copy":
                self.put(self.new_name(), text)
            case "move" if name != "base.csv":
                (self.path / name).rename(self.path / self.new_name())
            case "start":
                name = self.new_name()
                self.put(name, self.rows(1)[: self.rng.randint(5, 60)], whole=False)
                self.writing[name] = self.rng.randint(1, 3)
            case "restore":
                self.put(name, self.rng.choice(self.older.get(name, [text])))
            case "correct":
                self.put(name, self.rows(self.rng.randint(1, 3)))
            case "delete" if name != "base.csv":
                (self.path / name).unlink()

    def write_on(self) -> None:
        """What happens between two looks wherever a file is being written."""
        for name in list(self.writing):
            self.writing[name] -= 1
            self.put(name, self.rows(2 + self.writing[name]))
            if not self.writing[name]:
                del self.writing[name]


class Sensor:
    """The code under test: what Dagster does with it, files and cursor included. Equal run keys are one run."""

    def __init__(self, landing: ConfiguredLanding) -> None:
        self.landing = landing
        self.cursor = ""
        self.runs: dict[str, set[str]] = {}

    def tick(self, *, crash: bool = False) -> None:
        files = {Path(f).name: Seen(*facts) for f, facts in self.landing.contents(SOURCE).items()}
        found = look(recall(self.cursor), files)
        if found.batch is not None:
            b = found.batch
            self.runs.setdefault(b.key, {*b.new, *b.changed, *b.gone})
        if not crash:
            self.cursor = found.state.to_text()


def taken_by_model(diary: list[Listing]) -> list[set[str]]:
    """The batches that should have been taken, from all that was ever seen."""
    covered: dict[str, str] = {}
    batches = []
    for number, listing in enumerate(diary):
        before = diary[number - 1] if number else {}
        holds = {name: text for name, (text, _) in listing.items()}
        differing = {name for name in {*covered, *holds} if covered.get(name) != holds.get(name)}
        if differing and all(before.get(name) == listing.get(name) for name in differing):
            batches.append(differing)
            covered = holds
    return batches


def landing_of(folder: Path) -> tuple[Configuration, Path]:
    (folder / "in").mkdir(parents=True)
    return configure(folder, customer_activity='{path: "in/*.csv", max_reject_share: 1.0}'), folder / "in"


def live(seed: int, root: Path) -> None:
    """One history: things happen, the sensor looks; then all is quiet."""
    rng = random.Random(seed)
    configuration, path = landing_of(root)
    landing = ConfiguredLanding(configuration, root / "cache")
    folder, sensor, diary = Folder(path, rng), Sensor(landing), []
    for step in range(STEPS + 3):
        for _ in range(rng.randint(0, 2) if step < STEPS else 0):
            folder.happen()
        folder.write_on()
        diary.append(folder.listing())
        if rng.random() < 0.2:
            sensor.tick(crash=True)  # asked for a run, and died before it could remember
        sensor.tick()
    assert list(sensor.runs.values()) == taken_by_model(diary), seed
    assert recall(sensor.cursor).taken.keys() == diary[-1].keys()
    rows = landing.read(SOURCE).rows.collect()
    contents = {text for text, _ in diary[-1].values()}
    expected = Counter(line.split(",")[0] for text in contents for line in text.splitlines()[1:])
    assert Counter(rows["account_id"]) == expected, seed
    landing.close()


@pytest.mark.parametrize("hundred", range(HISTORIES // 100))
def test_each_content_of_a_file_is_taken_once(hundred: int, tmp_path: Path) -> None:
    for seed in range(100 * hundred, 100 * hundred + 100):
        live(seed, tmp_path / str(seed))


def seen(**files: tuple[int, str]) -> dict[str, Seen]:
    return {name: Seen((stamp,), content) for name, (stamp, content) in files.items()}


def follow(*looks: dict[str, Seen]) -> list[str]:
    """What each look takes, or waits for."""
    state, said = Deliveries(), []
    for files in looks:
        found = look(state, files)
        said.append(
            found.batch.describe()
            if found.batch
            else f"waits for {','.join(found.moving)}" * bool(found.moving)
        )
        state = recall(found.state.to_text())
    return said


@pytest.mark.parametrize(
    ("story", "looks", "said"),
    [
        ("still", [seen(a=(1, "A")), seen(a=(1, "A")), seen(a=(1, "A"))], ["waits for a", "1 new: a", ""]),
        (
            "half written",
            [seen(a=(1, "A")), seen(a=(2, "AB")), seen(a=(3, "ABC")), seen(a=(3, "ABC"))],
            ["waits for a"] * 3 + ["1 new: a"],
        ),
        ("delivered twice", [seen(a=(1, "A")), seen(a=(1, "A")), seen(a=(2, "A")), seen(a=(2, "A"))],
         ["waits for a", "1 new: a", "", ""]),
        ("under a new name", [seen(a=(1, "A")), seen(a=(1, "A")), seen(b=(2, "A")), seen(b=(2, "A"))],
         ["waits for a", "1 new: a", "waits for a,b", "1 new: b; 1 gone: a"]),
        ("back again after a correction",
         [s for c, t in (("A", 1), ("B", 2), ("A", 3)) for s in (seen(a=(t, c)), seen(a=(t, c)))],
         ["waits for a", "1 new: a", "waits for a", "1 changed: a", "waits for a", "1 changed: a"]),
        ("late beside one that moves",
         [seen(a=(1, "A")), seen(a=(1, "A")), seen(a=(1, "A"), b=(5, "B"), c=(5, "C")), seen(a=(1, "A"), b=(5, "B"), c=(6, "CC")),
          seen(a=(1, "A"), b=(5, "B"), c=(6, "CC"))],
         ["waits for a", "1 new: a", "waits for b,c", "waits for c", "2 new: b, c"]),
    ],
)  # fmt: skip
def test_the_stories_of_a_delivery(story: str, looks: list[dict[str, Seen]], said: list[str]) -> None:
    assert follow(*looks) == said, story


def test_what_comes_back_after_others_is_another_run() -> None:
    state, keys = Deliveries(), []
    for stamp, content in enumerate("AABBAABB"):
        found = look(state, seen(a=(stamp // 2, content)))
        keys += [found.batch.key] if found.batch else []
        state = found.state
    assert len(keys) == len(set(keys)) == 4


@pytest.mark.parametrize("cursor", [None, "", "f" * 64, "17", "[]", '{"taken": 1}', '{"last": {"a": "x"}}'])
def test_a_cursor_of_another_program_is_no_memory(cursor: str | None) -> None:
    assert recall(cursor) == Deliveries()


def test_the_sensor_asks_once_and_says_for_what(tmp_path: Path) -> None:
    configuration, path = landing_of(tmp_path)
    (path / "a.csv").write_text(HEADER)

    @dg.job
    def refresh() -> None: ...

    sensor, _ = build_sensors({DAILY: refresh}, tmp_path / "home", configuration)
    cursor, asked = None, []
    for turn in range(6):
        if turn == 3:
            (path / "b.csv").write_text(HEADER + "A1,2025-01-01,order\n")
        context = dg.build_sensor_context(cursor=cursor)
        found = sensor(context)
        cursor = context.cursor
        asked.append(found.tags[DELIVERED] if isinstance(found, dg.RunRequest) else "")
    first = "6 new: accounts.csv, aftersale.yaml, in/a.csv and 3 more"
    assert asked == ["", first.replace("6", "5").replace("3 more", "2 more"), "", "", "1 new: in/b.csv", ""]
    assert not list((tmp_path / "home" / "cache").glob("reading-*"))
