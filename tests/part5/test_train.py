"""Part 5 as its reader uses it: losses, learning, surprise, commands, bad input."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from common.episodes import to_float
from common.frozen import FrozenEncoder
from common.harness.config import REPOSITORY, load_config
from common.harness.errors import run_script
from common.sigreg import random_slices
from part5_action_planning import evaluate as evaluate_script
from part5_action_planning import plan as plan_script
from part5_action_planning.config import (
    BASELINE,
    Config,
    SharedStream,
    Stream,
    generator,
    shared_generator,
)
from part5_action_planning.data import (
    Batch,
    Recording,
    crossing_share,
    draw_batch,
    encode_all,
    make_recording,
    read_tokens,
    record,
)
from part5_action_planning.evaluate import SHARES
from part5_action_planning.model.jepa import LatentModel, rollout, rollout_windows
from part5_action_planning.model.loading import load_run
from part5_action_planning.model.policies import Policy
from part5_action_planning.model.world_models import Oracle, TokenModel, make_model
from part5_action_planning.planning.closed_loop import EvalEpisodes
from part5_action_planning.scoring.model_metrics import describe, rank_correlation, straightness
from part5_action_planning.scoring.surprise import BEFORE, auroc, bounces, make_pair, surprise
from part5_action_planning.studies import threshold
from part5_action_planning.studies.baselines import Coasting, Pixels, Rendered
from part5_action_planning.studies.precision import Disturbed
from part5_action_planning.studies.sizes import own_parameters
from part5_action_planning.tasks.rules import advance
from part5_action_planning.train import compute_loss, main

CONFIGS = REPOSITORY / "configs" / "part5"
SMOKE = CONFIGS / "smoke.yaml"
TRAIN = [
    sys.executable, "part5_action_planning/train.py", "--config", str(SMOKE), "--threads=1",
]  # fmt: skip
LATENT = ("lewm", "pldm", "lewm_adaln", "lewm_vit", "lewm_published")
TRAINED = (*LATENT, "pixel", "cloning")


def config(*names: str, **overrides: object) -> Config:
    files = [BASELINE, *(CONFIGS / f"{name}.yaml" for name in names)]
    return load_config(Config, files, {key.replace("__", "."): v for key, v in overrides.items()})


def batch_of(cfg: Config) -> Batch:
    recording = make_recording(cfg, 8, generator(cfg, Stream.TRAIN_DATA))
    clips = generator(cfg, Stream.CLIPS)
    sizes = cfg.batch_size, cfg.data.clip_length
    drawn = draw_batch(recording, None, *sizes, clips, cfg.model.frame_skip)
    return with_slices(drawn, cfg, generator(cfg, Stream.SLICES))


def with_slices(batch: Batch, cfg: Config, chance: torch.Generator) -> Batch:
    drawn = random_slices(cfg.model.embedding_dim, cfg.loss_weights.num_slices, chance)
    return replace(batch, slices=drawn)


class Patches(torch.nn.Module):
    """A backbone that returns the picture itself, in patches of 16 x 16 px, times a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = self.gain * x[:, 0].unfold(1, 16, 16).unfold(2, 16, 16).flatten(1, 2).flatten(2)
        return tokens.mean(1), tokens


def token_model(cfg: Config) -> TokenModel:
    return TokenModel(cfg, FrozenEncoder(Patches(), "patches", False, patch_size=16, dim=256))


# Data.


def test_an_action_leads_from_its_frame_to_the_next():
    cfg = config("smoke", data__clip_length=12)
    recording = make_recording(cfg, 8, generator(cfg, Stream.TRAIN_DATA))
    batch = draw_batch(recording, None, 16, 12, generator(cfg, Stream.CLIPS))
    bright = batch.seen[:, :, 0]  # (B, T, H, W)
    x = torch.arange(64) + 0.5
    place = (bright.sum(2) * x).sum(-1) / bright.sum((2, 3))
    velocity = place[:, 1:] - place[:, :-1]
    change = velocity[:, 1:] - cfg.world.drag * velocity[:, :-1]  # (a_t + drag a_t-1) / 2
    push = (batch.actions[:, 1:, 0] + cfg.world.drag * batch.actions[:, :-1, 0]) / 2
    error = (change - push).abs()
    assert error.median() < 0.1  # but for bounces
    assert error.median() < 0.3 * (change - push.flip(0)).abs().median()


