"""What the scripts of this part share: the config, its streams of chance, its learning rate."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import torch

from common.masking import block_size, most_patches
from common.schedules import stream, warmup_cosine
from common.world import World
from part4_dinov3_encoder.data.scenes import Texture
from part4_dinov3_encoder.settings import (
    DataConfig,
    MaskConfig,
    ModelConfig,
    ViewConfig,
    WeightsConfig,
)

PART = Path(__file__).resolve().parent
BASELINE = PART.parent / "configs" / "part4" / "baseline.yaml"
Recipe = Literal["ijepa", "vjepa", "dino", "lejepa"]


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
        for name in ("target_scale", "target_aspect", "context_scale"):
            low, high = getattr(self.mask, name)
            if low > high:
                raise ValueError(f"mask.{name} must run from low to high, got [{low:g}, {high:g}]")
        if self.recipe in ("ijepa", "vjepa"):
            self._check_masks()
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
        if self.world.door_width or self.world.max_thrust:
            raise ValueError(
                "this part knows no inner wall and no thrust: set world.door_width and "
                "world.max_thrust to 0"
            )
        starts = self.weights.gram_start * self.steps
        if self.weights.gram_weight and (round(starts) < 1 or starts > self.steps - 1):
            lacks = "an untrained teacher" if round(starts) < 1 else "no step to run in"
            raise ValueError(
                f"weights.gram_start {self.weights.gram_start:g} of {self.steps} steps leaves Gram "
                f"anchoring {lacks}: use at least one step, and leave it one"
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

    def _check_masks(self) -> None:
        """Raises ValueError where targets, rounded to patches, could cover the context."""
        side, mask = self.data.view // self.model.patch_size, self.mask
        tall, wide = block_size(side, side, mask.context_scale[0], 1.0)
        most = most_patches(side, side, mask.target_scale[1], mask.target_aspect)
        if mask.num_targets * most >= tall * wide:
            raise ValueError(
                f"mask.num_targets {mask.num_targets} of up to {most} patches can cover a context "
                f"of {tall} x {wide}: use fewer or smaller targets, or a larger data.view"
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
