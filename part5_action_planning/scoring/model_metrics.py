"""What a world model is worth before anyone acts on it, on recorded episodes it never saw."""

import math
from statistics import fmean

import torch
from torch import Tensor

from common.metrics import collapse_ratio, effective_rank, fvu, spearman
from common.probes import ridge_probe
from part5_action_planning.data import Recording, encode_all
from part5_action_planning.model.jepa import WorldModel, rollout
from part5_action_planning.model.world_models import Oracle
from part5_action_planning.planning.agents import action_bounds, plan_length
from part5_action_planning.planning.closed_loop import EvalEpisodes
from part5_action_planning.planning.costs import make_cost
from part5_action_planning.planning.planners import white_noise
from part5_action_planning.tasks.rules import choices

HORIZONS = (1, 2, 5, 10, 15)
LABELS = 1000


def describe(model: WorldModel, recording: Recording) -> dict[str, float]:
    """Probes, rank, straightness and rollout errors of a model, on held-out episodes.

    position_r2, velocity_r2: ridge regression on the state (velocity: on a history of states), from
    LABELS labels of half of the episodes, on the other half. fvu_h: share of the state's variance
    that an h-step rollout leaves unexplained; error_px_h: root mean square error of the position
    that the same probe reads from the predicted state; error_px_0: from real ones. A coordinate
    that never varies is left out, and so is what episodes are too short for, and an h between two
    frames of a model that skips some.
    """
    z = encode_all(model, recording).float()  # (E, T, D)
    truth = recording.states[:, :, 0]  # (E, T, 4)
    half, n, skip = len(z) // 2, model.history_length, model.frame_skip
    train, test = (
        _some(z[:half], truth[:half]),
        (z[half:].flatten(0, 1), truth[half:].flatten(0, 1)),
    )
    spread = truth[half:, :, :2].flatten(0, 1).var(0, correction=0)
    r2 = ridge_probe(train[0], train[1][:, :2], test[0], test[1][:, :2])
    scores = {
        "position_r2": r2.nanmean().item(),
        "error_px_0": _off(r2, test[1][:, :2]),
        "effective_rank": effective_rank(test[0]),
        "collapse_ratio": collapse_ratio(test[0]),
        "mean_std": test[0].std(0).mean().item(),
    }
    if z.shape[1] > 2:  # else no frame has neighbours on both sides
        scores["straightness"] = straightness(z[half:])
    seen = [z[:, i : z.shape[1] - n + 1 + i] for i in range(0, n, skip)]
    past = torch.cat(seen, -1)  # (E, T - n + 1, ...): the states that a prediction sees
    later = truth[:, n - 1 :]
    scores["velocity_r2"] = _read(
        _some(past[:half], later[:half]),
        (past[half:].flatten(0, 1), later[half:].flatten(0, 1)),
        slice(2, 4),
    )
    begins = range(n - 1, z.shape[1] - 1, 5)
    for h in [h for h in HORIZONS if h < z.shape[1] - n and h % skip == 0]:
        starts = [t for t in begins if t + h < z.shape[1]]
        pairs = [_predict(model, z[half:], recording.actions[half:], t, h) for t in starts]
        predicted = torch.cat(pairs)
        target = torch.cat([z[half:, t + h] for t in starts])
        place = torch.cat([truth[half:, t + h, :2] for t in starts])
        scores[f"fvu_{h}"] = fvu(predicted, target)
        r2 = ridge_probe(train[0], train[1][:, :2], predicted, place)
        scores[f"error_px_{h}"] = _off(r2, place)
    scores["spread_px"] = math.sqrt(spread.sum().item())
    return scores


