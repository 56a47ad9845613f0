"""Scores of an arm on held-out pairs whose every real future is known, with floors and ceilings."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from common.data import Batch, Clips, gather_pairs, make_clips, to_float
from common.distractors import nuisance_basis
from common.futures import bayes, possible_next, render_futures
from common.metrics import (
    collapse_ratio,
    distance_to_ball,
    effective_rank,
    fvu,
    grey_mass,
    latent_smear,
    smear_index,
    smear_terms,
    weight_error,
)
from common.probes import linear_probe
from part2_pixel_vs_jepa.experiment import Arm, Config, generator
from part2_pixel_vs_jepa.rollout import rollout_bounds, rollout_scores

CHUNK = 128  # pairs scored at a time
PLACE_BIN = 4  # px, within which a value of z is taken to mean one thing


@dataclass(frozen=True)
class Heldout:
    """Held-out pairs and all that can follow them.

    batch: the pairs, every one of every test episode. states (B, F, 1, 4), probabilities (B, F)
    and futures (B, F, H, W): the real futures, ball only; shifted: each moved by 1 px. best
    (B, H, W): the Bayes-optimal frame; floor: its error, per pixel; clean_floor: the same without
    distractors. layer_next (B, H, W): what truly lies behind the ball in the next frame. ambiguous
    (B,): futures at least 1 px apart.
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
    clean_floor: float
    layer_next: Tensor
    basis: Tensor
    ambiguous: Tensor


def make_heldout(cfg: Config) -> Heldout:
    """The held-out pairs of a config; the same for every arm, and apart from the training data."""
    clips = make_clips(cfg.world, cfg.distractor, cfg.data.test_episodes, generator(cfg, 2))
    bank = make_clips(cfg.world, cfg.distractor, cfg.data.bank_episodes, generator(cfg, 3))
    episodes, length = clips.frames.shape[:2]
    times = torch.arange(cfg.num_past - 1, length - 1)
    episode = torch.arange(episodes).repeat_interleave(len(times))
    batch = gather_pairs(clips, episode, times.repeat(episodes), cfg.num_past, max(cfg.world.speeds))
    now, scene = clips.states[batch.episode, batch.time], clips.scene[batch.episode]
    states, probabilities = possible_next(cfg.world, now, scene, cfg.velocity_is_seen)
    futures = render_futures(cfg.world, states, scene)
    beside = states + torch.tensor([1.0, 0.0, 0.0, 0.0])

    past = batch.time[:, None] - torch.arange(cfg.num_past)
    seen = render_futures(cfg.world, clips.states[batch.episode[:, None], past], scene)
    layer, layer_next = None, torch.zeros_like(batch.x_next[:, 0])
    if clips.layers is not None:
        time = (batch.time + 1).clamp(max=clips.layers.shape[1] - 1)
        layer_next = to_float(clips.layers[batch.episode, time])
        layer = layer_next if clips.layers.shape[1] == 1 else None
    args = (cfg.world, cfg.distractor, futures, probabilities, scene, layer, seen.amin(1))
    best, error = bayes(*args)
    mean = (probabilities[:, :, None, None] * futures).sum(1)
    clean = (probabilities[:, :, None, None] * futures.square()).sum(1) - mean.square()

    place = states[:, :, 0, :2]
    apart = torch.cdist(place, place)
    both = (probabilities > 0).unsqueeze(1) & (probabilities > 0).unsqueeze(2)
    return Heldout(
        clips=clips,
        bank=bank,
        batch=batch,
        states=states,
        probabilities=probabilities,
        futures=futures,
        shifted=render_futures(cfg.world, beside, scene),
        best=best,
        floor=error.mean().item(),
        clean_floor=clean.mean().item(),
        layer_next=layer_next,
        basis=nuisance_basis(cfg.distractor, layer, cfg.world.size),
        ambiguous=(apart * both).amax(dim=(1, 2)) >= 1,
    )


def take(batch: Batch, index: Tensor) -> Batch:
    """Some of a batch's transitions."""
    return Batch(**{name: value[index] for name, value in vars(batch).items()})


