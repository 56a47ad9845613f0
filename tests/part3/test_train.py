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
from common.harness.config import REPOSITORY, load_config
from common.harness.errors import UserError, run_script
from common.metrics import collapse_ratio
from common.schedules import warmup_cosine
from common.sigreg import lejepa, random_slices
from part3_collapse_regularizers import train_ddp
from part3_collapse_regularizers.config import BASELINE, Config, generator, learning_rate
from part3_collapse_regularizers.data import Sample, draw_sample, first_frames, make_pool
from part3_collapse_regularizers.model import Model, make_model
from part3_collapse_regularizers.plot import draw_side_by_side, plane
from part3_collapse_regularizers.scoring.scores import make_heldout
from part3_collapse_regularizers.studies import loss_vs_quality as judge
from part3_collapse_regularizers.studies import stability
from part3_collapse_regularizers.train import after_step, compute_loss, main

CONFIGS = REPOSITORY / "configs" / "part3"
SMOKE = CONFIGS / "smoke.yaml"
NEXT = CONFIGS / "next_frame.yaml"
ARMS = [
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


# Samples.


def test_two_views_share_the_state_and_nothing_else():
    cfg = config("smoke", data__shift=0.0)
    sample = draw_sample(cfg, make_pool(cfg, 16, 4, generator(cfg, 1)), 32, generator(cfg, 4))
    assert sample.x.shape == (2, 32, 1, 64, 64)
    assert torch.equal(sample.content[0], sample.content[1])
    assert (sample.nuisance[0] != sample.nuisance[1]).all()
    assert (sample.x[0] != sample.x[1]).float().mean() > 0.5
    assert 0 <= sample.x.min() < sample.x.max() <= 1


def test_a_shift_moves_the_balls_by_no_more_than_asked_and_not_what_is_measured():
    cfg = config("smoke")
    assert cfg.data.shift == 3
    pool = make_pool(cfg, 16, 4, generator(cfg, 1))
    shifted = draw_sample(cfg, pool, 64, generator(cfg, 4)).content
    gap = (shifted[0] - shifted[1])[:, :2].abs()
    assert 3 < gap.max() <= 6
    measured = first_frames(cfg, pool, generator(cfg, 4)).content
    torch.testing.assert_close(measured[0, :, :2], pool.states[:, 0, 0, :2])


def test_next_frames_follow_the_motion():
    cfg = config("next_frame", "smoke", rollout=2)
    pool = make_pool(cfg, 8, 4, generator(cfg, 1))
    sample = first_frames(cfg, pool, generator(cfg, 4))
    assert sample.x.shape[:2] == (3, 8)
    for t in range(3):
        torch.testing.assert_close(sample.content[t, :, :2], pool.states[:, t, 0, :2])


def test_the_second_ball_is_the_small_one():
    cfg = config("smoke")
    pool = make_pool(cfg, 64, 1, generator(cfg, 1))
    assert (pool.radius[:, 0] >= 7).all()
    assert (pool.radius[:, 1] <= 0.3 * 11).all()


@pytest.mark.parametrize("setting", ["smoke", "next_frame"])
def test_the_ranks_shares_make_up_the_batch_of_one_process(setting):
    cfg = config(setting, "smoke")
    pool = make_pool(cfg, 16, 4, generator(cfg, 1))
    whole = draw_sample(cfg, pool, 12, generator(cfg, 4))
    shares = [draw_sample(cfg, pool, 12, generator(cfg, 4), rank, 3) for rank in range(3)]
    for name in ("x", "content", "nuisance"):
        joined = torch.cat([getattr(share, name) for share in shares], dim=1)
        assert torch.equal(joined, getattr(whole, name)), name


def test_held_out_frames_are_the_same_for_every_loss_and_not_those_trained_on():
    one, other = (make_heldout(config(arm, "smoke")) for arm in ("none", "dino"))
    assert torch.equal(one.test.x, other.test.x)
    train = make_pool(config("smoke"), 64, 1, generator(config("smoke"), 1))
    places = torch.cdist(one.test.content[0, :, :2], train.states[:, 0, 0, :2])
    assert places.min() > 0


# The loss.


def test_every_arm_starts_from_the_same_encoder():
    first = [make_model(config(arm, "smoke")).encoder.state_dict() for arm in ARMS]
    for other in first[1:]:
        assert all(torch.equal(value, other[name]) for name, value in first[0].items())


@pytest.mark.parametrize("setting", [[], ["next_frame"]])
@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_learns_in_both_settings(arm, setting):
    cfg = config(arm, *setting, "smoke")
    model = make_model(cfg)
    sample = draw_sample(cfg, make_pool(cfg, 16, 4, generator(cfg, 1)), 16, generator(cfg, 4))
    loss, terms, _ = compute_loss(model, sample, cfg, generator(cfg, 5))
    loss.backward()
    assert math.isfinite(loss.item())
    assert all(term.ndim == 0 for term in terms.values())
    for name, p in model.named_parameters():
        if name.startswith("teacher"):
            assert p.grad is None, name
        else:
            assert p.grad is not None, name
            assert p.grad.abs().sum() > 0, name


@pytest.mark.parametrize("arm", ["stopgrad", "simsiam", "byol", "dino"])
def test_no_gradient_reaches_the_target(arm):
    cfg = config(arm, "next_frame", "smoke")  # one prediction, so the target is one frame
    model = make_model(cfg)
    sample = draw_sample(cfg, make_pool(cfg, 16, 4, generator(cfg, 1)), 16, generator(cfg, 4))
    sample.x.requires_grad_()
    compute_loss(model, sample, cfg, generator(cfg, 5))[0].backward()
    assert sample.x.grad is not None
    assert sample.x.grad[0].abs().sum() > 0
    assert sample.x.grad[1].abs().sum() == 0


def test_naive_gradients_reach_both_sides():
    cfg = config("none", "next_frame", "smoke")
    sample = draw_sample(cfg, make_pool(cfg, 16, 4, generator(cfg, 1)), 16, generator(cfg, 4))
    sample.x.requires_grad_()
    compute_loss(make_model(cfg), sample, cfg, generator(cfg, 5))[0].backward()
    assert sample.x.grad is not None
    assert (sample.x.grad.abs().sum(dim=(1, 2, 3, 4)) > 0).all()


@pytest.mark.parametrize(("share", "term"), [(0.0, "prediction"), (1.0, "sigreg")])
def test_the_share_of_sigreg(share, term):
    cfg = config("sigreg", "smoke", weights__sigreg_share=share)
    sample = draw_sample(cfg, make_pool(cfg, 16, 4, generator(cfg, 1)), 16, generator(cfg, 4))
    loss, terms, _ = compute_loss(make_model(cfg), sample, cfg, generator(cfg, 5))
    assert loss == terms[term]


def views_of(cfg: Config) -> tuple[Model, Sample, Tensor]:
    """An untrained model, a sample of two views, and their embeddings (2, B, D)."""
    model = make_model(cfg)
    sample = draw_sample(cfg, make_pool(cfg, 16, 4, generator(cfg, 1)), 16, generator(cfg, 4))
    return model, sample, model.embed(sample.x)


def test_what_is_trained_is_the_papers_vicreg_and_barlow_twins():
    cfg = config("vicreg", "smoke")
    model, sample, z = views_of(cfg)
    terms = losses.vicreg(z[0], z[1])
    w = cfg.weights
    expected = (
        w.invariance_weight * terms["invariance"]
        + w.variance_weight * terms["variance"]
        + w.covariance_weight * terms["covariance"]
    )
    torch.testing.assert_close(compute_loss(model, sample, cfg, generator(cfg, 5))[0], expected)
    cfg = config("barlow", "smoke")
    model, sample, z = views_of(cfg)
    terms = losses.barlow_twins(z[0], z[1])
    expected = terms["invariance"] + cfg.weights.redundancy_weight * terms["redundancy"]
    torch.testing.assert_close(compute_loss(model, sample, cfg, generator(cfg, 5))[0], expected)


def test_what_is_trained_is_lejepa_whose_squared_error_is_a_fourth():
    cfg = config("sigreg", "smoke")
    model, sample, z = views_of(cfg)
    slices = random_slices(z.shape[-1], cfg.weights.num_slices, generator(cfg, 5))
    theirs = lejepa(z, slices, num_knots=cfg.weights.num_knots)
    share = cfg.weights.sigreg_share
    expected = 4 * (1 - share) * theirs["prediction"] + share * theirs["sigreg"]
    torch.testing.assert_close(compute_loss(model, sample, cfg, generator(cfg, 5))[0], expected)


def test_what_is_trained_is_dino_over_both_pairs_of_views():
    cfg = config("dino", "smoke")
    model, sample, z = views_of(cfg)
    student, teacher = model.head(z), model.teacher_head(model.teacher_embed(sample.x))
    w = cfg.weights
    temperatures = {
        "student_temperature": w.student_temperature, "teacher_temperature": w.teacher_temperature
    }  # fmt: skip
    expected = dino(student, teacher, model.centre.mean, **temperatures)["cross_entropy"]
    torch.testing.assert_close(compute_loss(model, sample, cfg, generator(cfg, 5))[0], expected)


def test_the_teacher_follows_and_the_centre_moves():
    cfg = config("dino", "smoke")
    model = make_model(cfg)
    sample = draw_sample(cfg, make_pool(cfg, 16, 4, generator(cfg, 1)), 16, generator(cfg, 4))
    before = model.teacher_encoder.head.weight.clone()
    with torch.no_grad():
        seen = model.teacher_head(model.teacher_embed(sample.x))  # (V, B, K)
        _, _, logits = compute_loss(model, sample, cfg, generator(cfg, 5))
        model.encoder.head.weight += 1
    after_step(model, logits, 0, cfg)
    torch.testing.assert_close(model.teacher_encoder.head.weight, before + 0.01)
    torch.testing.assert_close(model.centre.mean, 0.1 * seen.mean((0, 1)))


def train_briefly(cfg: Config) -> tuple[float, float]:
    """Collapse ratio and mean std of held-out embeddings after 120 small steps."""
    pool, model = make_pool(cfg, 64, 1, generator(cfg, 1)), make_model(cfg)
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.learning_rate)
    samples, slices = generator(cfg, 4), generator(cfg, 5)
    for _ in range(120):
        loss, _, _ = compute_loss(model, draw_sample(cfg, pool, 32, samples), cfg, slices)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        z = model.encoder(draw_sample(cfg, pool, 256, generator(cfg, 7)).x[0])
    return collapse_ratio(z), z.std(0).mean().item()


