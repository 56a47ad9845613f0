"""Results files have one form, and README tables follow from them."""

import json
from pathlib import Path
from typing import Any

import pytest

from common.harness.aggregate import collect
from common.harness.errors import UserError
from common.harness.files import write_json
from common.harness.results import (
    format_interval,
    markdown_table,
    read_results,
    text_table,
    update_tables,
    validate_results,
    write_results,
)
from common.intervals import mean_interval


def results() -> dict[str, Any]:
    return {
        "experiment": "main",
        "command": "python -m common.sweep main.yaml",
        "protocol": {"episodes": 200},
        "versions": {"torch": "2.4"},
        "seconds": 12.5,
        "seeds": [0, 1],
        "arms": {"pixels": {"smear": mean_interval([0.8, 0.9])}},
        "bounds": {"copy": {"smear": mean_interval([2.1])}},
        "curves": {
            "pixels": {"loss": {"x": [1, 2], "mean": [1, 2], "low": [0, 1], "high": [2, 3]}}
        },
        "grid": {"r2": {"axes": {"weight": [1, 2], "batch": [16]}, "mean": [[0.1], [None]]}},
    }


def test_valid_results(tmp_path: Path) -> None:
    write_json(tmp_path / "main.json", results())
    assert read_results(tmp_path / "main.json") == results()


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["seconds"], "long", "seconds: expected"),
        (["extra"], 1, "unknown key extra"),
        (["seeds"], [], "seeds: expected one or more integers"),
        (["arms"], {}, "arms: expected one or more"),
        (["arms", "pixels"], 3, "arms.pixels: expected a mapping, got 3"),
        (["arms", "pixels", "smear"], 0.8, "arms.pixels.smear: expected mean, low, high, n and"),
        (["arms", "pixels", "smear", "n"], 3, "smear.values: expected a list of 3"),
        (["arms", "pixels", "smear", "mean"], None, "smear.mean: expected a number, got None"),
        (["arms", "pixels", "smear", "mean"], 9.0, "expected low <= mean <= high"),
        (["arms", "pixels", "smear", "low"], None, "expected low and high as numbers"),
        (["curves", "pixels", "loss", "mean"], [1], "curves.pixels.loss.mean: expected 2 values"),
        (["curves", "pixels", "loss"], {}, "curves.pixels.loss: expected x, mean, low and high"),
        (["grid", "r2", "mean"], [[1, 2], [3]], "grid.r2.mean: expected a list of 1, got"),
        (["grid", "r2"], {"mean": 1}, "grid.r2: expected axes and mean"),
    ],
)
def test_invalid_results(tmp_path: Path, place: list[str], value: Any, message: str) -> None:
    content = results()
    node = content
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        validate_results(content)
    write_json(tmp_path / "main.json", content)
    with pytest.raises(UserError, match=r"main.json: "):
        read_results(tmp_path / "main.json")


def test_json_is_legible(tmp_path: Path) -> None:
    content = results()
    content["arms"]["pixels"] |= {f"metric{i}": mean_interval([1.0, 2.0]) for i in range(3)}
    write_json(tmp_path / "main.json", content)
    text = (tmp_path / "main.json").read_text()
    assert json.loads(text) == content
    assert ' "seeds": [0, 1],\n' in text
    assert max(map(len, text.splitlines())) < 120
    with pytest.raises(UserError, match=r"cannot write .*a.b is nan, expected a finite number"):
        write_json(tmp_path / "nan.json", {"a": {"b": [1.0, float("nan")]}})
    assert not (tmp_path / "nan.json").exists()


def test_tables(tmp_path: Path) -> None:
    assert format_interval(mean_interval([0.8, 0.8, 0.8])) == "0.800 [0.800, 0.800]"
    assert format_interval(mean_interval([0.8]), digits=1) == "0.8 (one seed)"
    table = markdown_table(["arm", "smear"], [["pixels", "0.8"]])
    assert table == "| arm | smear |\n| --- | ---: |\n| pixels | 0.8 |"
    assert markdown_table(["|z|"], []) == "| \\|z\\| |\n| --- |"
    readme = tmp_path / "README.md"
    readme.write_text("# A\n<!-- table:main -->\nold\n<!-- /table -->\nend\n")
    assert update_tables(readme, {"main": table}, check=True)
    assert "old" in readme.read_text()
    assert update_tables(readme, {"main": table})
    assert readme.read_text() == f"# A\n<!-- table:main -->\n{table}\n<!-- /table -->\nend\n"
    assert not update_tables(readme, {"main": table}, check=True)
    for tables in ({}, {"main": table, "other": ""}):
        with pytest.raises(UserError, match=r"table (main|other) is in the README or in the res"):
            update_tables(readme, tables)


