"""Held-out pairs whose every real future is known, and the Bayes-optimal answer to each."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from common.distractors import nuisance_basis
from common.episodes import Batch, Clips, gather_pairs, make_clips, to_float
from common.futures import bayes, possible_next, render_futures
from common.metrics import distance_to_ball
from part2_pixel_vs_jepa.config import Config, Stream, generator
from part2_pixel_vs_jepa.model import Model

CHUNK = 128  # pairs scored at a time


@dataclass(frozen=True)
class Heldout:
    """Held-out pairs and all that can follow them.

    batch: the pairs, every one of every test episode. states (B, F, 1, 4), probabilities (B, F)
    and futures (B, F, H, W): the real futures given the frames alone, ball only; shifted: each
    moved by 1 px. best (B, H, W): the Bayes-optimal frame, given the action too where there is
    one; floor: its error, per pixel; ball_floor: its error of the ball, as ``distance_to_ball``
    scores it. layer_next (B, H, W): what truly lies behind the ball in the next frame. basis: the
    nuisance images that scores of the ball project out. ambiguous (B,): futures at least 1 px
    apart.
    """

    clips: Clips
    bank: Clips
    batch: Batch
    states: Tensor
    probabilities: Tensor
    futures: Tensor
    shifted: Tensor
    best: Tensor
    floor: float
    ball_floor: float
    layer_next: Tensor
    basis: Tensor
    ambiguous: Tensor

    @property
    def is_uncertain(self) -> bool:
        """True where even the Bayes-optimal frame errs."""
        return self.floor > 1e-6


def make_heldout(cfg: Config) -> Heldout:
    """The held-out pairs of a config; the same for every method, apart from the training data."""
    clips, bank = (
        make_clips(cfg.world, cfg.distractor, number, generator(cfg, purpose))
        for number, purpose in (
            (cfg.data.num_test_episodes, Stream.TEST_DATA),
            (cfg.data.num_bank_episodes, Stream.BANK_DATA),
        )
    )
    episodes, length = clips.frames.shape[:2]
    times = torch.arange(cfg.history_length - 1, length - 1)
    episode = torch.arange(episodes).repeat_interleave(len(times))
    batch = gather_pairs(
        clips, episode, times.repeat(episodes), cfg.history_length, max(cfg.world.speeds)
    )
    now, scene = clips.states[batch.episode, batch.time], clips.scene[batch.episode]
    known = possible_next(cfg.world, now, scene, cfg.velocity_is_seen)
    states, probabilities = known
    if cfg.give_action and cfg.history_length == 1 and not cfg.unlisted:
        states, probabilities = possible_next(cfg.world, now, scene, velocity_is_seen=False)
    futures = render_futures(cfg.world, states, scene)
    beside = states + torch.tensor([1.0, 0.0, 0.0, 0.0])

    past = batch.time[:, None] - torch.arange(cfg.history_length)
    seen = render_futures(cfg.world, clips.states[batch.episode[:, None], past], scene)
    layer, layer_next = None, torch.zeros_like(batch.x_next[:, 0])
    if clips.layers is not None:
        time = (batch.time + 1).clamp(max=clips.layers.shape[1] - 1)
        layer_next = to_float(clips.layers[batch.episode, time])
        layer = layer_next if clips.layers.shape[1] == 1 else None
    left = (render_futures(cfg.world, known[0], scene), known[1])
    best, error = bayes(cfg.distractor, *left, scene, layer, seen.amin(1))
    basis = nuisance_basis(cfg.distractor, layer, cfg.world.size)
    to_ball = distance_to_ball(best.unsqueeze(1), left[0], basis)[:, 0]  # (B, F)

    place = states[:, :, 0, :2]
    apart = torch.cdist(place, place)
    both = (probabilities > 0).unsqueeze(1) & (probabilities > 0).unsqueeze(2)
    return Heldout(
        clips=clips, bank=bank, batch=batch, states=states, probabilities=probabilities,
        futures=futures, shifted=render_futures(cfg.world, beside, scene), best=best,
        floor=error.mean().item(), ball_floor=(left[1] * to_ball).sum(1).mean().item(),
        layer_next=layer_next, basis=basis, ambiguous=(apart * both).amax(dim=(1, 2)) >= 1,
    )  # fmt: skip


def take(batch: Batch, index: Tensor) -> Batch:
    """Some of a batch's transitions."""
    return Batch(**{name: value[index] for name, value in vars(batch).items()})


def answers(
    model: Model, held: Heldout, index: Tensor | None = None
) -> Iterator[tuple[Tensor, Batch, Tensor, Tensor]]:
    """What a model says of some pairs (None: all), CHUNK of them at a time.

    Yields their index (B,), the pairs, z_pred (B, K, D) and the log-odds (B, K).
    """
    every = torch.arange(len(held.best), device=held.best.device)
    for part in (every if index is None else index).split(CHUNK):
        batch = take(held.batch, part)
        _, z_pred, log_odds = model.predict(batch)
        yield part, batch, z_pred, log_odds


def real_of(held: Heldout, index: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The real futures of some pairs, as ``smear_terms`` takes them."""
    real = (held.futures[index], held.probabilities[index], held.shifted[index])
    return *real, basis_of(held, index)


def basis_of(held: Heldout, index: Tensor) -> Tensor:
    """The nuisance images of some pairs."""
    return held.basis if held.basis.dim() == 3 else held.basis[index]
