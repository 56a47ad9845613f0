"""The groups of knobs of this part's config: names, meanings and ranges."""

from dataclasses import dataclass, field


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