def _some(z: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """At most LABELS of the frames, evenly spaced."""
    flat, labels = z.flatten(0, 1), truth.flatten(0, 1)
    index = torch.linspace(0, len(flat) - 1, min(LABELS, len(flat))).long().to(flat.device)
    return flat[index], labels[index]


def _off(r2: Tensor, place: Tensor) -> float:
    """Root mean square error (px) of places (m, 2) that are read with such an R^2."""
    return math.sqrt(((1 - r2) * place.var(0, correction=0).cpu()).nansum().item())


def _read(train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], which: slice) -> float:
    return ridge_probe(train[0], train[1][:, which], test[0], test[1][:, which]).nanmean().item()


@torch.no_grad()
def _predict(model: WorldModel, z: Tensor, actions: Tensor, t: int, h: int) -> Tensor:
    """States (E, D) predicted h steps after frame t of recorded z (E, T, D)."""
    n = model.history_length
    z_past, a_past = z[:, t - n + 1 : t + 1], actions[:, t - n + 1 : t]
    return rollout(model, z_past, a_past, actions[:, t : t + h].unsqueeze(1))[:, 0, -1]


def straightness(z: Tensor) -> float:
    """Mean cosine of neighbouring steps of z (E, T, D) in embedding space; 1 is a straight line."""
    move = z[:, 1:] - z[:, :-1]
    return torch.cosine_similarity(move[:, 1:], move[:, :-1], dim=-1).mean().item()


@torch.no_grad()
def rank_correlation(
    model: WorldModel, episodes: EvalEpisodes, recording: Recording, generator: torch.Generator
) -> float:
    """Spearman of predicted and true cost over what CEM would try first, mean over states.

    The states are those of recorded episodes, the goals those of the evaluation's (where colours or
    doors are drawn, a goal keeps its own). A candidate is the middle of the bounds and white noise
    of the planner's init_std, whatever its kind and colour, or random choices; both costs take the
    config's norm. A state in which all candidates cost the same is left out; 0 where that is every
    state.
    """
    cfg, n, device = episodes.cfg, model.history_length, episodes.goal_frames.device
    bounds = action_bounds(cfg, device)
    states = min(cfg.evaluation.num_ranked_states, len(episodes.goal_frames), len(recording.states))
    horizon, coast = plan_length(cfg, 0)  # as an agent plans from the start
    shape = (states, cfg.evaluation.num_ranked_candidates, horizon, len(bounds.low))
    options = choices(cfg.task, device)
    if options is None:
        noise = white_noise(shape, generator, torch.float32).to(device)
        candidates = bounds.clamp(bounds.middle + cfg.planner.init_std * bounds.half * noise)
    else:
        drawn = torch.randint(len(options), shape[:-1], generator=generator)
        candidates = options[drawn.to(device)]
    t = 0 if cfg.task.kind == "bank_shot" else recording.actions.shape[1] // 2
    seen = Recording(
        recording.frames[:states, : t + 1],
        recording.states[:states, : t + 1],
        recording.actions[:states, :t],
        recording.scene[:states],
    )
    z = encode_all(model, seen).float()
    first = z[:, :1].expand(-1, n, -1)
    z_past = torch.cat([first, z], 1)[:, -n:]
    rest = torch.zeros(states, n, len(bounds.low), device=device)
    a_past = torch.cat([rest, seen.actions], 1)[:, t + 1 :]  # the last n - 1 of n + t
    goals = model.encode(episodes.goal_frames[:states], episodes.goal_states[:states])
    oracle = Oracle(cfg.task, cfg.world, seen.scene)
    targets = oracle.encode(None, episodes.goal_states[:states])
    costs = []
    for dynamics, past, before, goal in (
        (model, z_past, a_past, goals),
        (oracle, oracle.encode(None, seen.states[:, t])[:, None], rest[:, :0], targets),
    ):
        cost_fn = make_cost(dynamics, past, before, goal, cfg.cost, coast)
        costs.append(torch.cat([cost_fn(block) for block in candidates.split(32, dim=1)], 1))
    found = [spearman(one, other) for one, other in zip(*costs, strict=True)]
    return fmean([rho for rho in found if rho == rho] or [0.0])
