"""Every option of this part's runs: name, type, range and meaning; and its streams of chance."""

from enum import IntEnum
from pathlib import Path
from typing import Annotated, Literal, assert_never

import torch
from pydantic import Field

from common.harness.config import RunConfig, config, option
from common.schedules import stream
from common.world import World
from part4_dinov3_encoder.config_checks import check_config

PART = Path(__file__).resolve().parent
BASELINE = PART.parent / "configs" / "part4" / "baseline.yaml"
Method = Literal["ijepa", "vjepa", "dino", "lejepa", "pixels", "supervised"]
Share = Annotated[float, Field(gt=0, le=1)]
Aspect = Annotated[float, Field(gt=0, le=16)]
Wavelength = Annotated[float, Field(ge=2, le=512)]
MASKED, VIEWS = "method=ijepa|vjepa|pixels", "method=dino|lejepa"  # where an option is read
PICTURES, CLIPS = "method=ijepa|pixels", "method=vjepa"


class Stream(IntEnum):
    """What a run's seed is drawn for; data of different purposes never overlap."""

    TRAIN_DATA = 1
    LABELLED_DATA = 2
    TEST_DATA = 3
    SAMPLES = 4
    LABELLED_CLIPS = 5
    TEST_CLIPS = 6
    TRACKED_CLIPS = 40


@config
class ModelConfig:
    """Sizes of the networks."""

    patch_size: int = option(ge=2, le=64)
    """Side of a patch (px)."""
    tubelet: int = option(1, ge=1, le=16, when="method=vjepa")
    """Frames of a token; vjepa alone reads clips."""
    embedding_dim: int = option(ge=8, le=4096)
    """D, the width of a token."""
    depth: int = option(ge=1, le=64)
    """Blocks of the encoder."""
    num_heads: int = option(3, ge=1, le=64)
    """Heads of its attention, and of the predictor's."""
    predictor_dim: int = option(48, ge=8, le=4096, when=MASKED)
    """Width of the predictor."""
    predictor_depth: int = option(2, ge=1, le=64, when=MASKED)
    """Blocks of the predictor."""
    deep_targets: bool = option(False, when=CLIPS)
    """Whether V-JEPA 2.1's targets are predicted: the teacher's tokens after each of its blocks."""
    head_dim: int = option(256, ge=1, le=16384, when=VIEWS)
    """Hidden width of the heads."""
    projection_dim: int = option(64, ge=2, le=4096, when=VIEWS)
    """Width of lejepa's projection, and of dino's bottleneck."""


@config
class MaskConfig:
    """What the masked methods hide: blocks of a picture, or the same blocks of a clip's frames."""

    num_targets: int = option(4, ge=1, le=64, when=PICTURES)
    """Blocks to be predicted, each apart."""
    target_scale: tuple[Share, Share] = option((0.15, 0.2), when=PICTURES)
    """Least and largest share of the picture of a target."""
    target_aspect: tuple[Aspect, Aspect] = option((0.75, 1.5), when=MASKED)
    """Least and largest height / width of a block."""
    context_scale: tuple[Share, Share] = option((0.85, 1.0), when=PICTURES)
    """Least and largest share of the block that the context is what is left of."""
    short_range: tuple[int, Share] = option((8, 0.15), when=CLIPS)
    """Blocks that are hidden in half of the predictions, and each one's share of the picture."""
    long_range: tuple[int, Share] = option((2, 0.7), when=CLIPS)
    """The same of the other half: few and large."""
    context_frames: int = option(0, ge=0, le=64, when=CLIPS)
    """From the start, those of which something is seen; 0: of all. Of later ones all is hidden."""
    least_context: int = option(10, ge=1, le=4096, when=MASKED)
    """Patches that are seen at least: masks that leave fewer are drawn anew."""


@config
class ViewConfig:
    """How the views of a frame differ (dino, lejepa)."""

    num_local: int = option(ge=0, le=64, when=VIEWS)
    """Local views, of half the side, beside two global ones."""
    max_shift: int = option(ge=0, le=64, when=VIEWS)
    """The global views lie up to so many patches apart on either axis."""
    gain: float = option(0.6, ge=0, lt=1, when=VIEWS)
    """Each view's contrast is multiplied by 1 +- up to this."""
    offset: float = option(0.3, ge=0, le=1, when=VIEWS)
    """Each view's brightness is moved by up to this."""
    noise: float = option(0.03, ge=0, le=1, when=VIEWS)
    """Standard deviation of the noise added to each pixel."""
    num_pairs: int = option(16, ge=1, le=4096, when=VIEWS)
    """Places that both global views see, drawn per frame, whose tokens are compared."""


