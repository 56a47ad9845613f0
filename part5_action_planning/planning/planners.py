"""Planners over continuous actions: random shooting, CEM, iCEM, MPPI, gradient descent.

A planner sees a model only as ``cost_fn(actions) -> cost``: actions (E, S, H, A), S candidates of
H steps for each of E episodes, to cost (E, S). ``plan`` calls the config's. All of them

- keep every candidate within the bounds, by clamping it, the mean and what they return included;
- reject costs that are not finite, and raise ValueError where an episode has no other;
- draw from the generator passed in, so that a seed fixes the plan;
- start from ``start`` (E, H, A): the last plan shifted (``shift``), or the middle of the bounds;
- never return a plan that cost more than the start.

Discrete actions are in ``discrete.py``. To add a planner: its name and options in
``config.PlannerConfig``, a function here, and a line of ``plan``.
"""

from typing import assert_never

import torch
from torch import Tensor

from part5_action_planning.config import PlannerConfig
from part5_action_planning.planning.search_state import Bounds, CostFn, Plan, softmin, take_best


def plan(
    cfg: PlannerConfig, cost_fn: CostFn, bounds: Bounds, start: Tensor, generator: torch.Generator
) -> Plan:
    """The plan of the config's planner, from ``start`` (E, H, A)."""
    if start.ndim != 3 or start.shape[1:] != (cfg.horizon, len(bounds.low)):
        raise ValueError(
            f"got a start of shape {tuple(start.shape)}; wanted (E, {cfg.horizon}, "
            f"{len(bounds.low)}): episodes, horizon, components of an action"
        )
    start = bounds.clamp(start)
    found = Plan(start, torch.full_like(start[:, 0, 0], torch.inf), 0)
    match cfg.kind:
        case "random":
            random_shooting(cfg, cost_fn, bounds, found, generator)
        case "cem":
            cem(cfg, cost_fn, bounds, found, generator)
        case "icem":
            icem(cfg, cost_fn, bounds, found, generator)
        case "mppi":
            mppi(cfg, cost_fn, bounds, found, generator)
        case "gradient":
            gradient(cfg, cost_fn, bounds, found, generator)
        case _:
            assert_never(cfg.kind)
    return found


def random_shooting(
    cfg: PlannerConfig, cost_fn: CostFn, bounds: Bounds, found: Plan, generator: torch.Generator
) -> None:
    """The best of samples x iterations sequences drawn uniformly: the row to beat."""
    episodes, horizon, _ = found.actions.shape
    for i in range(cfg.num_iterations):
        shape = (episodes, cfg.num_samples, horizon, len(bounds.low))
        kind = {"dtype": found.actions.dtype, "device": generator.device}
        drawn = torch.rand(shape, generator=generator, **kind)
        candidates = bounds.low + (bounds.high - bounds.low) * drawn
        if i == 0:
            candidates[:, 0] = found.actions
        found.improve(cost_fn, candidates)


def cem(
    cfg: PlannerConfig, cost_fn: CostFn, bounds: Bounds, found: Plan, generator: torch.Generator
) -> None:
    """Cross-entropy method: draw from a Gaussian, refit it to the elites (Rubinstein 1999).

    The mean of the Gaussian is always a candidate.
    """
    mean, std = found.actions, (cfg.init_std * bounds.half).expand_as(found.actions)
    for _ in range(cfg.num_iterations):
        noise = white_noise((len(mean), cfg.num_samples, *mean.shape[1:]), generator, mean.dtype)
        candidates = bounds.clamp(mean.unsqueeze(1) + std.unsqueeze(1) * noise)
        candidates[:, 0] = bounds.clamp(mean)  # a weighted mean can round past the bounds
        cost = found.improve(cost_fn, candidates)
        mean, std = refit(
            cfg, bounds, take_best(candidates, cost, cfg.num_elites, found.actions), mean, std
        )
    found.improve(cost_fn, bounds.clamp(mean).unsqueeze(1))


def icem(
    cfg: PlannerConfig, cost_fn: CostFn, bounds: Bounds, found: Plan, generator: torch.Generator
) -> None:
    """Improved CEM (Pinneri et al., arXiv 2008.06389): coloured noise, and elites that are kept.

    Differs: as many samples in every iteration (the paper draws fewer as it narrows).
    """
    mean, std = found.actions, (cfg.init_std * bounds.half).expand_as(found.actions)
    kept = mean.unsqueeze(1)  # the start, then some of the last elites
    for _ in range(cfg.num_iterations):
        fresh = (len(mean), max(1, cfg.num_samples - kept.shape[1]), *mean.shape[1:])
        noise = colored_noise(fresh, cfg.noise_beta, generator, mean.dtype)
        drawn = bounds.clamp(mean.unsqueeze(1) + std.unsqueeze(1) * noise)
        candidates = torch.cat([kept, drawn], dim=1)
        cost = found.improve(cost_fn, candidates)
        elites = take_best(candidates, cost, cfg.num_elites, found.actions)
        kept = elites[:, : round(cfg.keep_share * cfg.num_elites)]
        mean, std = refit(cfg, bounds, elites, mean, std)
    found.improve(cost_fn, bounds.clamp(mean).unsqueeze(1))


