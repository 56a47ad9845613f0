"""``sigreg_lambda: auto``: twice the weight below which training would collapse, found beforehand.

Twice, since of 63 runs near the line those from 1.2 to 14 times it read position within 0.05 of the
best, and the lines of encoders that differ in their seed alone differ by a fifth.
"""

from dataclasses import replace

import torch

from common.sigreg import critical_lambda
from part3_collapse_regularizers.config import Config, Stream, generator
from part3_collapse_regularizers.data import draw_sample, frames_ahead, make_pool
from part3_collapse_regularizers.model import make_model

FACTOR = 2.0
SAMPLES = 2048  # of which each dimension of an embedding needs eight


def untrained_line(cfg: Config) -> float:
    """The critical sigreg_lambda of a config's encoder as it starts."""
    count = max(SAMPLES, 8 * cfg.model.embedding_dim)
    pool = make_pool(cfg, count, 1 + frames_ahead(cfg), generator(cfg, Stream.LABELLED_EPISODES))
    sample = draw_sample(cfg, pool, count, generator(cfg, Stream.TRAIN_SAMPLES))
    has_predictor = cfg.predictor or cfg.setting == "next_frame"
    with torch.no_grad():
        z_a, z_b = make_model(cfg).embed(sample.x)[:2]
    return critical_lambda(z_a, z_b, has_predictor=has_predictor)


def settled(cfg: Config) -> Config:
    """The config with a number for ``auto``; any other as it is."""
    if cfg.method != "sigreg" or cfg.loss_weights.sigreg_lambda != "auto":
        return cfg
    weight = FACTOR * untrained_line(cfg)
    print(f"sigreg_lambda: {weight:.4g}, twice what keeps this encoder from collapsing", flush=True)
    return replace(cfg, loss_weights=replace(cfg.loss_weights, sigreg_lambda=weight))
