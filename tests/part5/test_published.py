"""DINO-WM, V-JEPA 2-AC and LeWorldModel as published, at toy size: what each is known to do."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from common.frozen import FrozenEncoder
from common.harness.config import REPOSITORY, load_config
from common.sigreg import random_slices
from part5_action_planning.config import (
    BASELINE,
    Config,
    Stream,
    generator,
)
from part5_action_planning.data import Batch, draw_batch, make_recording
from part5_action_planning.model.jepa import LatentModel, predict_clips, rollout, rollout_windows
from part5_action_planning.model.token_predictors import BlockCausalPredictor
from part5_action_planning.model.world_models import TokenModel, make_model
from part5_action_planning.planning.costs import make_cost
from part5_action_planning.train import compute_loss, main

CONFIGS = REPOSITORY / "configs" / "part5"
TOKENS, METHODS = ("dino_wm", "vjepa2_ac"), ("dino_wm", "vjepa2_ac", "lewm_published")
SMALL = {"batch_size": 4, "model.hidden_dim": 32, "data.num_train_episodes": 8, "world.size": 32}


def config(name: str, **overrides: Any) -> Config:
    named = {key.replace("__", "."): value for key, value in overrides.items()}
    files = [BASELINE, CONFIGS / f"{name}.yaml", CONFIGS / "smoke.yaml"]
    return load_config(Config, files, SMALL | named)


class Patches(nn.Module):
    """A backbone that returns the picture itself, in patches of 8 x 8 px."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        tokens = x[:, 0].unfold(1, 8, 8).unfold(2, 8, 8).flatten(1, 2).flatten(2)
        return tokens.mean(1), tokens


def model_of(cfg: Config) -> Any:
    torch.manual_seed(0)
    if cfg.model.encoder == "frozen":
        return TokenModel(cfg, FrozenEncoder(Patches(), "patches", False, patch_size=8, dim=64))
    return make_model(cfg)


def batch_of(cfg: Config, model: Any) -> Batch:
    """Clips as the model learns from them, a frozen encoder's standardised."""
    recording = make_recording(cfg, 8, generator(cfg, Stream.TRAIN_DATA))
    sizes = cfg.batch_size, cfg.data.clip_length
    drawn = draw_batch(recording, None, *sizes, generator(cfg, Stream.CLIPS), cfg.model.frame_skip)
    seen, slices = drawn.seen, None
    if isinstance(model, TokenModel):
        seen = model.frozen.encode(seen.flatten(0, 1))
        model.standardise(seen)
        seen = seen.unflatten(0, sizes)
    else:
        slices = random_slices(cfg.model.embedding_dim, 16, generator(cfg, Stream.SLICES))
    return Batch(seen, drawn.actions, slices)


def states_of(model: Any, batch: Batch) -> Tensor:
    if isinstance(model, TokenModel):
        return model.state(batch.seen)
    return model.encode(batch.seen.flatten(0, 1)).unflatten(0, batch.seen.shape[:2])


def predictor(*, action_token: bool, frames: int = 3) -> BlockCausalPredictor:
    torch.manual_seed(0)
    return BlockCausalPredictor(
        grid=(2, 2), token_dim=8, history_length=frames, action_dim=2, hidden_dim=16, depth=2,
        action_token=action_token,
    )  # fmt: skip


# The transformer of DINO-WM and V-JEPA 2-AC.


@pytest.mark.parametrize("action_token", [False, True])
def test_a_frame_is_predicted_from_itself_and_those_before(action_token):
    network = predictor(action_token=action_token)
    tokens, actions = torch.randn(2, 3, 4, 8), torch.randn(2, 3, 2)
    before = network(tokens, actions)
    assert before.shape == tokens.shape
    for t in range(3):
        changed, pushed = tokens.clone(), actions.clone()
        changed[:, t, 1] += 1  # one token of frame t alone
        pushed[:, t] += 1
        for after in (network(changed, actions), network(tokens, pushed)):
            moved = (after - before).abs().amax(-1) > 1e-4  # (B, frame, token)
            assert not moved[:, :t].any()
            assert moved[:, t:].all()  # tokens of a frame see each other, and all that was


