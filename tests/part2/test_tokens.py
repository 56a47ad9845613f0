"""The method tokens: what its words cost, what its samples are worth, and what it refuses."""

import math
from pathlib import Path

import pytest
import torch

from common.distractors import square_masks
from common.episodes import make_clips
from common.futures import entropy
from common.harness.config import REPOSITORY, load_config, to_yaml
from common.metrics import smear_terms
from common.schedules import stream
from common.vit import patchify
from part2_pixel_vs_jepa import evaluate
from part2_pixel_vs_jepa.config import BASELINE, Config, Stream, generator
from part2_pixel_vs_jepa.model import make_models
from part2_pixel_vs_jepa.scoring.heldout import Heldout, make_heldout, real_of
from part2_pixel_vs_jepa.scoring.samples import KS, mean_error
from part2_pixel_vs_jepa.scoring.words import (
    _noise_bits,
    ball_places,
    exact_bits,
    heldout_bits,
    score_sampler,
)
from part2_pixel_vs_jepa.tokens import TokenModel
from part2_pixel_vs_jepa.train import main

CONFIGS = REPOSITORY / "configs" / "part2"
TOKENS, SMOKE = CONFIGS / "tokens.yaml", CONFIGS / "smoke.yaml"
SMALL = {"data.num_test_episodes": 4, "data.num_bank_episodes": 1, "threads": 1}


def make(*files: str, **overrides: object) -> tuple[TokenModel, Heldout, Config]:
    """An untrained model that has its words, and held-out pairs."""
    worlds = [CONFIGS / f"{name}.yaml" for name in files]
    cfg = load_config(Config, [BASELINE, *worlds, TOKENS], {**SMALL, **overrides})
    (model,), held = make_models(cfg).values(), make_heldout(cfg)
    assert isinstance(model, TokenModel)
    clips = make_clips(cfg.world, cfg.distractor, 150, generator(cfg, Stream.TRAIN_DATA))
    model.fit_codebook(clips, generator(cfg, Stream.CODEBOOK))
    return model, held, cfg


@pytest.mark.parametrize("world", ["speeds", "squares", "dots", "stochastic_wall"])
def test_parameters_are_within_5_percent_of_700k_in_every_world(world: str) -> None:
    words = 512 if world in ("dots", "stochastic_wall") else 192
    path = CONFIGS / f"{world}.yaml"
    cfg = load_config(Config, [BASELINE, path, TOKENS], {"tokens.num_words": words})
    assert abs(make_models(cfg)["tokens"].num_parameters() - 700_000) <= 35_000


def test_bits_are_of_all_words_of_a_frame_given_the_past_alone() -> None:
    model, held, _ = make("stochastic_wall", **{"tokens.num_words": 64})
    with torch.no_grad():
        bits = heldout_bits(model, held)
        known = model.read(held.batch.x_past)
        other = model.read(held.batch.x_past.flip(1))  # another past
    assert bits.shape == (len(held.best), 64)
    assert known.shape[1] == 2 * 64 // 8
    assert (known - other).abs().max() > 1e-4
    assert bits.mean().item() == pytest.approx(math.log2(64), rel=0.2)  # it knows nothing yet


def test_a_world_with_one_future_has_no_bits() -> None:
    model, held, cfg = make("two_frames", **{"tokens.num_words": 64, "data.num_test_episodes": 1})
    assert exact_bits(model.codebook, held, ball_places(model, held), cfg)["bits"] == 0
    scores, outcomes, _ = score_sampler(model, held, cfg)
    assert scores["bits_above"] == scores["bits"]
    assert "smear" not in scores
    assert not outcomes


def test_the_exact_bits_of_the_posts_world_are_those_of_its_frames() -> None:
    model, held, cfg = make()
    ball = ball_places(model, held)
    exact = exact_bits(model.codebook, held, ball, cfg)
    frames = entropy(held.probabilities, held.futures).mean().item()
    assert exact["bits"] == pytest.approx(frames, rel=1e-5)
    assert exact["bits_elsewhere"] == pytest.approx(0, abs=1e-6)
    assert 0.7 < frames < 1


def test_flickering_squares_add_four_bits_none_of_them_on_the_ball() -> None:
    model, held, cfg = make("squares")
    ball = ball_places(model, held)
    exact = exact_bits(model.codebook, held, ball, cfg)
    at_squares = patchify(square_masks(cfg.distractor, 64).amax(0)[None, None, None], 8).amax(-1)
    assert not (ball & (at_squares.flatten() > 0)).any()
    assert exact["bits_elsewhere"] == pytest.approx(4, abs=1e-4)
    of_ball = entropy(held.probabilities, held.futures).mean().item()
    assert exact["bits_ball"] == pytest.approx(of_ball, rel=1e-5)