def test_frames_of_a_clip_are_a_skip_apart_and_have_all_actions_between():
    cfg = config("smoke")
    recording = make_recording(cfg, 4, generator(cfg, Stream.TRAIN_DATA))
    number = torch.arange(4 * 40).view(4, 40)  # of every frame, shown instead of it
    frames = number[..., None, None, None].expand(4, 40, 1, 8, 8).byte()
    counted = replace(recording, frames=frames, actions=number[:, :-1, None].expand(4, 39, 2))
    batch = draw_batch(counted, None, 512, 4, generator(cfg, Stream.CLIPS), 5)
    seen = (255 * batch.seen[:, :, 0, 0, 0]).round()
    assert torch.equal(seen, seen[:, :1] + 5 * torch.arange(4))
    assert batch.actions.shape == (512, 3, 10)
    ahead = torch.arange(5).repeat_interleave(2)
    assert torch.equal(batch.actions, seen[:, :3, None] + ahead)
    assert set((seen[:, 0] % 40).tolist()) == set(range(25))  # the last ends with the episode


def test_the_share_that_crosses_the_door():
    cfg = config("two_rooms")
    states = torch.zeros(4, 3, 1, 4)
    states[:, :, 0, 0] = torch.tensor([[10, 20, 30], [40, 50, 60], [10, 33, 10], [50, 31, 50.0]])
    assert crossing_share(cfg.world, states) == 0.5
    recorded = make_recording(cfg, 64, generator(cfg, Stream.TRAIN_DATA))
    assert 0.1 < crossing_share(cfg.world, recorded.states) < 0.9


# Losses.


def test_rolled_out_windows_pair_predictions_with_what_came():
    class Adder(torch.nn.Module):
        history_length, frame_skip = 2, 1

        def step(self, z_past, a_past):
            return z_past[:, -1] + a_past[:, -1]

    actions = torch.randn(3, 9, 2)
    z = torch.cat([torch.zeros(3, 1, 2), actions.cumsum(1)], 1)  # what the adder would do
    for steps in (1, 3, 8):
        z_pred, z_next = rollout_windows(Adder(), z, actions, steps)  # type: ignore[arg-type]
        assert z_pred.shape == (3, 10 - 2 - steps + 1, steps, 2)
        torch.testing.assert_close(z_pred, z_next)


@pytest.mark.parametrize("name", TRAINED)
def test_every_part_that_is_trained_gets_a_gradient(name):
    cfg = config(name, "smoke", batch_size=8)
    torch.manual_seed(0)
    model = make_model(cfg)
    loss, terms = compute_loss(model, batch_of(cfg), cfg)
    loss.backward()
    assert all(term.isfinite() for term in terms.values())
    moved = {part for part, weight in model.named_parameters() if weight.grad is not None}
    readout = {part for part in moved if part.startswith("decoder.")}  # which is for looking only
    assert own_parameters(model, cfg).keys() == moved - (readout if name in LATENT else set())


def test_the_target_of_lewm_gets_a_gradient_and_the_readout_sends_none():
    cfg = config("lewm", "smoke", batch_size=8, loss_weights__sigreg_lambda=0.0)
    model = make_model(cfg)
    assert isinstance(model, LatentModel)
    batch = batch_of(cfg)
    z = model.encode(batch.seen.flatten(0, 1)).unflatten(0, batch.seen.shape[:2])
    z.retain_grad()
    z_pred, z_next = rollout_windows(model, z, batch.actions, cfg.rollout)
    (z_pred - z_next).square().mean().backward()
    assert z.grad is not None
    assert z.grad[:, -1].abs().sum() > 0  # the last frame is a target alone
    model.zero_grad()
    model.decode(z[:, 0].detach()).sum().backward()
    assert all(weight.grad is None for weight in model.encoder.parameters())


