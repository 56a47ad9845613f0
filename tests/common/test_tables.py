"""Tables, pages, claims and studies: what is printed follows from results files."""

import sys
from pathlib import Path
from typing import Any

import pytest

from common.harness.claims import Claim, Claims, Results
from common.harness.errors import UserError
from common.harness.results import write_results
from common.harness.study import Study, study_main
from common.harness.tables import (
    Column,
    Pivot,
    Sources,
    Table,
    format_interval,
    markdown_table,
    number,
    text_table,
    update_page,
)
from common.intervals import mean_interval

MAIN = Table(
    "main",
    {"pixels": "pixels", "jepa": "JEPA", "other:far": "far"},
    {
        "smear": ("smear", 2),
        "rank": Column("rank", 0, interval=False),
        "less": Column("less than pixels", 1, part="differences", metric="smear"),
        "parameters": Column("parameters", whole=True),
        "hit": Column("hits, %", 0, scale=100),
    },
    bounds={"copy": "*baseline: a copy*"},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two results files."""

    def variant(params: dict[str, Any], **metrics: list[float]) -> dict[str, Any]:
        return {"params": params, "metrics": {m: mean_interval(v) for m, v in metrics.items()}}

    variants = {
        "pixels": variant({"width": 1, "lr": 0.1}, smear=[0.9, 1.1], parameters=[12345.0] * 2),
        "jepa": variant({"width": 2, "lr": 0.1}, smear=[0.1, 0.3], rank=[3.2, 4.2], hit=[0.5, 0.5]),
        "slow: at 0.01": variant({"width": 2, "lr": 0.01}, smear=[0.4, 0.4]),
    }
    given: dict[str, Any] = {"protocol": {}, "seconds": 60 * 7, "seeds": [0, 1]}
    write_results(
        tmp_path / "main.json", "x", variants=variants, reference="pixels",
        bounds={"copy": {"smear": mean_interval([2.0, 2.0])}}, **given,
    )  # fmt: skip
    far = {"far": variant({}, smear=[3.0, 3.5])}
    write_results(tmp_path / "other.json", "x", variants=far, **given)
    return tmp_path


def test_table(folder: Path) -> None:
    assert MAIN.markdown(folder).splitlines() == [
        "| 2 seeds | smear | rank | less than pixels | parameters | hits, % |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| pixels | 1.00 [-0.27, 2.27] |  |  | 12,345 |  |",
        "| JEPA | 0.20 [-1.07, 1.47] | 4 | -0.8 |  | 50 |",
        "| far | 3.25 [0.07, 6.43] |  |  |  |  |",
        "| *baseline: a copy* | 2.00 |  |  |  |  |",
    ]
    named = Table("main", {"slow: at 0.01": "slow"}, {"smear": ("smear", 1)})  # no other file
    assert named.markdown(folder).splitlines()[-1] == "| slow | 0.4 |"
    with pytest.raises(UserError, match=r"main.json has no variants nobody; expected one of"):
        Table("main", {"nobody": "x"}, {"smear": ("s", 1)}).markdown(folder)


def test_the_same_table_for_a_terminal() -> None:
    numbers = {"jepa": {"smear": 0.123, "rank": 3.6}, "new one": {"smear": None}}
    lines = MAIN.text(numbers, {"copy": {"smear": 2.0}, "unlisted": {"smear": 1.0}}).splitlines()
    assert [line.split() for line in lines[2:]] == [
        ["JEPA", "0.12", "4"],
        ["new", "one"],
        ["*baseline:", "a", "copy*", "2.00"],
    ]
    assert len({len(line) for line in lines}) == 1  # aligned


def test_pivot(folder: Path) -> None:
    table = Pivot("main", "smear", "width", "lr", Column("smear", 1, interval=False), {2: "two"})
    assert table.markdown(folder).splitlines() == [
        "| smear | 0.01 | 0.1 |",
        "| --- | ---: | ---: |",
        "| 1 |  | 1.0 |",
        "| two | 0.4 | 0.2 |",
    ]


def test_a_column_may_show_another_variant_and_a_pivot_words(folder: Path) -> None:
    beside = {
        "smear": ("smear", 1),
        "pixels": Column("pixels", 1, metric="smear", variant="pixels"),
    }
    table = Table("main", {"jepa": "JEPA"}, beside)
    assert "0.2 [-1.1, 1.5] | 1.0 [-0.3, 2.3]" in table.markdown(folder)
    write_results(
        folder / "words.json", "python x.py", protocol={}, seconds=20, seeds=[0],
        variants={
            f"{a}{b}": {"params": {"a": a, "b": b}, "metrics": {"m": mean_interval([1.0])}}
            for a in ("z", "y") for b in (2, 1)
        },
    )  # fmt: skip
    lines = Pivot("words", "m", "b", "a", Column("m", 0), {"z": "last"}).markdown(folder)
    assert lines.splitlines()[0] == "| m | last | y |"
    assert Sources(["main", "words"]).markdown(folder).splitlines()[2:] == [
        "| `main.json` | `x` | 7 |",
        "| `words.json` | `python x.py` | under 1 |",
    ]


@pytest.mark.parametrize(
    ("values", "column", "shown"),
    [
        ([0.8, 0.8], Column("", 3), "0.800"),  # no spread to be seen: the number alone
        ([0.8], Column("", 1), "0.8"),
        ([0.8, 0.9], Column("", 1, interval=False), "0.9"),
        ([0.0, 0.2], Column("", 0, scale=100), "10 [-117, 137]"),
        ([1234.0, 1236.0], Column("", whole=True, interval=False), "1,235"),
        ([0.5, 0.5], Column("", 1, part="differences"), "+0.5"),
    ],
)
def test_how_an_interval_is_shown(values: list[float], column: Column, shown: str) -> None:
    assert format_interval(mean_interval(values), column) == shown


def test_a_number_is_never_minus_zero() -> None:
    assert number(-0.0001, Column("", 2)) == "0.00"
    assert number(None, Column("")) == ""


@pytest.mark.parametrize(
    ("column", "ruler"),
    [
        (["0.8", "", "-3 [-4, -2]"], "---:"),
        (["50%", "**1,234**", "+0.5 px"], "---:"),
        (["words", "0.8"], "---"),  # prose reads from the left
        (["2 of 5 runs did", "3 did"], "---"),
        (["3.5 is a lot, says the paper", "1"], "---"),
    ],
)
def test_prose_is_aligned_left_and_numbers_right(column: list[str], ruler: str) -> None:
    lines = markdown_table([["row", "column"], *(["x", text] for text in column)]).splitlines()
    assert lines[1] == f"| --- | {ruler} |"


def test_tables_of_plain_rows() -> None:
    table = markdown_table([["method", "|z|"], ["pixels", "0.8"]])
    assert table == "| method | \\|z\\| |\n| --- | ---: |\n| pixels | 0.8 |"
    rows = [["", "R²"], ["pixels", "0.5"], ["jepa", "-10.25"]]
    lines = ["            R²", "--------------", "pixels     0.5", "jepa    -10.25"]
    assert text_table(rows).splitlines() == lines


def test_a_page_holds_its_blocks(folder: Path) -> None:
    page = folder / "README.md"
    page.write_text("# A\n<!-- table:main -->\nold\n<!-- /table -->\nend\n")
    assert update_page(page, {"main": MAIN}, folder, check=True)
    assert "old" in page.read_text()
    assert update_page(page, {"main": MAIN}, folder, check=False)
    block = MAIN.markdown(folder)
    assert page.read_text() == f"# A\n<!-- table:main -->\n{block}\n<!-- /table -->\nend\n"
    assert not update_page(page, {"main": MAIN}, folder, check=True)
    for blocks in ({}, {"main": MAIN, "other": MAIN}):
        with pytest.raises(UserError, match=r"block (main|other) is on the page or among the"):
            update_page(page, blocks, folder, check=True)


HOLDS = Claim(
    "JEPA smears less.", "less smear on every seed", "holds",
    "It is {main[jepa][smear]:.1f}, {main[jepa][smear]:i1}, hits {main[jepa][hit]:%}, "
    "{main[jepa][differences.smear]:i1} from pixels and {main[copy][smear]:.0f} of a copy.",
    lambda r: max(r["main"]["jepa"]["differences.smear"].values) < 0,
)  # fmt: skip


def test_claims(folder: Path) -> None:
    assert Claims([HOLDS]).markdown(folder) == (
        "- **JEPA smears less.** *Holds.* It is 0.2, 0.2 [-1.1, 1.5], hits 50%, -0.8 from pixels "
        "and 2 of a copy."
    )
    lines = Claims([HOLDS], criteria=True).markdown(folder).splitlines()
    assert lines[1] == "  Criterion: less smear on every seed."


@pytest.mark.parametrize(
    ("holds", "verdict"),
    [
        (lambda r: True, "holds"),
        (lambda r: False, "fails"),
        (lambda r: None, "not shown"),
        (None, "not tested"),
        (lambda r: r["main"]["jepa"]["smear"].high < r["main"]["pixels"]["smear"].low, "fails"),
        (lambda r: "rank" in r["main"]["jepa"], "holds"),
    ],
)
def test_a_verdict_follows_from_the_results(folder: Path, holds: Any, verdict: str) -> None:
    claim = Claim("", "", "holds", "", holds)
    assert claim.decided(Results(folder)) == verdict


@pytest.mark.parametrize(
    ("finding", "message"),
    [
        ("{main[jepa][smeer]}", "no metric smeer; expected one of"),
        ("{main[jepax][smear]}", "main.json has no variants jepax"),
        ("{mane[jepa][smear]}", "mane.json"),
    ],
)
def test_a_finding_without_its_number_is_refused(folder: Path, finding: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Claims([Claim("", "", "holds", finding)]).markdown(folder)


def answer() -> None:
    """The function of a study, below."""
    print("answered", sys.argv)


def test_studies(tmp_path, folder, monkeypatch, capsys, refusal) -> None:
    sweeps = tmp_path / "configs" / "part9" / "sweeps"
    sweeps.mkdir(parents=True)
    (sweeps / "main.yaml").write_text("# How much does it smear?\nexperiment: main\n")
    monkeypatch.setattr("common.harness.study.REPOSITORY", tmp_path)
    part = tmp_path / "part9_toy"
    part.mkdir()
    (part / "results").mkdir()
    (folder / "main.json").rename(part / "results" / "main.json")
    module = type(sys)("toy_study")
    module.answer = answer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_study", module)
    studies = {"why": Study("Why?", "toy_study:answer")}

    def main() -> None:
        study_main(part, studies, "Toy.")

    monkeypatch.setattr(sys, "argv", ["study.py"])
    main()
    listed = capsys.readouterr().out.splitlines()
    assert [line.split() for line in listed] == [
        ["why", "Why?"],
        ["main", "7", "min", "How", "much", "does", "it", "smear?"],
    ]
    monkeypatch.setattr(sys, "argv", ["study.py", "why", "--fast"])
    main()
    assert capsys.readouterr().out == "answered ['study.py why', '--fast']\n"
    asked = []
    monkeypatch.setattr("common.sweep.main", asked.append)
    monkeypatch.setattr(sys, "argv", ["study.py", "main", "--list"])
    main()
    assert asked == [["configs/part9/sweeps/main.yaml", "--list"]]
    assert "no study wy; did you mean why?" in refusal(main, "wy")
    assert "--no_such" in refusal(main, "--no_such")