@pytest.mark.parametrize("action_token", [False, True])
def test_a_shorter_past_is_read_as_the_first_frames_of_a_longer_one(action_token):
    network = predictor(action_token=action_token)
    tokens, actions = torch.randn(2, 3, 4, 8), torch.randn(2, 3, 2)
    short = network(tokens[:, :2], actions[:, :2])
    torch.testing.assert_close(short, network(tokens, actions)[:, :2])


def test_where_a_token_stands_is_told():
    network = predictor(action_token=False, frames=1)
    told = network(torch.ones(1, 1, 4, 8), torch.zeros(1, 1, 2))[0, 0]
    assert torch.cdist(told, told)[~torch.eye(4, dtype=torch.bool)].min() > 0.01


# All three methods.


@pytest.mark.parametrize("name", METHODS)
def test_teacher_forcing_ends_in_the_one_step_rollout(name):
    cfg = config(name)
    model = model_of(cfg).eval()
    batch = batch_of(cfg, model)
    z, clip = states_of(model, batch), cfg.model.history_length + 1
    z_pred, z_next = predict_clips(model, z[:, :clip], batch.actions[:, : clip - 1], 1)
    assert z_pred.shape == z_next.shape == (4, 3, 1, z.shape[-1])
    rolled, came = rollout_windows(model, z[:, :clip], batch.actions[:, : clip - 1], 1)
    torch.testing.assert_close(z_pred[:, -1:], rolled)
    assert torch.equal(z_next[:, -1:], came)


@pytest.mark.parametrize("name", METHODS)
def test_with_a_history_of_one_frame_both_are_the_same(name):
    length = 1 + config(name).rollout
    cfg = config(name, model__history_length=1, data__clip_length=length)
    model = model_of(cfg).eval()
    batch = batch_of(cfg, model)
    z, actions = states_of(model, batch)[:, :2], batch.actions[:, :1]
    forced, rolled = predict_clips(model, z, actions, 1), rollout_windows(model, z, actions, 1)
    torch.testing.assert_close(forced, rolled)


@pytest.mark.parametrize("name", METHODS)
def test_a_few_clips_are_learnt_and_every_part_gets_a_gradient(name):
    cfg = config(name)
    model = model_of(cfg)
    batch, losses = batch_of(cfg, model), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(25):
        loss, _ = compute_loss(model, batch, cfg)
        optimizer.zero_grad()
        loss.backward()
        if step == 1:  # the gates of adaptive layer norm are zero before
            still = {name for name, p in model.named_parameters() if p.grad is None}
            assert still == {name for name in still if name.startswith("inverse.")}
            zero = {
                name
                for name, p in model.named_parameters()
                if p.grad is not None and not p.grad.any()
            }
            assert not zero
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("name", METHODS)
def test_the_action_reaches_every_prediction_of_a_plan(name):
    cfg = config(name)
    model = model_of(cfg).eval()
    for block in model.predictor.modules():
        if getattr(block, "modulate", None) is not None:  # whose gates are zero before training
            nn.init.normal_(block.modulate.weight, std=0.1)
    span, actions = model.history_length, torch.zeros(2, 3, 10, 2)
    assert span == 11  # three frames, five steps apart
    actions[:, 1, 7] = 1.0  # in the second block
    actions[:, 2, 2] = 1.0  # in the first
    z_past = torch.randn(2, span, model.encode(torch.zeros(1, 1, 32, 32)).shape[-1])
    with torch.no_grad():
        none, second, first = rollout(model, z_past, torch.zeros(2, span - 1, 2), actions).unbind(1)
    assert none.shape[1] == 2
    torch.testing.assert_close(second[:, 0], none[:, 0])
    assert ((second - none)[:, 1].abs().amax(-1) > 1e-4).all()
    assert ((first - none).abs().amax(-1) > 1e-4).all()


# Each its own.


