"""What the scripts of this part share: the config, its streams of chance, its learning rate."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from common.distractors import Distractor
from common.schedules import stream, warmup_cosine
from common.world import World

PART = Path(__file__).resolve().parent
BASELINE = PART.parent / "configs" / "part3" / "baseline.yaml"


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the networks.

    Args:
        embedding_dim: D, the width of an embedding.
        width: factor on the encoder's two convolutions.
        hidden_dim: hidden width of the predictor and of DINO's head.
    """

    embedding_dim: int = field(metadata={"min": 1, "max": 4096})
    width: float = field(metadata={"min": 0.05, "max": 16.0})
    hidden_dim: int = field(metadata={"min": 1, "max": 16384})


@dataclass(frozen=True)
class WeightsConfig:
    """Weights and other numbers of the losses; each loss reads its own.

    Args:
        invariance_weight: VICReg's weight of the prediction error.
        variance_weight: VICReg's weight of the hinge on each dimension's standard deviation.
        covariance_weight: VICReg's weight of the squared off-diagonal covariances.
        redundancy_weight: Barlow Twins' weight of the squared off-diagonal correlations.
        sigreg_share: loss = (1 - share) prediction + share SIGReg, the one number of LeJEPA. The
            prediction is the mean squared difference, four times LeJEPA's with two views, so a
            small share here counts as about a quarter of that share in the paper.
        num_slices: random directions of SIGReg, drawn afresh each step.
        num_knots: points of SIGReg's quadrature, odd.
        ema_rate: how much of itself a teacher keeps each step, at the start; it rises to 1.
        num_prototypes: of DINO.
        student_temperature: of DINO.
        teacher_temperature: of DINO; lower sharpens.
        centre_momentum: of DINO's centre; 0 centres on the last batch alone.
    """

    invariance_weight: float = field(metadata={"min": 0.0, "max": 1e6})
    variance_weight: float = field(metadata={"min": 0.0, "max": 1e6})
    covariance_weight: float = field(metadata={"min": 0.0, "max": 1e6})
    redundancy_weight: float = field(metadata={"min": 0.0, "max": 1e6})
    sigreg_share: float = field(metadata={"min": 0.0, "max": 1.0})
    num_slices: int = field(metadata={"min": 1, "max": 65536})
    num_knots: int = field(metadata={"min": 3, "max": 257})
    ema_rate: float = field(metadata={"min": 0.0, "below": 1.0})
    num_prototypes: int = field(metadata={"min": 2, "max": 65536})
    student_temperature: float = field(metadata={"above": 0.0, "max": 100.0})
    teacher_temperature: float = field(metadata={"above": 0.0, "max": 100.0})
    centre_momentum: float = field(metadata={"min": 0.0, "below": 1.0})

    def __post_init__(self) -> None:
        if self.num_knots % 2 == 0:
            raise ValueError(
                f"weights.num_knots must be odd, got {self.num_knots}: use {self.num_knots + 1}"
            )


@dataclass(frozen=True)
class DataConfig:
    """How much data there is.

    Args:
        train_episodes: episodes of balls in motion; what surrounds them is drawn anew each time.
        second_ball: radius of the second ball, as a share of the one drawn for it.
        shift: each view moves the balls by up to so many px on either axis (the posts roll the
            frame).
        test_frames: held-out frames that every number comes from.
    """

    train_episodes: int = field(metadata={"min": 1, "max": 100_000})
    second_ball: float = field(metadata={"above": 0.0, "max": 1.0})
    shift: float = field(metadata={"min": 0.0, "max": 32.0})
    test_frames: int = field(metadata={"min": 64, "max": 100_000})


