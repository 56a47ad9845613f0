"""Every option of this part, the streams of chance, the learning rate."""

from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal

import torch

from common.distractors import Distractor
from common.harness.config import config, load_config, option
from common.schedules import stream, warmup_cosine
from common.world import World

PART = Path(__file__).resolve().parent
BASELINE = PART.parent / "configs" / "part5" / "baseline.yaml"
MAX_SEQUENCES = 2**20  # that enumeration agrees to try
ACTION_DIM = 2
SEARCHED = "task.kind=reach|two_rooms|bank_shot"  # tasks whose actions no list can hold
WORLD_MODELS = "method=lewm|pldm|pixel|dino_wm|vjepa2_ac"


@config
class ModelConfig:
    """Sizes and kinds of the networks."""

    encoder: Literal["conv", "vit", "frozen"] = "conv"
    """Of one frame: conv, convolutions; vit, a small vision transformer; frozen, patch tokens of
    the encoder named by frozen_encoder, not trained."""
    frozen_encoder: str = option("dino", when="encoder=frozen")
    """Name of a frozen encoder, as in common/frozen.py."""
    frozen_weights: str = option("", when="encoder=frozen")
    """File or folder of its weights; empty for the shipped ones."""
    token_grid: int = option(4, ge=1, le=64, when="encoder=frozen")
    """Its patch tokens are averaged down to so many rows and columns."""
    embedding_dim: int = option(ge=1, le=4096, when="encoder=conv|vit")
    """D, the width of an embedding; a frozen encoder's tokens have their own."""
    history_length: int = option(ge=1, le=16)
    """Embeddings of the past, and the actions after them, that a prediction sees."""
    predictor: Literal["mlp", "adaln", "attention"] = option("mlp", when=WORLD_MODELS)
    """mlp, on history and action; adaln, causal attention over the history, with the action
    entering through adaptive layer norm as in LeWorldModel; attention, over the patch tokens of a
    frozen encoder as in DINO-WM."""
    hidden_dim: int = option(ge=1, le=16384)
    """Width of the predictor's hidden layers."""
    width: float = option(1.0, ge=0.05, le=16, when="encoder=conv|vit")
    """Factor on the channels (32 and 64) of the convolutional encoder and decoder."""


@config
class LossWeights:
    """Weights of the losses' terms; each method reads its own."""

    sigreg_lambda: float = option(ge=0, le=1e6, when="method=lewm")
    """Of SIGReg per sample beside the mean squared error (see common/sigreg.py)."""
    num_slices: int = option(256, ge=1, le=65536, when="method=lewm")
    """Random directions of SIGReg, drawn afresh each step."""
    variance: float = option(1.0, ge=0, le=1e6, when="method=pldm")
    """Of VICReg's hinge on each dimension's standard deviation."""
    covariance: float = option(0.04, ge=0, le=1e6, when="method=pldm")
    """Of VICReg's squared off-diagonal covariances."""
    inverse: float = option(0.0, ge=0, le=1e6, when="method=pldm")
    """Of inverse dynamics, the action read from two neighbouring embeddings."""
    straightening: float = option(0.0, ge=0, le=1e6, when="method=lewm|pldm")
    """Of 1 - cosine of neighbouring steps in embedding space."""


@config
class DataConfig:
    """The episodes that a model learns from: random thrust, no goal."""

    num_train_episodes: int = option(ge=2, le=100_000)
    """How many."""
    smoothness: float = option(0.5, ge=0, le=1, when="task.kind=reach|two_rooms")
    """Of the random thrust: 0 is new each step, 1 never changes."""
    clip_length: int = option(ge=2, le=1000)
    """Neighbouring frames that one training sample has."""


@config
class Task:
    """What counts as success, and when an agent may act."""

    kind: Literal["reach", "two_rooms", "bank_shot", "left_right"]
    """Be at the goal and stay (reach); the same through a door (two_rooms); push, then coast to
    where only a bounce leads (bank_shot); the posts' own step to the left or right (left_right)."""
    budget: int = option(60, ge=1, le=10_000)
    """Steps of an episode."""
    success_radius: float = option(3.0, gt=0, le=64)
    """The ball's distance to the goal that counts as reached (px)."""
    held_steps: int = option(5, ge=1, le=1000)
    """Last steps in all of which the ball must be there, for "held"."""
    min_distance: float = option(10.0, ge=0, le=512)
    """Least distance from start to goal (px), so that none starts solved."""
    thrust_steps: int = option(3, ge=1, le=1000, when="kind=bank_shot")
    """Steps in which the ball can be pushed; later actions do nothing."""

    def __post_init__(self) -> None:
        for name in ("held_steps", "thrust_steps"):
            steps = getattr(self, name)
            _require(
                steps <= self.budget,
                f"task.{name} {steps} is more than the budget of {self.budget} steps",
            )

    @property
    def num_choices(self) -> int | None:
        """How many actions there are to choose from, where they are finitely many."""
        return 2 if self.kind == "left_right" else None


