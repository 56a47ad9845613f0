"""What an embedding holds, and what it has lost: the numbers of this part."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from common.harness.machine import device_of, to_device
from common.metrics import collapse_ratio, effective_rank, fvu, mean_correlation
from common.probes import add_noise, knn_probe, ridge_probe
from common.sigreg import random_slices, sigreg
from part3_collapse_regularizers.config import Config, Stream, generator
from part3_collapse_regularizers.data import (
    Batch,
    Pool,
    Sample,
    draw_sample,
    first_frames,
    frames_ahead,
    make_pool,
)
from part3_collapse_regularizers.model import Model, make_batch, make_model

LABELS = (100, 1000)  # labelled frames that a probe learns from
CHUNK = 512  # frames encoded at a time
LOSS_BATCHES = 4  # held-out batches of the training size: statistics depend on the batch

FACTORS = ("content", "position", "radius", "second", "nuisance", "brightness", "background")
LIMITS = {  # what each number can be, null for no limit: where its interval is cut
    "collapse_ratio": [0, 1],
    "correlation": [0, 1],
    "effective_rank": [1, None],
    **{name: [0, None] for name in ("mean_std", "sigreg_per_sample", "fvu")},
    **{name: [None, 1] for name in ("position_clean", "knn_content")},
    **{f"{factor}_{number}": [None, 1] for factor in FACTORS for number in LABELS},
}

Encoder = Callable[[Tensor], Tensor]
ComputeLoss = Callable[[Model, Batch, Config], tuple[Tensor, dict[str, Tensor]]]


@dataclass(frozen=True)
class Heldout:
    """What every number comes from: labelled samples to fit probes on, and test samples.

    Each is the start of an episode of its own, which no encoder was trained on.
    """

    labelled: Sample
    test: Sample
    pool: Pool


def make_heldout(cfg: Config) -> Heldout:
    """The held-out data of a config; the same for every method."""
    length = 1 + frames_ahead(cfg)
    labelled = make_pool(cfg, max(LABELS), length, generator(cfg, Stream.LABELLED_EPISODES))
    pool = make_pool(cfg, cfg.data.num_test_frames, length, generator(cfg, Stream.TEST_EPISODES))
    return Heldout(
        first_frames(cfg, labelled, generator(cfg, Stream.LABELLED_LOOKS)),
        first_frames(cfg, pool, generator(cfg, Stream.TEST_LOOKS)),
        pool,
    )


def raw_pixels(x: Tensor) -> Tensor:
    """Frames as their own features: the row without an encoder."""
    return x.flatten(1)


@torch.no_grad()
def encode(encoder: Encoder, x: Tensor) -> Tensor:
    """Embeddings (n, D) of frames (n, C, H, W), on the frames' device, wherever the encoder is."""
    device = device_of(encoder) if isinstance(encoder, nn.Module) else x.device
    return torch.cat([encoder(part.to(device)).to(x.device) for part in x.split(CHUNK)])


def collapse_scores(z: Tensor) -> dict[str, float]:
    """How much of the embeddings z (n, D) is in use; no labels needed.

    mean_std is the posts' measure, which a change of scale changes. sigreg is SIGReg's statistic
    per sample on fixed slices: 0 for a standard Gaussian (1.05 / n in a finite sample), 0.402 for
    all zeros.
    """
    slices = random_slices(z.shape[1], 256, torch.Generator().manual_seed(0))
    return {
        "collapse_ratio": collapse_ratio(z),
        "effective_rank": effective_rank(z),
        "mean_std": z.std(0).mean().item(),
        "correlation": mean_correlation(z),
        "sigreg_per_sample": (sigreg(z, slices) / len(z)).item(),
    }


def probe_scores(
    encoder: Encoder, held: Heldout, num_labels: int, noise_share: float = 0.01
) -> dict[str, float]:
    """Noisy linear probes, R^2 on the test frames: of content, and of nuisance.

    content is the mean over the balls' factors: position (of the first ball), radius, second (the
    second ball's position). nuisance: brightness, background (mean over its quadrants).
    noise_share: of the embeddings' length, on every coordinate.
    """
    noise = torch.Generator().manual_seed(0)
    z = add_noise(encode(encoder, held.labelled.x[0, :num_labels]), noise, noise_share)
    z_test = add_noise(encode(encoder, held.test.x[0]), noise, noise_share)
    truth, test = _targets(held.labelled, num_labels), _targets(held.test, len(z_test))
    r2 = ridge_probe(z, truth, z_test, test)
    return _named(r2, held.test.content.shape[-1], f"_{num_labels}")


