"""What the scripts of this part share: the config, its streams of chance, its learning rate."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import torch

from common.schedules import stream, warmup_cosine
from common.world import World
from part4_dinov3_encoder.scenes import Texture

PART = Path(__file__).resolve().parent
BASELINE = PART.parent / "configs" / "part4" / "baseline.yaml"
Recipe = Literal["ijepa", "vjepa", "dino", "lejepa"]


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the networks.

    Args:
        patch_size: side of a patch (px).
        tubelet: frames of a token; vjepa alone reads clips.
        dim: D, the width of a token.
        depth: blocks of the encoder.
        num_heads: of its attention, and of the predictor's.
        predictor_dim: width of the masked predictor (ijepa, vjepa).
        predictor_depth: its blocks.
        head_dim: hidden width of the heads (dino, lejepa).
        projection_dim: width of lejepa's projection, and of dino's bottleneck.
    """

    patch_size: int = field(metadata={"min": 2, "max": 64})
    tubelet: int = field(metadata={"min": 1, "max": 16})
    dim: int = field(metadata={"min": 8, "max": 4096})
    depth: int = field(metadata={"min": 1, "max": 64})
    num_heads: int = field(metadata={"min": 1, "max": 64})
    predictor_dim: int = field(metadata={"min": 8, "max": 4096})
    predictor_depth: int = field(metadata={"min": 1, "max": 64})
    head_dim: int = field(metadata={"min": 1, "max": 16384})
    projection_dim: int = field(metadata={"min": 2, "max": 4096})


@dataclass(frozen=True)
class MaskConfig:
    """What the masked recipes hide (ijepa, vjepa).

    Args:
        num_targets: blocks to be predicted; in a clip, through all of its frames.
        target_scale: least and largest share of the picture of a target.
        target_aspect: least and largest height / width of a target.
        context_scale: least and largest share of the block that the context is what is left of.
    """

    num_targets: int = field(metadata={"min": 1, "max": 64})
    target_scale: tuple[float, float] = field(metadata={"above": 0.0, "max": 1.0})
    target_aspect: tuple[float, float] = field(metadata={"above": 0.0, "max": 16.0})
    context_scale: tuple[float, float] = field(metadata={"above": 0.0, "max": 1.0})


@dataclass(frozen=True)
class ViewConfig:
    """How the views of a frame differ (dino, lejepa).

    Args:
        num_local: local views, of half the side; beside two global ones.
        max_shift: the global views lie up to so many patches apart on either axis.
        gain: each view's contrast is multiplied by 1 +- up to this.
        offset: each view's brightness is moved by up to this.
        noise: standard deviation of the noise added to each pixel.
        num_pairs: places that both global views see, drawn per frame, whose tokens are compared.
    """

    num_local: int = field(metadata={"min": 0, "max": 64})
    max_shift: int = field(metadata={"min": 0, "max": 64})
    gain: float = field(metadata={"min": 0.0, "below": 1.0})
    offset: float = field(metadata={"min": 0.0, "max": 1.0})
    noise: float = field(metadata={"min": 0.0, "max": 1.0})
    num_pairs: int = field(metadata={"min": 1, "max": 4096})


@dataclass(frozen=True)
class WeightsConfig:
    """Weights and other numbers of the losses; each recipe reads its own.

    Args:
        dense_weight: of the loss between patch tokens, beside that between whole views.
        gram_weight: dino's weight of Gram anchoring.
        gram_start: share of the steps after which it begins, and the Gram teacher is frozen.
        ema_rate: how much of itself a teacher keeps each step, at the start; it rises to 1.
        sigreg_share: lejepa's loss = (1 - share) prediction + share SIGReg.
        num_slices: random directions of SIGReg, drawn afresh each step.
        num_prototypes: of dino.
        student_temperature: of dino.
        teacher_temperature: of dino; lower sharpens.
        centre_momentum: of dino's centre.
    """

    dense_weight: float = field(metadata={"min": 0.0, "max": 1e3})
    gram_weight: float = field(metadata={"min": 0.0, "max": 1e3})
    gram_start: float = field(metadata={"min": 0.0, "max": 1.0})
    ema_rate: float = field(metadata={"min": 0.0, "below": 1.0})
    sigreg_share: float = field(metadata={"min": 0.0, "max": 1.0})
    num_slices: int = field(metadata={"min": 1, "max": 65536})
    num_prototypes: int = field(metadata={"min": 2, "max": 65536})
    student_temperature: float = field(metadata={"above": 0.0, "max": 100.0})
    teacher_temperature: float = field(metadata={"above": 0.0, "max": 100.0})
    centre_momentum: float = field(metadata={"min": 0.0, "below": 1.0})


@dataclass(frozen=True)
class DataConfig:
    """What is trained on, and scored on.

    Args:
        ball_clips: clips of the hard ball world.
        photo_clips: clips of a window that drifts over a photograph.
        photo_share: share of a batch that is photographs.
        clip_length: frames of a training clip.
        canvas: side of a training frame (px); views are windows of it.
        view: side of a global view, and of what the masked recipes see (px).
        labelled: labelled frames that probes learn from at most.
        test_frames: held-out frames that every number comes from.
    """

    ball_clips: int = field(metadata={"min": 1, "max": 1_000_000})
    photo_clips: int = field(metadata={"min": 1, "max": 1_000_000})
    photo_share: float = field(metadata={"min": 0.0, "max": 1.0})
    clip_length: int = field(metadata={"min": 1, "max": 64})
    canvas: int = field(metadata={"min": 16, "max": 512})
    view: int = field(metadata={"min": 16, "max": 512})
    labelled: int = field(metadata={"min": 100, "max": 100_000})
    test_frames: int = field(metadata={"min": 64, "max": 100_000})


