"""Results files have one form; a sweep's is made from the summaries of its runs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.harness.aggregate import aggregate, collect_outcomes
from common.harness.errors import UserError
from common.harness.files import write_arrays, write_json
from common.harness.results import (
    add_differences,
    read_results,
    validate_results,
    write_results,
)
from common.intervals import mean_interval, wilson


def results() -> dict[str, Any]:
    content: dict[str, Any] = {
        "experiment": "main",
        "command": "python -m common.sweep main.yaml",
        "commit": "abc",
        "machine": "x86_64, 2 cores",
        "device": "cpu",
        "protocol": {"episodes": 200},
        "versions": {"torch": "2.4"},
        "seconds": 12.5,
        "seeds": [0, 1],
        "reference": "pixels",
        "variants": {
            "pixels": {"params": {}, "metrics": {"smear": mean_interval([0.8, 0.9])}},
            "jepa": {
                "params": {"method": "jepa"},
                "metrics": {"smear": mean_interval([0.1, 0.2]), "rank": mean_interval([3, 4])},
            },
        },
        "bounds": {"copy": {"smear": mean_interval([2.1, 2.2])}},
        "curves": {
            "pixels": {"loss": {"x": [1, 2], "mean": [1, 2], "low": [0, 1], "high": [2, 3]}}
        },
    }
    add_differences(content)
    return content


def test_valid_results(tmp_path: Path) -> None:
    write_json(tmp_path / "main.json", results())
    assert read_results(tmp_path / "main.json") == results()


INTERVAL = ["variants", "pixels", "metrics", "smear"]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["seconds"], "long", "seconds: expected"),
        (["commit"], 3, "commit: expected"),
        (["extra"], 1, "unknown key extra"),
        (["seeds"], [], "seeds: expected one or more integers"),
        (["variants"], {}, "variants: expected one or more"),
        (["variants", "pixels"], 3, "variants.pixels: expected differences, metrics, params"),
        (["variants", "pixels"], {"metrics": {}}, "variants.pixels: expected differences, metrics"),
        (INTERVAL, 0.8, "variants.pixels.metrics.smear: expected mean, low, high, n and"),
        ([*INTERVAL, "n"], 3, "smear.values: expected 3 numbers"),
        ([*INTERVAL, "mean"], None, "smear.mean: expected a number, got None"),
        ([*INTERVAL, "mean"], 9.0, "expected low <= mean <= high"),
        ([*INTERVAL, "low"], None, "expected low and high as numbers"),
        (["variants", "jepa", "differences", "smear"], 1, "jepa.differences.smear: expected mean"),
        (["bounds", "copy", "smear"], 1, "bounds.copy.smear: expected mean, low"),
        (["curves", "pixels", "loss", "mean"], [1], "curves.pixels.loss: expected 2 values"),
        (["curves", "pixels", "loss"], {}, "curves.pixels.loss: expected x, mean, low and high"),
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


def test_differences_are_paired_with_the_reference() -> None:
    content = results()
    pixels, jepa = content["variants"]["pixels"], content["variants"]["jepa"]
    assert pixels["differences"] == {}
    assert set(jepa["differences"]) == {"smear"}  # the reference has no rank
    smear = jepa["differences"]["smear"]
    assert smear["values"] == pytest.approx([-0.7, -0.7])
    assert smear["low"] == pytest.approx(smear["high"])  # the seeds' own spread is gone
    content["reference"] = "copy"  # a bound is a reference, too
    add_differences(content)
    assert content["variants"]["jepa"]["differences"]["smear"]["mean"] == pytest.approx(-2.0)
    content["reference"] = None
    add_differences(content)
    assert content["variants"]["jepa"]["differences"] == {}
    content["reference"] = "nobody"
    with pytest.raises(ValueError, match="expected one of pixels, jepa, copy, got nobody"):
        add_differences(content)


def test_json_is_legible(tmp_path: Path) -> None:
    content = results()
    metrics = content["variants"]["pixels"]["metrics"]
    metrics |= {f"metric{i}": mean_interval([1.0, 2.0]) for i in range(3)}
    write_json(tmp_path / "main.json", content)
    text = (tmp_path / "main.json").read_text()
    assert json.loads(text) == content
    assert ' "seeds": [0, 1],\n' in text
    assert max(map(len, text.splitlines())) < 120
    with pytest.raises(UserError, match=r"cannot write .*a.b is nan, expected a finite number"):
        write_json(tmp_path / "nan.json", {"a": {"b": [1.0, float("nan")]}})
    assert not (tmp_path / "nan.json").exists()


def write_run(
    folder: Path, variants: dict[str, Any], bounds: dict[str, Any], lines: list[Any], **rest: Any
) -> Path:
    folder.mkdir()
    summary = {"variants": variants, "bounds": bounds, "protocol": {"n": 7}, **rest}
    write_json(folder / "summary.json", summary)
    setting = {"git": folder.name[:3], "machine": "m", "device": "cpu"}
    versions = {"torch": folder.name[0]}
    write_json(folder / "run.json", {"seconds": 2.0, "versions": versions, **setting})
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return folder


def made(folders: dict[str, list[Path]], **changes: Any) -> dict[str, Any]:
    asked = {"curves": [], "bounds_per_variant": False, "reference": None, "bounds": {}}
    params = {name: {"width": i} for i, name in enumerate(folders)}
    return aggregate(folders, params, **(asked | changes))


def test_aggregate(tmp_path: Path) -> None:
    folders: dict[str, list[Path]] = {"both": [], "one": []}
    for seed in (0, 1):
        lines = [{"step": s, "method": "a", "loss": s + 2 * seed} for s in range(3 + seed)]
        variants = {"a": {"m": 1.0 + seed, "undefined": None}, "b": {"m": 5.0}}
        bounds = {"copy": {"m": 2.0 + seed}}
        folders["both"].append(write_run(tmp_path / f"both{seed}", variants, bounds, lines))
        lines = [{"step": s, "loss": 4.0} for s in (0, 10)]
        one = {"a": variants["a"]}
        folders["one"].append(write_run(tmp_path / f"one{seed}", one, bounds, lines))
    content = made(folders, curves=["loss"], reference="one")
    assert set(content["variants"]) == {"both/a", "both/b", "one"}
    assert content["variants"]["both/a"]["metrics"] == {"m": mean_interval([1.0, 2.0])}
    assert content["variants"]["both/a"]["params"] == {"width": 0}
    assert content["variants"]["both/b"]["differences"]["m"]["values"] == [4.0, 3.0]
    assert content["variants"]["one"]["metrics"]["seconds"]["values"] == [2.0, 2.0]
    assert content["bounds"] == {"copy": {"m": mean_interval([2.0, 3.0])}}
    assert content["protocol"] == {"n": 7}
    assert content["versions"] == {"torch": "b, o"}
    assert (content["commit"], content["machine"]) == ("bot, one", "m")  # of all runs
    assert content["seconds"] == 8.0
    assert content["curves"]["both/a"]["loss"]["x"] == [0, 1, 2]
    assert content["curves"]["both/a"]["loss"]["mean"] == [1, 2, 3]
    assert content["curves"]["both/b"] == {}
    validate_results(content | {"experiment": "x", "command": "y", "seeds": [0, 1]})
    other = made(folders, bounds={"far": {"m": mean_interval([1.0, 1.0])}})
    assert set(other["bounds"]) == {"copy", "far"}

    folders["far"] = [write_run(tmp_path / "c0", {"a": {"m": 1.0}}, {"copy": {"m": 2.5}}, [])]
    with pytest.raises(UserError, match=r"bound copy of far .* set bounds_per_variant: true"):
        made(folders)
    content = made(folders, bounds_per_variant=True)
    assert set(content["bounds"]) == {"both/copy", "one/copy", "far/copy"}


@pytest.mark.parametrize(
    ("variants", "curves", "message"),
    [
        ({"a": {"m": 1.0}}, ["smear"], "no run has smear in every seed's"),
        ({"a": {"m": "x"}}, [], r"v: m is 'x', expected a number"),
        ({}, [], "expected variants with their metrics, got none"),
    ],
)
def test_summaries_that_cannot_be_aggregated(tmp_path, variants, curves, message) -> None:
    run = write_run(tmp_path / "run", variants, {}, [{"step": 1, "loss": 1.0}])
    with pytest.raises(UserError, match=message):
        made({"v": [run]}, curves=curves)


def test_a_summary_says_which_interval_a_metric_gets(tmp_path: Path) -> None:
    says = {
        "shares": {"hit": 4, "told": 8},
        "limits": {"rank": [1, 3], "error": [0, None]},
        "same_episodes": True,
    }
    runs = []
    for seed in (0, 1):
        scores = {"hit": 0.5, "told": 1.0, "rank": 1.0 + 2 * seed, "error": 1.0 * seed}
        runs.append(write_run(tmp_path / f"run{seed}", {"a": scores}, {}, [], **says))
        write_arrays(runs[-1] / "outcomes.npz", {"hit": np.array([1.0, 1.0, 0.0, 0.0])})
    metrics = made({"v": runs})["variants"]["v"]["metrics"]
    assert (metrics["hit"]["low"], metrics["hit"]["high"]) == (0.0, 1.0)  # bootstrap, crossed
    assert (metrics["told"]["low"], metrics["told"]["high"]) == wilson(8, 8)  # no outcomes kept
    assert (metrics["rank"]["low"], metrics["rank"]["high"]) == (1, 3)  # Student's, cut
    assert metrics["error"]["low"] == 0
    assert metrics["error"]["high"] > 1
    kept = collect_outcomes({"v": runs}, [5, 6])
    assert set(kept) == {"v/seed5/hit", "v/seed6/hit"}


def test_a_file_is_named_after_its_experiment_and_checked_before_it_is_written(tmp_path):
    ours = {"params": {"steps": 3}, "metrics": {"error": mean_interval([0.9, 1.1])}}
    plain = {"params": {"steps": 1}, "metrics": {"error": mean_interval([1.9, 2.0])}}
    path = tmp_path / "speed.json"
    given = {"protocol": {"steps": 3}, "seconds": 1.26, "seeds": (0, 1)}
    write_results(
        path, "python x.py", variants={"ours": ours, "plain": plain}, reference="plain", **given
    )
    content = read_results(path)
    assert (content["experiment"], content["command"]) == ("speed", "python x.py")
    assert (content["seconds"], content["seeds"], content["bounds"]) == (1.3, [0, 1], {})
    assert content["variants"]["ours"]["params"] == {"steps": 3}
    assert content["variants"]["ours"]["differences"]["error"]["mean"] == pytest.approx(-0.95)
    assert content["commit"]
    assert content["machine"]
    bad = {"ours": {"params": {}, "metrics": {"error": {"mean": 1, "n": 1, "values": [1]}}}}
    with pytest.raises(ValueError, match=r"variants\.ours\.metrics\.error"):
        write_results(tmp_path / "bad.json", "", variants=bad, **given)
    assert not (tmp_path / "bad.json").exists()


def test_a_rerun_that_finds_the_same_numbers_leaves_the_file(tmp_path: Path, monkeypatch) -> None:
    path, commits = tmp_path / "speed.json", iter("0123456")
    monkeypatch.setattr("common.harness.results.git_commit", lambda: next(commits))

    def write(error: float, seconds: float = 1.0) -> str:
        ours = {"ours": {"params": {}, "metrics": {"error": mean_interval([error, 2 * error])}}}
        write_results(path, "x.py", protocol={}, seconds=seconds, seeds=[0, 1], variants=ours)
        return read_results(path)["commit"]

    assert [write(0.3), write(0.3 + 1e-9, 2.0), write(0.31)] == ["0", "0", "2"]
    path.write_text(path.read_text().replace('"commit": "2"', '"commit": "2-dirty"'))
    assert write(0.31) == "3"
