"""What can come next: the possible next states, their entropy, the Bayes-optimal frame."""

import math

import torch
from torch import Tensor

from common.distractors import Distractor, next_moments
from common.rendering import disc
from common.simulator import Scene, headings, outgoing, step
from common.world import World


def possible_next(
    world: World, observed: Tensor, scene: Scene, velocity_is_seen: bool
) -> tuple[Tensor, Tensor]:
    """Every next state given what is seen: states (B, F, N, 4), probabilities (B, F).

    observed (B, N, 4) is the true state now; with velocity_is_seen false only its position is
    used, and direction and speed take their posterior given that position, averaged over the
    frames 0 .. T - 2 of an episode. With exact reflection and starts all over the box that
    posterior is uniform; for turn_back it is counted. A slot of probability 0 is no future: it
    repeats the likeliest one.
    Raises ValueError where the futures are no finite list or the posterior is not known.
    """
    if velocity_is_seen and world.wall == "stochastic":
        velocities, probabilities = outgoing(world, observed, scene)
        ahead = torch.cat([observed[:, :1, :2] + velocities, velocities], dim=-1)
        return _only_real(ahead.unsqueeze(2), probabilities), probabilities
    if velocity_is_seen:
        return step(world, observed, scene).unsqueeze(1), observed.new_ones(len(observed), 1)
    if world.is_substepped or world.wall == "stochastic":
        wanted = "one ball, wall reflect or turn_back, no drag, gravity, thrust or inner wall"
        advice = "show two frames in this world"
        raise ValueError(f"the futures of one frame can be listed for {wanted}: {advice}")
    hidden = torch.cat([s * headings(world, observed.device) for s in world.speeds])  # (F, 2)
    now = observed.new_zeros(len(observed), len(hidden), 4)
    now[..., :2] = observed[:, :, :2]
    now[..., 2:] = hidden
    if world.wall == "reflect":
        # so that bounces leave the distribution of the starts as it is
        hidden_needs = "with wall reflect and a hidden velocity"
        if world.start_margin > 0:
            got = f"got start_margin {world.start_margin:g}, wanted 0"
            raise ValueError(f"{hidden_needs} the balls must start all over the box: {got}")
        if world.axes == 2 and world.num_headings % 2:
            got = f"got num_headings {world.num_headings}, wanted an even number"
            raise ValueError(f"{hidden_needs} every heading needs its mirror image: {got}")
        probabilities = now.new_full(now.shape[:2], 1 / len(hidden))
    else:
        probabilities = _count_visits(world, now, scene)
    flat = step(world, now.reshape(-1, 1, 4), scene.repeat(len(hidden)))
    return _only_real(flat.reshape(*now.shape[:2], 1, 4), probabilities), probabilities


def _only_real(states: Tensor, probabilities: Tensor) -> Tensor:
    """States (B, F, 1, 4) with those of probability 0 replaced by the likeliest one."""
    index = torch.arange(len(states), device=states.device)
    likeliest = states[index, probabilities.argmax(1)].unsqueeze(1)
    return torch.where(probabilities[:, :, None, None] > 0, states, likeliest)


def _count_visits(world: World, now: Tensor, scene: Scene) -> Tensor:
    """Posterior (B, F) of the hidden velocity under turn_back, by counting.

    A ball that is ever at x with speed s started on the lattice x + s j, uniformly over its points
    inside the start range and over both directions: play all of them and count the arrivals.
    """
    if world.axes == 2:
        raise ValueError("wall turn_back hides its velocity on one axis only: use axes 1")
    x, speed = now[..., 0], now[..., 2].abs()
    reach = world.episode_length - 1
    if min(world.speeds) > 0:
        reach = min(reach, math.ceil(world.size / min(world.speeds)))
    offsets = torch.arange(-reach, reach + 1, device=now.device)
    place = x[..., None] + speed[..., None] * offsets  # (B, F, J)
    low = scene.radius[:, :1, None]
    gap = low + world.start_margin
    weight = ((place > gap) & (place < world.size - gap)).float()
    weight *= (speed[..., None] > 0) | (offsets == 0)  # a ball at rest comes from here alone
    heading = headings(world, now.device)[:, :1].repeat(len(world.speeds), 1)  # (F, 1)
    visits = torch.zeros_like(x)
    for direction in (1.0, -1.0):
        at, way = place, torch.full_like(place, direction)
        for _ in range(world.episode_length - 1):
            here = ((at - x[..., None]).abs() < 1e-3) & (way == heading)
            visits += (weight * here).sum(dim=-1)
            ahead = at + way * speed[..., None]
            way = torch.where((ahead < low) | (ahead > world.size - low), -way, way)
            at = at + way * speed[..., None]
    visits = torch.where(visits.sum(-1, keepdim=True) > 0, visits, torch.ones_like(visits))
    return visits / visits.sum(dim=-1, keepdim=True)


def entropy(probabilities: Tensor, outcomes: Tensor) -> Tensor:
    """Bits of what comes next, (B,), for outcomes (B, F, ...) of probabilities (B, F).

    Outcomes that look alike are one: given the state now, futures that are drawn as the same frame
    (or as the same words) cost nothing to tell apart. Exact wherever the futures are all there are.
    """
    flat = outcomes.flatten(2)
    alike = (flat.unsqueeze(1) == flat.unsqueeze(2)).all(-1)  # (B, F, F)
    joined = (alike * probabilities.unsqueeze(1)).sum(2)  # of all that look like it
    bits = torch.where(probabilities > 0, -joined.clamp(min=1e-30).log2(), 0.0)
    return (probabilities * bits).sum(1).clamp(min=0)


def render_futures(world: World, states: Tensor, scene: Scene) -> Tensor:
    """Ball-only grey frames (B, F, H, W) in [0, 1] of one ball in states (B, F, 1, 4)."""
    flat = states[:, :, 0].flatten(0, 1)
    radius = scene.radius[:, 0].repeat_interleave(states.shape[1])
    share = disc(flat, radius, world).view(*states.shape[:2], world.size, world.size)
    return share * scene.color[:, 0, 0, None, None, None]


def bayes(
    distractor: Distractor, futures: Tensor, probabilities: Tensor, scene: Scene,
    layer: Tensor | None, hidden: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The frame of least expected squared error, (B, H, W), and that error per pair, (B,).

    futures (B, F, H, W) as from render_futures. A frame is ball + (1 - share) * layer with the
    layer independent of the ball's future, so that, over futures f of probability p_f,

        mean     = sum_f p_f (ball_f + (1 - share_f) E[layer])
        variance = sum_f p_f ((1 - share_f)^2 Var[layer] + mean_f^2) - mean^2

    The error is the variance averaged over pixels. layer and hidden as in next_moments.
    """
    mean, variance = next_moments(distractor, layer, hidden)
    color = scene.color[:, 0, 0, None, None, None]
    clear = 1 - futures / color.clamp(min=1e-6)  # what the ball leaves of the layer
    each = futures + clear * mean.unsqueeze(1)
    weight = probabilities[:, :, None, None]
    best = (weight * each).sum(1)
    spread = (weight * (clear.square() * variance.unsqueeze(1) + each.square())).sum(1)
    return best, (spread - best.square()).mean(dim=(-2, -1))