def chunks(index: Tensor) -> Iterator[Tensor]:
    """An index in pieces of CHUNK."""
    yield from index.split(CHUNK)


def basis_of(held: Heldout, index: Tensor) -> Tensor:
    """The nuisance images of some pairs."""
    return held.basis if held.basis.dim() == 3 else held.basis[index]


@torch.no_grad()
def heldout_error(arm: Arm, held: Heldout, cfg: Config) -> tuple[float, float]:
    """Held-out prediction error and what it is measured against.

    Pixel arms: pixel MSE of the weighted mean of the hypotheses, and the Bayes floor. Jepa arms:
    squared error of the nearest hypothesis' embedding, and the variance of the target's.
    """
    if not arm.in_pixels:
        z_pred, z_next = [], []
        for index in chunks(torch.arange(len(held.best))):
            batch = take(held.batch, index)
            _, hypotheses, _ = arm.predict(batch, cfg)
            target = arm.encoder(batch.x_next)
            nearest = (hypotheses - target.unsqueeze(1)).square().mean(-1).argmin(1)
            z_pred.append(hypotheses[torch.arange(len(index)), nearest])
            z_next.append(target)
        target = torch.cat(z_next)
        error = (torch.cat(z_pred) - target).square().mean().item()
        return error, (target - target.mean(0)).square().mean().item()
    total = 0.0
    for index in chunks(torch.arange(len(held.best))):
        batch = take(held.batch, index)
        _, z_pred, log_odds = arm.predict(batch, cfg)
        frames = arm.decode(z_pred)
        mean = (log_odds.softmax(-1)[:, :, None, None, None] * frames).sum(1)
        total += (mean - batch.x_next).square().mean(dim=(1, 2, 3)).sum().item()
    return total / len(held.best), held.floor


@torch.no_grad()
def evaluate(arm: Arm, held: Heldout, train: Clips, cfg: Config) -> dict[str, float]:
    """Every score of one arm; the README's glossary says what each is."""
    scores = {"parameters": float(arm.num_parameters())}
    error, reference = heldout_error(arm, held, cfg)
    if arm.in_pixels:
        scores |= {"mse": error, "mse_over_bayes": error / reference}
    else:
        scores |= {"fvu": error / reference}
    scores |= _smear_scores(arm, held, cfg)
    scores |= _embedding_scores(arm, held, cfg)
    scores |= _probe_scores(arm, held, train, cfg)
    if cfg.num_past > 1:  # from one frame the motion is a guess, and so is all that follows
        scores |= rollout_scores(arm, held.clips, cfg)
    return scores


def _smear_scores(arm: Arm, held: Heldout, cfg: Config) -> dict[str, float]:
    bank_z, bank_frames = _bank(arm, held)
    sums = {"own": [], "readout": [], "bank": []}
    shares: dict[str, list[Tensor]] = {"coverage": [], "precision": []}
    greys, latent, weights, ball = [], [], [], []
    for index in chunks(held.ambiguous.nonzero()[:, 0]):
        batch, basis = take(held.batch, index), basis_of(held, index)
        real = (held.futures[index], held.probabilities[index], held.shifted[index], basis)
        _, z_pred, log_odds = arm.predict(batch, cfg)
        frames = arm.decode(z_pred)[:, :, 0]  # (B, K, H, W)
        terms = smear_terms(frames, *real)
        sums["own"].append(terms)
        shares["coverage"].append(terms["coverage"])
        shares["precision"].append(terms["precision"])
        greys.append(grey_mass(frames))
        mean = (log_odds.softmax(-1)[:, :, None, None] * frames).sum(1, keepdim=True)
        ball.append(distance_to_ball(mean, batch.clean_next, basis).flatten())
        weights.append(weight_error(log_odds, terms["nearest"], held.probabilities[index]))
        z_futures = arm.encode(_as_seen(held, index).unsqueeze(2))
        latent.append((z_pred, z_futures, held.probabilities[index]))
        if arm.in_pixels:
            found = _nearest(frames.flatten(2), bank_frames.flatten(1))
        else:
            found = _nearest(z_pred, bank_z)
            sums["readout"].append(smear_terms(arm.decode(z_futures)[:, :, 0], *real))
        sums["bank"].append(smear_terms(bank_frames[found], *real))
    if not greys:  # a world without ambiguity has no smear to speak of
        return {}
    smear = {name: _index(terms) for name, terms in sums.items() if terms}
    readout = smear.get("readout", 0.0)
    return {
        "smear": smear["own"],
        "smear_readout": readout,
        "smear_excess": smear["own"] - readout,
        "smear_bank": smear["bank"],
        **{name: torch.cat(values).mean().item() for name, values in shares.items()},
        "grey_mass": sum(greys) / len(greys),
        "weight_error": sum(weights) / len(weights),
        "ball_error": torch.cat(ball).mean().item(),
        "latent_smear": latent_smear(*(torch.cat(part) for part in zip(*latent, strict=True))),
    }