@pytest.mark.parametrize("name", ["dino_mlp", "vjepa_mlp", "dino_wm", "vjepa2_ac"])
def test_frozen_tokens_train_a_predictor_and_nothing_else(name, tmp_path):
    cfg = config(name, "smoke", batch_size=8)
    torch.manual_seed(0)
    model = token_model(cfg)
    recording = make_recording(cfg, 8, generator(cfg, Stream.TRAIN_DATA))
    tokens = read_tokens(model, recording, tmp_path)
    assert tokens.shape == (8, cfg.world.episode_length, 16, 256)
    length, skip = cfg.data.clip_length, cfg.model.frame_skip
    batch = draw_batch(recording, tokens, 8, length, generator(cfg, Stream.CLIPS), skip)
    assert batch.seen.shape == (8, length, 16, 256)
    drawn = draw_batch(recording, None, 8, length, generator(cfg, Stream.CLIPS), skip)
    model.standardise(torch.from_numpy(np.array(tokens)).float().flatten(0, 1))
    z = model.state(batch.seen.float())
    directly = model.encode(drawn.seen.flatten(0, 1)).view_as(z)
    torch.testing.assert_close(z, directly, atol=0.1, rtol=0.01)  # kept in half precision
    every = model.state(torch.from_numpy(np.array(tokens)).float())
    torch.testing.assert_close(every.mean((0, 1)), torch.zeros(16 * 256), atol=1e-3, rtol=0)
    torch.testing.assert_close(every.square().mean(), torch.tensor(1.0))
    loss, terms = compute_loss(model, batch, cfg)
    loss.backward()
    assert all(weight.grad is not None for weight in model.parameters())
    for weight in model.frozen.backbone.parameters():
        assert not weight.requires_grad
        assert weight.grad is None
    wanted = {"teacher_forcing", "rollout"} if cfg.method == "vjepa2_ac" else {"prediction"}
    assert set(terms) == wanted


def test_a_change_of_batch_leaves_the_weight_of_sigreg_as_it_is():
    cfg = config("lewm", "smoke")
    model = make_model(cfg)
    batch = batch_of(cfg)
    twice = Batch(batch.seen.repeat(2, 1, 1, 1, 1), batch.actions.repeat(2, 1, 1), batch.slices)
    one, two = (compute_loss(model, b, cfg)[1]["sigreg"] for b in (batch, twice))
    torch.testing.assert_close(one, two)


def test_an_automatic_weight_of_sigreg_is_twice_the_critical_one():
    losses = []
    for weight in ("auto", 2 * 0.64687):
        cfg = config("lewm", "smoke", loss_weights__sigreg_lambda=weight)
        losses.append(compute_loss(make_model(cfg), batch_of(cfg), cfg)[0])
    torch.testing.assert_close(*losses, atol=1e-5, rtol=0)


def test_cloning_learns_the_action_that_led_to_the_goal():
    cfg = config("cloning", "smoke", batch_size=16, data__clip_length=6, rollout=4)
    torch.manual_seed(0)
    policy = make_model(cfg)
    assert isinstance(policy, Policy)
    batch = batch_of(cfg)
    optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        loss, _ = compute_loss(policy, batch, cfg)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    z = policy.encode(batch.seen[:, 0])
    assert (policy(z[:, None].expand(-1, 2, -1), z).abs() <= cfg.world.max_thrust).all()


def test_a_trained_model_foresees_what_an_action_does():
    cfg = config("lewm", "smoke", steps=150, batch_size=32, data__num_train_episodes=64, rollout=2,
                 data__clip_length=5, loss_weights__num_slices=32)  # fmt: skip
    recording = make_recording(cfg, 64, generator(cfg, Stream.TRAIN_DATA))
    model = make_model(cfg)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    samples, slices = generator(cfg, Stream.CLIPS), generator(cfg, Stream.SLICES)
    for _ in range(150):
        batch = draw_batch(recording, None, 32, 5, samples)
        loss, _ = compute_loss(model, with_slices(batch, cfg, slices), cfg)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    held = make_recording(cfg, 64, shared_generator(cfg, SharedStream.HELDOUT_DATA))
    z = encode_all(model, held)
    with torch.no_grad():
        first = (z[:, 10:12], held.actions[:, 10:11], held.actions[:, None, 11:12])
        z_pred = rollout(model, *first)[:, 0, 0]
        shuffled = rollout(model, *first[:2], first[2].flip(0))[:, 0, 0]
    error, wrong, copy = (
        (guess - z[:, 12]).square().mean() for guess in (z_pred, shuffled, z[:, 11])
    )
    assert error < 0.5 * copy
    assert error < wrong


# Measures.


