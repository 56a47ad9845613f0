"""Pixels by likelihood: known answers of its bits and samples, and what it refuses."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from common.episodes import to_float
from common.futures import entropy
from common.harness.config import REPOSITORY, load_config
from common.schedules import stream
from part2_pixel_vs_jepa.config import BASELINE, Config
from part2_pixel_vs_jepa.model import LikelihoodModel, make_models
from part2_pixel_vs_jepa.scoring.heldout import Heldout, make_heldout, take
from part2_pixel_vs_jepa.scoring.rollout import rollout, start_and_length
from part2_pixel_vs_jepa.scoring.words import enumerated_bits, score_sampler
from part2_pixel_vs_jepa.train import main

CONFIGS = REPOSITORY / "configs" / "part2"
LIKELIHOOD = CONFIGS / "likelihood.yaml"
SMALL = {"data.num_test_episodes": 4, "data.num_bank_episodes": 1, "threads": 1}


def make(*files: str, **overrides: object) -> tuple[dict[str, LikelihoodModel], Heldout, Config]:
    """Untrained models, and held-out pairs."""
    worlds = [CONFIGS / f"{name}.yaml" for name in files]
    cfg = load_config(Config, [BASELINE, *worlds, LIKELIHOOD], {**SMALL, **overrides})
    models = {name: m for name, m in make_models(cfg).items() if isinstance(m, LikelihoodModel)}
    assert [*models] == ["pixels_nll", "pixels_nll_z"]
    return models, make_heldout(cfg), cfg


def test_parameters_are_those_of_the_pixel_methods() -> None:
    models, _, cfg = make()
    plain = make_models(replace(cfg, methods=("pixels", "pixels_z")))
    for name, model in models.items():
        assert model.num_parameters() == plain[name.replace("_nll", "")].num_parameters()


@torch.no_grad()
def test_bits_are_those_of_the_mixture_written_out() -> None:
    models, held, _ = make()
    batch = take(held.batch, torch.arange(8))
    for model in models.values():
        white, log_odds = model.hypotheses(batch)
        white, x = white.double(), batch.x_next.double()  # (B, K, H, W), (B, 1, H, W)
        each = torch.where(x == 1, white, 1 - white).log2().sum((2, 3))  # (B, K)
        both = each + log_odds.double().softmax(1).log2()
        expected = -both[:, 0]
        for k in range(1, both.shape[1]):
            expected = -torch.logaddexp2(-expected, both[:, k])
        torch.testing.assert_close(model.bits(batch).double(), expected, rtol=1e-5, atol=1e-3)


@torch.no_grad()
def test_a_frame_of_fair_coins_costs_a_bit_a_pixel() -> None:
    models, held, _ = make()
    batch = take(held.batch, torch.arange(8))
    for model in models.values():
        model.decoder.patch.weight.zero_()
        model.decoder.patch.bias.zero_()
        torch.testing.assert_close(model.bits(batch), torch.full((8,), 4096.0))


@torch.no_grad()
def test_samples_are_drawn_from_what_is_said() -> None:
    models, held, _ = make()
    batch = take(held.batch, torch.arange(2))
    for model in models.values():
        frames = model.sample(batch, 4000, stream(0, 1))
        assert set(frames.unique().tolist()) == {0.0, 1.0}
        white, log_odds = model.hypotheses(batch)
        expected = (log_odds.softmax(1)[:, :, None, None] * white).sum(1)
        torch.testing.assert_close(frames.mean(1), expected, atol=0.05, rtol=0)


def test_the_exact_bits_are_those_of_a_brute_force_count() -> None:
    for world, more in (((), 0.0), (("squares",), 4.0)):
        _, held, cfg = make(*world)
        found = enumerated_bits(lambda frame: frame, held, cfg)
        of_ball = entropy(held.probabilities, held.futures)
        torch.testing.assert_close(found, of_ball + more, atol=1e-4, rtol=0)


def test_a_world_with_one_future_has_no_bits_and_no_smear() -> None:
    models, held, cfg = make("two_frames", **{"data.num_test_episodes": 1})
    scores, outcomes, rows = score_sampler(models["pixels_nll"], held, cfg)
    assert rows["frames"]["bits"] == 0
    assert scores["bits_above"] == scores["bits"]
    assert "smear" not in scores
    assert not outcomes
    assert "position_error_at_20" in scores


def test_a_rollout_is_drawn_after_its_own_samples(monkeypatch) -> None:
    models, held, cfg = make("two_frames", **{"data.num_test_episodes": 2})
    model = models["pixels_nll"]
    seen = []

    def sample(self, batch, times, generator):
        seen.append(batch.x_past.clone())
        return torch.full((2, times, 64, 64), float(len(seen)))

    monkeypatch.setattr(LikelihoodModel, "sample", sample)
    start, length = start_and_length(cfg)
    frames = rollout(model, held.clips, cfg)
    assert frames[0, :, 0, 0].tolist() == list(range(1, length + 1))
    assert torch.equal(seen[0], to_float(held.clips.frames[:, : start + 1]))
    assert torch.equal(seen[1][:, 0], seen[0][:, 1])
    assert (seen[1][:, 1] == 1).all()
    assert (seen[-1][:, 0] == length - 2).all()


@pytest.mark.parametrize(
    "overrides", [["--world.antialias=true"], ["--distractor.kind=background"]]
)
def test_grey_pixels_are_refused(tmp_path: Path, refusal, overrides: list[str]) -> None:
    where = f"--run_dir={tmp_path / 'run'}"
    message = refusal(main, "--config", LIKELIHOOD, *overrides, where)
    assert "take pixels to be black or white: use world.antialias false" in message