@config
class LossWeights:
    """Weights and other numbers of the losses."""

    dense: float = option(1.0, ge=0, le=1e3, when=VIEWS)
    """Of the loss between patch tokens, beside that between whole views."""
    gram: float = option(0.0, ge=0, le=1e3, when="method=dino")
    """Of Gram anchoring; 0 leaves it out."""
    gram_start: float = option(0.5, ge=0, le=1, when="method=dino")
    """Share of the steps after which it begins, and the Gram teacher is frozen."""
    visible: float = option(0.0, ge=0, le=1e3, when=CLIPS)
    """Of V-JEPA 2.1's loss on tokens seen, over the root of their distance from the hidden ones."""
    context_sigreg: float = option(0.0, ge=0, le=1e6, when="method=ijepa|vjepa")
    """Of SIGReg on the tokens that are seen, as sigreg_lambda; 0 leaves it out."""
    ema_rate: float = option(ge=0, le=1, when="method=ijepa|vjepa|dino")
    """How much of itself a teacher keeps each step, at the start; it rises to 1, which is still."""
    sigreg_lambda: float = option(ge=0, le=1e6, when="method=lejepa")
    """Weight of SIGReg per sample beside the mean squared error (common/sigreg.py)."""
    num_slices: int = option(256, ge=1, le=65536, when="method=lejepa|ijepa|vjepa")
    """Random directions of SIGReg, drawn afresh each step."""
    num_prototypes: int = option(256, ge=2, le=65536, when="method=dino")
    """K, the prototypes that a student names."""
    student_temperature: float = option(0.1, ge=1e-3, le=100, when="method=dino")
    """Temperature of the student's names."""
    teacher_temperature: float = option(0.04, ge=1e-3, le=100, when="method=dino")
    """Temperature of the teacher's names; lower sharpens."""
    centre_momentum: float = option(0.9, ge=0, lt=1, when="method=dino")
    """How much of itself the centre keeps each step."""


@config
class DataConfig:
    """What is trained on, and scored on."""

    num_ball_clips: int = option(ge=1, le=1_000_000)
    """Clips of the textured world."""
    num_photo_clips: int = option(ge=1, le=1_000_000)
    """Clips of a window that drifts over a photograph."""
    photo_share: float = option(ge=0, le=1)
    """Share of a batch that is photographs."""
    clip_length: int = option(4, ge=1, le=64)
    """Frames of a training clip."""
    canvas: int = option(96, ge=16, le=512)
    """Side of a training frame (px); views are windows of it."""
    view: int = option(64, ge=16, le=512)
    """Side of a global view, and of what the masked methods see (px)."""
    num_labelled: int = option(ge=100, le=100_000)
    """Labelled frames that probes learn from at most."""
    num_test_frames: int = option(ge=64, le=100_000)
    """Held-out frames that every number comes from."""


@config
class Texture:
    """How a scene looks, but for what World says."""

    cell_size: int = option(19, ge=1, le=512)
    """Side of the background's cells (px), each of one grey; never in step with the patches."""
    contrast: float = option(0.6, ge=0, le=1)
    """The background's greys are uniform in 0 .. contrast."""
    num_squares: int = option(4, ge=1, le=4)
    """White squares at fixed places, on or off by a fair coin each frame."""
    square_size: int = option(8, ge=1, le=512)
    """Their side (px)."""
    stripe: tuple[Wavelength, Wavelength] = (4.0, 9.0)
    """Least and largest wavelength of the balls' stripes (px)."""
    stripe_contrast: float = option(0.6, ge=0, le=1)
    """A stripe darkens a ball by up to this share."""
    second_ball: float = option(0.5, gt=0, lt=1)
    """Radius of the second ball, as a share of the one drawn for it."""


@config
class Config(RunConfig):
    """One run of part 4: one method on the small ViT."""

    method: Method
    """What trains the encoder."""
    weight_decay: float = option(0.05, ge=0, le=10)
    """Of AdamW."""
    model: ModelConfig
    mask: MaskConfig = MaskConfig()
    views: ViewConfig
    loss_weights: LossWeights
    data: DataConfig
    world: World
    texture: Texture = Texture()
    eval_every: int = option(50, ge=1, le=10_000_000)
    """Steps between lines of the collapse measures."""
    snapshots: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Steps after which the encoder is kept too, as encoder-<step>.pt."""

    def __post_init__(self) -> None:
        check_config(self)

    @property
    def pictures_per_step(self) -> float:
        """Windows of ``data.view`` px that a step gives the encoder; a small view is a quarter."""
        match self.method:
            case "ijepa" | "pixels" | "supervised":
                return self.batch_size
            case "vjepa":
                return self.batch_size * self.data.clip_length
            case "dino" | "lejepa":
                return self.batch_size * (2 + self.views.num_local / 4)
            case _:
                assert_never(self.method)

    @property
    def vit_sizes(self) -> dict[str, int]:
        """What the encoder is made from."""
        size = self.model
        return {
            "channels": 3, "patch_size": size.patch_size, "tubelet": size.tubelet,
            "dim": size.embedding_dim, "depth": size.depth, "num_heads": size.num_heads,
        }  # fmt: skip


def generator(cfg: Config, purpose: Stream, device: torch.device | str = "cpu") -> torch.Generator:
    """An independent stream of the run's seed."""
    return stream(cfg.seed, purpose, device)


def protocol(cfg: Config) -> dict[str, float | str]:
    """What a results file says of how its numbers were made."""
    return {
        "steps": cfg.steps, "batch_size": cfg.batch_size, "embedding_dim": cfg.model.embedding_dim,
        "depth": cfg.model.depth, "num_test_frames": cfg.data.num_test_frames,
    }  # fmt: skip
