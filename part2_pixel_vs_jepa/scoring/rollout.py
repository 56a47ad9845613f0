"""Long horizons: every model fed its own predictions, 1 to 40 frames ahead.

Pixel predictors are fed their frames, JEPAs their embeddings. Of K hypotheses the likeliest goes
on, of methods that draw one sample. The ball is read out of the frame as its centre of mass; that
of real frames, embedded and decoded, is the best a JEPA can do, and a ball that stays where it was
last seen the baseline.
"""

from dataclasses import replace

import torch
from torch import Tensor

from common.episodes import Clips, gather_pairs, to_float
from common.metrics import centre_of_mass
from common.simulator import step
from part2_pixel_vs_jepa.config import HORIZONS, Config, Stream, generator
from part2_pixel_vs_jepa.model import Arm, LikelihoodModel, Sampler
from part2_pixel_vs_jepa.tokens import TokenModel


def start_and_length(cfg: Config) -> tuple[int, int]:
    """The last frame that is given, and how many can be predicted after it."""
    start = cfg.history_length - 1
    return start, min(max(HORIZONS), cfg.world.episode_length - cfg.history_length)


@torch.no_grad()
def rollout(model: Arm, clips: Clips, cfg: Config) -> Tensor:
    """Frames (E, length, H, W) predicted from the first history_length frames of each episode."""
    start, length = start_and_length(cfg)
    x_past = to_float(clips.frames[:, : start + 1])
    if isinstance(model, Sampler):
        return sampled_rollout(model, clips, x_past, cfg)
    z_past, frames = model.encode(x_past), []
    for t in range(start, start + length):
        a_t = clips.states[:, t, 0, 2:] / max(cfg.world.speeds) if cfg.give_action else None
        z_pred, log_odds = model.predictor(z_past, a_t)
        likeliest = z_pred.take_along_dim(log_odds.argmax(1)[:, None, None], 1)  # (E, 1, D)
        frame = model.decode(likeliest)  # (E, 1, C, H, W)
        frames.append(frame[:, 0, 0])
        fed_back = model.encode(frame.clamp(0, 1)) if model.in_pixels else likeliest
        z_past = torch.cat([z_past[:, 1:], fed_back], dim=1)
    return torch.stack(frames, dim=1)


def sampled_rollout(model: Sampler, clips: Clips, x_past: Tensor, cfg: Config) -> Tensor:
    """The same of a method that draws: each sample is what the next is drawn after."""
    start, length = start_and_length(cfg)
    draws = generator(cfg, Stream.ROLLOUT_SAMPLES, clips.states.device)
    episode, frames = torch.arange(len(clips.frames), device=draws.device), []
    for t in range(start, start + length):
        now = torch.full_like(episode, t)
        true = gather_pairs(clips, episode, now, cfg.history_length, max(cfg.world.speeds))
        frame = model.sample(replace(true, x_past=x_past), 1, draws)  # (E, 1, H, W)
        frames.append(frame[:, 0])
        x_past = torch.cat([x_past[:, 1:], frame.unsqueeze(2)], dim=1)
    return torch.stack(frames, dim=1)


@torch.no_grad()
def rollout_scores(model: Arm, clips: Clips, cfg: Config) -> dict[str, float]:
    """Position error (px) and sharpness of the predicted ball at each horizon.

    sharpness is E[x^2] / E[x] of a frame: 1 for a binary disc, 1/2 where it is smeared over twice
    its area, whatever the position.
    """
    start, length = start_and_length(cfg)
    frames = rollout(model, clips, cfg)
    truth = centre_of_mass(to_float(clips.clean[:, start + 1 : start + 1 + length, 0]))
    error = (centre_of_mass(frames) - truth).norm(dim=-1).mean(0)  # (length,)
    lit = frames.clamp(0, 1)
    sharp = lit.square().sum((-2, -1)) / lit.sum((-2, -1)).clamp(min=1e-6)
    scores = {}
    for h in (h for h in HORIZONS if h <= length):
        scores[f"position_error_at_{h}"] = error[h - 1].item()
        if not isinstance(model, LikelihoodModel):  # whose samples are black and white
            scores[f"sharpness_at_{h}"] = sharp[:, h - 1].mean().item()
    if not isinstance(model, TokenModel) and not model.in_pixels:
        real = to_float(clips.frames[:, start + 1 : start + 1 + length])
        seen = model.decode(model.encode(real))
        readout = (centre_of_mass(seen[:, :, 0]) - truth).norm(dim=-1).mean()
        scores["readout_position_error"] = readout.item()
    return scores


def rollout_bounds(clips: Clips, cfg: Config) -> dict[str, dict[str, float]]:
    """The same errors for a ball that stays, and for the true dynamics drawn afresh."""
    start, length = start_and_length(cfg)
    draws = generator(cfg, Stream.ROLLOUT, clips.states.device)
    state, again = clips.states[:, start], []
    for _ in range(length):
        state = step(cfg.world, state, clips.scene, generator=draws)
        again.append(state[:, 0, :2])
    truth = clips.states[:, start + 1 : start + 1 + length, 0, :2]
    stays = clips.states[:, start : start + 1, 0, :2]
    rows = {"copy": stays.expand_as(truth), "oracle": torch.stack(again, dim=1)}
    return {
        name: {
            f"position_error_at_{h}": (place - truth)[:, h - 1].norm(dim=-1).mean().item()
            for h in HORIZONS
            if h <= length
        }
        for name, place in rows.items()
    }