def test_straightness_of_a_line_and_of_a_turn_back():
    line = torch.arange(6.0)[None, :, None] * torch.tensor([1.0, 2.0])
    assert straightness(line) == pytest.approx(1)
    zigzag = torch.tensor([0.0, 1, 0, 1, 0]).view(1, 5, 1)
    assert straightness(zigzag) == pytest.approx(-1)


def test_the_shortest_episodes_are_scored_by_finite_numbers():
    """What no frame of theirs can say is left out, and nothing fails after training."""
    cfg = config(
        "smoke", model__history_length=1, rollout=1, data__clip_length=2, world__episode_length=2,
        task__budget=1, task__held_steps=1, planner__horizon=1, evaluation__num_test_episodes=1,
        evaluation__num_ranked_states=1, evaluation__num_ranked_candidates=2,
        evaluation__num_heldout_episodes=4,
    )  # fmt: skip
    scores, _ = evaluate_script.evaluate(make_model(cfg), EvalEpisodes(cfg, 1))
    assert "straightness" not in scores
    assert all(np.isfinite(value) for value in scores.values()), scores


def test_baselines_miss_by_what_they_are_not_told():
    cfg = config("lewm", world__size=32)
    recording = make_recording(cfg, 16, shared_generator(cfg, SharedStream.HELDOUT_DATA))
    thrust = recording.actions[8:, ::5]  # of the half that is tested, one window in five
    missed = describe(Coasting(cfg.world, recording.scene, 1), recording)
    half_a_thrust = (thrust / 2).square().sum(-1).mean().sqrt().item()
    assert missed["error_px_1"] == pytest.approx(half_a_thrust, rel=0.1)  # but for bounces
    assert missed["position_r2"] == pytest.approx(1.0, abs=1e-6)

    idle = record(
        cfg.task, cfg.world, cfg.distractor, recording.states[:, 0], recording.scene,
        torch.zeros_like(recording.actions), shared_generator(cfg, SharedStream.RANKED_DATA),
    )  # fmt: skip
    assert describe(Coasting(cfg.world, idle.scene, 2), idle)["error_px_10"] < 0.01  # the ridge
    few = Recording(idle.frames[:8], idle.states[:8], idle.actions[:8], idle.scene)
    assert describe(Pixels(2), few)["fvu_10"] == 0  # nothing moves, and so it says


def test_dynamics_are_off_by_what_is_asked_and_the_same_in_the_same_state():
    cfg = config("bank_shot")
    recording = make_recording(cfg, 64, shared_generator(cfg, SharedStream.HELDOUT_DATA))
    states, actions = recording.states[:, :-1].flatten(0, 1), recording.actions.flatten(0, 1)
    spread = torch.cat([states[:, 0].std(0), torch.full((2,), cfg.world.max_thrust)])
    scene = recording.scene[torch.zeros(len(states), dtype=torch.long)]
    truth = advance(cfg.task, cfg.world, states, scene, actions, 0)[:, 0]

    def step(error: float, seed: int) -> torch.Tensor:
        draw = torch.Generator().manual_seed(seed)
        model = Disturbed(cfg, recording.scene, spread, error, draw)
        return model.step(model.encode(None, states)[:, None], actions[:, None])

    assert torch.equal(step(0.0, 1), truth)
    off = torch.stack([(step(0.5, seed) - truth).square().mean(0) for seed in range(8)])
    assert (off.mean(0).sqrt() - 0.5).abs().max() < 0.05
    assert torch.equal(step(0.5, 1), step(0.5, 1))
    assert not torch.equal(step(0.5, 1), step(0.5, 2))


def test_the_true_dynamics_are_compared_as_the_frames_that_are_seen():
    cfg = config("lewm")
    recording = make_recording(cfg, 4, shared_generator(cfg, SharedStream.HELDOUT_DATA))
    model = Rendered(cfg.task, cfg.world, recording.scene)
    z = model.encode(None, recording.states[:, 3])
    seen = to_float(recording.frames[:, 3]).flatten(1)
    assert torch.equal(model.goal_features(z), seen)
    assert torch.equal(model.goal_features(torch.stack([z, z], 1))[:, 1], seen)


