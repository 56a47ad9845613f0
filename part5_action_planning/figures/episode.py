"""An episode in pictures: what the model predicted of a plan, and what the plan really leads to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from torch import Tensor

from common.episodes import to_float
from common.figures.frames import Group, strip
from common.figures.style import DPI, FONT, PALETTE, WIDTH
from common.rendering import render
from part5_action_planning.config import Task
from part5_action_planning.model.jepa import LatentModel, rollout
from part5_action_planning.model.words import WordModel
from part5_action_planning.model.world_models import Model, PixelModel
from part5_action_planning.planning.agents import PlanningAgent, make_agent
from part5_action_planning.planning.closed_loop import EvalEpisodes, Trajectories
from part5_action_planning.tasks.rules import advance_all

SHOWN = 5  # frames ahead beside the present one
LINGER = 6  # steps that a film goes on after the arrival
NOTE = (
    "From left to right: the frame the agent sees; so many steps ahead, what its model predicts of "
    "the plan it has just made (decoded, for looking only) and, below, what the same actions "
    "really lead to; the goal image."
)


@dataclass(frozen=True)
class Moment:
    """The first episode before one action: frames (H, W), 0 to 1, so many steps ahead.

    Without a plan, or with a model that cannot decode what it predicts, there are none ahead.
    """

    now: np.ndarray
    steps: list[int]
    predicted: list[np.ndarray]
    real: list[np.ndarray]


class Recorder:
    """An agent that also keeps what it meant to do before each action."""

    def __init__(self, model: Model, episodes: EvalEpisodes) -> None:
        self.model, self.episodes, self.agent = model, episodes, make_agent(model, episodes)
        self.moments: list[Moment] = []

    def act(self, time: int, frames: Tensor, states: Tensor) -> Tensor:
        action = self.agent.act(time, frames, states)
        now = _grey(frames[:1])[0]
        steps, predicted, real = [], [], []
        if isinstance(self.agent, PlanningAgent) and isinstance(
            self.model, LatentModel | PixelModel | WordModel
        ):
            z_past, a_past, actions = (part[:1] for part in self.agent.intention)
            skip = self.model.frame_skip
            left = min(actions.shape[1], self.episodes.cfg.task.budget - time) // skip
            actions = actions[:, : left * skip]
            z = rollout(self.model, z_past, a_past, actions.unsqueeze(1))[0, 0]  # (H, D)
            chosen = torch.linspace(0, len(z) - 1, min(SHOWN, len(z)), device=z.device)
            chosen = chosen.round().long()
            ahead = skip * (chosen + 1)
            steps = ahead.tolist()
            predicted = list(_grey(self.model.decode(z[chosen])))
            real = list(_grey(really(self.episodes, states[:1], actions[0], time)[ahead - 1]))
        self.moments.append(Moment(now, steps, predicted, real))
        return action


def really(episodes: EvalEpisodes, state: Tensor, actions: Tensor, time: int) -> Tensor:
    """Frames (H, C, h, w) in [0, 1] that actions (H, A) lead to in the evaluation's first episode.

    state (1, 1, 4) is that before them, at step ``time``.
    """
    cfg, scene, layers = episodes.cfg, episodes.problems.scene[:1], episodes.layers
    path = advance_all(cfg.task, cfg.world, state, scene, actions[None], time)[:, 1:]
    behind = None if layers is None else layers[:1, time + 1 : time + 1 + len(actions)]
    return to_float(render(cfg.world, path, scene, behind)[0])


def _grey(frames: Tensor) -> np.ndarray:
    """(B, H, W) of frames (B, C, H, W)."""
    return frames.mean(1).clamp(0, 1).numpy(force=True)


@torch.no_grad()
def film(model: Model, episodes: EvalEpisodes) -> tuple[Trajectories, list[Moment]]:
    """Plays the evaluation's episodes; what the model predicted in the first, step by step."""
    recorder = Recorder(model, episodes)
    played = episodes.play(recorder)
    return played, recorder.moments


def key_times(played: Trajectories, task: Task) -> list[int]:
    """Steps of the first episode worth a look: its start, half way, and the arrival."""
    distance = played.distance[0, :-1]
    times = [0]
    for near in (distance[0] / 2, torch.tensor(3 * task.success_radius)):
        there = (distance <= near).nonzero()
        times.append(int(there[0]) if len(there) else int(distance.argmin()))
    return sorted(set(times))


def film_length(played: Trajectories, task: Task) -> int:
    """Steps of the first episode that a film shows: until a little after the ball is there to stay.

    All of them where it does not stay.
    """
    away = (played.distance[0] > task.success_radius).nonzero()
    arrival = int(away[-1]) + 1 if len(away) else 0
    return min(len(played.distance[0]) - 1, arrival + LINGER)


def moments_figure(
    played: Trajectories, moments: Sequence[Moment], times: Sequence[int], goal: np.ndarray
) -> Figure:
    """Two rows for each time: now, predicted, goal; below the predicted, the real frames."""
    rows, captions = [], []
    for t in times:
        moment = moments[t]
        missing = [None] * (SHOWN - len(moment.steps))
        rows.append([moment.now, *moment.predicted, *missing, goal])
        rows.append([None, *moment.real, *missing, None])
        ahead = [f"+{steps}" for steps in moment.steps] + [""] * len(missing)
        captions.append([f"step {t}", *ahead, f"{played.distance[0, t].item():.0f} px away"])
        captions.append([""] * (SHOWN + 2))
    title = "predicted (above) and real (below)"
    groups = [Group("now", 1), Group(title, SHOWN, PALETTE["vermillion"]), Group("goal", 1)]
    return strip(rows, groups, captions, NOTE)


def paths_figure(played: Trajectories, episodes: EvalEpisodes, shown: int = 8) -> Figure:
    """Where the ball went in the first episodes; the circle is what counts as reached."""
    shown = min(shown, len(played.states))
    columns = min(4, shown)
    rows, side = -(-shown // columns), min(3.0, WIDTH / columns)  # inches
    size = (side * columns, (side + 0.15) * rows + 0.3)
    fig = Figure(figsize=size, dpi=DPI, layout="constrained")
    for i in range(shown):
        ax = fig.add_subplot(rows, columns, i + 1)
        draw_frame(ax, played.frames[i, 0])
        path = played.states[i, :, 0, :2].numpy(force=True)
        ax.plot(*path.T, color=PALETTE["blue"], linewidth=1.2, marker=".", markersize=2.5)
        draw_goal(ax, episodes.goal_states[i, 0], episodes.cfg.task)
        ax.set_title(f"ends {played.distance[i, -1].item():.1f} px away", fontsize=FONT - 1)
    return fig


def draw_frame(ax: Axes, frame: Tensor) -> None:
    """A frame (C, H, W) in uint8, pale and dark on white, to draw over; axes in px."""
    size = frame.shape[-1]
    pale = 1 - 0.25 * frame.float().mean(0).numpy(force=True) / 255
    ax.imshow(pale, cmap="gray", vmin=0, vmax=1, extent=(0, size, size, 0))
    ax.set(xlim=(0, size), ylim=(size, 0), xticks=[], yticks=[], autoscale_on=False)


def draw_goal(ax: Axes, goal: Tensor, task: Task) -> None:
    """The circle around the goal's state (4,) within which the ball has reached it."""
    x, y = goal[:2].tolist()
    look = {"fill": False, "edgecolor": PALETTE["vermillion"], "linewidth": 1.5}
    ax.add_patch(Circle((x, y), task.success_radius, **look))
