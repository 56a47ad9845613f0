"""Part 4's verdicts follow from the numbers: made-up results, whose verdicts are known."""

from collections.abc import Callable, Mapping

import pytest

from common.harness.results import write_results
from common.intervals import mean_interval
from part4_dinov3_encoder.report import tables as readme_tables
from part4_dinov3_encoder.report import verdicts as readme_verdicts

METRICS = (
    "position_all_1000", "velocity_all_1000", "velocity2_all_1000", "leakage", "leakage_removed",
)  # fmt: skip


def cell(mean: float, half: float = 0.01) -> dict:
    """An interval of about half to either side of a mean."""
    return mean_interval([mean - half / 2, mean, mean + half / 2])


@pytest.fixture
def given(monkeypatch) -> Callable[..., None]:
    """A function that sets what the results files say: 0 everywhere but {arm: {metric: mean}}."""

    def give(**changes: Mapping[str, float]) -> None:
        names = {"references": ("raw_pixels", "untrained"), "recipes": readme_verdicts.RECIPES}
        results = {
            name: {
                "seeds": [5, 6, 7],
                "arms": {
                    arm: {m: cell(changes.get(arm, {}).get(m, 0.0)) for m in METRICS}
                    for arm in arms
                },
            }
            for name, arms in names.items()
        }
        monkeypatch.setattr(readme_tables, "read", results.get)
        monkeypatch.setattr(readme_verdicts, "read", results.get)

    return give


def test_the_table_of_teachers_is_empty_until_there_is_something_in_it(monkeypatch, tmp_path):
    monkeypatch.setattr(readme_tables, "PART", tmp_path)
    header, rows = readme_tables.teacher_table()
    assert header[:2] == ["0 seeds", "initial share"]
    assert not rows
    arms = {
        arm: {name: cell(share) for name in ("initial_share", *readme_tables.TEACHER)}
        for arm, share in (("ijepa", 0.37), ("ijepa-forgets", 0.006))
    }
    path = tmp_path / "results" / "teacher_rate.json"
    write_results(path, "python x.py", protocol={}, seconds=1.0, seeds=[5, 6, 7], arms=arms)
    header, rows = readme_tables.teacher_table()
    assert header[0] == "3 seeds"
    assert [row[:2] for row in rows] == [
        ["I-JEPA", "0.370"], ["I-JEPA, a teacher that forgets", "0.006"],
    ]  # fmt: skip
    assert all(len(row) == len(header) for row in rows)


def test_names_are_listed():
    assert readme_verdicts.listed(["a"]) == "a"
    assert readme_verdicts.listed(["a", "b"]) == "a and b"
    assert readme_verdicts.listed(["a", "b", "c"]) == "a, b and c"
    assert [readme_verdicts.number(v) for v in (-0.001, 0.126)] == ["0.00", "0.13"]


def test_a_recipe_is_below_what_its_interval_does_not_clear(given):
    score = "position_all_1000"
    given(dino={score: 0.9}, lejepa={score: 0.6}, untrained={score: 0.6}, raw_pixels={score: 0.3})
    told = readme_verdicts.position()[2]
    assert told.startswith("**holds** for DINO; not above the untrained ViT: I-JEPA, V-JEPA and Le")
    assert told.endswith("not above raw pixels: I-JEPA and V-JEPA")


def test_motion_that_is_rounding_noise_has_no_best(given):
    given(vjepa={"velocity2_all_1000": -0.001}, dino={"velocity_all_1000": -0.002})
    _, measured, told = readme_verdicts.motion()
    assert told.startswith("**not shown**")
    assert "best" not in measured
    assert "-0.00" not in measured
    given(vjepa={"velocity2_all_1000": 0.4})
    assert readme_verdicts.motion()[2] == "**holds** for V-JEPA"


def test_places_are_judged_by_what_is_above_raw_pixels(given):
    floor = {"leakage": 0.14, "leakage_removed": 0.14}
    more, less = {"leakage": 0.18, "leakage_removed": 0.13}, {"leakage": 0.09}
    given(raw_pixels=floor, untrained=more, ijepa=less, vjepa=less, dino=less, lejepa=less)
    _, measured, told = readme_verdicts.places()
    assert "raw pixels, which know no place, 0.14" in measured
    assert told == (
        "**holds** for the untrained ViT; nothing to take out above raw pixels in "
        "I-JEPA, V-JEPA, DINO and LeJEPA"
    )
    given(raw_pixels=floor, dino={"leakage": 0.3, "leakage_removed": 0.25})
    assert readme_verdicts.places()[2].startswith("**fails** for DINO; nothing to take out")
    given(raw_pixels=floor)
    assert readme_verdicts.places()[2].startswith("**not shown**: nothing to take out")


@pytest.mark.parametrize(
    ("dino", "pixels", "words"),
    [
        (cell(3.0), cell(2.0), "(8 x 8, where raw pixels do better)"),
        (cell(3.0), cell(3.5), "(8 x 8, where raw pixels do worse)"),
        (cell(3.0, 0.5), cell(3.1), "(8 x 8, where raw pixels do as well within the intervals)"),
        (cell(3.9, 0.5), cell(2.0), "**fails**"),  # below half a patch side in the mean alone
    ],
)
def test_the_ball_is_followed_where_a_whole_interval_is_within(monkeypatch, dino, pixels, words):
    far = cell(6.0)
    errors = {"ijepa": far, "vjepa": far, "lejepa": far, "dino": dino}
    bounds = {"vit_random": far, "raw_pixels": pixels}
    content = {"protocol": {"resolutions": [64]}}
    for section, found in (("arms", errors), ("bounds", bounds)):
        content[section] = {f"{arm}@64": {"error_px": error} for arm, error in found.items()}
    monkeypatch.setattr(readme_verdicts, "read", lambda name: content)
    _, measured, told = readme_verdicts.tracking()
    assert words in told
    assert ("1 of 4 recipes within" in measured) == ("**fails**" not in words)
