"""A search in pictures: how the candidates narrow, and the valley that they narrow into.

Both are drawn for the first episode of trajectories, at a few steps of it, as a planner without an
earlier plan would search there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from common.episodes import to_float
from common.figures.style import DPI, FONT, LINE, PALETTE, WIDTH, with_note, wrap
from part5_action_planning.config import Config, Stream, generator
from part5_action_planning.figures.episode import draw_frame, draw_goal, key_times
from part5_action_planning.model.jepa import WorldModel, rollout
from part5_action_planning.model.world_models import Oracle
from part5_action_planning.planning.agents import action_bounds, plan_length
from part5_action_planning.planning.closed_loop import EvalEpisodes, Trajectories
from part5_action_planning.planning.costs import make_cost, unfold_blocks
from part5_action_planning.planning.memory import Memory
from part5_action_planning.planning.planners import plan
from part5_action_planning.tasks.rules import choices, largest_action

GRID = 25  # first actions along each axis of a landscape
ROUNDS, DRAWN = 4, 60  # panels of a search; candidates drawn in each, the cheapest among them


@dataclass(frozen=True)
class Search:
    """One search from the state at a step, and the landscape around what it found.

    rounds: candidates (S, H, A) and their cost (S,), as the planner asked for them. predicted, true
    (GRID, GRID): cost of the plan found with another first action, a row for each of its second
    components, for the model and for the true dynamics; the later actions are kept.
    """

    time: int
    coast: int
    rounds: list[tuple[Tensor, Tensor]]
    predicted: np.ndarray
    true: np.ndarray


def searches_of(model: WorldModel, played: Trajectories, episodes: EvalEpisodes) -> list[Search]:
    """Searches at the trajectories' key times; none where actions are few and all are tried."""
    cfg = episodes.cfg
    if choices(cfg.task) is not None:
        return []
    times = [t for t in key_times(played, cfg.task) if plan_length(cfg, t)[0] > 0]
    return [search_at(model, played, episodes, t) for t in times]


@torch.no_grad()
def search_at(model: WorldModel, played: Trajectories, episodes: EvalEpisodes, time: int) -> Search:
    """The search of the config's planner before step ``time`` of the first episode."""
    cfg, memory = episodes.cfg, Memory(model.history_length)
    for t in range(time + 1):
        memory.see(model.encode(to_float(played.frames[:1, t]), played.states[:1, t]))
        if t < time:
            memory.act(played.actions[:1, t])
    device = episodes.goal_frames.device
    (horizon, coast), bounds = plan_length(cfg, time), action_bounds(cfg, device)
    z_goal = model.encode(episodes.goal_frames[:1], episodes.goal_states[:1])
    cost_fn = make_cost(model, *memory.past(), z_goal, cfg.cost, coast)
    oracle, now = _oracle(played, episodes, time)
    goal = oracle.encode(None, episodes.goal_states[:1])
    true_cost = make_cost(oracle, now, now.new_zeros(1, 0, 2), goal, cfg.cost, coast)
    settings, start = replace(cfg.planner, horizon=horizon), bounds.middle.expand(1, horizon, -1)
    rounds: list[tuple[Tensor, Tensor]] = []

    def watched(blocks: Tensor) -> Tensor:
        cost = cost_fn(blocks)
        rounds.append((blocks[0].detach().clone(), cost[0].detach()))
        return cost

    found = plan(settings, watched, bounds, start, generator(cfg, Stream.ASIDE, device))
    axis = torch.linspace(float(bounds.low[0]), float(bounds.high[0]), GRID, device=device)
    blocks = found.actions.expand(GRID * GRID, -1, -1).clone()
    blocks[:, 0] = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).flatten(0, 1)
    costs = (ask(blocks[None])[0].view(GRID, GRID) for ask in (cost_fn, true_cost))
    return Search(time, coast, rounds, *(cost.numpy(force=True) for cost in costs))


def _oracle(played: Trajectories, episodes: EvalEpisodes, time: int) -> tuple[Oracle, Tensor]:
    """The true dynamics of the first episode, and their z_past (1, 1, D) at a step."""
    oracle = Oracle(episodes.cfg.task, episodes.cfg.world, episodes.problems.scene[:1])
    return oracle, oracle.encode(None, played.states[:1, time])[:, None]