@pytest.mark.parametrize("task", ["reach", "two_rooms", "bank_shot", "left_right"])
def test_the_oracle_ranks_plans_as_the_truth_does(task):
    cfg = config(*([] if task == "reach" else [task]), evaluation__num_ranked_states=4,
                 evaluation__num_ranked_candidates=32)  # fmt: skip
    episodes = EvalEpisodes(cfg, 4)
    recording = make_recording(cfg, 4, shared_generator(cfg, SharedStream.RANKED_DATA))
    oracle = Oracle(cfg.task, cfg.world, recording.scene)

    class Known:  # the oracle, asked as a learnt model is: frame by frame
        history_length = frame_skip = 1

        def encode(self, frames, states):
            scene = recording.scene[torch.arange(len(states)) % 4]  # all scenes are alike here
            return Oracle(cfg.task, cfg.world, scene).encode(frames, states)

        step, goal_features = oracle.step, oracle.goal_features

    found = rank_correlation(Known(), episodes, recording, generator(cfg, Stream.RANKED_CANDIDATES))  # type: ignore[arg-type]
    assert found == pytest.approx(1, abs=1e-6)


# Surprise.


@pytest.mark.parametrize("kind", ["teleport", "flip", "wall", "colour"])
def test_an_event_changes_what_it_says_and_nothing_before(kind):
    cfg = config("surprise")
    pair = make_pair(
        cfg, kind, 12, generator(cfg, Stream.ASIDE), at_once=512 if kind == "wall" else 32
    )
    event, control = pair.event, pair.control
    assert len(event.states) == len(control.states) == 12
    assert torch.equal(event.frames[:, :BEFORE], control.frames[:, :BEFORE])
    assert torch.equal(event.actions, control.actions)
    after = event.states[:, BEFORE:, 0] - control.states[:, BEFORE:, 0]
    if kind == "colour":
        assert not after.any()
        assert (event.frames[:, BEFORE] != control.frames[:, BEFORE]).any((1, 2, 3)).all()
    if kind == "teleport":
        assert (after[:, 0, :2].norm(dim=-1) >= 10).all()
    if kind == "flip":
        assert (control.states[:, BEFORE - 1, 0, 2:].norm(dim=-1) >= 2).all()
        assert (after[:, 0].abs().amax(1) > 0.1).all()
    if kind == "wall":
        crossed = (event.states[:, BEFORE - 1, 0, 0] < 32) != (event.states[:, -1, 0, 0] < 32)
        assert crossed.float().mean() > 0.5
        assert ((control.states[:, BEFORE - 1, 0, 0] < 32)
                == (control.states[:, BEFORE + 1, 0, 0] < 32)).all()  # fmt: skip


def test_a_wall_cannot_be_passed_where_there_is_none():
    with pytest.raises(ValueError, match=r"set world\.door_width above 0"):
        make_pair(config("smoke"), "wall", 4, generator(config("smoke"), Stream.ASIDE))


def test_the_oracle_is_surprised_by_what_is_impossible_and_by_nothing_else():
    cfg = config("surprise")

    class Seer(Oracle):
        def __init__(self) -> None:
            pass

        def encode(self, frames, states):
            return torch.cat([states[:, 0], torch.full((len(states), 1), 5.0),
                              torch.full((len(states), 1), 32.0)], 1)  # fmt: skip

    seer = Seer()
    seer.task, seer.world = cfg.task, cfg.world
    for kind in ("teleport", "flip", "wall"):
        pair = make_pair(
            cfg, kind, 8, generator(cfg, Stream.CLIPS), at_once=512 if kind == "wall" else 32
        )
        assert surprise(seer, pair.control).max() < 1e-6
        assert (surprise(seer, pair.event).amax(1) > 1e-3).all()


def test_bounces_are_where_the_velocity_is_not_what_the_thrust_makes_it():
    cfg = config("surprise")
    walls = make_pair(cfg, "wall", 8, generator(cfg, Stream.CLIPS), at_once=512)
    assert bounces(cfg, walls.control)[:, BEFORE - 1 : BEFORE + 1].any(1).all()  # off the wall
    flips = make_pair(cfg, "flip", 32, generator(cfg, Stream.CLIPS), at_once=64)
    assert bounces(cfg, flips.event)[:, BEFORE - 1].all()
    calm = ~bounces(cfg, flips.control).any(1)
    assert 0 < calm.sum() < 32
    away = cfg.world.size / 2 - flips.control.states[calm][:, :, 0, :2].sub(32).abs().amax(-1)
    assert (away >= 5 - 1e-4).all()  # a ball of radius 5 in the open, all along