def summarise(
    compute_loss: ComputeLoss, model: Model, held: Heldout, cfg: Config
) -> dict[str, Any]:
    """A run's summary: every number of a trained model, its baselines, and how they were made."""
    scores = evaluate(model, held) | heldout_terms(compute_loss, model, held, cfg)
    return {
        "variants": {cfg.method: scores},
        "bounds": bounds(held, cfg, device_of(model)),
        "protocol": {"setting": cfg.setting, "steps": cfg.steps, "batch_size": cfg.batch_size},
        "limits": LIMITS,
    }


def evaluate(model: Model, held: Heldout) -> dict[str, float]:
    """Every number of one trained model."""
    model.eval()
    z = encode(model.encoder, held.test.x[0])
    scores = collapse_scores(z)
    for num_labels in LABELS:
        scores |= probe_scores(model.encoder, held, num_labels)
    z_labelled = encode(model.encoder, held.labelled.x[0])
    known = (z_labelled, _targets(held.labelled, len(z_labelled)), z, _targets(held.test, len(z)))
    near = knn_probe(*known)[: held.test.content.shape[-1]]
    return scores | {
        "position_clean": ridge_probe(*known)[:2].mean().item(),  # scale-blind: reads rounding
        "knn_content": near.nanmean().item(),
        "parameters": sum(p.numel() for p in model.encoder.parameters()),
    }


@torch.no_grad()
def heldout_terms(
    compute_loss: ComputeLoss, model: Model, held: Heldout, cfg: Config
) -> dict[str, float]:
    """The training loss and its terms on held-out batches of the training size, and the FVU.

    fvu: mean (z_pred - z_v)^2 / variance of z_v, of the encoder's own embeddings in every method.
    """
    model.eval()
    samples, slices = generator(cfg, Stream.HELDOUT_SAMPLES), generator(cfg, Stream.HELDOUT_SLICES)
    device = device_of(model)
    totals: dict[str, float] = {}
    for _ in range(LOSS_BATCHES):
        sample = to_device(draw_sample(cfg, held.pool, cfg.batch_size, samples), device)
        batch = to_device(make_batch(model, sample, cfg, slices), device)
        loss, terms = compute_loss(model, batch, cfg)
        z = model.embed(batch.x)
        found = {f"heldout_{name}": t.item() for name, t in ({"loss": loss} | terms).items()}
        found["fvu"] = fmean(fvu(z_pred, z_v) for z_pred, z_v in model.pairs(z, z))
        for name, value in found.items():
            totals[name] = totals.get(name, 0.0) + value / LOSS_BATCHES
    return totals


def bounds(
    held: Heldout, cfg: Config, device: torch.device | str = "cpu"
) -> dict[str, dict[str, float]]:
    """What the same probes read from an untrained encoder, and from the pixels themselves.

    Pixels are read as they are: they cannot collapse, and noise of 1% of the length of so many
    numbers on each of them would drown the picture.
    """
    untrained = make_model(cfg).encoder.to(device)
    pixels: dict[str, float] = {}
    random = collapse_scores(encode(untrained, held.test.x[0]))
    for num_labels in LABELS:
        random |= probe_scores(untrained, held, num_labels)
        pixels |= probe_scores(raw_pixels, held, num_labels, noise_share=0.0)
    return {"random_encoder": random, "raw_pixels": pixels}


def _targets(sample: Sample, n: int) -> Tensor:
    """Content and nuisance of the first of each sample's frames, (n, S)."""
    return torch.cat([sample.content[0, :n], sample.nuisance[0, :n]], dim=-1)


def _named(r2: Tensor, num_content: int, suffix: str) -> dict[str, float]:
    """R^2 by factor; those that do not vary in this world are left out."""
    content, nuisance = r2[:num_content], r2[num_content:]
    parts = (content[:2], content[2:3], content[3:5])
    groups = (content, *parts, nuisance, nuisance[:1], nuisance[1:])
    named = [(name, g.nanmean().item()) for name, g in zip(FACTORS, groups, strict=True) if len(g)]
    return {f"{name}{suffix}": value for name, value in named if value == value}
