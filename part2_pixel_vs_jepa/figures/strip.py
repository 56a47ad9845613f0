"""The strip: held-out pairs with every real future, and what each method says of them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from common.episodes import Batch
from common.figures.frames import Group, strip
from common.figures.style import QUIET
from common.metrics import smear_terms
from common.schedules import stream
from part2_pixel_vs_jepa.config import Stream
from part2_pixel_vs_jepa.figures.results import look_of
from part2_pixel_vs_jepa.model import Arm, Sampler
from part2_pixel_vs_jepa.scoring.heldout import Heldout, basis_of, take

NUM_PAIRS = 4  # rows of the strip
SHOWN = 4  # samples of a method that draws
MOST_FUTURES, MOST_COLUMNS = 6, 14  # of a strip that is still legible
ROOMY = 8  # columns up to which there is room for words
NOTE = (
    "Below a real future, its probability. Below a prediction, its smear: 0 is a real future, 1 "
    "the exact blur of them all; none where only one future is possible. JEPA's embeddings are "
    "decoded; of tokens and likelihoods, samples."
)


@dataclass(frozen=True)
class Columns:
    """One group of a strip: frames (P, C, H, W) and numbers (P, C) of P pairs, NaN for none."""

    name: str
    title: str
    color: str
    word: str  # before each number
    frames: Tensor
    numbers: Tensor


def pairs_across(held: Heldout) -> Tensor:
    """Indices of held-out pairs: ambiguous ones from left to right, then one with one future.

    In a world that has only one of the two kinds, pairs of that kind.
    """
    order = held.clips.states[held.batch.episode, held.batch.time, 0, 0].argsort()  # by x
    several, single = order[held.ambiguous[order]], order[~held.ambiguous[order]]
    if len(several) == 0 or len(single) == 0:
        return _spaced(order, NUM_PAIRS)
    return torch.cat([_spaced(several, NUM_PAIRS - 1), single[-1:]])


@torch.no_grad()
def strip_columns(models: Mapping[str, Arm], held: Heldout, pairs: Tensor) -> list[Columns]:
    """Input, every real future, and what each method says, for some held-out pairs.

    Both from left to right; where there are too many to be legible, the likeliest of them.
    """
    batch, probabilities = take(held.batch, pairs), held.probabilities[pairs]
    x = held.states[pairs, :, 0, 0].where(probabilities > 0, torch.inf)
    order = x.argsort(dim=1, stable=True)  # real futures first, from left to right
    probabilities = probabilities.gather(1, order)
    futures, shifted = (_pick(kind[pairs], order) for kind in (held.futures, held.shifted))
    said = {name: hypotheses(model, batch) for name, model in models.items()}
    count, sizes = futures.shape[1], [log_odds.shape[1] for _, log_odds in said.values()]
    seen = batch.x_past[:, -2:, 0]  # (P, 1 or 2, H, W)
    room = MOST_COLUMNS - seen.shape[1] - min(count, MOST_FUTURES)
    most = max([1, *(n for n in range(2, room + 1) if sum(min(n, k) for k in sizes) <= room)])
    roomy = MOST_COLUMNS - room + sum(min(most, k) for k in sizes) <= ROOMY

    columns = [Columns("input", "input", QUIET, "", seen, torch.full(seen.shape[:2], torch.nan))]

    index = _likeliest(probabilities, MOST_FUTURES)
    p = probabilities.gather(1, index)
    p = p.where(p > 0, torch.nan)  # a slot without a future stays blank
    frames = _pick(futures, index) + 0 * p[:, :, None, None]
    title = "every real future" if count == index.shape[1] else f"likeliest of {count} futures"
    columns.append(Columns("futures", title, "black", "p " if roomy else "", frames, p))

    for name, (shown, log_odds) in said.items():
        index = _likeliest(log_odds, most)
        frames = _pick(shown, index)  # (P, C, H, W)
        real = (futures, probabilities, shifted, basis_of(held, pairs))
        terms = [smear_terms(frame.unsqueeze(1), *real) for frame in frames.unbind(1)]
        smear = torch.stack([term["numerator"] / term["denominator"] for term in terms], dim=1)
        smear = smear.where(held.ambiguous[pairs].unsqueeze(1), torch.nan)
        order = torch.cat([term["nearest"] for term in terms], dim=1).argsort(dim=1, stable=True)
        title, color = look_of(name)
        if log_odds.shape[1] > most:
            title = f"{title}\n{most} of {log_odds.shape[1]}"
        frames, smear = _pick(frames, order), smear.gather(1, order)
        columns.append(Columns(name, title, color, "smear " if roomy else "", frames, smear))
    return columns


def hypotheses(model: Arm, batch: Batch) -> tuple[Tensor, Tensor]:
    """Frames (B, K, H, W) and their log-odds (B, K); of a method that draws the same samples."""
    if not isinstance(model, Sampler):
        return model.hypotheses(batch)
    frames = model.sample(batch, SHOWN, stream(0, Stream.SAMPLES, batch.x_past.device))
    return frames, frames.new_zeros(frames.shape[:2])


def draw_strip(columns: Sequence[Columns], rows: Iterable[int]) -> Figure:
    """The strip of some of the pairs."""
    groups = [Group(part.title, part.frames.shape[1], part.color) for part in columns]
    frames: list[list[np.ndarray | None]] = []
    captions: list[list[str]] = []
    for i in rows:
        cells = [frame.numpy() for part in columns for frame in part.frames[i]]
        frames.append([None if np.isnan(cell).any() else cell for cell in cells])
        numbers = [(part.word, x) for part in columns for x in part.numbers[i].tolist()]
        captions.append(["" if math.isnan(x) else f"{word}{x:.2f}" for word, x in numbers])
    return strip(frames, groups, captions, NOTE)


def strip_arrays(columns: Sequence[Columns], pairs: Tensor) -> dict[str, np.ndarray]:
    """What a strip was drawn from: frames and numbers of each group, and which pairs."""
    arrays = {"pairs": pairs.numpy()}
    for part in columns:
        arrays |= {part.name: part.frames.numpy(), f"{part.name}_number": part.numbers.numpy()}
    return arrays


def _spaced(index: Tensor, count: int) -> Tensor:
    """At most so many entries of an index, evenly spaced, the first and the last among them."""
    return index[torch.linspace(0, len(index) - 1, min(count, len(index))).round().long()]


def _likeliest(weight: Tensor, most: int) -> Tensor:
    """Columns (P, C) of the largest weights (P, K); all, in their own order, if there is room."""
    if weight.shape[1] <= most:
        return torch.arange(weight.shape[1]).expand(len(weight), -1)
    return weight.topk(most, dim=1).indices.sort(dim=1).values


def _pick(frames: Tensor, index: Tensor) -> Tensor:
    """Frames (P, K, H, W) at an index (P, C)."""
    return frames.gather(1, index[:, :, None, None].expand(-1, -1, *frames.shape[2:]))
