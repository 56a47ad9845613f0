"""Part 3 as its reader uses it: samples, gradients, collapse, commands, several processes."""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from common import losses
from common.dino import dino
from common.figures.charts import Curves, panels, write_png
from common.harness.config import REPOSITORY, load_config
from common.harness.errors import UserError, run_script
from common.metrics import collapse_ratio
from common.schedules import warmup_cosine
from common.sigreg import lejepa, sigreg_share
from part3_collapse_regularizers import train_ddp
from part3_collapse_regularizers.config import BASELINE, Config, Stream, generator, learning_rate
from part3_collapse_regularizers.data import Batch, draw_sample, first_frames, make_pool
from part3_collapse_regularizers.model import Model, make_batch, make_model
from part3_collapse_regularizers.plot import _title, draw_side_by_side, plane
from part3_collapse_regularizers.scoring.scores import make_heldout
from part3_collapse_regularizers.studies import (
    collapse_line,
    loss_quality_correlation,
    stability,
    weight_tolerance,
)
from part3_collapse_regularizers.train import compute_loss, main

CONFIGS = REPOSITORY / "configs" / "part3"
SMOKE = CONFIGS / "smoke.yaml"
NEXT = CONFIGS / "next_frame.yaml"
METHODS = [
    "none",
    "stopgrad",
    "simsiam",
    "byol",
    "dino",
    "barlow",
    "vicreg",
    "vicreg_no_variance",
    "vicreg_no_covariance",
    "sigreg",
    "supervised",
]
TRAIN = [
    sys.executable, "part3_collapse_regularizers/train.py", "--config", str(SMOKE), "--threads=1",
]  # fmt: skip
DDP = [
    sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2",
    "part3_collapse_regularizers/train_ddp.py", "--config", str(SMOKE),
]  # fmt: skip


def config(*names: str, **overrides: object) -> Config:
    files = [BASELINE, *(CONFIGS / f"{name}.yaml" for name in names)]
    return load_config(Config, files, {key.replace("__", "."): v for key, v in overrides.items()})


def smoke_batch(cfg: Config, model: Model) -> Batch:
    """One batch of a small config, as a training step gets it."""
    pool = make_pool(cfg, 16, 4, generator(cfg, Stream.TRAIN_EPISODES))
    sample = draw_sample(cfg, pool, 16, generator(cfg, Stream.TRAIN_SAMPLES))
    return make_batch(model, sample, cfg, generator(cfg, Stream.TRAIN_SLICES))


# Samples.


def test_two_views_share_the_state_and_nothing_else():
    cfg = config("smoke", data__shift=0.0)
    sample = draw_sample(
        cfg,
        make_pool(cfg, 16, 4, generator(cfg, Stream.TRAIN_EPISODES)),
        32,
        generator(cfg, Stream.TRAIN_SAMPLES),
    )
    assert sample.x.shape == (2, 32, 1, 64, 64)
    assert torch.equal(sample.content[0], sample.content[1])
    assert (sample.nuisance[0] != sample.nuisance[1]).all()
    assert (sample.x[0] != sample.x[1]).float().mean() > 0.5
    assert 0 <= sample.x.min() < sample.x.max() <= 1


def test_a_shift_moves_the_balls_by_no_more_than_asked_and_not_what_is_measured():
    cfg = config("smoke")
    assert cfg.data.shift == 3
    pool = make_pool(cfg, 16, 4, generator(cfg, Stream.TRAIN_EPISODES))
    shifted = draw_sample(cfg, pool, 64, generator(cfg, Stream.TRAIN_SAMPLES)).content
    gap = (shifted[0] - shifted[1])[:, :2].abs()
    assert 3 < gap.max() <= 6
    measured = first_frames(cfg, pool, generator(cfg, Stream.TRAIN_SAMPLES)).content
    torch.testing.assert_close(measured[0, :, :2], pool.states[:, 0, 0, :2])


def test_next_frames_follow_the_motion():
    cfg = config("next_frame", "smoke", rollout=2)
    pool = make_pool(cfg, 8, 4, generator(cfg, Stream.TRAIN_EPISODES))
    sample = first_frames(cfg, pool, generator(cfg, Stream.TRAIN_SAMPLES))
    assert sample.x.shape[:2] == (3, 8)
    for t in range(3):
        torch.testing.assert_close(sample.content[t, :, :2], pool.states[:, t, 0, :2])


def test_the_second_ball_is_the_small_one():
    cfg = config("smoke")
    pool = make_pool(cfg, 64, 1, generator(cfg, Stream.TRAIN_EPISODES))
    assert (pool.radius[:, 0] >= 7).all()
    assert (pool.radius[:, 1] <= 0.3 * 11).all()