def test_the_bits_of_dots_are_those_of_their_number_where_words_tell_nothing_else() -> None:
    """Two words: fewer than 3 dots in a patch, or more."""
    model, held, cfg = make("dots", **{"tokens.num_words": 2})
    level = 2.5 / 32
    model.codebook.words.copy_(torch.tensor([[0.0], [level]]).expand(-1, 64))
    dots = (torch.rand(40_000, 64, generator=stream(0, 1)) < 0.05).float()
    few = sum(math.comb(64, k) * 0.05**k * 0.95 ** (64 - k) for k in range(3))
    expected = -few * math.log2(few) - (1 - few) * math.log2(1 - few)
    found = _noise_bits(model.codebook, torch.zeros(64), dots)
    assert found.item() == pytest.approx(expected, abs=0.01)
    assert _noise_bits(model.codebook, torch.ones(64), dots).item() == pytest.approx(0, abs=1e-6)
    exact = exact_bits(model.codebook, held, ball_places(model, held), cfg)
    assert exact["bits"] < 64 + 1
    assert exact["bits_elsewhere"] > 30


def test_the_error_of_the_mean_does_not_depend_on_the_number_of_samples() -> None:
    share, x_next = torch.rand(4, 8, 8, generator=stream(0, 1)), torch.rand(4, 8, 8)
    frames = torch.bernoulli(share.unsqueeze(1).expand(-1, 40_000, -1, -1))
    expected = (share - x_next).square().mean().item()
    few = mean_error(frames.reshape(-1, 4, 8, 8), x_next.repeat_interleave(10_000, 0))
    assert few.mean().item() == pytest.approx(expected, rel=5e-3)
    assert (frames[:, :4].mean(1) - x_next).square().mean() > expected


def test_the_bounds_are_those_of_drawn_futures() -> None:
    model, held, cfg = make("speeds")
    scores, outcomes, rows = score_sampler(model, held, cfg)
    assert set(outcomes) == {"numerator", "denominator", "coverage", "precision"}
    assert scores["precision"] <= scores["coverage"] + 0.1  # untrained: next to nothing is hit
    for metric in ("smear", "distance"):
        assert rows["shown"][metric] <= rows["codebook"][metric] < 0.15
    assert rows["shown"]["coverage"] == 1
    some = held.ambiguous.nonzero()[:40, 0]
    drawn = torch.multinomial(held.probabilities[some], 4 * 50, True, generator=stream(0, 2))
    found = []
    for part in drawn.split(4, 1):
        frames = held.futures[some].gather(1, part[:, :, None, None].expand(-1, -1, 64, 64))
        found.append(smear_terms(frames, *real_of(held, some))["coverage"].mean().item())
    p = held.probabilities[some]
    expected = ((1 - (1 - p) ** 4).sum(1) / (p > 0).sum(1)).mean().item()
    assert sum(found) / len(found) == pytest.approx(expected, abs=0.03)
    names = {f"coverage_{k}" for k in KS[:-1]} | {"coverage"}
    assert names <= set(rows["sampler"])
    assert rows["codebook"]["coverage"] > 0.95


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["--tokens.num_words=512"], "wanted at most as many words"),
        (["--tokens.patch_size=7"], "tokens.patch_size must divide world.size"),
        (["--tokens.words_at_once=7"], "must divide the 64 words"),
        (["--tokens.num_heads=5"], "divisible by tokens.num_heads"),
        (["--give_action=true"], "use give_action false"),
        (["--num_hypotheses=3"], "only with methods=pixels_z"),
    ],
)
def test_what_cannot_be_cut_into_words_ends_in_one_line(
    tmp_path: Path, refusal, overrides: list[str], words: str
) -> None:
    where = f"--run_dir={tmp_path / 'run'}"
    assert words in refusal(main, "--config", TOKENS, "--config", SMOKE, *overrides, where)


def test_a_codebook_of_another_world_is_refused(tmp_path: Path, refusal, monkeypatch) -> None:
    cfg = load_config(Config, [BASELINE, SMOKE, TOKENS], {"tokens.num_words": 64, "threads": 1})
    model = make_models(cfg)["tokens"]
    assert isinstance(model, TokenModel)
    model.fit_codebook(make_heldout(cfg).clips, generator(cfg, Stream.CODEBOOK))
    torch.save(model.state_dict(), tmp_path / "tokens.pt")
    changed = load_config(
        Config, [BASELINE, SMOKE, TOKENS], {"tokens.num_words": 64, "distractor.kind": "dots"}
    )
    (tmp_path / "config.yaml").write_text(to_yaml(changed))
    assert "the codebook is of another world" in refusal(evaluate.main, tmp_path)
