"""Language models in part 5: frames and actions in words, and cloning by sequence."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from common.episodes import to_float
from common.harness.config import REPOSITORY, load_config
from part5_action_planning.config import BASELINE, Config, Stream, generator
from part5_action_planning.data import Recording, draw_batch, fit_codebook, make_recording
from part5_action_planning.model.jepa import rollout
from part5_action_planning.model.policies import SequencePolicy
from part5_action_planning.model.words import WordModel
from part5_action_planning.model.world_models import make_model
from part5_action_planning.planning.agents import make_agent
from part5_action_planning.planning.closed_loop import EvalEpisodes
from part5_action_planning.planning.policy_agents import SequenceAgent
from part5_action_planning.train import compute_loss, main

CONFIGS = REPOSITORY / "configs" / "part5"
SMALL = {"data.num_train_episodes": 24, "words.num_words": 256, "threads": 1}


def config(name: str, **overrides: object) -> Config:
    given = {key.replace("__", "."): value for key, value in overrides.items()}
    files = [BASELINE, CONFIGS / f"{name}.yaml", CONFIGS / "smoke.yaml"]
    return load_config(Config, files, SMALL | given)


def words(**overrides: object) -> tuple[WordModel, Recording, Config]:
    """An untrained model that has its words, and what they were made of."""
    cfg = config("words", **overrides)
    recording = make_recording(cfg, 24, generator(cfg, Stream.TRAIN_DATA))
    model = make_model(cfg)
    assert isinstance(model, WordModel)
    fit_codebook(model.codebook, recording, generator(cfg, Stream.CODEBOOK))
    return model.eval(), recording, cfg


def losses(
    cfg: Config, model: torch.nn.Module, recording: Recording, steps: int, rate: float
) -> list[float]:
    """What so many steps on one batch make of the loss."""
    batch = draw_batch(recording, None, 8, cfg.data.clip_length, generator(cfg, Stream.CLIPS))
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    found = []
    for _ in range(steps):
        loss, _ = compute_loss(model, batch, cfg)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


@torch.no_grad()
def test_a_state_is_a_frame_that_words_show_and_reads_as_itself() -> None:
    model, recording, _ = words()
    frames = to_float(recording.frames[:4, 0])
    z = model.encode(frames)
    assert (model.decode(z) - frames).square().mean() < 0.01
    assert torch.equal(model.encode(model.decode(z)), z)


@torch.no_grad()
def test_the_place_compared_is_the_balls() -> None:
    model, recording, _ = words(words__goal="place", words__num_words=768)
    place = model.goal_features(model.encode(to_float(recording.frames[:, 5])))
    error = (place + 0.5 - recording.states[:, 5, 0, :2]).norm(dim=-1)
    assert error.mean() < 1.5
    exact = model.goal_features(to_float(recording.frames[:, 5]).flatten(1))
    assert (exact + 0.5 - recording.states[:, 5, 0, :2]).norm(dim=-1).max() < 0.3


@torch.no_grad()
def test_the_next_frame_is_told_of_past_and_actions() -> None:
    model, recording, _ = words()
    seen = model.codebook.encode(to_float(recording.frames[0, :3])).unsqueeze(0)  # (1, 3, N)
    actions = recording.actions[:1, :2]
    bits = model.bits(seen, actions)
    assert bits.shape == (1, 16)
    assert bits.mean().item() == pytest.approx(8, rel=0.2)  # log2 256: it knows nothing yet
    for past, done in ((seen.flip(1), actions), (seen, -actions - 0.3)):
        changed = torch.cat([past[:, :2], seen[:, 2:]], 1)
        assert (model.bits(changed, done) - bits).abs().max() > 1e-5
    far = actions.clone()
    far[..., 0] = 5.0  # beyond the bounds: the last word there is
    at_bound = actions.clone()
    at_bound[..., 0] = model.scale
    torch.testing.assert_close(model.known(seen[:, :2], far), model.known(seen[:, :2], at_bound))


@torch.no_grad()
def test_the_likeliest_rollout_is_one_and_samples_come_from_the_seed() -> None:
    states = {}
    for say in ("likeliest", "sample"):
        for seed in (0, 0, 1):
            model, recording, _ = words(words__say=say)
            model.seed = seed
            z = model.encode(to_float(recording.frames[0, :2])).unsqueeze(0)
            plan = recording.actions[:1, None, 2:5]
            states.setdefault(say, []).append(rollout(model, z, recording.actions[:1, 1:2], plan))
    one, again, other = states["likeliest"]
    assert torch.equal(one, again)
    assert torch.equal(one, other)
    one, again, other = states["sample"]
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@torch.no_grad()
def test_an_agent_draws_from_the_seed_again_and_options_that_no_weight_knows_are_used() -> None:
    model, _, cfg = words(words__say="sample")
    episodes, found = EvalEpisodes(cfg, 2), []
    for _ in range(2):
        agent = make_agent(model, episodes)
        frames = episodes.goal_frames.flip(0)
        found.append(agent.act(0, frames, episodes.goal_states))
    assert torch.equal(*found)
    model.use(replace(cfg.words, say="likeliest", goal="place"))
    assert not model.is_sampled
    assert model.goal_features(model.encode(frames)).shape == (2, 2)


def test_both_methods_learn() -> None:
    model, recording, cfg = words()
    found = losses(cfg, model.train(), recording, 40, 3e-3)
    assert found[-1] < 0.5 * found[0]
    cfg = config("cloning_gpt", sequence__context=4, data__clip_length=10)
    policy = make_model(cfg)
    found = losses(cfg, policy, recording, 80, 5e-4)
    assert found[-1] < 0.7 * found[0]


@torch.no_grad()
def test_an_action_depends_on_goal_and_past_and_on_nothing_later() -> None:
    policy = make_model(config("cloning_gpt"))
    assert isinstance(policy, SequencePolicy)
    draws = torch.Generator().manual_seed(0)
    z, goal = (torch.randn(2, n, 32, generator=draws) for n in (5, 1))
    actions = torch.randn(2, 4, 2, generator=draws)
    found = policy(z, actions, goal[:, 0])
    assert found.shape == (2, 5, 2)
    assert (found.abs() <= policy.scale).all()
    later, after = z.clone(), actions.clone()
    later[:, 3:] += 1
    after[:, 2:] += 1
    changed = policy(later, after, goal[:, 0])
    torch.testing.assert_close(changed[:, :3], found[:, :3])
    assert (changed[:, 3] - found[:, 3]).abs().max() > 1e-4
    before = actions.clone()
    before[:, 1] += 1
    assert (policy(z, before, goal[:, 0])[:, 2] - found[:, 2]).abs().max() > 1e-5
    assert (policy(z, actions, goal[:, 0] + 1) - found).abs().amin((0, 2)).min() > 0


def test_the_sequence_agent_remembers_what_it_saw_and_did(monkeypatch) -> None:
    cfg = config("cloning_gpt", sequence__context=3, data__clip_length=10)
    episodes = EvalEpisodes(cfg, 2)
    agent, told = make_agent(make_model(cfg), episodes), []
    assert isinstance(agent, SequenceAgent)

    def act(z, actions, z_goal):
        told.append((z[:, :, 0], actions[:, :, 0]))
        return torch.full((2, z.shape[1], 2), float(len(told)))

    monkeypatch.setattr(agent.policy, "encode", lambda frames: frames.mean((1, 2, 3))[:, None])
    monkeypatch.setattr(agent.policy, "forward", act)
    for t in range(5):
        agent.act(t, torch.full((2, 1, 64, 64), t / 10), torch.zeros(2, 1, 4))
    seen = [[round(10 * x) for x in z[0].tolist()] for z, _ in told]
    assert seen == [[0], [0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4]]
    assert [done[0].tolist() for _, done in told] == [[], [1.0], [1, 2], [2, 3], [3, 4]]


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("words", ["--words.patch_size=7"], "words.patch_size must divide world.size"),
        ("words", ["--words.words_at_once=3"], "must divide the 16 words of a frame"),
        ("words", ["--words.num_heads=5"], "divisible by words.num_heads"),
        ("words", ["--words.num_words=4096"], "wanted at most as many words"),
        ("words", ["--words.goal=place", "--distractor.kind=dots"], "use distractor.kind none"),
        ("words", ["--model.frame_skip=2", "--cost.action_repeat=2"], "which takes every step"),
        ("words", ["--words.goal=place", "--world.brightness=[0.3, 0.7]"], "world.brightness [1.0"),
        ("words", ["--planner.kind=gradient"], "which words have not"),
        ("words", ["--model.hidden_dim=64"], "method=lewm"),
        ("cloning_gpt", ["--sequence.context=32"], "use 33 or more"),
        ("cloning_gpt", ["--model.hidden_dim=50"], "use a multiple of 16, got 50"),
        ("lewm", ["--words.dim=64"], "method=words"),
    ],
)
def test_what_does_not_fit_ends_in_one_line(
    name: str, overrides: list[str], message: str, tmp_path: Path, refusal
) -> None:
    smoke = CONFIGS / "smoke.yaml"
    where = ["--data.num_train_episodes=4", f"--run_dir={tmp_path / 'run'}"]
    said = refusal(
        main, "--config", CONFIGS / f"{name}.yaml", "--config", smoke, *where, *overrides
    )
    assert message in said
