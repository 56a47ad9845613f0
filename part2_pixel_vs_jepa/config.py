"""Every option of this part, and its streams of chance."""

from enum import IntEnum
from pathlib import Path
from typing import Literal, get_args

import torch

from common.distractors import Distractor
from common.harness.config import RunConfig, config, option
from common.schedules import stream
from common.world import World

PART = Path(__file__).resolve().parent
BASELINE = PART.parent / "configs" / "part2" / "baseline.yaml"
HORIZONS = (1, 2, 5, 10, 20, 40)  # steps of feeding predictions back, after which they are scored

Method = Literal["pixels", "pixels_z", "jepa", "jepa_z", "pixels_nll", "pixels_nll_z", "tokens"]
METHODS: tuple[Method, ...] = get_args(Method)
PIXELS = "methods=pixels|pixels_z|pixels_nll|pixels_nll_z"  # where an option is read
WITH_Z = "methods=pixels_z|jepa_z|pixels_nll_z"


class Stream(IntEnum):
    """What random numbers are drawn for; streams never overlap."""

    TRAIN_DATA = 1
    TEST_DATA = 2
    BANK_DATA = 3
    BATCHES = 4
    SLICES = 5
    ROLLOUT = 6
    CODEBOOK = 7
    SAMPLES = 8
    ROLLOUT_SAMPLES = 9


@config
class ModelConfig:
    """Sizes of the networks."""

    embedding_dim: int = option(ge=1, le=4096)
    """D, the width of an embedding, the same in every method."""
    width: float = option(ge=0.05, le=16)
    """Factor on every other layer; parameters grow with its square."""
    pixels_hidden: int = option(668, ge=1, le=16384, when=PIXELS)
    """Width of the predictor of the pixel methods, at width 1."""
    jepa_hidden: int = option(738, ge=1, le=16384, when="methods=jepa|jepa_z")
    """Width of the predictor of the jepa methods, at width 1."""


@config
class TokensConfig:
    """The method tokens: a codebook, and a transformer that predicts its words."""

    learning_rate: float = option(0.003, gt=0, le=10, when="methods=tokens")
    """Its peak learning rate, in place of learning_rate."""
    patch_size: int = option(8, ge=2, le=64, when="methods=tokens")
    """Side of the patch that one word stands for (px)."""
    num_words: int = option(192, ge=2, le=4096, when="methods=tokens")
    """Words in the codebook."""
    dim: int = option(96, ge=4, le=1024, when="methods=tokens")
    """Width of the transformer."""
    depth: int = option(3, ge=1, le=24, when="methods=tokens")
    """Its blocks."""
    num_heads: int = option(4, ge=1, le=64, when="methods=tokens")
    """Attention heads of a block."""
    words_at_once: int = option(8, ge=1, le=4096, when="methods=tokens")
    """Words of an input frame that are read as one vector; 1 is the plain transformer."""
    reader_hidden: int = option(384, ge=1, le=16384, when="methods=tokens")
    """Hidden width of the layer that reads them."""


@config
class LossWeights:
    """Weights of the losses' terms."""

    relaxation: float = option(ge=0, le=1, when="methods=pixels_z|jepa_z")
    """Share of the prediction loss that goes to the hypotheses that were not nearest."""
    z_start: float = option(0.0, ge=0, le=1, when="methods=pixels_z|jepa_z")
    """Share of the steps in which all hypotheses are trained alike, before any is chosen."""
    invariance: float = option(ge=0, le=1e6, when="regularizer=vicreg & methods=jepa|jepa_z")
    """VICReg's weight of the prediction error."""
    variance: float = option(ge=0, le=1e6, when="regularizer=vicreg & methods=jepa|jepa_z")
    """VICReg's weight of the hinge on each dimension's standard deviation."""
    covariance: float = option(ge=0, le=1e6, when="regularizer=vicreg & methods=jepa|jepa_z")
    """VICReg's weight of the squared off-diagonal covariances."""
    sigreg_lambda: float = option(ge=0, le=1e6, when="regularizer=sigreg & methods=jepa|jepa_z")
    """SIGReg's weight per sample beside the mean squared error, see common/sigreg.py."""
    num_slices: int = option(256, ge=1, le=65536, when="regularizer=sigreg & methods=jepa|jepa_z")
    """Random directions of SIGReg, drawn afresh each step."""


