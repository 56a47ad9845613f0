"""Every option of this part once, its streams of chance, its learning rate."""

from enum import IntEnum
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field

from common.distractors import Distractor
from common.harness.config import RunConfig, config, option
from common.schedules import stream, warmup_cosine
from common.world import World

PART = Path(__file__).resolve().parent
BASELINE = PART.parent / "configs" / "part3" / "baseline.yaml"

Weight = Annotated[float, Field(ge=0, le=1e6)]
Method = Literal["mse", "cosine", "dino", "barlow", "vicreg", "sigreg", "supervised"]


class Stream(IntEnum):
    """What a run draws at random; two streams never overlap."""

    TRAIN_EPISODES = 1
    LABELLED_EPISODES = 2
    TEST_EPISODES = 3
    TRAIN_SAMPLES = 4
    TRAIN_SLICES = 5
    LABELLED_LOOKS = 6
    TEST_LOOKS = 7
    HELDOUT_SAMPLES = 8
    HELDOUT_SLICES = 9


@config
class ModelConfig:
    """Sizes of the networks."""

    embedding_dim: int = option(ge=1, le=4096)
    """D, the width of an embedding."""
    width: float = option(1.0, ge=0.05, le=16)
    """Factor on the encoder's two convolutions, 32 and 64 channels wide."""
    hidden_dim: int = option(128, ge=1, le=16384)
    """Hidden width of the predictor and of DINO's head."""


@config
class LossWeights:
    """Weights and other numbers of the losses; each method reads its own."""

    invariance: float = option(ge=0, le=1e6, when="method=vicreg")
    """VICReg's weight of the prediction error."""
    variance: float = option(ge=0, le=1e6, when="method=vicreg")
    """VICReg's weight of the hinge on each dimension's standard deviation."""
    covariance: float = option(ge=0, le=1e6, when="method=vicreg")
    """VICReg's weight of the squared off-diagonal covariances."""
    redundancy: float = option(ge=0, le=1e6, when="method=barlow")
    """Barlow Twins' weight of the squared off-diagonal correlations."""
    sigreg_lambda: Weight | Literal["auto"] = option(when="method=sigreg")
    """Weight of SIGReg per sample beside the mean squared error (common/sigreg.py); auto: twice the
    one below which training would collapse."""
    num_slices: int = option(256, ge=1, le=65536, when="method=sigreg")
    """Random directions of SIGReg, drawn afresh each step."""
    num_knots: int = option(17, ge=3, le=257, when="method=sigreg")
    """Points of SIGReg's quadrature on [0, 3], odd."""
    ema_rate: float = option(0.99, ge=0, lt=1, when="target=teacher")
    """How much of itself a teacher keeps each step, at the start; it rises to 1."""
    num_prototypes: int = option(256, ge=2, le=65536, when="method=dino")
    """Prototypes of DINO's head."""
    student_temperature: float = option(0.1, ge=1e-3, le=100, when="method=dino")
    """Temperature of DINO's student."""
    teacher_temperature: float = option(0.04, ge=1e-3, le=100, when="method=dino")
    """Temperature of DINO's teacher; lower sharpens."""
    centre_momentum: float = option(0.9, ge=0, lt=1, when="method=dino")
    """Momentum of DINO's centre; 0 centres on the last batch alone."""

    def __post_init__(self) -> None:
        if self.num_knots % 2 == 0:
            odd = self.num_knots + 1
            raise ValueError(f"num_knots must be odd, got {self.num_knots}: use {odd}")


@config
class DataConfig:
    """How much data there is."""

    num_train_episodes: int = option(ge=1, le=100_000)
    """Episodes of balls in motion; what surrounds them is drawn anew each time."""
    shift: float = option(ge=0, le=32)
    """Each view moves the balls by up to so many px on either axis (the posts roll the frame)."""
    second_ball: float = option(0.3, gt=0, le=1, when="world.num_balls=2")
    """Radius of the second ball, as a share of the one drawn for it."""
    num_test_frames: int = option(2048, ge=64, le=100_000)
    """Held-out frames that every number comes from."""


@config
class Config(RunConfig):
    """One run of part 3: one method, on two views or on the next frame."""

    setting: Literal["views", "next_frame"]
    """Two augmented views of one frame, or a frame and those after it."""
    method: Method
    """How two embeddings are compared, and what keeps them from collapsing; supervised regresses
    the true state: an upper bound, not a rival."""
    target: Literal["gradient", "stopgrad", "teacher"]
    """The other side: an embedding that gets gradients, one that gets none, or a slow teacher's."""
    predictor: bool = option(when="setting=views")
    """Put an MLP on the predicting side; next_frame always has one."""
    rollout: int = option(1, ge=1, le=64, when="setting=next_frame")
    """Steps that are predicted, each from the prediction before."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """After the warm-up: cosine decay to 0, or constant."""
    model: ModelConfig
    loss_weights: LossWeights
    data: DataConfig
    world: World
    distractor: Distractor
    eval_every: int = option(50, ge=1, le=10_000_000)
    """Steps between lines of the collapse dashboard."""
    figures: bool = True
    """Draw the run's figures at the end; sweeps, whose runs nobody looks at, do not."""

    def __post_init__(self) -> None:
        world = self.world
        if world.size % 16:
            raise ValueError(f"world.size must be divisible by 16, got {world.size}")
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
        if self.method == "dino" and self.target == "gradient":
            raise ValueError(
                "method dino needs something to imitate: use target teacher (or stopgrad), got "
                "gradient"
            )
        if self.method == "supervised" and (self.target != "gradient" or self.predictor):
            raise ValueError(
                "method supervised has no other side: use target gradient and predictor false"
            )

    @property
    def num_moments(self) -> int:
        """Frames that go into one sample: two views, or a frame and those predicted."""
        return 2 if self.setting == "views" else 1 + self.rollout


def generator(cfg: Config, purpose: Stream, device: torch.device | str = "cpu") -> torch.Generator:
    """An independent stream of the run's seed; data of different purposes never overlap."""
    return stream(cfg.seed, purpose, device)


def learning_rate(step: int, cfg: Config) -> float:
    """Linear warm-up to the peak, then half a cosine to zero, or the peak to the end."""
    if cfg.schedule == "constant" and step >= cfg.warmup * cfg.steps:
        return cfg.learning_rate
    return warmup_cosine(step, cfg.steps, cfg.learning_rate, cfg.warmup)