@pytest.mark.parametrize("setting", ["smoke", "next_frame"])
def test_the_ranks_shares_make_up_the_batch_of_one_process(setting):
    cfg = config(setting, "smoke")
    pool = make_pool(cfg, 16, 4, generator(cfg, Stream.TRAIN_EPISODES))
    whole = draw_sample(cfg, pool, 12, generator(cfg, Stream.TRAIN_SAMPLES))
    shares = [
        draw_sample(cfg, pool, 12, generator(cfg, Stream.TRAIN_SAMPLES), rank, 3)
        for rank in range(3)
    ]
    for name in ("x", "content", "nuisance"):
        joined = torch.cat([getattr(share, name) for share in shares], dim=1)
        assert torch.equal(joined, getattr(whole, name)), name


def test_held_out_frames_are_the_same_for_every_loss_and_not_those_trained_on():
    one, other = (make_heldout(config(method, "smoke")) for method in ("none", "dino"))
    assert torch.equal(one.test.x, other.test.x)
    train = make_pool(config("smoke"), 64, 1, generator(config("smoke"), Stream.TRAIN_EPISODES))
    places = torch.cdist(one.test.content[0, :, :2], train.states[:, 0, 0, :2])
    assert places.min() > 0


# The loss.


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


# The theory, and the studies.


@pytest.mark.parametrize("setting", ["next_frame", "views"])
@pytest.mark.parametrize("r2", [0.0, 0.9])
def test_collapse_is_unstable_just_above_the_threshold(setting, r2):
    critical = stability.threshold(setting, r2)
    assert stability.growth(setting, r2, 0.8 * critical, seed=1) < 0
    assert stability.growth(setting, r2, 1.25 * critical, seed=1) > 0


def test_thresholds_of_the_theory():
    assert stability.threshold("next_frame", 0.0) == pytest.approx(0.647, abs=1e-3)
    assert stability.threshold("views", 0.0) == pytest.approx(2 * 0.647, abs=2e-3)
    assert stability.threshold("next_frame", 1.0) == 0
    assert stability.crossing((1.0, 2.0, 4.0), [-1.0, -1.0, 3.0]) == pytest.approx(2.5)


def test_a_predictor_that_knows_the_order_scores_one():
    quality = torch.arange(20.0)
    found = loss_quality_correlation.correlation(-quality.exp(), quality)
    assert [found[key] for key in ("mean", "low", "high")] == [pytest.approx(1)] * 3
    found = loss_quality_correlation.correlation(torch.sin(7 * quality**2), quality)
    assert found["low"] < found["mean"] < found["high"]
    assert found["low"] < 0 < found["high"]


def test_runs_near_the_origin_count_once_without_and_once_with_those_that_are_read():
    found = {
        "collapse_ratio": torch.tensor([0.001, 0.9, 0.9, 0.9]),
        "sigreg_per_sample": torch.tensor([0.3, 0.402, 0.402, 0.1]),
        "position": torch.tensor([0.0, 0.1, 0.7, 0.4]),
    }
    chosen = loss_quality_correlation.chosen_runs(found)
    assert {rule: runs.tolist() for rule, runs in chosen.items()} == {
        "all": [True] * 4,
        "not a point": [False, True, True, True],
        "not collapsed": [False, False, False, True],
        "not collapsed or still read": [False, False, True, True],
    }


def test_a_tolerance_is_the_longest_stretch_of_factors_near_the_best():
    r2 = {0.1: 0.5, 1.0: 0.9, 10.0: 0.88, 100.0: 0.86, 1000.0: 0.2}
    runs = {factor: {"r2": {"values": [value]}} for factor, value in r2.items()}
    assert weight_tolerance.tolerance(runs, [0.9], "r2") == ([2.0], [False])
    assert weight_tolerance.tolerance(runs, [0.5], "r2") == ([3.0], [True])


def test_a_threshold_is_right_where_it_parts_the_runs_that_collapsed(tmp_path, monkeypatch):
    def variant(weight: float, r2: list[float]) -> dict:
        params = {"loss_weights.sigreg_lambda": weight}
        return {"params": params, "metrics": {"position_1000": {"values": r2}}}

    content = {"variants": {"low": variant(0.1, [0.0, 0.9]), "high": variant(1.0, [0.9, 0.9])}}
    monkeypatch.setattr(collapse_line, "read_results", lambda path: content)
    assert collapse_line.sides("phase_batch", 0.5) == [1.0, 0.5]
    assert collapse_line.sides("phase_batch", 0.01) == [0.5, 1.0]