def test_naive_training_collapses_and_regularizers_stop_it():
    found = {arm: train_briefly(config(arm, "smoke")) for arm in ("none", "vicreg", "sigreg")}
    assert found["none"][0] < 0.05
    for arm in ("vicreg", "sigreg"):
        ratio, spread = found[arm]
        assert ratio > 0.5, found
        assert spread > 0.3, found  # the ratio alone would miss a code that has shrunk to 0
    ratio, spread = train_briefly(config("sigreg", "smoke", weights__sigreg_share=1e-5))
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


# The theory, and the judge.


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


def test_a_judge_that_knows_the_order_scores_one():
    quality = torch.arange(20.0)
    rho, low, high = judge.correlation(-quality.exp(), quality)
    assert (rho, low, high) == (pytest.approx(1), pytest.approx(1), pytest.approx(1))
    rho, low, high = judge.correlation(torch.sin(7 * quality**2), quality)
    assert low < rho < high
    assert low < 0 < high


def test_runs_near_the_origin_count_once_without_and_once_with_those_that_are_read():
    found = {
        "collapse_ratio": torch.tensor([0.001, 0.9, 0.9, 0.9]),
        "sigreg_per_sample": torch.tensor([0.3, 0.402, 0.402, 0.1]),
        "position": torch.tensor([0.0, 0.1, 0.7, 0.4]),
    }
    chosen = {rule: runs.tolist() for rule, runs in judge.chosen_runs(found).items()}
    assert chosen["point"] == [False, True, True, True]
    assert chosen["origin"] == [False, False, False, True]
    assert chosen["read"] == [False, False, True, True]


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
        (["--weights.num_slices=0"], "num_slices"),
        (["--weights.num_knots=0"], "num_knots"),
        (["--weights.num_knots=16"], "odd, got 16: use 17"),
        (["--weights.variance_weight=-1.0"], "variance_weight"),
        (["--weights.sigreg_share=1.5"], "sigreg_share"),
        (["--weights.ema_rate=1.0"], "ema_rate"),
        (["--weights.ema_rate=-0.1"], "ema_rate"),
        (["--weights.teacher_temperature=0.0"], "teacher_temperature"),
        (["--batch_size=1"], "batch_size"),
        (["--loss=vicregg"], "loss"),
        (["--rollout=3"], "use rollout 1, or setting next_frame"),
        (["--setting=next_frame", "--rollout=4"], "too short for rollout 4"),
        (["--loss=dino"], "use target teacher"),
        (["--loss=supervised", "--target=stopgrad"], "use target gradient"),
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
    argv += ["--learning_rate=10.0", "--warmup=0.0", "--steps=60", "--schedule=constant"]
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
    for arm in ("none", "vicreg"):
        folders.append(tmp_path / arm)
        done = run(*TRAIN, "--config", CONFIGS / f"{arm}.yaml", "--run_dir", folders[-1])
        starts = [line.split("  ")[0] for line in done.stdout.splitlines()]
        assert {arm, "(untrained encoder)", "(raw pixels)"} <= set(starts), done.stdout
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
    command += ["--measure_every=100", "--figures=false"]
    run(*command, "--run_dir", tmp_path / "undisturbed")
    kill_at_random_steps(command, tmp_path / "killed")
    run(*command, "--run_dir", tmp_path / "killed")
    one, two = tmp_path / "undisturbed", tmp_path / "killed"
    assert (one / "metrics.jsonl").read_bytes() == (two / "metrics.jsonl").read_bytes()
    assert weights(one).keys() == weights(two).keys()
    assert all(torch.equal(value, weights(two)[name]) for name, value in weights(one).items())


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["barlow", "vicreg", "sigreg", "byol", "dino"])
def test_two_processes_lose_what_one_does(tmp_path, run: Callable, arm: str):
    arguments = ["--config", CONFIGS / f"{arm}.yaml", "--learning_rate=0.001", "--figures=false"]
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
        (["--weights.num_slices=0"], "num_slices"),
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


def test_more_processes_than_samples():
    with pytest.raises(UserError, match="more processes than samples"):
        train_ddp.check_shares(config("smoke", batch_size=2), 3)


@pytest.mark.slow
def test_ddp_without_torchrun_names_the_command(run):
    done = run(sys.executable, "part3_collapse_regularizers/train_ddp.py", code=2)
    assert "torchrun --nproc_per_node 2" in done.stderr.strip().splitlines()[-1]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoint.pt", weights_only=True)["state"]["model"]
