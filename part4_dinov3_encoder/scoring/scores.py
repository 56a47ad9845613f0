"""What a frozen encoder knows of the textured world, and how much of it is in use."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from common.frozen import FrozenEncoder
from common.harness.aggregate import metric_intervals
from common.intervals import Interval
from common.metrics import collapse_ratio, effective_rank
from common.probes import ridge_probe
from part4_dinov3_encoder.config import Config, Stream, generator
from part4_dinov3_encoder.data.scenes import Scenes, ball_patches, make_scenes
from part4_dinov3_encoder.scoring.features import Features, features, sampled, with_noise
from part4_dinov3_encoder.scoring.foreground import foreground, iou, labelled_foreground
from part4_dinov3_encoder.scoring.positional import blank_directions, leakage, remove_directions

LABELS = (100, 1000)  # labelled frames that a probe learns from
LIMITS: dict[str, tuple[float, float | None]] = {  # by a metric's first word; of all else, of R^2
    "collapse": (0.0, 1.0), "foreground": (0.0, 1.0), "leakage": (0.0, 1.0), "initial": (0.0, 1.0),
    "effective": (1.0, None), "mean": (0.0, None), "place": (0.0, None), "error": (0.0, None),
}  # fmt: skip
FIRST_SEED = 5  # of the worlds that results are scored in; 0 served to choose settings
TARGETS = {
    "position": slice(0, 2), "phase": slice(2, 4), "radius": slice(4, 5), "balls": slice(5, 6),
    "velocity": slice(6, 8),
}  # fmt: skip


@dataclass(frozen=True)
class Heldout:
    """Scenes of two frames each, every one of an episode of its own: to fit on, and to test on."""

    labelled: Scenes
    test: Scenes


def make_test(cfg: Config) -> Scenes:
    """Held-out scenes that every number comes from; the same for every method."""
    return _two_frames(cfg, cfg.data.num_test_frames, Stream.TEST_DATA)


def make_heldout(cfg: Config) -> Heldout:
    """Test scenes, and labelled ones for probes to learn from."""
    return Heldout(_two_frames(cfg, cfg.data.num_labelled, Stream.LABELLED_DATA), make_test(cfg))


def _two_frames(cfg: Config, count: int, purpose: Stream) -> Scenes:
    world = replace(cfg.world, episode_length=2)
    return make_scenes(world, cfg.texture, count, generator(cfg, purpose))


def targets(scenes: Scenes, patch_size: int) -> Tensor:
    """What probes read, (E, 8), of the first frame and the larger ball where there are two.

    x, y; sine and cosine of x's phase over the side of a patch; radius; number of balls; vx, vy.
    """
    x, y, vx, vy = scenes.states[:, 0, 0].unbind(-1)
    phase = math.tau * x / patch_size
    radius, balls = scenes.radius[:, 0], scenes.num_balls.float()
    return torch.stack([x, y, phase.sin(), phase.cos(), radius, balls, vx, vy], dim=-1)


def collapse_scores(found: Features) -> dict[str, float]:
    """How much of the embeddings is in use, of whole frames (cls) and of patches; no labels."""
    tokens = sampled(found.patches[0])
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
    """Linear probes of one frame, R^2 on the test frames, <target>_<suffix>; z (n, D).

    A target that does not vary in this world is left out.
    """
    r2 = ridge_probe(z, truth, z_test, test_truth)
    scores = {f"{name}_{suffix}": r2[index].mean().item() for name, index in TARGETS.items()}
    return {name: value for name, value in scores.items() if value == value}


def motion_scores(
    found: Features, truth: Tensor, found_test: Features, test_truth: Tensor, num_labels: int
) -> dict[str, float]:
    """The same of velocity from two frames, velocity2_all_<num_labels>.

    An encoder whose tokens are of two frames sees both as one clip; of any other, both frames'
    tokens stand side by side.
    """
    z, z_test = found.two_frames()[:num_labels], found_test.two_frames()
    velocity, test_velocity = (y[:, TARGETS["velocity"]] for y in (truth, test_truth))
    r2 = ridge_probe(z, velocity[:num_labels], z_test, test_velocity).mean().item()
    return {f"velocity2_all_{num_labels}": r2} if r2 == r2 else {}


def position_scores(encoder: FrozenEncoder, held: Heldout, cfg: Config) -> dict[str, float]:
    """position_all_<labels> alone, from as many labels as there are."""
    labelled, test = (features(encoder, scenes) for scenes in (held.labelled, held.test))
    noise = torch.Generator().manual_seed(0)
    z, z_test = (with_noise(f, noise).pooled("all")[0] for f in (labelled, test))
    truth, test_truth = (
        targets(s, cfg.model.patch_size)[:, TARGETS["position"]] for s in (held.labelled, held.test)
    )
    return {
        f"position_all_{n}": ridge_probe(z[:n], truth[:n], z_test, test_truth).mean().item()
        for n in LABELS
        if n <= len(truth)
    }


def limits(metrics: Iterable[str]) -> dict[str, tuple[float | None, float | None]]:
    """{metric: (least, most)} that each can be by its definition, None for no limit."""
    families = {metric: metric.removeprefix("patch_").partition("_")[0] for metric in metrics}
    return {metric: LIMITS.get(family, (None, 1.0)) for metric, family in families.items()}


def score_seeds(
    encoders: Callable[[Config], Mapping[str, FrozenEncoder]], cfgs: Sequence[Config]
) -> dict[str, dict[str, Interval]]:
    """{row: {metric: interval over the configs' seeds}}."""
    found: dict[str, list[dict[str, float]]] = {}
    for cfg in cfgs:
        held = make_heldout(cfg)
        for name, encoder in encoders(cfg).items():
            found.setdefault(name, []).append(evaluate(encoder, held, cfg))
    return {
        name: metric_intervals(name, runs, {"limits": limits(runs[0])})
        for name, runs in found.items()
    }


def evaluate(encoder: FrozenEncoder, held: Heldout, cfg: Config) -> dict[str, float]:
    """Every number of one encoder; *_removed: after what a blank picture shows is taken out."""
    labelled, test = (features(encoder, scenes) for scenes in (held.labelled, held.test))
    grid = encoder.grid(cfg.world.size, cfg.world.size)
    noise = torch.Generator().manual_seed(0)
    noisy, noisy_test = (with_noise(f, noise) for f in (labelled, test))
    truth, test_truth = (targets(s, cfg.model.patch_size) for s in (held.labelled, held.test))
    scores = collapse_scores(test)
    for num_labels in LABELS:
        if num_labels > len(truth):
            continue  # of a smoke test's data
        for pooling in test.poolings:
            z, z_test = (f.pooled(pooling)[0] for f in (noisy, noisy_test))
            suffix = f"{pooling}_{num_labels}"
            scores |= probe_scores(z[:num_labels], truth[:num_labels], z_test, test_truth, suffix)
        scores |= motion_scores(noisy, truth, noisy_test, test_truth, num_labels)
    if grid == (1, 1):  # one vector for a frame: nothing below has a meaning
        return scores
    tokens, test_tokens = labelled.patches[0], test.patches[0]
    cover, test_cover = (ball_patches(s.cover[:, 0], *grid) for s in (held.labelled, held.test))
    found = labelled_foreground(tokens[: LABELS[0]], cover[: LABELS[0]], test_tokens)
    scores["foreground"] = iou(foreground(test_tokens, grid), test_cover)
    scores["foreground_labelled"] = iou(found, test_cover)
    scores["leakage"] = leakage(test_tokens)
    blank = torch.full((1, 1, cfg.world.size, cfg.world.size), 0.5)
    directions = blank_directions(encoder.encode(blank)[0])
    tokens = remove_directions(test_tokens, directions)
    scores["place_directions"] = float(len(directions))
    scores["leakage_removed"] = leakage(tokens)
    scores["foreground_removed"] = iou(foreground(tokens, grid), test_cover)
    rest = [Features(f.cls, remove_directions(f.patches, directions)) for f in (noisy, noisy_test)]
    for pooling in ("mean", "all"):
        z, z_test = (f.pooled(pooling)[0] for f in rest)
        r2 = ridge_probe(z, truth[:, :2], z_test, test_truth[:, :2])
        scores[f"position_{pooling}_removed"] = r2.mean().item()
    return scores
