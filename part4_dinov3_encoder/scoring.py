"""What a frozen encoder knows of the hard ball world, and how much of it is in use."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from common.data import to_float
from common.metrics import collapse_ratio, effective_rank
from common.probes import add_noise, ridge_probe
from common.vit import ViT
from part4_dinov3_encoder.experiment import Config, generator
from part4_dinov3_encoder.foreground import foreground, iou, labelled_foreground
from part4_dinov3_encoder.positions import blank_directions, leakage, remove_directions
from part4_dinov3_encoder.scenes import Scenes, ball_patches, make_scenes

LABELS = (100, 1000)  # labelled frames that a probe learns from
POOLINGS = ("mean", "max", "all")  # all: every patch token, side by side
TARGETS = {
    "position": slice(0, 2),
    "phase": slice(2, 4),
    "radius": slice(4, 5),
    "balls": slice(5, 6),
    "velocity": slice(6, 8),
}
CHUNK = 256  # frames encoded at a time

Encode = Callable[[Tensor], tuple[Tensor, Tensor]]  # frames -> cls (B, D), patches (B, N, D)


@dataclass(frozen=True)
class Subject:
    """What is scored: a way to encode, its grid of patches, its poolings (cls where it has one)."""

    encode: Encode
    grid: tuple[int, int]
    poolings: tuple[str, ...] = POOLINGS


@dataclass(frozen=True)
class Heldout:
    """Scenes of two frames each, every one of an episode of its own: to fit on, and to test on."""

    labelled: Scenes
    test: Scenes


@dataclass(frozen=True)
class Features:
    """Tokens of two frames: cls (2, n, D), patches (2, n, N, D)."""

    cls: Tensor
    patches: Tensor

    def pooled(self, pooling: str) -> Tensor:
        """One vector for each frame, (2, n, .)."""
        match pooling:
            case "mean":
                return self.patches.mean(2)
            case "max":
                return self.patches.amax(2)
            case "cls":
                return self.cls
            case _:
                return self.patches.flatten(2)


def make_test(cfg: Config) -> Scenes:
    """Held-out scenes that every number comes from; the same for every recipe."""
    world = replace(cfg.world, episode_length=2)
    return make_scenes(world, cfg.texture, cfg.data.test_frames, generator(cfg, 3))


def make_heldout(cfg: Config) -> Heldout:
    """Test scenes, and labelled ones for probes to learn from."""
    world = replace(cfg.world, episode_length=2)
    labelled = make_scenes(world, cfg.texture, cfg.data.labelled, generator(cfg, 2))
    return Heldout(labelled, make_test(cfg))


def targets(scenes: Scenes, patch_size: int) -> Tensor:
    """What probes read, (E, 8), of the first frame and the larger ball where there are two.

    x, y; sine and cosine of x's phase over the side of a patch; radius; number of balls; vx, vy.
    """
    x, y, vx, vy = scenes.states[:, 0, 0].unbind(-1)
    phase = math.tau * x / patch_size
    radius, balls = scenes.radius[:, 0], scenes.num_balls.float()
    return torch.stack([x, y, phase.sin(), phase.cos(), radius, balls, vx, vy], dim=-1)


def subject_of(vit: ViT, cfg: Config) -> Subject:
    """A ViT of a config, trained or in training; nothing of it is changed."""

    def encode(frames: Tensor) -> tuple[Tensor, Tensor]:
        tokens = vit(frames.expand(-1, 3, -1, -1))
        return tokens.mean(1), tokens

    side = cfg.world.size // vit.patch_size
    return Subject(encode, (side, side))


@torch.no_grad()
def features(encode: Encode, scenes: Scenes) -> Features:
    """Tokens of both frames of every scene."""
    both = []
    for t in range(2):
        parts = [encode(to_float(part)) for part in scenes.frames[:, t].split(CHUNK)]
        both.append((torch.cat([cls for cls, _ in parts]), torch.cat([p for _, p in parts])))
    return Features(
        torch.stack([cls for cls, _ in both]), torch.stack([patches for _, patches in both])
    )


def with_noise(found: Features, generator: torch.Generator) -> Features:
    """Features with noise of 1% of a token's length on each of its coordinates.

    On tokens and not on what is pooled from them: noise of a share of a long vector's length, on
    every coordinate, would drown vectors of many tokens and spare those of one.
    """
    patches = add_noise(found.patches.flatten(0, 2), generator).view_as(found.patches)
    return Features(add_noise(found.cls.flatten(0, 1), generator).view_as(found.cls), patches)


def collapse_scores(found: Features) -> dict[str, float]:
    """How much of the embeddings is in use, of whole frames (cls) and of patches; no labels."""
    num_patches = found.patches.shape[2]
    tokens = found.patches[0, :, :: max(1, num_patches // 16)].flatten(0, 1)
    return {
        "collapse_ratio": collapse_ratio(found.cls[0]),
        "effective_rank": effective_rank(found.cls[0]),
        "mean_std": found.cls[0].std(0).mean().item(),
        "patch_collapse_ratio": collapse_ratio(tokens),
        "patch_effective_rank": effective_rank(tokens),
        "patch_mean_std": tokens.std(0).mean().item(),
    }


def probe_scores(
    z: Tensor, truth: Tensor, z_test: Tensor, test_truth: Tensor, suffix: str
) -> dict[str, float]:
    """Linear probes, R^2 on the test frames, <target>_<suffix>; z (2, n, D) of two frames.

    Of the first frame; with all tokens also velocity2, of both frames' tokens side by side. A
    target that does not vary in this world is left out.
    """
    r2 = ridge_probe(z[0], truth, z_test[0], test_truth)
    scores = {f"{name}_{suffix}": r2[index].mean().item() for name, index in TARGETS.items()}
    scores = {name: value for name, value in scores.items() if value == value}
    if not suffix.startswith("all"):
        return scores
    two, two_test = (v.transpose(0, 1).flatten(1) for v in (z, z_test))
    velocity = TARGETS["velocity"]
    r2 = ridge_probe(two, truth[:, velocity], two_test, test_truth[:, velocity])
    both = r2.mean().item()
    return scores | ({f"velocity2_{suffix}": both} if both == both else {})


def evaluate(subject: Subject, held: Heldout, cfg: Config) -> dict[str, float]:
    """Every number of one encoder."""
    labelled, test = (features(subject.encode, s) for s in (held.labelled, held.test))
    noise = torch.Generator().manual_seed(0)
    noisy, noisy_test = (with_noise(f, noise) for f in (labelled, test))
    truth, test_truth = (targets(s, cfg.model.patch_size) for s in (held.labelled, held.test))
    scores = collapse_scores(test)
    for num_labels in LABELS:
        if num_labels > len(truth):
            continue  # of a smoke test's data
        for pooling in subject.poolings:
            z, z_test = noisy.pooled(pooling)[:, :num_labels], noisy_test.pooled(pooling)
            suffix = f"{pooling}_{num_labels}"
            scores |= probe_scores(z, truth[:num_labels], z_test, test_truth, suffix)
    if subject.grid == (1, 1):  # one vector for a frame: nothing below has a meaning
        return scores
    tokens, test_tokens = labelled.patches[0], test.patches[0]
    cover, test_cover = (
        ball_patches(s.cover[:, 0], *subject.grid) for s in (held.labelled, held.test)
    )
    found = labelled_foreground(tokens[: LABELS[0]], cover[: LABELS[0]], test_tokens)
    scores["foreground"] = iou(foreground(test_tokens, subject.grid), test_cover)
    scores["foreground_labelled"] = iou(found, test_cover)
    scores["leakage"] = leakage(test_tokens)
    return scores | _without_places(subject, held, test_tokens, noisy, noisy_test, cfg)


def _without_places(
    subject: Subject,
    held: Heldout,
    test_tokens: Tensor,
    noisy: Features,
    noisy_test: Features,
    cfg: Config,
) -> dict[str, float]:
    """Leakage, foreground and position again, after what a blank picture shows is taken out."""
    size = cfg.world.size
    with torch.no_grad():
        _, blank = subject.encode(torch.full((1, 1, size, size), 0.5))
    directions = blank_directions(blank[0])
    tokens, cover = (
        remove_directions(test_tokens, directions),
        ball_patches(held.test.cover[:, 0], *subject.grid),
    )
    scores = {
        "place_directions": float(len(directions)),
        "leakage_removed": leakage(tokens),
        "foreground_removed": iou(foreground(tokens, subject.grid), cover),
    }
    rest, rest_test = (
        Features(f.cls, remove_directions(f.patches, directions)) for f in (noisy, noisy_test)
    )
    truth, test_truth = (targets(s, cfg.model.patch_size) for s in (held.labelled, held.test))
    for pooling in ("mean", "all"):
        z, z_test = (f.pooled(pooling)[0] for f in (rest, rest_test))
        r2 = ridge_probe(z, truth[:, :2], z_test, test_truth[:, :2])
        scores[f"position_{pooling}_removed"] = r2.mean().item()
    return scores
