"""The collapse dashboard: what happens to the embedding, step by step."""

from typing import Any

import torch

from common.harness.machine import device_of
from part3_collapse_regularizers.config import Config
from part3_collapse_regularizers.model import Model
from part3_collapse_regularizers.scoring import scores

NUM_FRAMES = 512  # test frames looked at while training
NUM_SHOWN = 256  # of them, those whose embeddings are kept for the animation
MOST_KEPT = 50  # looks whose embeddings are kept, evenly spaced: a checkpoint holds them all


class Dashboard:
    """Measures a model on the same held-out frames again and again, and keeps what figures show.

    snapshots: {"step", "z" (2, n, D): embeddings of both frames of each sample}, of some looks.
    """

    def __init__(self, held: scores.Heldout, cfg: Config) -> None:
        shown = held.test.part(slice(NUM_FRAMES))
        self.held = scores.Heldout(held.labelled, shown, held.pool)
        self.kept = kept_steps(cfg) if cfg.figures else set()
        self.snapshots: list[dict[str, Any]] = []

    @torch.no_grad()
    def look(self, step: int, model: Model) -> dict[str, float]:
        """The line of the dashboard at a step."""
        model.eval()
        z = scores.encode(model.encoder, self.held.test.x[0])  # (n, D)
        probes = scores.probe_scores(model.encoder, self.held, min(scores.LABELS))
        if step in self.kept:
            both = model.embed(self.held.test.x[:2, :NUM_SHOWN].to(device_of(model)))
            self.snapshots.append({"step": step, "z": both.cpu()})  # (2, n, D)
        model.train()
        return scores.collapse_scores(z) | probes


def kept_steps(cfg: Config) -> set[int]:
    """The steps whose embeddings are kept: the first, the last, and evenly spaced looks between."""
    last = -(-cfg.steps // cfg.eval_every)  # looks after that of step 0
    index = torch.linspace(0, last, min(MOST_KEPT, last + 1), dtype=torch.double).round().long()
    return {min(i * cfg.eval_every, cfg.steps) for i in index.tolist()}