@dataclass(frozen=True)
class Config:
    """One run of part 4: one recipe on the small ViT.

    Args:
        seed: seeds weights, data and sampling.
        recipe: what trains the encoder.
        steps: optimizer steps.
        batch_size: clips per step.
        learning_rate: peak, after a linear warm-up and before a cosine decay to 0.
        warmup: share of the steps that warm up.
        weight_decay: of AdamW.
        model: sizes.
        mask: what the masked recipes hide.
        views: how views differ.
        weights: numbers of the losses.
        data: amounts and sizes.
        world: the physics of the balls; its size is that of the frames scored on.
        texture: how the balls' world looks.
        log_every: steps between lines of the loss in metrics.jsonl.
        measure_every: steps between lines of the collapse measures.
        save_every: steps between checkpoints.
        threads: CPU threads.
    """

    seed: int = field(metadata={"min": 0, "max": 2**31 - 1})
    recipe: Recipe
    steps: int = field(metadata={"min": 1, "max": 10_000_000})
    batch_size: int = field(metadata={"min": 2, "max": 65536})
    learning_rate: float = field(metadata={"above": 0.0, "max": 10.0})
    warmup: float = field(metadata={"min": 0.0, "max": 1.0})
    weight_decay: float = field(metadata={"min": 0.0, "max": 10.0})
    model: ModelConfig
    mask: MaskConfig
    views: ViewConfig
    weights: WeightsConfig
    data: DataConfig
    world: World
    texture: Texture
    log_every: int = field(metadata={"min": 1, "max": 10_000_000})
    measure_every: int = field(metadata={"min": 1, "max": 10_000_000})
    save_every: int = field(metadata={"min": 1, "max": 10_000_000})
    threads: int = field(metadata={"min": 1, "max": 1024})

    def __post_init__(self) -> None:
        patch, view, canvas = self.model.patch_size, self.data.view, self.data.canvas
        if view % (2 * patch):
            raise ValueError(
                f"data.view must hold an even number of patches of {patch} px, got {view}: use "
                f"{max(1, view // (2 * patch)) * 2 * patch}"
            )
        if self.mask.num_targets * self.mask.target_scale[1] >= self.mask.context_scale[0]:
            raise ValueError(
                f"mask.num_targets {self.mask.num_targets} of up to "
                f"{self.mask.target_scale[1]:g} of the picture can cover a context of "
                f"{self.mask.context_scale[0]:g}: use fewer or smaller targets"
            )
        for width in (self.model.dim, self.model.predictor_dim):
            if width % 4 or width % self.model.num_heads:
                raise ValueError(
                    f"model.dim and model.predictor_dim must be divisible by 4 and by "
                    f"model.num_heads {self.model.num_heads}, got {width}"
                )
        if view + self.views.max_shift * patch > canvas:
            raise ValueError(
                f"two views of {view} px up to {self.views.max_shift} patches apart do not fit in "
                f"data.canvas {canvas}: use {view + self.views.max_shift * patch} or more"
            )
        if self.views.max_shift * patch >= view:
            raise ValueError(
                f"views.max_shift {self.views.max_shift} can leave the global views nothing in "
                f"common: it must be below {view // patch}"
            )
        if self.world.size % patch:
            raise ValueError(
                f"world.size must be divisible by the patch of {patch} px, got {self.world.size}"
            )
        if self.world.channels > 1 or self.world.axes == 1 or self.world.num_balls != 2:
            raise ValueError(
                "this part draws one or two grey balls in the plane: use world.channels 1, "
                "world.axes 2 and world.num_balls 2"
            )
        if self.model.tubelet > 1 and self.recipe != "vjepa":
            raise ValueError(
                f"recipe {self.recipe} reads single frames: use model.tubelet 1, or recipe vjepa"
            )
        if self.recipe == "vjepa" and self.data.clip_length % self.model.tubelet:
            raise ValueError(
                f"data.clip_length {self.data.clip_length} must be divisible by model.tubelet "
                f"{self.model.tubelet}"
            )
        if self.data.clip_length > self.world.episode_length:
            raise ValueError(
                f"world.episode_length {self.world.episode_length} is too short for "
                f"data.clip_length {self.data.clip_length}"
            )

    @property
    def vit_sizes(self) -> dict[str, int]:
        """What the encoder is made from."""
        keys = ("patch_size", "tubelet", "dim", "depth", "num_heads")
        return {"channels": 3} | {key: asdict(self.model)[key] for key in keys}


def generator(cfg: Config, purpose: int) -> torch.Generator:
    """An independent stream of the run's seed; data of different purposes never overlap."""
    return stream(cfg.seed, purpose)


def learning_rate(step: int, cfg: Config) -> float:
    """Linear warm-up to the peak, then half a cosine to zero."""
    return warmup_cosine(step, cfg.steps, cfg.learning_rate, cfg.warmup)


def protocol(cfg: Config) -> dict[str, float | str]:
    """What a results file says of how its numbers were made."""
    return {
        "steps": cfg.steps,
        "batch_size": cfg.batch_size,
        "dim": cfg.model.dim,
        "depth": cfg.model.depth,
        "test_frames": cfg.data.test_frames,
    }