@config
class PlannerConfig:
    """How a plan is searched for; each planner reads its own."""

    kind: Literal["random", "cem", "icem", "mppi", "gradient"] = option("cem", when=SEARCHED)
    """Which planner."""
    horizon: int = option(ge=1, le=1000)
    """Blocks of actions ahead."""
    num_samples: int = option(ge=1, le=1_000_000, when=SEARCHED)
    """Candidates per iteration and episode; starts of the gradient planner."""
    num_iterations: int = option(ge=1, le=10_000, when=SEARCHED)
    """Rounds of sampling; steps of the gradient planner."""
    num_elites: int = option(16, ge=1, le=1_000_000, when=f"kind=cem|icem & {SEARCHED}")
    """Candidates that CEM and iCEM refit to, the best so many."""
    init_std: float = option(0.7, gt=0, le=10, when=SEARCHED)
    """Spread of the first candidates, as a share of half the bounds."""
    min_std: float = option(0.05, ge=0, le=10, when=f"kind=cem|icem|mppi & {SEARCHED}")
    """Least spread, as the same share: with one elite, or equal ones, it would be 0."""
    momentum: float = option(0.1, ge=0, lt=1, when=f"kind=cem|icem|mppi & {SEARCHED}")
    """Share of the old mean and spread that a refit keeps."""
    noise_beta: float = option(1.0, ge=0, le=8, when=f"kind=icem & {SEARCHED}")
    """Colour of the noise over time: 0 white, 2 a smooth walk."""
    keep_share: float = option(0.3, ge=0, le=1, when=f"kind=icem & {SEARCHED}")
    """Share of the elites that iCEM takes into the next iteration."""
    temperature: float = option(0.3, ge=1e-3, le=1e6, when=f"kind=mppi & {SEARCHED}")
    """In standard deviations of the iteration's costs; lower is greedier."""
    step_size: float = option(0.1, gt=0, le=10, when=f"kind=gradient & {SEARCHED}")
    """Adam's, as a share of half the bounds."""

    def __post_init__(self) -> None:
        _check_elites(self.kind, self.num_elites, self.num_samples)


@config
class DiscreteConfig:
    """How a sequence of choices is searched for; each planner reads its own. See PlannerConfig."""

    kind: Literal["enumerate", "random", "cem", "icem", "mppi"]
    horizon: int = option(ge=1, le=1000)
    num_samples: int = option(default=1, ge=1, le=1_000_000)
    num_iterations: int = option(default=1, ge=1, le=10_000)
    num_elites: int = option(default=1, ge=1, le=1_000_000, when="kind=cem|icem")
    smoothing: float = option(default=0.0, ge=0, lt=0.5, when="kind=cem|icem|mppi")
    """Least probability of a choice: no choice is ever ruled out."""
    momentum: float = option(default=0.0, ge=0, lt=1, when="kind=cem|icem|mppi")
    keep_share: float = option(default=0.0, ge=0, le=1, when="kind=icem")
    """Share of the elites that iCEM keeps, as they are and with one step changed."""
    temperature: float = option(default=1.0, ge=1e-3, le=1e6, when="kind=mppi")

    def __post_init__(self) -> None:
        _check_elites(self.kind, self.num_elites, self.num_samples)


def _check_elites(kind: str, elites: int, samples: int) -> None:
    _require(
        kind not in ("cem", "icem") or elites <= samples,
        f"num_elites {elites} is more than num_samples {samples}: use at most {samples}",
    )


@config
class CostConfig:
    """What a plan is charged for: the distance to the goal, in the model's state space."""

    when: Literal["last", "sum", "closest"] = "sum"
    """At the last predicted step, summed over all of them, or at the closest approach."""
    norm: Literal["squared_l2", "l1"] = "squared_l2"
    """The squared distance, or the sum of absolute differences."""
    action_repeat: int = option(1, ge=1, le=100)
    """Steps that each planned action is held, a block."""
    replan_every: int = option(1, ge=1, le=1000)
    """Planned steps that are carried out before planning anew."""


@config
class EvaluationConfig:
    """The closed loop that a number comes from."""

    split: Literal["validation", "test"] = "test"
    """Episodes that choices are made on, or those that are reported."""
    num_test_episodes: int = option(ge=1, le=100_000)
    """How many, the same for every model and seed."""
    num_ranked_states: int = option(200, ge=1, le=10_000)
    """States in which predicted costs are ranked against true ones."""
    num_ranked_candidates: int = option(256, ge=2, le=100_000)
    """Action sequences that are ranked in each."""
    num_heldout_episodes: int = option(64, ge=4, le=10_000)
    """Recorded episodes for probes and rollout errors."""
    num_surprise_clips: int = option(0, ge=0, le=100_000)
    """Clips of each impossible event, and as many controls; 0 leaves them out."""