def _index(terms: list[dict[str, Tensor]]) -> float:
    return smear_index(
        torch.cat([part["numerator"] for part in terms]),
        torch.cat([part["denominator"] for part in terms]),
    )


def _as_seen(held: Heldout, index: Tensor) -> Tensor:
    """Every real future with what truly lies behind the ball, (B, F, H, W)."""
    futures = held.futures[index]
    return futures + (1 - futures) * held.layer_next[index].unsqueeze(1)


def _bank(arm: Arm, held: Heldout) -> tuple[Tensor, Tensor]:
    """Embeddings (n, D) and clean frames (n, H, W) of the bank's frames."""
    seen = to_float(held.bank.frames.flatten(0, 1))
    z = torch.cat([arm.encoder(part) for part in seen.split(512)])
    return z, to_float(held.bank.clean.flatten(0, 1))[:, 0]


def _nearest(queries: Tensor, bank: Tensor) -> Tensor:
    """Index of the bank's row nearest to each query, (B, K), for queries (B, K, S)."""
    return torch.cdist(queries.flatten(0, 1), bank).argmin(-1).view(queries.shape[:2])


def _embedding_scores(arm: Arm, held: Heldout, cfg: Config) -> dict[str, float]:
    z = torch.cat([arm.encoder(part) for part in held.batch.x_next.split(512)])
    return {
        "effective_rank": effective_rank(z),
        "collapse_ratio": collapse_ratio(z),
        "mean_std": z.std(0).mean().item(),
    }


def _probe_scores(arm: Arm, held: Heldout, train: Clips, cfg: Config) -> dict[str, float]:
    """R^2 of linear probes: of the state, from one frame's embedding and from two, and of z."""
    sets = []
    for clips in (train, held.clips):
        frames = to_float(clips.frames[:128])
        z = arm.encode(frames)  # (E, T, D)
        two = torch.cat([z[:, :-1], z[:, 1:]], dim=-1).flatten(0, 1)
        state = clips.states[:128, :, 0]
        period = torch.tensor(cfg.world.speeds).min()
        phase = math.tau * state[..., :1] / period
        truth = torch.cat(
            [state[..., :2], phase.sin(), phase.cos(), clips.layer_states[:128]], dim=-1
        )
        sets.append((z.flatten(0, 1), truth.flatten(0, 1), two, state[:, 1:, 2:].flatten(0, 1)))
    (z, truth, two, moves), (z_test, truth_test, two_test, moves_test) = sets
    still = linear_probe(z, truth, z_test, truth_test)
    names = ["probe_x", "probe_y", "probe_sin_phase", "probe_cos_phase"]
    scores = dict(zip(names, still[:4].tolist(), strict=True))
    if len(still) > 4:
        scores["probe_distractor"] = still[4:].mean().item()
    scores["probe_velocity"] = linear_probe(two, moves, two_test, moves_test)[0].item()
    scores |= _latent_scores(arm, held, cfg)
    return {name: value for name, value in scores.items() if value == value}


