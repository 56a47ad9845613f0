"""Whole plans timed: predictors in parts, a look that writes nothing, a results file that says
where it was made."""

import pytest
import torch

from common.harness.results import read_results
from common.vit import ViT
from part5_action_planning.config import PlannerConfig
from part5_action_planning.studies import whole_plan
from part5_action_planning.studies.planning_time import PublishedPredictor
from part5_action_planning.studies.whole_plan import Setting, by_parts, main, planned


def small() -> dict[str, tuple[PublishedPredictor, ViT, int]]:
    encoder = ViT(channels=3, patch_size=8, tubelet=1, dim=12, depth=1, num_heads=3)
    sizes = {"lewm": (1, True), "dino_wm": (2, False)}
    return {
        name: (PublishedPredictor(tokens=n, width=12, conditioned=is_lewm).eval(), encoder, 16)
        for name, (n, is_lewm) in sizes.items()
    }


@pytest.fixture
def there(tmp_path, monkeypatch):
    for name, value in {
        "published": small, "PART": tmp_path, "EPISODES": (1, 2), "SAMPLES": 4, "ITERATIONS": 2,
    }.items():  # fmt: skip
        monkeypatch.setattr(whole_plan, name, value)
    return tmp_path / "results" / "whole_plan_cpu.json"


def run(monkeypatch, *options: str) -> None:
    monkeypatch.setattr("sys.argv", ["study.py whole_plan", "--device=cpu", *options])
    main()


@torch.no_grad()
def test_parts_of_a_batch_are_predicted_as_the_whole_is(monkeypatch):
    predictor, _, _ = small()["dino_wm"]
    monkeypatch.setattr(whole_plan, "TOKENS", 24)
    calls = []
    predictor.register_forward_hook(lambda module, given, out: calls.append(len(out)))
    x = torch.randn(12, 6, 12)
    step = by_parts(predictor, 12, 6, Setting("fp32", False, 3))
    torch.testing.assert_close(step(x), predictor(x))
    assert calls == [4, 4, 4, 12]
    assert step(x[:3]).shape == (3, 6, 12)  # the mean, tried alone at the end


@torch.no_grad()
def test_a_plan_rolls_every_candidate_out(monkeypatch):
    predictor, encoder, side = small()["lewm"]
    rows = []
    predictor.register_forward_hook(lambda module, given, out: rows.append(len(out)))
    planner = PlannerConfig(kind="cem", horizon=5, num_samples=4, num_iterations=2, num_elites=2)
    place = torch.device("cpu")
    planned(predictor, encoder, side, Setting("fp32", False, 3), planner, place)()
    assert rows == [12] * 10 + [3] * 5


def test_whole_plans_are_written_and_name_their_device(there, monkeypatch):
    run(monkeypatch)
    content = read_results(there)
    assert content["device"] == "cpu"
    assert set(content["variants"]) == {f"{p}/eager/{n}" for p in ("fp32", "bf16") for n in (1, 2)}
    for each in content["variants"].values():
        found = {key: cell["mean"] for key, cell in each["metrics"].items()}
        assert found["ratio"] == pytest.approx(found["dino_wm_seconds"] / found["lewm_seconds"])


def test_a_look_writes_nothing(there, monkeypatch, capsys):
    run(monkeypatch, "--samples=2", "--iterations=1")
    assert not there.exists()
    assert "bf16/eager/2" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--samples=0", "--iterations=0"])
def test_a_plan_of_nothing_is_refused(there, option, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(monkeypatch, option)
    assert stopped.value.code == 2
    assert option.split("=")[0].strip("-") in capsys.readouterr().err