@config
class Config:
    """One run of part 5: one world model, on one task, with one planner."""

    seed: int = option(0, ge=0, le=10**9)
    """Seeds weights, data, sampling and planning; the evaluation's episodes are the same."""
    method: Literal["lewm", "pldm", "vjepa2_ac", "dino_wm", "pixel", "cloning", "oracle"]
    """lewm, next embedding + SIGReg (LeWorldModel); pldm, next embedding + VICReg + inverse
    dynamics; vjepa2_ac, L1 on frozen tokens, teacher forcing and rollout (V-JEPA 2-AC); dino_wm,
    squared error on frozen tokens (DINO-WM); pixel, next frame; cloning, no world model: the action
    that led to what was seen later; oracle, the true dynamics, untrained."""
    steps: int = option(ge=1, le=10_000_000)
    """Optimizer steps."""
    batch_size: int = option(ge=2, le=65536)
    """Clips per step."""
    rollout: int = option(ge=1, le=1000, when=WORLD_MODELS)
    """Steps predicted in training, each from the prediction before."""
    learning_rate: float = option(gt=0, le=1)
    """Peak of one linear warm-up and cosine decay."""
    warmup: float = option(0.1, ge=0, le=1)
    """Share of the steps that warm up."""
    weight_decay: float = option(1e-4, ge=0, le=10)
    """AdamW's."""
    model: ModelConfig
    loss_weights: LossWeights
    data: DataConfig
    task: Task
    planner: PlannerConfig
    cost: CostConfig
    evaluation: EvaluationConfig
    world: World
    distractor: Distractor
    log_every: int = option(25, ge=1, le=10**9)
    """Steps between lines of metrics.jsonl."""
    save_every: int = option(250, ge=1, le=10**9)
    """Steps between checkpoints."""
    threads: int = option(2, ge=1, le=256)
    """CPU threads."""
    figures: bool = True
    """Draw them at the end."""

    def __post_init__(self) -> None:
        _check_task(self.task, self.world)
        _check_data(self)
        _check_plan(self)
        _check_model(self)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def _check_task(task: Task, world: World) -> None:
    """Raises ValueError where a world does not fit its task."""
    _require(
        world.num_balls == 1 and world.wall != "stochastic",
        f"task {task.kind} steers one ball that the dynamics alone decide about: set "
        f"world.num_balls to 1 (got {world.num_balls}) and world.wall to reflect or turn_back "
        f"(got {world.wall})",
    )
    _require(
        task.kind not in ("two_rooms", "bank_shot") or world.door_width > 0,
        f"task {task.kind} needs an inner wall: set world.door_width above 0",
    )
    if task.kind == "left_right":
        _require(
            world.axes == 1 and world.max_thrust == 0 and len(world.speeds) == 1,
            "task left_right moves the ball by one speed: it needs world.axes 1, world.max_thrust "
            f"0 and one of world.speeds, got {world.axes}, {world.max_thrust:g} and "
            f"{list(world.speeds)}",
        )
        return
    _require(
        world.max_thrust > 0, f"task {task.kind} needs an action: set world.max_thrust above 0"
    )
    _require(
        world.speeds == (0.0,),
        f"task {task.kind} starts from rest: set world.speeds to [0.0], got {list(world.speeds)}",
    )


def _check_data(cfg: Config) -> None:
    """Raises ValueError where clips or episodes are too short for what reads them."""
    shortest, length = cfg.model.history_length + cfg.rollout, cfg.data.clip_length
    frames, episode_length = cfg.task.budget + 1, cfg.world.episode_length
    _require(
        length >= shortest,
        f"data.clip_length {length} is too short for a history of {cfg.model.history_length} and "
        f"a rollout of {cfg.rollout}: use {shortest} or more",
    )
    _require(
        length <= episode_length,
        f"data.clip_length {length} is longer than an episode: use at most world.episode_length, "
        f"{episode_length}",
    )
    _require(
        cfg.task.kind != "bank_shot" or episode_length >= frames,
        "bank_shot pushes only at the start, so recorded episodes must last as long as its budget: "
        f"set world.episode_length to {frames} or more",
    )