def mppi(
    cfg: PlannerConfig, cost_fn: CostFn, bounds: Bounds, found: Plan, generator: torch.Generator
) -> None:
    """Model-predictive path integral (Williams et al., arXiv 1509.01149): all candidates, weighted.

    Weights softmax(-cost / temperature), costs measured in their own standard deviation, so that a
    change of their scale changes nothing. The spread is refitted with the same weights.
    """
    mean, std = found.actions, (cfg.init_std * bounds.half).expand_as(found.actions)
    for _ in range(cfg.num_iterations):
        noise = white_noise((len(mean), cfg.num_samples, *mean.shape[1:]), generator, mean.dtype)
        candidates = bounds.clamp(mean.unsqueeze(1) + std.unsqueeze(1) * noise)
        candidates[:, 0] = bounds.clamp(mean)
        cost = found.improve(cost_fn, candidates)
        lost = ~cost.isfinite().any(dim=1)[:, None, None]  # no candidate tells where to go
        weight = softmin(cost, cfg.temperature)[:, :, None, None]  # (E, S, 1, 1)
        target = (weight * candidates).sum(1)
        spread = (weight * (candidates - target.unsqueeze(1)).square()).sum(1).sqrt()
        mean = torch.where(lost, mean, cfg.momentum * mean + (1 - cfg.momentum) * target)
        std = torch.where(lost, std, cfg.momentum * std + (1 - cfg.momentum) * spread)
        std = torch.maximum(std, cfg.min_std * bounds.half)
    found.improve(cost_fn, bounds.clamp(mean).unsqueeze(1))


def gradient(
    cfg: PlannerConfig, cost_fn: CostFn, bounds: Bounds, found: Plan, generator: torch.Generator
) -> None:
    """Adam on the actions themselves, from several starts, clamped after every step.

    The first start is the one given, the others are spread around it. Actions are measured in half
    the bounds, so a step has the same size in every component. A gradient that is not finite counts
    as 0.
    """
    first = (found.actions - bounds.middle) / bounds.half
    noise = white_noise((len(first), cfg.num_samples, *first.shape[1:]), generator, first.dtype)
    noise[:, 0] = 0
    unit = (first.unsqueeze(1) + cfg.init_std * noise).clamp(-1, 1).requires_grad_()
    optimizer = torch.optim.Adam([unit], lr=cfg.step_size)
    for _ in range(cfg.num_iterations):
        with torch.enable_grad():
            actions = bounds.middle + bounds.half * unit
            actions = actions + (bounds.clamp(actions) - actions).detach()  # of rounding alone
            cost = found.improve(cost_fn, actions)
            total = torch.where(cost.isfinite(), cost, 0.0).sum()
            (unit.grad,) = torch.autograd.grad(total, unit)
        unit.grad[~unit.grad.isfinite()] = 0
        optimizer.step()
        with torch.no_grad():
            unit.clamp_(-1, 1)
    found.improve(cost_fn, bounds.clamp(bounds.middle + bounds.half * unit).detach())


def shift(actions: Tensor, executed: int, middle: Tensor) -> Tensor:
    """The start of the next search: a plan (E, H, A) less its executed steps, then the middle."""
    left = actions[:, executed:]
    return torch.cat([left, middle.expand(len(actions), actions.shape[1] - left.shape[1], -1)], 1)


def refit(
    cfg: PlannerConfig, bounds: Bounds, elites: Tensor, mean: Tensor, std: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean and spread (E, H, A) of the elites (E, K, H, A), mixed with the old ones."""
    mean = cfg.momentum * mean + (1 - cfg.momentum) * elites.mean(1)
    std = cfg.momentum * std + (1 - cfg.momentum) * elites.std(1, correction=0)
    return mean, torch.maximum(std, cfg.min_std * bounds.half)


def white_noise(shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Standard normal noise, on the generator's device."""
    return torch.randn(shape, generator=generator, dtype=dtype, device=generator.device)


def colored_noise(
    shape: tuple[int, ...], beta: float, generator: torch.Generator, dtype: torch.dtype
) -> Tensor:
    """Noise (E, S, H, A) of unit variance whose power falls with frequency over H like f^-beta.

    As iCEM's authors draw it: of period H, and the mean over time is left in, with the power of the
    lowest frequency: a push that lasts is often wanted.
    """
    horizon = shape[2]
    frequency = torch.fft.rfftfreq(horizon, dtype=dtype, device=generator.device)
    frequency[0] = 1 / horizon
    gain = frequency ** (-beta / 2)
    white = white_noise(shape, generator, dtype)
    colored = torch.fft.irfft(torch.fft.rfft(white, dim=2) * gain[:, None], n=horizon, dim=2)
    power = gain.square()
    power[1 : (horizon + 1) // 2] *= 2  # negative frequencies
    return colored / (power.sum() / horizon).sqrt()
