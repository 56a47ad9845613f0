"""What an embedding holds, and what a latent z is spent on."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from common.distractors import square_masks
from common.episodes import Clips, to_float
from common.metrics import collapse_ratio, effective_rank
from common.probes import linear_probe
from part2_pixel_vs_jepa.config import Config
from part2_pixel_vs_jepa.model import Model
from part2_pixel_vs_jepa.scoring.heldout import Heldout, answers

PROBE_EPISODES = 128  # at most, on either side
PLACE_BIN = 4  # px, within which a value of z is taken to mean one thing


def embedding_scores(encoder: nn.Module, held: Heldout) -> dict[str, float]:
    """How much of the embedding of held-out frames is in use."""
    z = torch.cat([encoder(part) for part in held.batch.x_next.split(512)])
    return {
        "effective_rank": effective_rank(z),
        "collapse_ratio": collapse_ratio(z),
        "mean_std": z.std(0).mean().item(),
    }


def probe_scores(
    encoder: Callable[[Tensor], Tensor], held: Heldout, train: Clips, cfg: Config
) -> dict[str, float]:
    """R^2 of linear probes for the state, from one frame's embedding; for velocity, from two."""
    sets = []
    for clips in (train, held.clips):
        frames = to_float(clips.frames[:PROBE_EPISODES])
        z = encoder(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])  # (E, T, D)
        two = torch.cat([z[:, :-1], z[:, 1:]], dim=-1).flatten(0, 1)
        state = clips.states[:PROBE_EPISODES, :, 0]
        phase = math.tau * state[..., :1] / min(cfg.world.speeds)
        layer = clips.layer_states[:PROBE_EPISODES]
        truth = torch.cat([state[..., :2], phase.sin(), phase.cos(), layer], dim=-1)
        sets.append((z.flatten(0, 1), truth.flatten(0, 1), two, state[:, 1:, 2:].flatten(0, 1)))
    (z, truth, two, moves), (z_test, truth_test, two_test, moves_test) = sets
    still = linear_probe(z, truth, z_test, truth_test)
    names = ["probe_x", "probe_y", "probe_sin_phase", "probe_cos_phase"]
    scores = dict(zip(names, still[:4].tolist(), strict=True))
    if cfg.world.axes == 2:  # no phase to speak of
        del scores["probe_sin_phase"], scores["probe_cos_phase"]
    if len(still) > 4:
        scores["probe_distractor"] = still[4:].mean().item()
    scores["probe_velocity"] = linear_probe(two, moves, two_test, moves_test)[0].item()
    return {name: value for name, value in scores.items() if value == value}


def raw_pixels(x: Tensor) -> Tensor:
    """Frames (n, C, H, W) as features, averaged over 2 x 2 pixels: the row without an encoder."""
    return avg_pool2d(x, 2).flatten(1)


def latent_scores(model: Model, held: Heldout, cfg: Config) -> dict[str, float]:
    """What z is spent on: R^2 of direction and squares from the nearest z, place by place."""
    if not model.has_z:
        return {}
    chosen = []
    for _, batch, z_pred, _ in answers(model, held):
        if model.in_pixels:
            d = (model.decode(z_pred) - batch.x_next.unsqueeze(1)).square().mean(dim=(2, 3, 4))
        else:
            d = (z_pred - model.encoder(batch.x_next).unsqueeze(1)).square().mean(-1)
        chosen.append(d.argmin(1))
    where = (held.batch.episode, held.batch.time)
    place = (held.clips.states[where][:, 0, 0] / PLACE_BIN).long()  # what z means may vary with x
    code = torch.cat(chosen) + cfg.num_hypotheses * place
    code = torch.nn.functional.one_hot(code).float()
    after = (held.batch.episode, held.batch.time + 1)
    direction = held.clips.states[after][:, 0, 2:3].sign()
    truth = torch.cat([direction, held.clips.layer_states[after]], dim=-1)
    r2 = linear_probe(code[::2], truth[::2], code[1::2], truth[1::2])
    scores = {"z_reads_direction": r2[0].item()}
    if cfg.distractor.kind == "squares" and held.ambiguous.any():
        scores["z_reads_square"] = r2[1:].max().item()
        scores |= _worth_of_bits(model, held, cfg)
    return {name: value for name, value in scores.items() if value == value}


def _worth_of_bits(model: Model, held: Heldout, cfg: Config) -> dict[str, float]:
    """Squared error that knowing one bit of the next frame saves, as a share of its variance.

    Every future of a pair is shown with every state of the S squares; the main effect of a factor
    is the variance between the means of its two values, in the space that the model predicts in.
    """
    device = held.futures.device
    masks = square_masks(cfg.distractor, cfg.world.size, device)
    both = torch.arange(2.0, device=device)
    bits = torch.cartesian_prod(*[both] * len(masks)).view(-1, len(masks))
    layers = torch.einsum("ls,shw->lhw", bits, masks)  # (L, H, W)
    index = held.ambiguous.nonzero()[:, 0]
    futures = held.futures[index[:: max(1, len(index) // 64)]][:, [0, -1]]  # (B, 2, H, W)
    shown = futures.unsqueeze(2) + (1 - futures.unsqueeze(2)) * layers  # (B, 2, L, H, W)
    flat = shown.flatten(0, 2).unsqueeze(1)
    seen = flat if model.in_pixels else torch.cat([model.encoder(x) for x in flat.split(512)])
    y = seen.view(*shown.shape[:3], -1)  # (B, 2, L, D)
    total = (y - y.mean(dim=(1, 2), keepdim=True)).square().sum(-1).mean()
    direction = (y[:, 0] - y[:, 1]).mean(1).square().sum(-1).mean() / 4
    by_square = [
        (y[:, :, bit == 1] - y[:, :, bit == 0]).mean(dim=(1, 2)).square().sum(-1).mean() / 4
        for bit in bits.T
    ]
    return {
        "worth_direction": (direction / total).item(),
        "worth_square": (torch.stack(by_square).max() / total).item(),
    }