def write_run(folder: Path, arms: dict[str, Any], bounds: dict[str, Any], lines: list[Any]) -> Path:
    folder.mkdir()
    write_json(folder / "summary.json", {"arms": arms, "bounds": bounds, "protocol": {"n": 7}})
    write_json(folder / "run.json", {"seconds": 2.0, "versions": {"torch": folder.name[0]}})
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return folder


def test_collect(tmp_path: Path) -> None:
    folders: dict[str, list[Path]] = {"both": [], "one": []}
    for seed in (0, 1):
        lines = [{"step": s, "arm": "a", "loss": s + 2 * seed} for s in range(3 + seed)]
        arms = {"a": {"m": 1.0 + seed, "undefined": None}, "b": {"m": 5.0}}
        bounds = {"copy": {"m": 2.0 + seed}}
        folders["both"].append(write_run(tmp_path / f"both{seed}", arms, bounds, lines))
        lines = [{"step": s, "loss": 4.0} for s in (0, 10)]
        folders["one"].append(write_run(tmp_path / f"one{seed}", {"a": arms["a"]}, bounds, lines))
    content = collect(folders, curves=["loss"], bounds_per_arm=False)
    assert set(content["arms"]) == {"both/a", "both/b", "one"}
    assert content["arms"]["both/a"] == {"m": mean_interval([1.0, 2.0])}
    assert content["bounds"] == {"copy": {"m": mean_interval([2.0, 3.0])}}
    assert content["protocol"] == {"n": 7}
    assert content["versions"] == {"torch": "b, o"}
    assert content["seconds"] == 8.0
    assert content["curves"]["both/a"]["loss"]["x"] == [0, 1, 2]
    assert content["curves"]["both/a"]["loss"]["mean"] == [1, 2, 3]
    assert content["curves"]["both/b"] == {}
    validate_results(content | {"experiment": "x", "command": "y", "seeds": [0, 1]})

    other = write_run(tmp_path / "c0", {"a": {"m": 1.0}}, {"copy": {"m": 2.5}}, [])
    folders["far"] = [other]
    with pytest.raises(UserError, match=r"bound copy of arm far .* set bounds_per_arm: true"):
        collect(folders, curves=[], bounds_per_arm=False)
    content = collect(folders, curves=[], bounds_per_arm=True)
    assert set(content["bounds"]) == {"both/copy", "one/copy", "far/copy"}
    with pytest.raises(UserError, match="no run has smear in every seed's"):
        collect(folders, curves=["smear"], bounds_per_arm=True)
    with pytest.raises(UserError, match=r"a: m is 'x', expected a number"):
        collect(
            {"a": [write_run(tmp_path / "d0", {"a": {"m": "x"}}, {}, [])]},
            curves=[],
            bounds_per_arm=True,
        )
    with pytest.raises(UserError, match="expected arms with their metrics, got none"):
        collect({"a": [write_run(tmp_path / "e0", {}, {}, [])]}, curves=[], bounds_per_arm=True)


def test_a_table_for_a_terminal() -> None:
    rows = [["", "R²"], ["pixels", "0.5"], ["jepa", "-10.25"]]
    lines = ["            R²", "--------------", "pixels     0.5", "jepa    -10.25"]
    assert text_table(rows) == lines


def test_a_file_is_named_after_its_experiment_and_checked_before_it_is_written(tmp_path):
    cell = {"mean": 1.0, "low": 0.5, "high": 1.5, "n": 2, "values": [0.9, 1.1]}
    path = tmp_path / "speed.json"
    given = {"protocol": {"steps": 3}, "seconds": 1.26, "seeds": (0, 1)}
    write_results(path, "python x.py", arms={"ours": {"error": cell}}, **given)
    content = read_results(path)
    assert (content["experiment"], content["command"]) == ("speed", "python x.py")
    assert (content["seconds"], content["seeds"], content["bounds"]) == (1.3, [0, 1], {})
    with pytest.raises(ValueError, match=r"arms\.ours\.error"):
        write_results(tmp_path / "bad.json", "", arms={"ours": {"error": {"mean": 1}}}, **given)
    assert not (tmp_path / "bad.json").exists()