# Figures.


def test_the_plane_of_each_step_is_turned_to_follow_the_one_before():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(50, 6)) * np.array([5.0, 3.0, 0.1, 0.1, 0.1, 0.1])
    turn, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    first, second = plane(np.stack([z, z @ turn]))
    np.testing.assert_allclose(first, second, atol=1e-8)
    np.testing.assert_allclose(np.abs(first).max(0), np.abs(z - z.mean(0)).max(0)[:2], rtol=0.05)


def test_two_runs_of_one_name_are_not_drawn_as_one(tmp_path):
    with pytest.raises(UserError, match="several folders named none-seed0"):
        draw_side_by_side([tmp_path / "a" / "none-seed0", tmp_path / "none-seed0"], tmp_path)


# Commands.


def test_every_config_of_the_part_loads():
    for path in sorted(CONFIGS.glob("*.yaml")):
        load_config(Config, [BASELINE, path])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["--loss_weights.num_slices=0"], "num_slices"),
        (["--loss_weights.num_knots=0"], "num_knots"),
        (["--loss_weights.num_knots=16"], "odd, got 16: use 17"),
        (["--loss_weights.variance=-1.0"], "variance"),
        (["--loss_weights.sigreg_lambda=-1.0"], "sigreg_lambda"),
        (["--loss_weights.ema_rate=1.0"], "ema_rate"),
        (["--loss_weights.ema_rate=-0.1"], "ema_rate"),
        (["--loss_weights.teacher_temperature=0.0"], "teacher_temperature"),
        (["--batch_size=1"], "batch_size"),
        (["--method=vicregg"], "method"),
        (["--rollout=3"], "use rollout 1, or setting next_frame"),
        (["--setting=next_frame", "--rollout=4"], "too short for rollout 4"),
        (["--method=dino"], "use target teacher"),
        (["--method=supervised", "--target=stopgrad"], "use target gradient"),
        (["--world.num_balls=3"], "one or two grey balls"),
        (["--world.size=60", "--world.radius=[6.0,6.0]"], "divisible by 16"),
    ],
)
def test_contradictions_end_in_one_clear_line_and_write_nothing(
    tmp_path, refusal, overrides, words
):
    where = f"--run_dir={tmp_path / 'run'}"
    assert words in refusal(main, "--config", SMOKE, *overrides, where)
    assert not (tmp_path / "run").exists()


def test_divergence_stops_with_the_step_and_what_may_help(tmp_path, monkeypatch, capsys):
    argv = ["train.py", "--config", str(SMOKE), "--config", str(CONFIGS / "none.yaml")]
    argv += ["--learning_rate=1.0", "--warmup=0.0", "--steps=60", "--schedule=constant"]
    argv += ["--world.brightness=[1.0,1.0]", "--weight_decay=10.0"]
    monkeypatch.setattr(sys, "argv", [*argv, "--figures=false", f"--run_dir={tmp_path / 'run'}"])
    with pytest.raises(SystemExit) as ended:
        run_script(main)
    assert ended.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "step" in last
    assert "finite" in last


def test_the_same_seed_gives_the_same_files(tmp_path, run):
    for name in ("one", "two"):
        run(*TRAIN, "--figures=false", "--run_dir", tmp_path / name)
    one, two = ((tmp_path / name / "metrics.jsonl").read_bytes() for name in ("one", "two"))
    assert one == two


@pytest.mark.slow
def test_train_and_plot_as_documented(tmp_path, run):
    folders = []
    for method in ("none", "vicreg"):
        folders.append(tmp_path / method)
        done = run(*TRAIN, "--config", CONFIGS / f"{method}.yaml", "--run_dir", folders[-1])
        starts = [line.split("  ")[0] for line in done.stdout.splitlines()]
        assert {method, "baseline: untrained encoder", "baseline: raw pixels"} <= set(starts), (
            done.stdout
        )
        figures = {path.name for path in (folders[-1] / "figures").iterdir()}
        assert {"pca.gif", "pca.npz", "correlation.png", "spectrum.png", "dashboard.png"} <= figures
    before = (folders[0] / "figures" / "spectrum.png").read_bytes()
    (folders[0] / "figures" / "spectrum.png").unlink()
    run(sys.executable, "part3_collapse_regularizers/plot.py", folders[0])
    assert (folders[0] / "figures" / "spectrum.png").read_bytes() == before
    out = tmp_path / "both"
    run(sys.executable, "part3_collapse_regularizers/plot.py", *folders, "--out", out)
    assert (out / "pca.gif").stat().st_size > 10_000
    refused = run(
        sys.executable, "part3_collapse_regularizers/plot.py", tmp_path / "nowhere", code=2
    )
    assert "expected a finished run" in refused.stderr.strip().splitlines()[-1]


