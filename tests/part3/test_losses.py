"""Part 3's losses: those of the papers, where their gradients go, and that they stop collapse."""

import math

import pytest
import torch
from torch import Tensor

from common import losses
from common.dino import dino
from common.harness.config import load_config
from common.losses import lejepa
from common.metrics import collapse_ratio
from common.schedules import warmup_cosine
from common.sigreg import sigreg_share
from part3_collapse_regularizers.config import BASELINE, Config, Stream, generator, learning_rate
from part3_collapse_regularizers.critical import settled, untrained_line
from part3_collapse_regularizers.data import Batch, draw_sample, make_pool
from part3_collapse_regularizers.model import Model, make_batch, make_model
from part3_collapse_regularizers.train import compute_loss

CONFIGS = BASELINE.parent
NEXT = CONFIGS / "next_frame.yaml"
METHODS = [
    "none", "stopgrad", "simsiam", "byol", "dino", "barlow", "vicreg", "vicreg_no_variance",
    "vicreg_no_covariance", "sigreg", "supervised",
]  # fmt: skip


def config(*names: str, **overrides: object) -> Config:
    files = [BASELINE, *(CONFIGS / f"{name}.yaml" for name in names)]
    return load_config(Config, files, {key.replace("__", "."): v for key, v in overrides.items()})


def smoke_batch(cfg: Config, model: Model) -> Batch:
    """One batch of a small config, as a training step gets it."""
    pool = make_pool(cfg, 16, 4, generator(cfg, Stream.TRAIN_EPISODES))
    sample = draw_sample(cfg, pool, 16, generator(cfg, Stream.TRAIN_SAMPLES))
    return make_batch(model, sample, cfg, generator(cfg, Stream.TRAIN_SLICES))


def test_every_method_starts_from_the_same_encoder():
    first = [make_model(config(method, "smoke")).encoder.state_dict() for method in METHODS]
    for other in first[1:]:
        assert all(torch.equal(value, other[name]) for name, value in first[0].items())


@pytest.mark.parametrize("setting", [[], ["next_frame"]])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_in_both_settings(method, setting):
    cfg = config(method, *setting, "smoke")
    model = make_model(cfg)
    loss, terms = compute_loss(model, smoke_batch(cfg, model), cfg)
    loss.backward()
    assert math.isfinite(loss.item())
    assert all(term.ndim == 0 for term in terms.values())
    for name, p in model.named_parameters():
        if name.startswith("teacher"):
            assert p.grad is None, name
        else:
            assert p.grad is not None, name
            assert p.grad.abs().sum() > 0, name