def _check_plan(cfg: Config) -> None:
    """Raises ValueError for plans that are longer than the episode, or of too many sequences."""
    task, cost, horizon = cfg.task, cfg.cost, cfg.planner.horizon
    ahead = horizon * cost.action_repeat
    _require(
        task.kind != "bank_shot" or task.thrust_steps % cost.action_repeat == 0,
        f"cost.action_repeat {cost.action_repeat} holds a push beyond task.thrust_steps "
        f"{task.thrust_steps}, where pushes do nothing: use a divisor of it",
    )
    _require(
        ahead <= task.budget,
        f"planner.horizon {horizon} x cost.action_repeat {cost.action_repeat} looks {ahead} steps "
        f"ahead, but task.budget is {task.budget}: use at most that",
    )
    _require(
        task.num_choices is None or task.num_choices**horizon <= MAX_SEQUENCES,
        f"task {task.kind} is planned by trying every sequence, and {task.num_choices} choices "
        f"over planner.horizon {horizon} are more than {MAX_SEQUENCES:,}: use a shorter horizon",
    )
    _require(
        cost.replan_every <= ahead,
        f"cost.replan_every {cost.replan_every} carries out more steps than are planned: use at "
        f"most planner.horizon x cost.action_repeat, {ahead}",
    )


def _check_model(cfg: Config) -> None:
    """Raises ValueError where networks do not fit the world, the method or each other."""
    model, tokens, size = cfg.model, cfg.method in ("vjepa2_ac", "dino_wm"), cfg.world.size
    _require(
        size % 16 == 0,
        f"the encoder needs world.size divisible by 16, got {size}: use "
        f"{16 * max(1, round(size / 16))}",
    )
    _require(
        tokens == (model.encoder == "frozen"),
        f"method {cfg.method} and model.encoder {model.encoder} do not fit: vjepa2_ac and dino_wm "
        "predict a frozen encoder's tokens, no other method does",
    )
    _require(
        model.predictor == "mlp" or model.hidden_dim % 16 == 0,
        f"model.predictor {model.predictor} has a head for every 16 of model.hidden_dim: use a "
        f"multiple of 16, got {model.hidden_dim}",
    )
    _require(
        model.predictor != ("adaln" if tokens else "attention"),
        f"model.predictor {model.predictor} does not predict what {cfg.method} has as its state: "
        f"use mlp or {'attention' if tokens else 'adaln'}",
    )


def task_config(task: str, overrides: Mapping[str, Any] | None = None) -> Config:
    """The config of the default world model on a task, with dotted overrides."""
    files = [BASELINE, *([] if task == "reach" else [BASELINE.with_name(f"{task}.yaml")])]
    return load_config(Config, files, overrides)


class Stream(IntEnum):
    """What a run draws chance for; each has its own generator, from the run's seed."""

    TRAIN_DATA = 1
    CLIPS = 4
    SLICES = 5
    PLANNER = 6
    RANKED_CANDIDATES = 7
    GREEDY = 8
    ASIDE = 9  # a figure's search, a study's disturbance: nothing that a run's numbers need


class SharedStream(IntEnum):
    """What is drawn the same for every seed, apart by split: what models are scored on."""

    TEST_EPISODES = 1
    HELDOUT_DATA = 2
    RANKED_DATA = 3
    RANDOM_AGENT = 4
    SURPRISE = 5


def generator(cfg: Config, purpose: Stream) -> torch.Generator:
    """The stream of chance for one purpose of a run."""
    return stream(cfg.seed, purpose)


def shared_generator(cfg: Config, purpose: SharedStream) -> torch.Generator:
    """The same for every seed: the evaluation's own."""
    return stream(-1, 10 * purpose + (cfg.evaluation.split == "test"))


def learning_rate(step: int, cfg: Config) -> float:
    return warmup_cosine(step, cfg.steps, cfg.learning_rate, cfg.warmup)


def protocol(cfg: Config) -> dict[str, Any]:
    """What a number of this run depends on, for its results file."""
    planner, cost, task = cfg.planner, cfg.cost, cfg.task
    search: dict[str, Any] = {
        "planner": planner.kind, "samples": planner.num_samples,
        "iterations": planner.num_iterations,
    }  # fmt: skip
    if task.num_choices is not None:  # every sequence is tried, whatever the planner's settings
        search = {"planner": "enumeration", "samples": task.num_choices**planner.horizon}
    return {
        "task": task.kind, "budget_steps": task.budget, "success_radius_px": task.success_radius,
        "held_steps": task.held_steps, "episodes": cfg.evaluation.num_test_episodes,
        "split": cfg.evaluation.split, **search, "horizon_blocks": planner.horizon,
        "steps_per_block": cost.action_repeat,
        "blocks_executed": cost.replan_every / cost.action_repeat,
        "cost": f"{cost.norm}, {cost.when}", "train_steps": cfg.steps,
        "train_episodes": cfg.data.num_train_episodes,
    }  # fmt: skip