@pytest.mark.slow
def test_killed_at_random_steps_it_resumes_to_the_same_bits(tmp_path, run, kill_at_random_steps):
    command = [*TRAIN, "--config", str(CONFIGS / "dino.yaml"), "--steps=400", "--save_every=20"]
    command += ["--eval_every=100", "--figures=false"]
    run(*command, "--run_dir", tmp_path / "undisturbed")
    kill_at_random_steps(command, tmp_path / "killed")
    run(*command, "--run_dir", tmp_path / "killed")
    one, two = tmp_path / "undisturbed", tmp_path / "killed"
    assert (one / "metrics.jsonl").read_bytes() == (two / "metrics.jsonl").read_bytes()
    assert weights(one).keys() == weights(two).keys()
    assert all(torch.equal(value, weights(two)[name]) for name, value in weights(one).items())


@pytest.mark.slow
@pytest.mark.parametrize("method", ["barlow", "vicreg", "sigreg", "byol", "dino"])
def test_two_processes_lose_what_one_does(tmp_path, run: Callable, method: str):
    arguments = ["--config", CONFIGS / f"{method}.yaml", "--learning_rate=0.001", "--figures=false"]
    run(*TRAIN, *arguments, "--run_dir", tmp_path / "one")
    done = run(*DDP, *arguments, "--run_dir", tmp_path / "two")
    assert any(line.startswith("two ") for line in done.stdout.splitlines()), done.stdout
    assert weights(tmp_path / "one").keys() == weights(tmp_path / "two").keys()
    one, two = (
        [
            line["loss"]
            for line in map(
                json.loads, (tmp_path / name / "metrics.jsonl").read_text().splitlines()
            )
            if "loss" in line
        ]
        for name in ("one", "two")
    )
    assert one == pytest.approx(two, rel=1e-3)  # gradients to 1e-5: test_distributed.py


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["--batch_size=15"], "gives unequal batches: use a multiple of 2, such as 14"),
        (["--loss_weights.num_slices=0"], "num_slices"),
    ],
)
def test_ddp_refuses_what_it_cannot_share(tmp_path, run, overrides, words):
    done = run(*DDP, *overrides, "--run_dir", tmp_path / "run", code=1)
    assert any(words in line for line in done.stderr.splitlines() if line.startswith("error:"))
    assert not (tmp_path / "run").exists()


def test_what_ddp_cannot_measure_is_said_before_any_process_waits(tmp_path, monkeypatch, refusal):
    for name, value in {"LOCAL_RANK": 0, "RANK": 0, "WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(train_ddp.dist, "init_process_group", lambda _: pytest.fail("too late"))
    monkeypatch.setattr(train_ddp.torch.cuda, "is_available", lambda: False)
    crowded = ["--world.radius=[29.0,29.0]", f"--run_dir={tmp_path / 'run'}"]
    assert "use fewer or smaller balls" in refusal(train_ddp.main, "--config", SMOKE, *crowded)
    with pytest.raises(UserError, match="use fewer or smaller balls"):
        train_ddp.train(config("smoke", world__radius=[29.0, 29.0]), 1, 2, torch.device("cpu"))


def test_a_dollar_sign_in_a_runs_name_is_no_formula(tmp_path):
    content = {"loss": {"x": [1, 2], "mean": [1.0, 0.5]}}
    name = _title(tmp_path / r"$\frac$")
    figure = panels([Curves({name: content["loss"]}, "step", "loss", title=name)])
    write_png(tmp_path / "figure.png", figure)
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_ddp_with_half_of_torchruns_environment(monkeypatch, refusal):
    for name in ("LOCAL_RANK", "RANK"):
        monkeypatch.setenv(name, "0")
    assert "not started by torchrun" in refusal(train_ddp.main, "--config", SMOKE)


def test_more_processes_than_samples():
    with pytest.raises(UserError, match="more processes than samples"):
        train_ddp.check_shares(config("smoke", batch_size=2), 3)


@pytest.mark.slow
def test_ddp_without_torchrun_names_the_command(run):
    done = run(sys.executable, "part3_collapse_regularizers/train_ddp.py", code=2)
    assert "torchrun --nproc_per_node 2" in done.stderr.strip().splitlines()[-1]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoint.pt", weights_only=True)["state"]["model"]
