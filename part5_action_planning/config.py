"""What the scripts of this part share: the config, its streams of chance, its learning rate."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from common.distractors import Distractor
from common.schedules import stream, warmup_cosine
from common.world import World
from part5_action_planning.planning.discrete import LARGEST
from part5_action_planning.planning.planners import PlannerConfig
from part5_action_planning.settings import (
    CostConfig,
    DataConfig,
    EvaluationConfig,
    ModelConfig,
    WeightsConfig,
)
from part5_action_planning.tasks.rules import Task, check_task, choices

PART = Path(__file__).resolve().parent
BASELINE = PART.parent / "configs" / "part5" / "baseline.yaml"
FREE = ("oracle",)  # objectives that need no training


@dataclass(frozen=True)
class Config:
    """One run of part 5: one world model, on one task, with one planner.

    Args:
        seed: seeds weights, data, sampling and planning; the evaluation's episodes are the same.
        objective: lewm, next embedding + SIGReg (LeWorldModel); vicreg_idm, next embedding + VICReg
            + inverse dynamics (PLDM); vjepa2_ac, L1 on frozen tokens, teacher forcing and rollout
            (V-JEPA 2-AC); dino_wm, squared error on frozen tokens (DINO-WM); pixel, next frame;
            cloning, no world model: the action that led to what was seen later; oracle, the true
            dynamics, untrained.
        steps: optimizer steps.
        batch_size: clips per step.
        rollout: steps predicted in training, each from the prediction before.
        learning_rate: peak of one linear warm-up and cosine decay.
        warmup: share of the steps that warm up.
        weight_decay: AdamW's.
        model: see ModelConfig.
        weights: see WeightsConfig.
        data: see DataConfig.
        task: see Task.
        planner: see PlannerConfig.
        cost: see CostConfig.
        evaluation: see EvaluationConfig.
        world: see World.
        distractor: see Distractor.
        log_every: steps between lines of metrics.jsonl.
        save_every: steps between checkpoints.
        threads: CPU threads.
        figures: draw them at the end.
    """

    seed: int = field(metadata={"min": 0, "max": 10**9})
    objective: Literal["lewm", "vicreg_idm", "vjepa2_ac", "dino_wm", "pixel", "cloning", "oracle"]
    steps: int = field(metadata={"min": 1, "max": 10_000_000})
    batch_size: int = field(metadata={"min": 2, "max": 65536})
    rollout: int = field(metadata={"min": 1, "max": 1000})
    learning_rate: float = field(metadata={"above": 0.0, "max": 10.0})
    warmup: float = field(metadata={"min": 0.0, "max": 1.0})
    weight_decay: float = field(metadata={"min": 0.0, "max": 10.0})
    model: ModelConfig
    weights: WeightsConfig
    data: DataConfig
    task: Task
    planner: PlannerConfig
    cost: CostConfig
    evaluation: EvaluationConfig
    world: World
    distractor: Distractor
    log_every: int = field(metadata={"min": 1, "max": 10**9})
    save_every: int = field(metadata={"min": 1, "max": 10**9})
    threads: int = field(metadata={"min": 1, "max": 256})
    figures: bool

    def __post_init__(self) -> None:
        check_task(self.task, self.world)
        if self.world.size % 16:
            raise ValueError(
                f"the encoder needs world.size divisible by 16, got {self.world.size}: use "
                f"{16 * max(1, round(self.world.size / 16))}"
            )
        shortest = self.model.history + self.rollout
        if self.data.clip_length < shortest:
            raise ValueError(
                f"data.clip_length {self.data.clip_length} is too short for a history of "
                f"{self.model.history} and a rollout of {self.rollout}: use {shortest} or more"
            )
        if self.data.clip_length > self.world.episode_length:
            raise ValueError(
                f"data.clip_length {self.data.clip_length} is longer than an episode: use at most "
                f"world.episode_length, {self.world.episode_length}"
            )
        frames = self.task.budget + 1
        if self.task.kind == "bank_shot" and self.world.episode_length < frames:
            raise ValueError(
                f"bank_shot pushes only at the start, so recorded episodes must last as long as "
                f"its budget: set world.episode_length to {frames} or more"
            )
        if self.task.kind == "bank_shot" and self.task.thrust_steps % self.cost.repeat:
            raise ValueError(
                f"cost.repeat {self.cost.repeat} holds a push beyond task.thrust_steps "
                f"{self.task.thrust_steps}, where pushes do nothing: use a divisor of it"
            )
        ahead = self.planner.horizon * self.cost.repeat
        if ahead > self.task.budget:
            raise ValueError(
                f"planner.horizon {self.planner.horizon} x cost.repeat {self.cost.repeat} looks "
                f"{ahead} steps ahead, but task.budget is {self.task.budget}: use at most that"
            )
        options = choices(self.task)
        if options is not None and len(options) ** self.planner.horizon > LARGEST:
            raise ValueError(
                f"task {self.task.kind} is planned by trying every sequence, and {len(options)} "
                f"choices over planner.horizon {self.planner.horizon} are more than {LARGEST:,}: "
                "use a shorter horizon"
            )
        if self.cost.execute > ahead:
            raise ValueError(
                f"cost.execute {self.cost.execute} carries out more steps than are planned: use at "
                f"most planner.horizon x cost.repeat, {ahead}"
            )
        tokens = self.objective in ("vjepa2_ac", "dino_wm")
        if tokens != (self.model.encoder == "frozen"):
            raise ValueError(
                f"objective {self.objective} and model.encoder {self.model.encoder} do not fit: "
                "vjepa2_ac and dino_wm predict a frozen encoder's tokens, no other objective does"
            )
        if self.model.predictor != "mlp" and self.model.hidden_dim % 16:
            raise ValueError(
                f"model.predictor {self.model.predictor} has a head for every 16 of "
                f"model.hidden_dim: use a multiple of 16, got {self.model.hidden_dim}"
            )
        other = "adaln" if tokens else "attention"
        if self.model.predictor == other:
            raise ValueError(
                f"model.predictor {other} does not predict what {self.objective} has as its state: "
                f"use mlp or {'attention' if tokens else 'adaln'}"
            )


def generator(cfg: Config, purpose: int) -> torch.Generator:
    """The stream of chance for one purpose of a run."""
    return stream(cfg.seed, purpose)


def shared_generator(cfg: Config, purpose: int) -> torch.Generator:
    """A stream that is the same for every seed: the evaluation's episodes, apart by split."""
    return stream(-1, 10 * purpose + (cfg.evaluation.split == "test"))


def learning_rate(step: int, cfg: Config) -> float:
    return warmup_cosine(step, cfg.steps, cfg.learning_rate, cfg.warmup)


def protocol(cfg: Config) -> dict[str, Any]:
    """What a number of this run depends on, for its results file."""
    planner, cost, task = cfg.planner, cfg.cost, cfg.task
    options = choices(task)
    search = {
        "planner": planner.kind,
        "samples": planner.samples,
        "iterations": planner.iterations,
    }
    if options is not None:  # every sequence is tried, whatever the planner's settings
        search = {"planner": "enumeration", "samples": len(options) ** planner.horizon}
    return {
        "task": task.kind,
        "budget_steps": task.budget,
        "success_radius_px": task.success_radius,
        "held_steps": task.held_steps,
        "episodes": cfg.evaluation.episodes,
        "split": cfg.evaluation.split,
        **search,
        "horizon_blocks": planner.horizon,
        "steps_per_block": cost.repeat,
        "blocks_executed": cost.execute / cost.repeat,
        "cost": f"{cost.norm}, {cost.when}",
        "train_steps": cfg.steps,
        "train_episodes": cfg.data.train_episodes,
    }
