"""`taut bench`: what it prints and writes, and what it refuses."""

import json
from pathlib import Path

import pytest

from taut.bench.record import write_record
from taut.bench.table import Along, Table
from taut.bench.timing import summary
from taut.reports.benchmark.scaling_plot import scaling_pictures

TINY = ["--widths", "8", "--batches", "4", "--rounds", "2", "--only", "parseval", "cholesky"]


def test_a_table_is_printed_and_written_with_what_made_it(taut, tmp_path: Path) -> None:
    out = tmp_path / "bench"
    shown = taut("bench", "dense", *TINY, "--out", out)
    assert (shown.code, shown.err) == (0, "")
    assert "taut: parseval" in shown.out
    record = json.loads((out / "bench.json").read_text())
    assert record["command"] == ["taut", "bench", "dense", *TINY, "--out", str(out)]
    assert {"machine", "versions", "date"} < record.keys()
    assert (record["machine"]["threads"], record["machine"]["device"]) == (1, "cpu")
    (table,) = record["tables"]
    assert set(table["rows"]) == {table["base"], "taut: parseval", "taut: cholesky"}
    page = (out / "bench.md").read_text()
    assert f"## {table['title']}" in page
    assert "| taut: cholesky | " in page
    shown = taut("bench", "dense", *TINY, "--out", out)
    assert (shown.code, shown.err) == (2, f"taut: {out} is not empty: give another --out\n")


def test_what_was_measured_before_an_interruption_is_kept(taut, tmp_path: Path, monkeypatch) -> None:
    from taut.bench import run
    from taut.training.interrupt import Interrupted

    timed, tables = run.timed, []

    def once(section, *rest):
        if tables:
            raise Interrupted(2)
        tables.append(section.title)
        return timed(section, *rest)

    monkeypatch.setattr(run, "timed", once)
    out = tmp_path / "bench"
    shown = taut("bench", "dense", *TINY, "--batches", "4", "5", "--out", out)
    assert shown.code == 130
    assert [table["title"] for table in json.loads((out / "bench.json").read_text())["tables"]] == tables


def test_a_study_is_drawn_when_it_has_two_sizes(taut, tmp_path: Path) -> None:
    out = tmp_path / "bench"
    words = ["scale", "--axes", "width", "--rounds", "1", "--only", "parseval"]
    shown = taut("bench", *words, "--steps", "4", "8", "--out", out)
    assert (shown.code, shown.err) == (0, "")
    assert (out / "scale-width.png").read_bytes().startswith(b"\x89PNG")
    assert "(scale-width.png)" in (out / "bench.md").read_text()
    tables = json.loads((out / "bench.json").read_text())["tables"]
    assert [table["along"]["size"] for table in tables] == [4, 8]
    (picture,) = scaling_pictures(tables)
    assert picture.name == "scale-width"
    assert scaling_pictures(tables[:1]) == []


def test_a_contender_that_is_never_finite_has_no_ratio_in_the_file(tmp_path: Path) -> None:
    rows = summary({"base": [1.0, 2.0], "lost": [None, None]}, base="base")
    along = [Along(study="s", axis="width", size=size, growth=3) for size in (4, 2)]
    tables = [Table(title=f"t{a.size}", base="base", rows=rows, along=a) for a in along]
    page, record, _ = write_record(tmp_path, tables, command=["taut"], machine={})
    lost = json.loads(record.read_text())["tables"][0]["rows"]["lost"]
    assert (lost["ratio"], lost["rounds_not_finite"]) == (None, 2)
    assert "loss not finite in 2 rounds" in page.read_text()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["denes"], "invalid choice 'denes' for argument 'kind'"),
        (["--rounds", "2"], "Missing from taut bench: {dense,conv,activation,projection,bound,train,scale,all}"),
        (["dense", "--rounds", "0"], "rounds must be at least 1, got 0"),
        (["dense", "--widths", "0"], "widths must be positive numbers, got (0,)"),
        (["conv", "--channels", "4"], "channels, sides and images must be as many"),
        (["scale", "--steps", "4"], "steps are along one axis: name it with --axes"),
        (["scale", "--axes", "width", "--steps", "0"], "steps of width must be even numbers from 2 to 32768, got (0,)"),
        (["scale", "--axes", "channels", "--steps", "3"], "steps of channels must be even numbers from 2 to 4096"),
        (["scale", "--axes", "classes", "--steps", "1"], "steps of classes must be numbers from 2 to 131072, got (1,)"),
        (["scale", "--axes", "height"], "height"),
        (["scale", "--axes", "width", "--patience", "0"], "patience must be positive, got 0"),
        (["dense", "--checkouts", "/nowhere"], "checkouts must be folders, got /nowhere"),
        (["dense", "--accelerator", "gpu"], "torch sees no GPU here"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(taut, words: list[str], reason: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = taut("bench", *words)
    assert shown.code == 2
    assert reason in shown.err
    assert shown.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_all_is_every_kind_but_the_one_that_takes_an_hour(taut, tmp_path: Path, monkeypatch) -> None:
    from taut.bench import run

    asked = []
    monkeypatch.setattr(run, "carry_out", lambda kinds, *rest, **options: asked.append(kinds) or [])
    assert taut("bench", "all").code == 0
    assert taut("bench", "scale").code == 0
    assert asked == [("dense", "conv", "activation", "projection", "bound", "train"), ("scale",)]
