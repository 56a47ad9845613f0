"""What is told of an encoder as it learns: where a ball is, how fast, and how much is in use."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from common.episodes import to_float
from common.frozen import FrozenEncoder, OwnBackbone
from common.probes import ridge_probe
from part4_dinov3_encoder.config import Config, Stream, generator
from part4_dinov3_encoder.data.scenes import Scenes, ball_patches, make_scenes
from part4_dinov3_encoder.scoring.attentive import attentive_probe
from part4_dinov3_encoder.scoring.features import features, with_noise
from part4_dinov3_encoder.scoring.foreground import iou, labelled_foreground
from part4_dinov3_encoder.scoring.scores import (
    LABELS,
    TARGETS,
    Heldout,
    collapse_scores,
    targets,
)
from part4_dinov3_encoder.scoring.tracking import make_clips, score, with_features

CLIP = 4  # frames of which an attentive probe reads the ball's velocity in the last
FOLLOWED, FINER = 24, 128  # clips through which the ball is followed, in frames enlarged to (px)
CHUNK = 128  # clips encoded at a time


@dataclass(frozen=True)
class Motion:
    """Clips of CLIP frames to fit on and to test on, and longer ones through which to follow."""

    labelled: Scenes
    test: Scenes
    followed: Scenes


def make_motion(cfg: Config) -> Motion:
    """Clips of a config's world, the same for every encoder."""
    world = replace(cfg.world, episode_length=CLIP)
    labelled, test = (
        make_scenes(world, cfg.texture, cfg.data.num_labelled, generator(cfg, purpose))
        for purpose in (Stream.LABELLED_CLIPS, Stream.TEST_CLIPS)
    )
    return Motion(labelled, test, make_clips(cfg, FOLLOWED))


def frame_scores(encoder: FrozenEncoder, held: Heldout, cfg: Config) -> dict[str, float]:
    """Position by a linear and by an attentive probe, labelled foreground, and what is in use."""
    labelled, test = (features(encoder, scenes) for scenes in (held.labelled, held.test))
    noise = torch.Generator().manual_seed(0)
    noisy, noisy_test = (with_noise(f, noise) for f in (labelled, test))
    place, test_place = (
        targets(s, cfg.model.patch_size)[:, TARGETS["position"]] for s in (held.labelled, held.test)
    )
    grid = encoder.grid(cfg.world.size, cfg.world.size)
    cover, test_cover = (ball_patches(s.cover[:, 0], *grid) for s in (held.labelled, held.test))
    few = slice(LABELS[0])
    found = labelled_foreground(labelled.patches[0, few], cover[few], test.patches[0])
    linear = ridge_probe(noisy.pooled("all")[0], place, noisy_test.pooled("all")[0], test_place)
    tokens = noisy.patches[0], place, noisy_test.patches[0], test_place
    return collapse_scores(test) | {
        "position_all_1000": linear.mean().item(),
        "position_attentive": attentive_probe(*tokens, (1, *grid)).mean().item(),
        "foreground_labelled": iou(found, test_cover),
    }


def motion_scores(encoder: FrozenEncoder, motion: Motion, cfg: Config) -> dict[str, float]:
    """Velocity by an attentive probe of a clip, and how far off the ball is that is followed."""
    tokens, test_tokens = (clip_tokens(encoder, s.frames) for s in (motion.labelled, motion.test))
    velocity, test_velocity = (s.states[:, -1, 0, 2:] for s in (motion.labelled, motion.test))
    grid = encoder.grid(cfg.world.size, cfg.world.size)
    times = tokens.shape[1] // (grid[0] * grid[1])
    r2 = attentive_probe(tokens, velocity, test_tokens, test_velocity, (times, *grid))
    finer = replace(encoder, resolution=FINER)
    followed = score(with_features(finer), motion.followed)
    return {"velocity_attentive": r2.mean().item(), "error_px": followed["error_px"]}


@torch.no_grad()
def clip_tokens(encoder: FrozenEncoder, frames: Tensor) -> Tensor:
    """Tokens (E, T' N, D) of clips (E, T, 1, H, W) in uint8: of tubelets where an encoder has them,
    else those of its frames one after another."""
    vit = encoder.backbone.vit if isinstance(encoder.backbone, OwnBackbone) else None
    parts = []
    for part in frames.split(CHUNK):
        x = to_float(part)
        if vit is not None and vit.tubelet > 1:
            parts.append(vit(x.expand(-1, -1, 3, -1, -1)))
        else:
            parts.append(encoder.encode(x.flatten(0, 1)).unflatten(0, x.shape[:2]).flatten(1, 2))
    return torch.cat(parts)