def test_auroc_by_hand():
    assert auroc(torch.tensor([2.0, 3.0]), torch.tensor([0.0, 1.0])) == 1
    assert auroc(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 1.0])) == 0.5
    assert auroc(torch.tensor([0.0, 3.0]), torch.tensor([1.0, 2.0])) == 0.5


# The critical weight.


def test_a_state_that_is_linear_in_the_past_has_no_threshold_to_pass():
    cfg = config("smoke", rollout=3, data__clip_length=5)
    torch.manual_seed(0)
    actions = torch.randn(64, 19, 2).double()
    z = [torch.randn(64, 3).double()]
    turn, push = torch.randn(3, 3).double() / 3, torch.randn(2, 3).double()
    for t in range(19):
        z.append(z[-1] @ turn + actions[:, t] @ push)
    linear = torch.stack(z, 1)
    none = torch.zeros(0)
    recording = Recording(none, none, actions, None)  # type: ignore[arg-type]
    residual, total = threshold.unexplained(linear, recording, cfg)
    assert (traces(residual) < 1e-12 * traces(total)).all()  # of both halves
    noise = torch.randn(64, 20, 3).double()
    residual, total = threshold.unexplained(noise, recording, cfg)
    assert (traces(residual) > 0.9 * traces(total)).all()


def traces(moments: torch.Tensor) -> torch.Tensor:
    return moments.diagonal(dim1=-2, dim2=-1).sum(-1)


def test_the_best_direction_is_not_chosen_on_what_it_is_scored_on(monkeypatch):
    cfg = config("smoke", model__embedding_dim=2, data__clip_length=10)
    own = torch.eye(2).double().expand(2, 2, 2)
    left = torch.stack([torch.tensor([0.2, 0.9]), torch.tensor([0.5, 0.1])]).diag_embed().double()
    monkeypatch.setattr(threshold, "unexplained", lambda z, recording, cfg: (left, own))
    found = threshold.threshold(cfg)
    assert found["best_fvu"] == pytest.approx(0.5)  # best on the first half, and not on the second
    assert found["predicted"] == pytest.approx(0.5 * found["one_over_k"])


# Commands.


def test_every_config_of_the_part_loads():
    for path in sorted(CONFIGS.glob("*.yaml")):
        load_config(Config, [BASELINE, path])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["--model.history_length=4"], "clip_length 10 is too short for a history of 4"),
        (["--rollout=9"], "use 11 or more"),
        (["--planner.horizon=30"], "looks 30 steps ahead, but task.budget is 20"),
        (["--planner.num_elites=9"], "num_elites 9 is more than num_samples 8: use at most 8"),
        (["--planner.num_samples=0"], "samples"),
        (["--cost.replan_every=6"], "at most planner.horizon x cost.action_repeat, 5"),
        (["--cost.when=lest"], "when"),
        (["--task.held_steps=21"], "more than the budget of 20"),
        (["--task.kind=two_rooms"], "set world.door_width above 0"),
        (["--world.max_thrust=0.0"], "set world.max_thrust above 0"),
        (["--world.speeds=[1.0]"], "starts from rest"),
        (["--world.num_balls=2"], "world.num_balls to 1"),
        (["--method=dino_wm"], "dino_wm and model.encoder conv do not fit"),
        (["--model.encoder=frozen"], "predict a frozen encoder's tokens"),
        (["--model.predictor=block_causal"], "use mlp or adaln"),
        (["--loss_weights.sigreg_lambda=-1.0"], "sigreg_lambda"),
        (["--model.frame_skip=2"], "use a multiple of model.frame_skip, 2"),
        (["--model.frame_skip=5", "--cost.action_repeat=5"], "use at most 8"),
        (
            ["--model.frame_skip=2", "--cost.action_repeat=2", "--evaluation.num_surprise_clips=4"],
            "does not predict the frame after an event",
        ),
        (["--loss_weights.num_slices=0"], "num_slices"),
        (["--world.size=60"], "divisible by 16"),
        (["--plannr.kind=cem"], "planner.kind"),
        (["--model.predictor=adaln", "--model.hidden_dim=50"], "use a multiple of 16, got 50"),
        (
            ["--config=configs/part5/left_right.yaml", "--task.budget=30", "--planner.horizon=25"],
            "2 choices over planner.horizon 25 are more than 1,048,576",
        ),
    ],
)
def test_contradictions_end_in_one_clear_line_and_write_nothing(
    tmp_path, refusal, overrides, words
):
    where = f"--run_dir={tmp_path / 'run'}"
    assert words in refusal(main, "--config", SMOKE, *overrides, where)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("files", "option"),
    [
        (["left_right"], "--planner.kind=mppi"),
        (["left_right"], "--planner.num_samples=64"),
        (["lewm"], "--planner.noise_beta=2.0"),
        (["lewm"], "--loss_weights.variance=2.0"),
        (["pldm"], "--loss_weights.sigreg_lambda=2.0"),
        (["lewm"], "--model.frozen_encoder=dino"),
        (["lewm"], "--task.thrust_steps=2"),
        (["cloning"], "--rollout=2"),
    ],
)
def test_an_option_that_nothing_reads_is_refused(tmp_path, refusal, files, option):
    given = [word for name in files for word in ("--config", CONFIGS / f"{name}.yaml")]
    said = refusal(main, *given, option, f"--run_dir={tmp_path / 'run'}")
    assert "nothing reads it here" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["--task.min_distance=100"], "use a smaller task.min_distance"),
        (["--world.radius=[31.0,31.0]"], "px apart"),
        (
            ["--evaluation.num_surprise_clips=4", "--world.max_thrust=0.01"],
            "event flip hardly ever",
        ),
        (["--evaluation.num_surprise_clips=4", "--world.channels=3"], "event colour hardly ever"),
        (
            [
                "--evaluation.num_surprise_clips=4",
                "--model.history_length=9",
                "--data.clip_length=20",
            ],
            "fewer than model.history_length 9: use at most 8",
        ),
    ],
)
def test_what_a_world_cannot_have_is_said_before_training(tmp_path, refusal, overrides, words):
    where = f"--run_dir={tmp_path / 'run'}"
    assert words in refusal(main, "--config", SMOKE, *overrides, where)
    assert not (tmp_path / "run" / "metrics.jsonl").read_bytes()


