"""Excel workbooks: what stands in a cell is what lands, and what can't be trusted is said."""

# ruff: noqa: DTZ001 (cells of a workbook know no zone)
from __future__ import annotations

import io
import re
import sys
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from openpyxl import Workbook

from assets.landing import LandingBlockedError
from pipelines.sources.config import load_config
from pipelines.sources.landing import ConfiguredLanding
from pipelines.sources.readers.frame import SourceFile, UnreadableError
from pipelines.sources.readers.workbook import read_workbook

HEADER = ("rep_id", "amount")


def write(
    path: Path, rows: Sequence[Sequence[object]], change: Callable[[Workbook], object] | None = None
) -> Path:
    book = Workbook()
    for row in rows:
        book.active.append(list(row))
    if change is not None:
        change(book)
    book.save(path)
    return path


def rewrite(path: Path, values: Callable[[str], str]) -> Path:
    """Other texts between <v> and </v>: what the library would not write."""
    data = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            text = old.read(part).decode()
            if part.startswith("xl/worksheets/"):
                text = re.sub(r"<v */>|<v>([^<]*)</v>", lambda hit: f"<v>{values(hit[1] or '')}</v>", text)
            new.writestr(part, text)
    path.write_bytes(data.getvalue())
    return path


def read(path: Path, **options: object) -> SourceFile:
    parts = iter(range(1_000))
    return read_workbook(
        path, path.name, lambda suffix: path.parent / f"part-{next(parts)}{suffix}", **options
    )  # type: ignore[arg-type]