def test_the_energy_of_vjepa2_ac_is_the_l1_distance():
    cfg = config("vjepa2_ac", cost__when="last")
    model = model_of(cfg).eval()
    z_past = torch.randn(2, model.history_length, model.tokens[0] * model.tokens[1])
    a_past, goal = torch.zeros(2, model.history_length - 1, 2), torch.randn(2, z_past.shape[-1])
    blocks = torch.randn(2, 4, 2, 2)
    with torch.no_grad():
        cost = make_cost(model, z_past, a_past, goal, cfg.cost)(blocks)
        z = rollout(model, z_past, a_past, blocks.repeat_interleave(5, 2))
    torch.testing.assert_close(cost, (z[:, :, -1] - goal[:, None]).abs().sum(-1))


@pytest.mark.parametrize("name", TOKENS)
def test_what_vjepa2_ac_predicts_is_layer_normed_as_its_states_are(name):
    cfg = config(name)
    model = model_of(cfg)
    batch = batch_of(cfg, model)
    predicted = model.forced(states_of(model, batch)[:, :3], batch.actions[:, :3])
    tokens = model.mean + model.spread * predicted.unflatten(-1, model.tokens)
    is_normed = (tokens.var(-1, correction=0) - 1).abs().max() < 0.01
    assert is_normed == (name == "vjepa2_ac")


def test_an_embedding_of_lewm_is_read_from_the_class_token_and_not_from_its_neighbours():
    cfg = config("lewm_published")
    model = model_of(cfg)
    assert isinstance(model, LatentModel)
    frames = torch.rand(8, 1, 32, 32)
    assert not torch.allclose(model.encode(frames[:4]), model.encode(frames)[:4])  # batch norm
    model.eval()
    torch.testing.assert_close(model.encode(frames[:4]), model.encode(frames)[:4])
    encoder: Any = model.encoder
    heard = []
    encoder.norm.register_forward_hook(lambda module, given, out: heard.append(out))
    z = model.encode(frames)
    assert heard[0].shape == (8, 1 + 16, 32)  # 4 x 4 patches of 8 px
    torch.testing.assert_close(encoder.project(heard[0][:, 0]), z)


def test_the_weight_of_sigreg_is_the_published_one():
    cfg = config("lewm_published")
    assert cfg.loss_weights.sigreg_lambda == pytest.approx(0.09 * 128)
    model = model_of(cfg)
    loss, terms = compute_loss(model, batch_of(cfg, model), cfg)
    expected = terms["prediction"] + 11.52 * terms["sigreg"] + terms["readout"]
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize(
    ("files", "overrides", "words"),
    [
        (["dino_wm"], ["--data.clip_length=6"], "longer than what model.predictor block_causal"),
        (["vjepa2_ac"], ["--data.clip_length=4"], "use 5 or more"),
        (["lewm_published"], ["--data.clip_length=5"], "use 4"),
        (["lewm_published"], ["--model.encoder=conv"], "got conv and adaln"),
        (["lewm_published"], ["--model.predictor=mlp"], "got vit and mlp"),
        (["lewm_published"], ["--method=dino_wm"], "do not fit"),
        (["dino_wm"], ["--model.predictor=adaln"], "use mlp or block_causal"),
        (["dino_wm"], ["--model.hidden_dim=40"], "use a multiple of 16, got 40"),
        (["dino_wm"], ["--cost.action_repeat=4"], "use a multiple of model.frame_skip, 5"),
        (
            ["dino_wm", "bank_shot"],
            ["--rollout=1", "--data.clip_length=4"],
            "does not fit bank_shot",
        ),
        (["lewm"], ["--model.depth=3"], "nothing reads it here"),
        (["lewm"], ["--model.projector=true"], "got conv and mlp"),
        (["oracle"], ["--model.frame_skip=5"], "model.frame_skip"),
    ],
)
def test_what_contradicts_is_refused_in_one_line(tmp_path, refusal, files, overrides, words):
    given = [word for name in files for word in ("--config", CONFIGS / f"{name}.yaml")]
    assert words in refusal(main, *given, *overrides, f"--run_dir={tmp_path / 'run'}")
    assert not (tmp_path / "run").exists()
