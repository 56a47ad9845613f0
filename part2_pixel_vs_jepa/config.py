"""What the scripts of this part share: the config, its streams of chance, its learning rate."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from common.distractors import Distractor
from common.schedules import stream, warmup_cosine
from common.world import World

PART = Path(__file__).resolve().parent
BASELINE = PART.parent / "configs" / "part2" / "baseline.yaml"

ArmName = Literal["pixels", "pixels_z", "jepa", "jepa_z"]
ARMS: tuple[ArmName, ...] = ("pixels", "pixels_z", "jepa", "jepa_z")


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the networks.

    Args:
        embedding_dim: D, the width of an embedding, the same in every arm.
        width: factor on every other layer; parameters grow with its square.
        pixels_hidden: width of the predictor in the pixel arms, at width 1.
        jepa_hidden: width of the predictor in the jepa arms, at width 1.
    """

    embedding_dim: int = field(metadata={"min": 1, "max": 4096})
    width: float = field(metadata={"min": 0.05, "max": 16.0})
    pixels_hidden: int = field(metadata={"min": 1, "max": 16384})
    jepa_hidden: int = field(metadata={"min": 1, "max": 16384})


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses' terms.

    Args:
        relaxation: share of the prediction loss that goes to the hypotheses that were not nearest.
        invariance_weight: VICReg's weight of the prediction error.
        variance_weight: VICReg's weight of the hinge on each dimension's standard deviation.
        covariance_weight: VICReg's weight of the squared off-diagonal covariances.
        sigreg_weight: SIGReg's weight, in place of variance and covariance; the prediction error
            then has weight 1.
        num_slices: random directions of SIGReg, drawn afresh each step.
    """

    relaxation: float = field(metadata={"min": 0.0, "max": 1.0})
    invariance_weight: float = field(metadata={"min": 0.0, "max": 1e6})
    variance_weight: float = field(metadata={"min": 0.0, "max": 1e6})
    covariance_weight: float = field(metadata={"min": 0.0, "max": 1e6})
    sigreg_weight: float = field(metadata={"min": 0.0, "max": 1e6})
    num_slices: int = field(metadata={"min": 1, "max": 65536})


@dataclass(frozen=True)
class DataConfig:
    """How much data there is.

    Args:
        train_episodes: episodes to train on.
        test_episodes: held-out episodes that every number comes from.
        bank_episodes: further held-out episodes whose frames the nearest-frame readout may return.
    """

    train_episodes: int = field(metadata={"min": 1, "max": 100_000})
    test_episodes: int = field(metadata={"min": 1, "max": 10_000})
    bank_episodes: int = field(metadata={"min": 1, "max": 10_000})


@dataclass(frozen=True)
class Config:
    """One run of part 2: some of the four arms, on one world.

    Args:
        seed: seeds weights, data and sampling.
        arms: which arms to train: {pixels, jepa}, each deterministic or with a latent z (_z).
        regularizer: what keeps the jepa arms from collapsing.
        num_hypotheses: K, the number of values of z in the _z arms.
        give_action: true shows every arm the ball's heading and share of the top speed.
        num_past: input frames.
        steps: optimizer steps.
        batch_size: transitions per step.
        learning_rate: peak of the linear warm-up and cosine decay.
        warmup: share of the steps that warm up.
        weight_decay: of AdamW.
        model: sizes.
        loss: weights.
        data: amounts.
        world: the physics.
        distractor: what is behind the ball.
        log_every: steps between lines of metrics.jsonl.
        eval_every: steps between looks at held-out data.
        save_every: steps between checkpoints.
        threads: CPU threads.
        precision: fp32, or bf16 autocast where the processor has it.
        figures: draw the run's figures at the end.
    """

    seed: int = field(metadata={"min": 0, "max": 2**31 - 1})
    arms: tuple[ArmName, ...]
    regularizer: Literal["vicreg", "sigreg"]
    num_hypotheses: int = field(metadata={"min": 1, "max": 256})
    give_action: bool
    num_past: int = field(metadata={"min": 1, "max": 8})
    steps: int = field(metadata={"min": 1, "max": 10_000_000})
    batch_size: int = field(metadata={"min": 2, "max": 65536})
    learning_rate: float = field(metadata={"above": 0.0, "max": 10.0})
    warmup: float = field(metadata={"min": 0.0, "max": 1.0})
    weight_decay: float = field(metadata={"min": 0.0, "max": 10.0})
    model: ModelConfig
    loss: LossConfig
    data: DataConfig
    world: World
    distractor: Distractor
    log_every: int = field(metadata={"min": 1, "max": 10_000_000})
    eval_every: int = field(metadata={"min": 1, "max": 10_000_000})
    save_every: int = field(metadata={"min": 1, "max": 10_000_000})
    threads: int = field(metadata={"min": 1, "max": 1024})
    precision: Literal["fp32", "bf16"]
    figures: bool

    def __post_init__(self) -> None:
        if not self.arms or len(set(self.arms)) < len(self.arms):
            raise ValueError(f"arms must name one or more different arms of {', '.join(ARMS)}")
        if self.num_hypotheses == 1 and any(arm.endswith("_z") for arm in self.arms):
            raise ValueError(
                "num_hypotheses 1 leaves a latent z nothing to choose: use 2 or more, or the arms "
                "pixels and jepa"
            )
        world = self.world
        if world.size % 16:
            raise ValueError(
                f"world.size must be divisible by 16 for the encoder, got {world.size}"
            )
        if world.num_balls > 1 or world.channels > 1 or world.max_thrust or world.door_width:
            raise ValueError(
                "this part draws one grey ball in an empty box, and nothing pushes it: use "
                "world.num_balls 1, world.channels 1, world.max_thrust 0 and world.door_width 0"
            )
        if world.brightness != (1.0, 1.0):
            raise ValueError(
                "this part's scores take the ball to be white: use world.brightness [1.0, 1.0], "
                f"got {list(world.brightness)}"
            )
        if world.episode_length <= self.num_past:
            raise ValueError(
                f"world.episode_length {world.episode_length} holds no pair with {self.num_past} "
                f"input frames: it must be above {self.num_past}"
            )
        if not self.velocity_is_seen and self.unlisted:
            raise ValueError(f"{self.unlisted}, or num_past 2, or give_action true")

    @property
    def unlisted(self) -> str:
        """Why the futures of one frame are no list of known probabilities; empty where they are."""
        world = self.world
        if world.is_substepped or world.wall == "stochastic":
            return (
                f"one frame has too many futures with wall {world.wall}, drag {world.drag:g} and "
                f"gravity {world.gravity:g}: use wall reflect or turn_back, drag 1 and gravity 0"
            )
        if world.wall == "turn_back" and world.axes == 2:
            return "wall turn_back hides its velocity on one axis only: use world.axes 1"
        if world.wall == "reflect" and world.start_margin:
            return (
                f"world.start_margin {world.start_margin:g} with wall reflect makes the hidden "
                "direction depend on the place: use world.start_margin 0"
            )
        if world.wall == "reflect" and world.axes == 2 and world.num_headings % 2:
            return (
                f"{world.num_headings} headings are not their own mirror images: use an even "
                "world.num_headings"
            )
        return ""

    @property
    def velocity_is_seen(self) -> bool:
        """True where the past or the action tells how the ball moves."""
        return self.num_past > 1 or self.give_action


def generator(cfg: Config, purpose: int) -> torch.Generator:
    """An independent stream of the run's seed; data of different purposes never overlap."""
    return stream(cfg.seed, purpose)


def learning_rate(step: int, cfg: Config) -> float:
    """Linear warm-up to the peak, then half a cosine to zero."""
    return warmup_cosine(step, cfg.steps, cfg.learning_rate, cfg.warmup)