def _latent_scores(arm: Arm, held: Heldout, cfg: Config) -> dict[str, float]:
    """What z is spent on: R^2 of direction and squares from the nearest z, place by place."""
    if not arm.name.endswith("_z"):
        return {}
    chosen = []
    for index in chunks(torch.arange(len(held.best))):
        batch = take(held.batch, index)
        _, z_pred, _ = arm.predict(batch, cfg)
        if arm.in_pixels:
            d = (arm.decode(z_pred) - batch.x_next.unsqueeze(1)).square().mean(dim=(2, 3, 4))
        else:
            d = (z_pred - arm.encoder(batch.x_next).unsqueeze(1)).square().mean(-1)
        chosen.append(d.argmin(1))
    where = (held.batch.episode, held.batch.time)
    place = (held.clips.states[where][:, 0, 0] / PLACE_BIN).long()  # what z means may vary with x
    code = torch.cat(chosen) + cfg.num_hypotheses * place
    code = torch.nn.functional.one_hot(code).float()
    direction = held.clips.states[held.batch.episode, held.batch.time + 1][:, 0, 2:3].sign()
    layer = held.clips.layer_states[held.batch.episode, held.batch.time + 1]
    truth = torch.cat([direction, layer], dim=-1)
    r2 = linear_probe(code[::2], truth[::2], code[1::2], truth[1::2])
    scores = {"z_reads_direction": r2[0].item()}
    if cfg.distractor.kind == "squares":
        scores["z_reads_square"] = r2[1:].max().item()
    return scores


def bounds(held: Heldout, train: Clips, cfg: Config) -> dict[str, dict[str, float]]:
    """Floors and ceilings of the same held-out pairs, none of them trained."""
    batch, mean = held.batch, to_float(train.frames.flatten(0, 1)).mean(0)
    clean_mean = to_float(train.clean.flatten(0, 1)).mean(0)[0]
    rows: dict[str, dict[str, float]] = {
        "bayes": {"mse": held.floor, "mse_over_bayes": 1.0, "clean_mse": held.clean_floor},
        "copy": {"mse": (batch.x_past[:, -1] - batch.x_next).square().mean().item()},
        "mean": {"mse": (mean - batch.x_next).square().mean().item()},
        "blank": {"mse": batch.x_next.square().mean().item()},
    }
    for name in ("copy", "mean", "blank"):
        rows[name]["mse_over_bayes"] = rows[name]["mse"] / held.floor
    index = held.ambiguous.nonzero()[:, 0]
    if cfg.num_past > 1:
        rows["oracle"] = {}
        for name, errors in rollout_bounds(held.clips, cfg).items():
            rows[name] |= errors
    rows["pairs"] = {"count": float(len(batch.x_next)), "ambiguous": float(len(index))}
    if len(index) == 0:
        return rows
    now = held.clips.clean[batch.episode, batch.time]
    single = {
        "bayes": (held.probabilities[:, :, None, None] * held.futures).sum(1),
        "copy": to_float(now)[:, 0],
        "mean": clean_mean.expand_as(held.best),
        "blank": torch.zeros_like(held.best),
    }
    for name, frames in single.items():
        rows[name] |= _bound_scores(frames.unsqueeze(1), held, index)
    rows["oracle"] = rows.get("oracle", {}) | _bound_scores(held.futures, held, index)
    return rows


def _bound_scores(frames: Tensor, held: Heldout, index: Tensor) -> dict[str, float]:
    """Smear, coverage and precision of given frames (B, K, H, W)."""
    terms = []
    for part in chunks(index):
        real = (held.futures[part], held.probabilities[part], held.shifted[part])
        terms.append(smear_terms(frames[part], *real, basis_of(held, part)))
    return {
        "smear": _index(terms),
        "coverage": torch.cat([t["coverage"] for t in terms]).mean().item(),
        "precision": torch.cat([t["precision"] for t in terms]).mean().item(),
        "grey_mass": grey_mass(frames[index]),
    }