def test_states_where_every_candidate_costs_the_same_are_left_out():
    cfg = config("left_right", "smoke", planner__horizon=1, evaluation__num_ranked_candidates=2)
    episodes = EvalEpisodes(cfg, 4)
    recording = make_recording(cfg, 4, shared_generator(cfg, SharedStream.RANKED_DATA))
    rho = rank_correlation(
        make_model(cfg), episodes, recording, generator(cfg, Stream.RANKED_CANDIDATES)
    )
    assert -1 <= rho <= 1


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished smoke run."""
    folder = tmp_path_factory.mktemp("part5") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [*TRAIN[1:], f"--run_dir={folder}"])
        main()
    return folder


def test_a_run_says_which_interval_each_of_its_numbers_gets(trained):
    summary = json.loads((trained / "summary.json").read_text())
    (scores,) = summary["variants"].values()
    assert set(summary["shares"]) == {name for name in SHARES if name in scores}
    assert set(summary["shares"].values()) == {4}
    for name, (low, high) in summary["limits"].items():
        assert low <= scores[name] <= high
    with np.load(trained / "outcomes.npz") as outcomes:
        for name in ("last", "held", "ever", "at_start"):
            assert outcomes[name].mean() == scores[name]


def test_a_run_leaves_its_figures_and_outcomes(trained):
    names = {path.name for path in trained.rglob("*") if path.is_file()}
    wanted = {"summary.json", "outcomes.npz", "episode.gif", "episode.npz", "paths.png"}
    wanted |= {"imagined.png", "search.png", "landscape.png"}
    assert wanted <= names
    cfg, model = load_run(trained)
    assert cfg.method == "lewm"
    assert isinstance(model, LatentModel)


@pytest.mark.parametrize(
    ("script", "extra", "words"),
    [
        (plan_script.main, ["--episode", "-1"], "--episode -1: expected 0"),
        (plan_script.main, ["--model.embedding_dim=4"], "--model: the weights"),
        (evaluate_script.main, ["--world.size=32"], "--world: the weights"),
        (evaluate_script.main, ["--planner.kind", "mppi"], "write it as --key=value"),
        (plan_script.main, ["--run_dir=elsewhere"], "nothing is trained here"),
        (plan_script.main, ["--loss_weights.variance=2"], "only in training"),
        (evaluate_script.main, ["--learning_rate=0.1"], "only in training"),
        (
            evaluate_script.main,
            ["--planner.num_elites=100"],
            "num_elites 100 is more than num_samples 8",
        ),
        (evaluate_script.main, ["--task.min_distance=100"], "use a smaller task.min_distance"),
        (plan_script.main, ["--task.min_distance=100"], "use a smaller task.min_distance"),
    ],
)
def test_a_trained_network_meets_only_what_it_was_made_for(trained, refusal, script, extra, words):
    assert words in refusal(script, trained, *extra)


def test_pictures_of_other_models_episodes_and_options_go_elsewhere(trained, monkeypatch):
    folders = []

    def draw(folder, *_):
        folders.append(folder)
        raise SystemExit

    monkeypatch.setattr(plan_script, "draw_figures", draw)
    commands = [[], ["--episode=1"], ["--planner.kind=mppi"], ["--planner.kind=random"], []]
    for command in commands:
        monkeypatch.setattr(sys, "argv", ["plan.py", str(trained), *command])
        with pytest.raises(SystemExit):
            plan_script.main()
    assert len({*folders}) == 4
    assert folders[0] == folders[-1]
    assert all(trained.name in folder.name for folder in folders)


def test_a_folder_without_a_run_names_the_command_that_makes_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["plan.py", str(tmp_path)])
    with pytest.raises(SystemExit):
        run_script(plan_script.main)
    assert "part5_action_planning/train.py" in capsys.readouterr().err.strip().splitlines()[-1]


def test_the_same_seed_gives_the_same_files(trained, tmp_path, run):
    run(*TRAIN, "--figures=false", "--run_dir", tmp_path / "again")
    one, two = ((f / "metrics.jsonl").read_bytes() for f in (trained, tmp_path / "again"))
    assert one == two


@pytest.mark.slow
def test_a_token_model_keeps_what_its_tokens_are_standardised_by(tmp_path, run):
    command = [*TRAIN[:2], "--config", CONFIGS / "dino_mlp.yaml", "--config", SMOKE, "--threads=1"]
    run(*command, "--run_dir", tmp_path / "run")
    assert list((tmp_path / "features").glob("recording-*.npy"))
    _, model = load_run(tmp_path / "run")
    assert isinstance(model, TokenModel)
    assert model.spread != 1
    assert model.mean.abs().sum() > 0


@pytest.mark.slow
@pytest.mark.parametrize("task", ["reach", "two_rooms", "bank_shot", "left_right"])
def test_train_plan_and_evaluate_as_documented(tmp_path, run, task):
    files = [] if task == "reach" else ["--config", CONFIGS / f"{task}.yaml"]
    small = ["--evaluation.num_test_episodes=2", "--steps=4"]
    command = [*TRAIN[:2], *files, "--config", SMOKE, "--threads=1", *small]
    done = run(*command, "--run_dir", tmp_path / "run")
    assert any(line.startswith("run ") for line in done.stdout.splitlines()), done.stdout
    script = "part5_action_planning/plan.py"
    done = run(sys.executable, script, tmp_path / "run", "--episode", "1", "--out", tmp_path)
    assert "px away at the start" in done.stdout
    assert (tmp_path / "episode.gif").stat().st_size > 10_000
    options = [] if task == "left_right" else ["--planner.kind=mppi"]
    done = run(sys.executable, "part5_action_planning/evaluate.py", tmp_path / "run", *options)
    assert "random thrust" in done.stdout


@pytest.mark.slow
def test_killed_at_random_steps_it_resumes_to_the_same_bits(tmp_path, run, kill_at_random_steps):
    command = [*TRAIN, "--steps=400", "--save_every=20", "--figures=false"]
    run(*command, "--run_dir", tmp_path / "undisturbed")
    kill_at_random_steps(command, tmp_path / "killed")
    run(*command, "--run_dir", tmp_path / "killed")
    one, two = tmp_path / "undisturbed", tmp_path / "killed"
    assert (one / "metrics.jsonl").read_bytes() == (two / "metrics.jsonl").read_bytes()
    before, after = (
        torch.load(f / "checkpoint.pt", weights_only=True)["state"]["model"] for f in (one, two)
    )
    assert all(torch.equal(value, after[name]) for name, value in before.items())