@dataclass(frozen=True)
class Config:
    """One run of part 3: one loss, on two views or on the next frame.

    Args:
        seed: seeds weights, data and sampling.
        setting: two augmented views of one frame, or a frame and those after it.
        loss: how two embeddings are compared, and what keeps them from collapsing. supervised
            regresses the true state: a ceiling, not a rival.
        target: what stands on the other side: an embedding that gets gradients too, one that gets
            none, or a slow teacher's.
        predictor: true puts an MLP on the predicting side; next_frame always has one.
        rollout: steps that next_frame predicts, each from the prediction before.
        steps: optimizer steps.
        batch_size: samples per step, over all processes.
        learning_rate: peak, after a linear warm-up.
        schedule: cosine decay to 0, or constant.
        warmup: share of the steps that warm up.
        weight_decay: of AdamW.
        model: sizes.
        weights: numbers of the losses.
        data: amounts.
        world: the physics.
        distractor: what is behind the balls.
        log_every: steps between lines of the loss in metrics.jsonl.
        measure_every: steps between lines of the collapse dashboard.
        save_every: steps between checkpoints.
        threads: CPU threads.
        figures: draw the run's figures at the end.
    """

    seed: int = field(metadata={"min": 0, "max": 2**31 - 1})
    setting: Literal["views", "next_frame"]
    loss: Literal["mse", "cosine", "dino", "barlow", "vicreg", "sigreg", "supervised"]
    target: Literal["gradient", "stopgrad", "teacher"]
    predictor: bool
    rollout: int = field(metadata={"min": 1, "max": 64})
    steps: int = field(metadata={"min": 1, "max": 10_000_000})
    batch_size: int = field(metadata={"min": 2, "max": 65536})
    learning_rate: float = field(metadata={"above": 0.0, "max": 10.0})
    schedule: Literal["cosine", "constant"]
    warmup: float = field(metadata={"min": 0.0, "max": 1.0})
    weight_decay: float = field(metadata={"min": 0.0, "max": 10.0})
    model: ModelConfig
    weights: WeightsConfig
    data: DataConfig
    world: World
    distractor: Distractor
    log_every: int = field(metadata={"min": 1, "max": 10_000_000})
    measure_every: int = field(metadata={"min": 1, "max": 10_000_000})
    save_every: int = field(metadata={"min": 1, "max": 10_000_000})
    threads: int = field(metadata={"min": 1, "max": 1024})
    figures: bool

    def __post_init__(self) -> None:
        world = self.world
        if world.size % 16:
            raise ValueError(
                f"world.size must be divisible by 16 for the encoder, got {world.size}"
            )
        if world.num_balls > 2 or world.channels > 1 or world.max_thrust or world.door_width:
            raise ValueError(
                "this part draws one or two grey balls in an empty box, and nothing pushes them: "
                "use world.num_balls 1 or 2, world.channels 1, world.max_thrust 0 and "
                "world.door_width 0"
            )
        if self.setting == "views" and self.rollout > 1:
            raise ValueError(
                f"rollout {self.rollout} has nothing to predict with setting views: use rollout 1, "
                "or setting next_frame"
            )
        if self.setting == "next_frame" and world.episode_length <= self.rollout:
            raise ValueError(
                f"world.episode_length {world.episode_length} is too short for rollout "
                f"{self.rollout}: it must be above it"
            )
        if self.loss == "dino" and self.target == "gradient":
            raise ValueError(
                "loss dino needs something to imitate: use target teacher (or stopgrad), got "
                "gradient"
            )
        if self.loss == "supervised" and (self.target != "gradient" or self.predictor):
            raise ValueError(
                "loss supervised has no other side: use target gradient and predictor false"
            )

    @property
    def num_moments(self) -> int:
        """Frames that go into one sample: two views, or a frame and those predicted."""
        return 2 if self.setting == "views" else 1 + self.rollout


def generator(cfg: Config, purpose: int) -> torch.Generator:
    """An independent stream of the run's seed; data of different purposes never overlap."""
    return stream(cfg.seed, purpose)


def learning_rate(step: int, cfg: Config) -> float:
    """Linear warm-up to the peak, then half a cosine to zero, or the peak to the end."""
    if cfg.schedule == "constant" and step >= cfg.warmup * cfg.steps:
        return cfg.learning_rate
    return warmup_cosine(step, cfg.steps, cfg.learning_rate, cfg.warmup)


def protocol(cfg: Config) -> dict[str, float | str]:
    """What a results file says of how its numbers were made."""
    return {"setting": cfg.setting, "steps": cfg.steps, "batch_size": cfg.batch_size}