@config
class DataConfig:
    """How much data there is."""

    num_train_episodes: int = option(ge=1, le=100_000)
    """Episodes to train on."""
    num_test_episodes: int = option(ge=1, le=10_000)
    """Held-out episodes that every number comes from."""
    num_bank_episodes: int = option(ge=1, le=10_000)
    """Further held-out episodes whose frames the nearest-frame readout may return."""


@config
class Config(RunConfig):
    """One run of part 2: some of the methods, on one world."""

    methods: tuple[Method, ...]
    """What to train: predictors of pixels, by squared error or likelihood (nll), or of embeddings
    (jepa), each deterministic or with a latent z (_z); or tokens, a language model of patches."""
    regularizer: Literal["vicreg", "sigreg"] = option(when="methods=jepa|jepa_z")
    """What keeps the embeddings of the jepa methods from collapsing."""
    num_hypotheses: int = option(ge=1, le=256, when=WITH_Z)
    """K, the number of values of z in the _z methods."""
    give_action: bool
    """True shows every method the ball's heading and share of the top speed."""
    history_length: int = option(ge=1, le=8)
    """Input frames."""
    model: ModelConfig
    tokens: TokensConfig
    loss_weights: LossWeights
    data: DataConfig
    world: World
    distractor: Distractor
    eval_every: int = option(150, ge=1, le=10_000_000)
    """Steps between looks at held-out data."""
    figures: bool = True
    """Draw the run's figures at the end; sweeps, whose runs nobody looks at, do not."""

    def __post_init__(self) -> None:
        if not self.methods or len(set(self.methods)) < len(self.methods):
            raise ValueError(f"methods must name different methods of {', '.join(METHODS)}")
        if self.num_hypotheses == 1 and any(name.endswith("_z") for name in self.methods):
            raise ValueError(
                "num_hypotheses 1 leaves a latent z nothing to choose: use 2 or more, or the "
                "methods pixels and jepa"
            )
        world = self.world
        if "tokens" in self.methods:
            self._check_tokens()
        if any("nll" in name for name in self.methods) and self.has_grey:
            raise ValueError(
                "the methods pixels_nll and pixels_nll_z take pixels to be black or white: use "
                "world.antialias false and another distractor.kind than background"
            )
        if world.size % 16:
            raise ValueError(f"world.size must be divisible by 16, got {world.size}")
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
        if world.episode_length <= self.history_length:
            raise ValueError(
                f"world.episode_length {world.episode_length} holds no pair with "
                f"{self.history_length} input frames: it must be above {self.history_length}"
            )
        pairs = self.data.num_test_episodes * (world.episode_length - self.history_length)
        if pairs < 2:
            raise ValueError(
                "one held-out pair has no variance to compare an error with: use a larger "
                "data.num_test_episodes or world.episode_length"
            )
        if not self.velocity_is_seen and self.unlisted:
            raise ValueError(f"{self.unlisted}, or history_length 2, or give_action true")

    def _check_tokens(self) -> None:
        tokens, size = self.tokens, self.world.size
        if size % tokens.patch_size:
            raise ValueError(
                f"a frame of {size} px cannot be cut into patches of {tokens.patch_size} px: "
                f"tokens.patch_size must divide world.size"
            )
        words = (size // tokens.patch_size) ** 2
        if words % tokens.words_at_once:
            raise ValueError(
                f"tokens.words_at_once {tokens.words_at_once} must divide the {words} words of a "
                "frame"
            )
        if tokens.dim % tokens.num_heads:
            raise ValueError(
                f"tokens.dim {tokens.dim} must be divisible by tokens.num_heads {tokens.num_heads}"
            )
        if self.give_action:
            raise ValueError("the method tokens reads frames alone: use give_action false")

    @property
    def has_grey(self) -> bool:
        """True where frames are not black and white."""
        return self.world.antialias or self.distractor.kind == "background"

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
        return self.history_length > 1 or self.give_action


def generator(cfg: Config, purpose: Stream, device: torch.device | str = "cpu") -> torch.Generator:
    """An independent stream of the run's seed; data of different purposes never overlap."""
    return stream(cfg.seed, purpose, device)
