"""Part 2 as its reader uses it: commands, resuming, refusals, and what its loss lets flow where."""

import json
import signal
import subprocess
import sys
import time

import pytest
import torch

from common.episodes import draw_batch, make_clips
from common.frozen import load_conv_jepa
from common.harness.config import REPOSITORY, load_config
from common.metrics import distance_to_ball
from part2_pixel_vs_jepa.config import BASELINE, METHODS, PART, Config, Stream, generator
from part2_pixel_vs_jepa.model import Model, load_run, make_models
from part2_pixel_vs_jepa.report.tables import run_text
from part2_pixel_vs_jepa.scoring.heldout import make_heldout
from part2_pixel_vs_jepa.scoring.samples import by_weight
from part2_pixel_vs_jepa.train import best_of, compute_loss, draw_slices, main, without_choice

SMOKE = REPOSITORY / "configs" / "part2" / "smoke.yaml"
TRAIN = [sys.executable, "part2_pixel_vs_jepa/train.py", "--config", str(SMOKE), "--threads=1"]


def smoke_config(**overrides: object) -> Config:
    return load_config(Config, [BASELINE, SMOKE], overrides)


def loss_of(model: Model, cfg: Config) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The loss of a model on a small batch, and its terms."""
    clips = make_clips(cfg.world, cfg.distractor, 4, generator(cfg, Stream.TRAIN_DATA))
    batch = draw_batch(clips, 16, 1, 6.0, generator(cfg, Stream.BATCHES))
    return compute_loss(model, batch, cfg, draw_slices(model, cfg, generator(cfg, Stream.SLICES)))


def test_parameter_counts_are_within_5_percent_of_700k_and_of_each_other():
    cfg = load_config(Config, [BASELINE], {"methods": list(METHODS)})
    counts = [model.num_parameters() for model in make_models(cfg).values()]
    assert all(abs(count - 700_000) <= 35_000 for count in counts), counts
    assert max(counts) <= 1.05 * min(counts)


def test_first_weights_of_a_method_do_not_depend_on_the_other_methods():
    alone = make_models(smoke_config(methods=["jepa_z"]))["jepa_z"].state_dict()
    beside = make_models(smoke_config(methods=["pixels", "jepa_z"]))["jepa_z"].state_dict()
    assert all(torch.equal(alone[name], beside[name]) for name in alone)


@pytest.mark.parametrize("regularizer", ["vicreg", "sigreg"])
def test_the_readout_teaches_the_encoder_nothing(regularizer):
    cfg = smoke_config(methods=["jepa_z"], regularizer=regularizer)
    model = make_models(cfg)["jepa_z"]
    loss, terms = loss_of(model, cfg)
    everywhere = torch.autograd.grad(loss, list(model.encoder.parameters()), retain_graph=True)
    rest = torch.autograd.grad(loss - terms["readout"], list(model.encoder.parameters()))
    for one, other in zip(everywhere, rest, strict=True):
        torch.testing.assert_close(one, other)


def test_the_choice_of_z_moves_neither_encoder_nor_hypotheses():
    cfg = smoke_config(methods=["jepa_z"])
    model = make_models(cfg)["jepa_z"]
    _, terms = loss_of(model, cfg)
    terms["choice"].backward()
    moved = {name for name, p in model.named_parameters() if p.grad is not None}
    assert moved == {"predictor.log_odds.weight", "predictor.log_odds.bias"}


def test_hypotheses_by_weight_count_as_often_as_they_would_be_drawn():
    distance, hits = torch.tensor([[0.0, 4.0]]), torch.tensor([[1.0, 0.0]])
    parts = [{"distance": distance, "hits": hits, "denominator": torch.tensor([2.0])}]
    found = by_weight(parts, [torch.tensor([[0.75, 0.25]]).log()])
    assert found["weighted_smear"] == pytest.approx(0.25 * 4 / 2)
    assert found["weighted_precision"] == pytest.approx(0.75)


def test_before_z_starts_all_hypotheses_have_the_same_share():
    cfg = load_config(Config, [BASELINE], {"num_hypotheses": 4})
    distance = torch.tensor([[1.0, 2.0, 3.0, 6.0]])
    loss, _ = best_of(distance, without_choice(cfg).loss_weights.relaxation)
    assert loss.item() == pytest.approx(3.0)


def test_best_of_gives_the_loss_to_the_nearest_less_the_relaxation():
    distance = torch.tensor([[1.0, 3.0, 5.0], [4.0, 2.0, 6.0]])
    loss, z = best_of(distance, 0.1)
    assert z.tolist() == [0, 1]
    expected = (0.9 * 1 + 0.1 * 4 + 0.9 * 2 + 0.1 * 5) / 2
    torch.testing.assert_close(loss, torch.tensor(expected))
    alone, _ = best_of(distance[:, :1], 0.1)
    torch.testing.assert_close(alone, torch.tensor(2.5))


@pytest.mark.parametrize("kind", ["none", "dots", "squares", "background"])
def test_the_balls_floor_is_the_score_of_the_bayes_optimal_frame(kind):
    cfg = smoke_config(**{"distractor.kind": kind, "data.num_test_episodes": 16})
    held = make_heldout(cfg)
    basis = held.basis if held.basis.dim() == 4 else held.basis.expand(len(held.best), -1, -1, -1)
    scored = distance_to_ball(held.best.unsqueeze(1), held.batch.clean_next, basis)
    assert held.ball_floor == pytest.approx(scored.mean().item(), rel=0.02)
    mean = (held.probabilities[:, :, None, None] * held.futures).sum(1, keepdim=True)
    spread = (held.futures - mean).square().mean(dim=(2, 3))
    clean = (held.probabilities * spread).sum(1).mean().item()
    if kind in ("none", "squares"):  # squares lie apart from the ball
        assert held.ball_floor == pytest.approx(clean, rel=1e-5)
    else:  # a level is fitted to each pair, and explains some of the blur
        assert held.ball_floor < 0.95 * clean


def test_the_table_of_a_run_names_the_runs_own_regularizer():
    summary = {"variants": {"jepa_z": {}}, "bounds": {"pairs": {"ambiguous": 1.0, "count": 2.0}}}
    assert "JEPA + z  " in run_text(summary, "vicreg")
    assert "JEPA + z, SIGReg" in run_text(summary, "sigreg")


def test_published_weights_load_and_their_encoder_is_the_one_that_ships():
    _, models = load_run(PART / "results" / "weights")
    shipped = load_conv_jepa().state_dict()
    assert set(models) == {"pixels", "pixels_z", "jepa", "jepa_z"}
    for name, value in models["jepa"].encoder.state_dict().items():
        assert torch.equal(value, shipped[name]), name


def test_every_config_of_the_part_loads():
    for path in sorted((REPOSITORY / "configs" / "part2").glob("*.yaml")):
        load_config(Config, [BASELINE, path])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["--num_hypotheses=1"], "nothing to choose"),
        (["--world.radius=[40.0,40.0]"], "leaves no room"),
        (["--world.radius=[0.0,0.0]"], "radius"),
        (
            ["--world.axes=2", "--world.wall=reflect", "--world.door_width=90"],
            "wider than its wall",
        ),
        (["--world.axes=2"], "use world.axes 1"),
        (["--world.wall=reflect"], "use world.start_margin 0"),
        (
            [
                *("--world.wall=reflect", "--world.start_margin=0"),
                *("--world.axes=2", "--world.num_headings=7"),
            ],
            "an even world.num_headings",
        ),
        (["--world.brightness=[0.5,1.0]"], "[1.0, 1.0]"),
        (["--world.num_balls=2", "--world.wall=reflect"], "world.num_balls 1"),
        (["--world.wall=stochastic"], "axes 2"),
        (["--stepz=3"], "--steps"),
        (["--methods=[pixels,pixels]"], "different methods"),
        (["--world.size=60"], "divisible by 16"),
        (["--learning_rate=nan"], "learning_rate"),
        (["--loss_weights.sigreg_lambda=1.0"], "only with regularizer=sigreg"),
    ],
)
def test_contradictions_end_in_one_clear_line_and_write_nothing(
    tmp_path, refusal, overrides, words
):
    where = f"--run_dir={tmp_path / 'run'}"
    assert words in refusal(main, "--config", SMOKE, *overrides, where)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_train_evaluate_and_plot_as_documented(tmp_path, run):
    folder = tmp_path / "run"
    trained = run(*TRAIN, "--run_dir", folder)
    for label in ("pixels  ", "JEPA + z  "):
        assert any(line.startswith(label) for line in trained.stdout.splitlines()), label
    figures = sorted(path.name for path in (folder / "figures").iterdir())
    assert {"strip.png", "episode.gif", "training.png", "strip.npz"} <= set(figures)
    table = [
        line for line in trained.stdout.splitlines() if line.startswith(("pixels  ", "JEPA + z  "))
    ]
    scored = run(sys.executable, "part2_pixel_vs_jepa/evaluate.py", folder)
    assert [line for line in scored.stdout.splitlines() if line in table] == table
    before = (folder / "figures" / "strip.png").read_bytes()
    (folder / "figures" / "strip.png").unlink()
    run(sys.executable, "part2_pixel_vs_jepa/plot.py", folder)
    assert (folder / "figures" / "strip.png").read_bytes() == before


@pytest.mark.slow
def test_killed_at_random_steps_it_resumes_to_the_same_bits(tmp_path, run, kill_at_random_steps):
    command = [*TRAIN, "--steps=400", "--save_every=20", "--figures=false", "--eval_every=100"]
    run(*command, "--run_dir", tmp_path / "undisturbed")
    folder = tmp_path / "killed"
    kill_at_random_steps(command, folder)
    run(*command, "--run_dir", folder)
    one, two = tmp_path / "undisturbed", folder
    for name in ("metrics.jsonl", "summary.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    weights = [
        torch.load(path / "checkpoint.pt", weights_only=True)["state"]["models"]
        for path in (one, two)
    ]
    for method in weights[0]:
        for name, value in weights[0][method].items():
            assert torch.equal(value, weights[1][method][name]), (method, name)


@pytest.mark.slow
def test_ctrl_c_ends_cleanly_and_says_how_to_resume(tmp_path):
    command = [*TRAIN, "--steps=4000", "--figures=false", "--run_dir", str(tmp_path / "run")]
    process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
    log = tmp_path / "run" / "metrics.jsonl"
    while process.poll() is None and not (log.exists() and log.stat().st_size):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "resume" in err.strip().splitlines()[-1]
    assert "Traceback" not in err
    saved = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"]
    assert saved >= json.loads(log.read_text().splitlines()[-1])["step"] > 0
