"""The collapse dashboard: what happens to the embedding, step by step."""

from typing import Any

import torch
from torch import Tensor

from common.losses import cross_correlation
from common.metrics import spectrum
from part3_collapse_regularizers.data import Sample
from part3_collapse_regularizers.model import Model
from part3_collapse_regularizers.scoring import scores

NUM_FRAMES = 512  # test frames looked at while training
NUM_SHOWN = 256  # of them, those whose embeddings are kept for the animation


class Dashboard:
    """Measures a model on the same held-out frames again and again, and keeps what figures show.

    snapshots: {"step", "z" (2, n, D): embeddings of both frames of each sample}, one per look.
    """

    def __init__(self, held: scores.Heldout, *, keep: bool) -> None:
        shown = held.test.part(slice(NUM_FRAMES))
        self.held = scores.Heldout(held.labelled, shown, held.pool)
        self.keep = keep
        self.snapshots: list[dict[str, Any]] = []

    @torch.no_grad()
    def look(self, step: int, model: Model) -> dict[str, float]:
        """The line of the dashboard at a step."""
        model.eval()
        z = scores.encode(model.encoder, self.held.test.x[0])  # (n, D)
        probes = scores.probe_scores(model.encoder, self.held, min(scores.LABELS))
        if self.keep:
            both = model.embed(self.held.test.x[:2, :NUM_SHOWN])  # (2, n, D)
            self.snapshots.append({"step": step, "z": both})
        model.train()
        return scores.collapse_scores(z) | probes


def arrays_of(snapshots: list[dict[str, Any]], shown: Sample) -> dict[str, Tensor]:
    """What the figures are drawn from: step (S,), z (S, 2, n, D), x (n,), correlation (S, D, D),
    spectrum (S, D); x is the first ball's place, by which the animation is coloured."""
    z = torch.stack([snapshot["z"] for snapshot in snapshots])
    return {
        "step": torch.tensor([snapshot["step"] for snapshot in snapshots]),
        "z": z,
        "x": shown.content[0, : z.shape[2], 0],
        "correlation": torch.stack([cross_correlation(*pair) for pair in z]),
        "spectrum": torch.stack([spectrum(pair[0]) for pair in z]),
    }