def cells(path: Path, **options: object) -> list[tuple[object, ...]]:
    file = read(path, **options)
    return file.rows.select(file.columns).collect().rows()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("007", "007"),
        (" 7 ", " 7 "),
        ("1E+05", "1E+05"),
        ("=A1", None),  # a formula that nobody calculated: its row is a reject
        (7, "7"),
        (7.0, "7"),
        (1234.5, "1234.5"),
        (0.1, "0.1"),
        (0.1 + 0.2, "0.3"),  # as Excel shows it
        (12345678901234.56, "12345678901234.56"),  # sixteen digits that mean something
        (0.1234567890123456, "0.1234567890123456"),
        (1e21, "1000000000000000000000"),
        (1e-7, "0.0000001"),
        (-5, "-5"),
        (True, "true"),
        (date(2024, 1, 5), "2024-01-05"),
        (datetime(2024, 1, 5), "2024-01-05"),
        (datetime(2024, 1, 5, 10, 30), "2024-01-05T10:30:00"),
        (time(10, 30), "10:30:00"),
        (None, None),
    ],
)
def test_a_cell_is_the_text_that_it_shows(value: object, text: str | None, tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", [("kept", "cell"), ("x", value)])
    file = read(path)
    assert file.records == 1
    if value == "=A1":
        assert file.bad.reasons == ("formula_not_calculated",)
    else:
        assert cells(path) == [("x", text)]


def test_every_number_comes_back_as_it_was_unless_it_is_noise(tmp_path: Path) -> None:
    drawn = np.random.default_rng(5).integers(-(10**13), 10**13, 2_000) / 100
    path = write(tmp_path / "a.xlsx", [("n",), *((float(x),) for x in drawn)])
    assert [float(n) for (n,) in cells(path)] == drawn.tolist()  # type: ignore[arg-type]
    # seventeen digits, as Excel itself writes them (the library would write sixteen)
    products = [n * 0.07 for n in range(1, 300)]
    path = write(tmp_path / "b.xlsx", [("n",), *((n,) for n in range(1, 300))])
    rewrite(path, lambda n: f"{int(n) * 0.07:.17g}")  # the header is text number 0 and stays that
    hundredths = [f"{7 * n / 100:.2f}".rstrip("0").rstrip(".") for n in range(1, 300)]
    assert [n for (n,) in cells(path)] == hundredths
    assert (
        read(path).notes["binary_digits_dropped"]
        == sum(x != float(t) for x, t in zip(products, hundredths, strict=True))
        > 10
    )


def test_a_format_of_zeros_pads_an_id_as_the_screen_does(tmp_path: Path) -> None:
    def pad(book: Workbook) -> None:
        for row in book.active["A2:A4"]:
            row[0].number_format = "00000"

    path = write(tmp_path / "a.xlsx", [HEADER, (7, 1), (123456, 1), (-7, 1)], pad)
    assert [row[0] for row in cells(path)] == ["00007", "123456", "-7"]
    assert read(path).notes == {"numbers_padded_as_shown": 1}


def test_dates_follow_the_epoch_of_their_workbook(tmp_path: Path) -> None:
    def old_mac(book: Workbook) -> None:
        from openpyxl.utils.datetime import CALENDAR_MAC_1904

        book.epoch = CALENDAR_MAC_1904

    rows = [("day",), (datetime(2024, 2, 29),)]
    for path in (write(tmp_path / "a.xlsx", rows), write(tmp_path / "b.xlsx", rows, old_mac)):
        assert cells(path) == [("2024-02-29",)]


def test_bad_rows_are_rejects_with_their_text_and_none_is_lost(tmp_path: Path) -> None:
    def break_(book: Workbook) -> None:
        book.active["B3"].value = "#REF!"
        book.active["B3"].data_type = "e"

    rows = [HEADER, ("R1", 1), ("R2", 2), ("R3", "=1+1"), (), ("R4", 4, None, "beyond"), ("R5", 5)]
    file = read(write(tmp_path / "a.xlsx", rows, break_))
    kept = file.rows.collect()
    assert kept["rep_id"].to_list() == ["R1", "R5"]
    assert file.records == 5 == kept.height + len(file.bad)
    assert file.rejects().select("record", "reason", "raw").rows() == [
        (2, "spreadsheet_error", '["R2", "#REF!"]'),
        (3, "formula_not_calculated", '["R3"]'),
        (4, "ragged", '["R4", "4", null, "beyond"]'),
    ]
    assert file.notes == {"blank_rows_skipped": 1}
    assert file.raw(np.array([1, 2, 5])) == [
        '{"rep_id":"R1","amount":"1"}',
        '["R2", "#REF!"]',
        '{"rep_id":"R5","amount":"5"}',
    ]


def test_a_calculated_formula_is_its_value(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", [HEADER, ("R1", "=1+1")])
    rewrite(path, lambda text: text or "2.5")
    assert cells(path) == [("R1", "2.5")]


def test_the_header_is_the_first_row_that_holds_anything_or_the_one_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", [(), HEADER, ("R1", 1)])
    assert cells(path) == [("R1", "1")]
    path = write(tmp_path / "b.xlsx", [("Quotas of the north",), (), HEADER, ("R1", 1)])
    assert cells(path, header_row=3) == [("R1", "1")]
    with pytest.raises(UnreadableError, match=r"has no header.*header_row"):
        read(path, header_row=2)


def test_one_visible_sheet_is_taken_and_several_are_asked_about(tmp_path: Path) -> None:
    def add(book: Workbook) -> None:
        book.active.title = "Quotas"
        book.create_sheet("Notes").append(["nothing"])

    path = write(tmp_path / "a.xlsx", [HEADER, ("R1", 1)], add)
    with pytest.raises(UnreadableError, match=r"sheets 'Quotas', 'Notes'. Say which: 'sheet: Quotas'"):
        read(path)
    assert cells(path, sheet="Quotas") == [("R1", "1")]
    with pytest.raises(UnreadableError, match=r"no sheet 'Quota'. Did you mean 'Quotas'"):
        read(path, sheet="Quota")

    def hide(book: Workbook) -> None:
        add(book)
        book["Notes"].sheet_state = "hidden"

    assert cells(write(tmp_path / "b.xlsx", [HEADER, ("R1", 1)], hide)) == [("R1", "1")]


@pytest.mark.parametrize(
    ("rows", "said"),
    [([], "has no header"), ([("a", "b", "a")], "names 'a' twice")],
)
def test_a_sheet_without_a_clear_header_blocks(
    rows: list[tuple[str, ...]], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UnreadableError, match=said):
        read(write(tmp_path / "a.xlsx", rows))


def test_what_expands_beyond_reason_or_is_damaged_blocks(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", [HEADER, ("R1", 1)])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/zeros.bin", b"\0" * (16 << 20))
    with pytest.raises(UnreadableError, match="over 200 times"):
        read(path)
    sound = write(tmp_path / "b.xlsx", [HEADER, *(("R1", n) for n in range(500))]).read_bytes()
    for cut in range(0, len(sound), 97):  # every damage is a block or does no harm
        path.write_bytes(sound[:cut] + bytes(b ^ 0x55 for b in sound[cut : cut + 8]) + sound[cut + 8 :])
        try:
            assert read(path).records == 500
        except UnreadableError as error:
            assert "\n" not in str(error)  # noqa: PT017
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<a/>")
    with pytest.raises(UnreadableError, match="holds no Excel workbook"):
        read(path)


def company(folder: Path, quotas: str) -> ConfiguredLanding:
    file = folder / "aftersale.yaml"
    file.write_text(
        "company: {reporting_currency: USD, timezone: UTC}\nsources:\n  accounts: {rows: [{account_id: A1}]}\n"
        "  reps: {rows: [{rep_id: R1}]}\n  opportunities: {rows: [{opportunity_id: O1, account_id: A1, rep_id: R1, closed_at: , is_won: 'true', amount: '1', currency: USD}]}\n"
        f"  quotas: {quotas}\n"
    )
    return ConfiguredLanding(load_config(file), folder / "cache")


def test_a_workbook_lands_like_any_file(tmp_path: Path) -> None:
    rows = [
        ("Ziele",),
        ("Verkaeufer", "component", "period_start", "period_end", "amount"),
        ("007", "commission", date(2024, 1, 1), date(2024, 3, 31), 0.7),
    ]
    write(tmp_path / "q.xlsx", rows)
    landing = company(tmp_path, "{path: q.xlsx, header_row: 2, sheet: Sheet, columns: {rep_id: Verkaeufer}}")
    landed = landing.read("quotas")
    assert landed.rows.select("rep_id", "period_start", "amount").collect().rows() == [
        ("007", "2024-01-01", "0.7")
    ]
    assert landing.sample("quotas").rows.collect().height == 1
    assert landed.files[0].sha256


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "q.xlsx", [HEADER])
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(LandingBlockedError, match=r"pip install 'aftersale\[excel\]'"):
        company(tmp_path, "{path: q.xlsx}").read("quotas")


def test_many_rows_come_in_batches_in_their_order(tmp_path: Path) -> None:
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(["n"])
    for n in range(45_000):
        sheet.append([n])
    book.save(tmp_path / "a.xlsx")
    file = read(tmp_path / "a.xlsx")
    rows = file.rows.collect()
    assert rows["n"].cast(pl.Int64).to_list() == list(range(45_000))
    assert read(tmp_path / "a.xlsx", limit=100).records == 20_000