def landscape_figure(searches: Sequence[Search], played: Trajectories, cfg: Config) -> Figure:
    """Cost over the first action, predicted above and true below, the best of each marked."""
    note = wrap(
        "Cost of the plan found if its first thrust were another one (px/frame²); dark is cheap, "
        "each panel on its own scale. Cross: cheapest for the model. Star: truly the best."
    )
    fig = _figure(2 * WIDTH / 3 * 0.92 + 0.4, note)
    low, high = -largest_action(cfg.task, cfg.world), largest_action(cfg.task, cfg.world)
    axis = np.linspace(low, high, GRID)
    for column, search in enumerate(searches):
        costs = {"predicted": search.predicted, "true": search.true}
        cheapest = [np.unravel_index(cost.argmin(), cost.shape) for cost in costs.values()]
        for row, (name, cost) in enumerate(costs.items()):
            ax = fig.add_subplot(2, len(searches), row * len(searches) + column + 1)
            ax.contourf(axis, axis, cost, levels=24, cmap="viridis")
            for (iy, ix), marker, size in zip(cheapest, ("X", "*"), (9, 13), strict=True):
                ax.plot(
                    axis[ix], axis[iy], marker, markersize=size, color=PALETTE["vermillion"],
                    markeredgecolor="white", clip_on=False,
                )  # fmt: skip
            ax.set(xlim=(low, high), ylim=(high, low), aspect="equal")
            ax.locator_params(nbins=3)
            ax.tick_params(labelsize=FONT - 2)
            if row == 0:
                away = played.distance[0, search.time].item()
                ax.set_title(f"step {search.time}, {away:.0f} px away", fontsize=FONT)
            ax.set_xlabel("thrust in x" if row else "", fontsize=FONT)
            ax.set_ylabel(f"{name}: thrust in y" if column == 0 else "", fontsize=FONT)
    return fig


def _figure(height: float, note: str) -> Figure:
    """An empty one, so high (inches) above its note."""
    size = (WIDTH, height + LINE * (1 + note.count("\n")))
    return with_note(Figure(figsize=size, dpi=DPI, layout="constrained"), note)


def search_figure(
    searches: Sequence[Search], played: Trajectories, episodes: EvalEpisodes
) -> Figure:
    """Candidate plans over the frame, round by round, a row for each search."""
    note = wrap(
        "Where candidate plans would lead, by the true dynamics, drawn over the frame that the "
        "agent sees. Grey: some of a round's candidates; blue: those that the model finds "
        "cheapest; orange-red: the best of them, and the goal."
    )
    fig = _figure(len(searches) * (WIDTH / ROUNDS + 0.15) + 0.5, note)
    for row, search in enumerate(searches):
        rounds = [(b, c) for b, c in search.rounds if len(b) > 1]  # not the mean alone
        chosen = np.unique(np.linspace(0, len(rounds) - 1, ROUNDS).round().astype(int))
        for column, which in enumerate(chosen):
            ax = fig.add_subplot(len(searches), len(chosen), row * len(chosen) + column + 1)
            _draw_round(ax, rounds[which], search, played, episodes)
            ax.set_title(f"step {search.time}, round {which + 1}", fontsize=FONT - 1)
    return fig


def _draw_round(
    ax: Axes, candidates: tuple[Tensor, Tensor], search: Search, played: Trajectories,
    episodes: EvalEpisodes,
) -> None:  # fmt: skip
    """One round of a search over the frame that it starts from: where its blocks really lead."""
    draw_frame(ax, played.frames[0, search.time])
    cfg, (blocks, cost) = episodes.cfg, candidates
    order = cost.argsort()
    elites = min(cfg.planner.num_elites, DRAWN // 2, len(order))
    spread = torch.linspace(elites, len(order) - 1, min(DRAWN - elites, len(order) - elites))
    shown = order[[*range(elites), *spread.round().long().tolist()]]
    actions = unfold_blocks(blocks[None, shown], cfg.cost.action_repeat, search.coast)
    oracle, z = _oracle(played, episodes, search.time)
    ahead = rollout(oracle, z, z.new_zeros(1, 0, 2), actions)[0, ..., :2]  # (S, steps, 2)
    paths = torch.cat([z[..., :2].expand(len(ahead), 1, 2), ahead], 1).numpy(force=True)
    for i in reversed(range(len(paths))):
        color = "0.55" if i >= elites else PALETTE["blue"] if i else PALETTE["vermillion"]
        ax.plot(*paths[i].T, color=color, linewidth=0.5 if i >= elites else 0.8 if i else 1.8)
    draw_goal(ax, episodes.goal_states[0, 0], cfg.task)
