"""The numbers of a run: closed loop, rank correlation, probes, and the bounds beside them."""

from typing import Any

import torch

from part5_action_planning.config import Config, generator, shared_generator
from part5_action_planning.data.clips import make_recording
from part5_action_planning.model.world_models import Policy
from part5_action_planning.planning.agents import (
    CloningAgent,
    GreedyAgent,
    PlanningAgent,
    RandomAgent,
    RestingAgent,
)
from part5_action_planning.planning.closed_loop import Stage, Trial, success
from part5_action_planning.scoring.model_metrics import describe, rank_correlation
from part5_action_planning.scoring.surprise import score_surprise


def make_agent(model: Any, stage: Stage, cfg: Config) -> PlanningAgent | CloningAgent:
    """The agent that acts on what was trained: a planner on a world model, or the policy itself."""
    if isinstance(model, Policy):
        return CloningAgent(cfg, model, stage.goal_frames)
    return PlanningAgent(cfg, model, stage.goal_frames, stage.goal_states, generator(cfg, 6))


@torch.no_grad()
def evaluate(model: Any, stage: Stage, cfg: Config) -> tuple[dict[str, float], Trial]:
    """Scores of a world model or policy, and the trial that they come from."""
    agent = make_agent(model, stage, cfg)
    trial = stage.play(agent, progress=True)
    steps = cfg.task.budget * len(trial.distance)
    scores = success(trial, cfg.task) | {"ms_per_step": 1000 * trial.seconds / steps}
    if isinstance(agent, CloningAgent):
        return scores, trial
    scores["calls_per_step"] = agent.calls / cfg.task.budget
    if cfg.objective == "oracle":
        return scores, trial
    recording = make_recording(cfg, cfg.evaluation.heldout_episodes, shared_generator(cfg, 2))
    ranked = make_recording(cfg, cfg.evaluation.ranked_states, shared_generator(cfg, 3))
    correlation = rank_correlation(model, stage, ranked, cfg, generator(cfg, 7))
    greedy = GreedyAgent(cfg, model, stage.goal_frames, stage.goal_states, generator(cfg, 8))
    without = success(stage.play(greedy), cfg.task)
    scores |= {f"greedy_{name}": value for name, value in without.items() if name != "at_start"}
    scores |= {"rank_correlation": correlation} | describe(model, recording)
    if cfg.evaluation.surprise_clips:
        scores |= score_surprise(model, cfg, shared_generator(cfg, 5))
    return scores, trial


def bounds(stage: Stage, cfg: Config) -> dict[str, dict[str, float]]:
    """What acting without sense comes to, and how many episodes start solved."""
    agents = {
        "random": RandomAgent(cfg, len(stage.goal_frames), shared_generator(cfg, 4)),
        "do_nothing": RestingAgent(cfg),
    }
    return {name: success(stage.play(agent), cfg.task) for name, agent in agents.items()}