@pytest.mark.parametrize("method", METHODS)
def test_a_loss_draws_nothing_and_moves_nothing(method):
    cfg = config(method, "smoke")
    model = make_model(cfg).eval()  # batch normalisation would follow the batch
    batch, before = smoke_batch(cfg, model), torch.get_rng_state()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    first, second = (compute_loss(model, batch, cfg)[0] for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("method", ["stopgrad", "simsiam", "byol", "dino"])
def test_no_gradient_reaches_the_target(method):
    cfg = config(method, "next_frame", "smoke")  # one prediction, so the target is one frame
    model = make_model(cfg)
    batch = smoke_batch(cfg, model)
    batch.x.requires_grad_()
    compute_loss(model, batch, cfg)[0].backward()
    assert batch.x.grad is not None
    assert batch.x.grad[0].abs().sum() > 0
    assert batch.x.grad[1].abs().sum() == 0


def test_naive_gradients_reach_both_sides():
    cfg = config("none", "next_frame", "smoke")
    model = make_model(cfg)
    batch = smoke_batch(cfg, model)
    batch.x.requires_grad_()
    compute_loss(model, batch, cfg)[0].backward()
    assert batch.x.grad is not None
    assert (batch.x.grad.abs().sum(dim=(1, 2, 3, 4)) > 0).all()


def views_of(cfg: Config) -> tuple[Model, Batch, Tensor]:
    """An untrained model, a batch of two views, and their embeddings (2, B, D)."""
    model = make_model(cfg)
    batch = smoke_batch(cfg, model)
    return model, batch, model.embed(batch.x)


def test_what_is_trained_is_the_papers_vicreg_and_barlow_twins():
    cfg = config("vicreg", "smoke")
    model, batch, z = views_of(cfg)
    terms, w = losses.vicreg(z[0], z[1]), cfg.loss_weights
    expected = (
        w.invariance * terms["invariance"]
        + w.variance * terms["variance"]
        + w.covariance * terms["covariance"]
    )
    torch.testing.assert_close(compute_loss(model, batch, cfg)[0], expected)
    cfg = config("barlow", "smoke")
    model, batch, z = views_of(cfg)
    terms = losses.barlow_twins(z[0], z[1])
    expected = terms["invariance"] + cfg.loss_weights.redundancy * terms["redundancy"]
    torch.testing.assert_close(compute_loss(model, batch, cfg)[0], expected)


def test_what_is_trained_is_lejepa_whose_squared_error_is_a_fourth():
    cfg = config("sigreg", "smoke")
    model, batch, z = views_of(cfg)
    assert batch.slices is not None
    theirs = lejepa(z, batch.slices, num_knots=cfg.loss_weights.num_knots)
    share = sigreg_share(cfg.loss_weights.sigreg_lambda, z.shape[1])
    expected = 4 * (1 - share) * theirs["prediction"] + share * theirs["sigreg"]
    torch.testing.assert_close(compute_loss(model, batch, cfg)[0], expected)


def test_the_default_weight_of_sigreg_is_the_published_share():
    cfg = config("sigreg")
    share = sigreg_share(cfg.loss_weights.sigreg_lambda, cfg.batch_size)
    assert share == pytest.approx(0.02, abs=1e-9)
    cfg = config("sigreg", "smoke", loss_weights__sigreg_lambda=0.0)
    model, batch, _ = views_of(cfg)
    loss, terms = compute_loss(model, batch, cfg)
    assert loss == terms["prediction"]


def test_an_automatic_weight_is_twice_the_line_of_the_encoder_it_trains(capsys):
    cfg = config("sigreg", loss_weights__sigreg_lambda="auto")
    found = settled(cfg).loss_weights.sigreg_lambda
    assert found == settled(cfg).loss_weights.sigreg_lambda  # resumed, it is the same
    assert found == pytest.approx(2 * untrained_line(cfg))
    assert 0.6 < found < 1.4
    assert f"sigreg_lambda: {found:.4g}" in capsys.readouterr().out
    ahead = settled(config("sigreg", "next_frame", loss_weights__sigreg_lambda="auto"))
    assert ahead.loss_weights.sigreg_lambda == pytest.approx(2 * 0.647, abs=1e-3)
    for other in (config("sigreg"), config("vicreg")):
        assert settled(other) == other


def test_what_is_trained_is_dino_over_both_pairs_of_views():
    cfg = config("dino", "smoke")
    model, batch, z = views_of(cfg)
    assert batch.target is not None
    w = cfg.loss_weights
    temperatures = {
        "student_temperature": w.student_temperature, "teacher_temperature": w.teacher_temperature
    }  # fmt: skip
    expected = dino(model.head(z), batch.target, model.centre.mean, **temperatures)
    torch.testing.assert_close(compute_loss(model, batch, cfg)[0], expected["cross_entropy"])


def test_the_teacher_follows_and_the_centre_moves():
    cfg = config("dino", "smoke")
    model = make_model(cfg)
    batch = smoke_batch(cfg, model)
    assert batch.target is not None
    before = model.teacher_encoder.head.weight.clone()
    with torch.no_grad():
        model.encoder.head.weight += 1
    model.after_step(batch, 0)
    torch.testing.assert_close(model.teacher_encoder.head.weight, before + 0.01)
    torch.testing.assert_close(model.centre.mean, 0.1 * batch.target.mean((0, 1)))


def train_briefly(cfg: Config) -> tuple[float, float]:
    """Collapse ratio and mean std of held-out embeddings after 120 small steps."""
    pool, model = make_pool(cfg, 64, 1, generator(cfg, Stream.TRAIN_EPISODES)), make_model(cfg)
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.learning_rate)
    samples, slices = generator(cfg, Stream.TRAIN_SAMPLES), generator(cfg, Stream.TRAIN_SLICES)
    for _ in range(120):
        batch = make_batch(model, draw_sample(cfg, pool, 32, samples), cfg, slices)
        loss, _ = compute_loss(model, batch, cfg)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        z = model.encoder(draw_sample(cfg, pool, 256, generator(cfg, Stream.TEST_LOOKS)).x[0])
    return collapse_ratio(z), z.std(0).mean().item()


def test_naive_training_collapses_and_regularizers_stop_it():
    found = {
        method: train_briefly(config(method, "smoke")) for method in ("none", "vicreg", "sigreg")
    }
    assert found["none"][0] < 0.05
    for method in ("vicreg", "sigreg"):
        ratio, spread = found[method]
        assert ratio > 0.5, found
        assert spread > 0.3, found  # the ratio alone would miss a code that has shrunk to 0
    ratio, spread = train_briefly(config("sigreg", "smoke", loss_weights__sigreg_lambda=3.2e-4))
    assert ratio > 0.5 > 0.05 > spread


@pytest.mark.parametrize(("steps", "warmup"), [(4, 0.1), (175, 0.1), (100, 0.1), (10, 1.0)])
def test_a_warm_up_reaches_its_peak_and_never_passes_it(steps: int, warmup: float):
    rates = [warmup_cosine(step, steps, 0.3, warmup) for step in range(steps)]
    assert max(rates) == pytest.approx(0.3, rel=0.2)
    assert max(rates) <= 0.3


def test_the_constant_schedule_stays_at_its_peak():
    cfg = config("smoke", schedule="constant", steps=100, warmup=0.1)
    rates = [learning_rate(step, cfg) for step in range(100)]
    assert rates[0] == pytest.approx(cfg.learning_rate / 10)
    assert rates[10:] == [cfg.learning_rate] * 90
