"""The figures of a run, drawn without training anything.

    python part5_action_planning/plot.py runs/part5/baseline-seed0
    python part5_action_planning/plot.py --results                  those of results/*.json

A run has episode.gif (what happens, what the model imagines at that moment, and the goal) and
paths.png (where the ball went in episodes like those of the evaluation).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from common.config import UserError, run_script
from common.plots import DPI, FONT, PALETTE, WIDTH, write_png
from common.strips import Group, strip, write_gif
from part5_action_planning.agents import PlanningAgent
from part5_action_planning.build import Model, load_model
from part5_action_planning.control import Stage, Trial
from part5_action_planning.experiment import PART, Config
from part5_action_planning.imagine import rollout
from part5_action_planning.models import LatentModel, PixelModel, TokenModel
from part5_action_planning.scoring import make_agent

SHOWN = 5  # imagined frames beside the real one
NOTE = (
    "From left to right: the frame the agent sees; what its model imagines of the plan it has just "
    "made (decoded, for looking only); the goal image."
)


class Recorder:
    """An agent that also keeps what it imagined before each action, as frames of one episode."""

    def __init__(self, model: Model, stage: Stage, cfg: Config) -> None:
        self.model, self.agent = model, make_agent(model, stage, cfg)
        self.imagined: list[np.ndarray] = []  # per step (at most SHOWN, H, W)

    def act(self, time: int, frames: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        action = self.agent.act(time, frames, states)
        if isinstance(self.agent, PlanningAgent) and isinstance(
            self.model, LatentModel | PixelModel
        ):
            z_past, a_past, actions = (part[:1] for part in self.agent.intention)
            z = rollout(self.model, z_past, a_past, actions.unsqueeze(1))[0, 0]  # (H, D)
            chosen = torch.linspace(0, len(z) - 1, min(SHOWN, len(z))).round().long()
            self.imagined.append(self.model.show(z[chosen]).mean(1).clamp(0, 1).numpy())
        return action


@torch.no_grad()
def film(model: Model, stage: Stage, cfg: Config) -> tuple[Trial, list[np.ndarray]]:
    """Plays the stage's episodes; what the model imagined in the first of them, step by step."""
    recorder = Recorder(model, stage, cfg)
    trial = stage.play(recorder)
    return trial, recorder.imagined


def episode_frames(trial: Trial, imagined: Sequence[np.ndarray], goal: np.ndarray) -> list[Figure]:
    """One figure a step of the first episode: now, imagined ahead, goal."""
    figures = []
    for t in range(len(trial.actions[0])):
        now = trial.frames[0, t].float().mean(0).numpy() / 255
        ahead = list(imagined[t]) if imagined else []
        ahead += [None] * (SHOWN - len(ahead))
        distance = trial.distance[0, t].item()
        captions = [f"step {t}", *[""] * SHOWN, f"{distance:.0f} px away"]
        groups = [
            Group("now", 1), Group("imagined ahead", SHOWN, PALETTE["vermillion"]), Group("goal", 1)
        ]  # fmt: skip
        figures.append(strip([[now, *ahead, goal]], groups, [captions], NOTE))
    return figures


def paths_figure(trial: Trial, stage: Stage, cfg: Config, shown: int = 8) -> Figure:
    """Where the ball went in the first episodes; the circle is what counts as reached."""
    shown = min(shown, len(trial.states))
    columns = 4
    rows = -(-shown // columns)
    fig = Figure(figsize=(WIDTH, 1.9 * rows + 0.3), dpi=DPI, layout="constrained")
    extent = (0, cfg.world.size, cfg.world.size, 0)
    for i in range(shown):
        ax = fig.add_subplot(rows, columns, i + 1)
        frame = trial.frames[i, 0].float().mean(0).numpy() / 255
        ax.imshow(0.75 + 0.25 * (1 - frame), cmap="gray", vmin=0, vmax=1, extent=extent)
        path = trial.states[i, :, 0, :2].numpy()
        ax.plot(*path.T, color=PALETTE["blue"], linewidth=1.2, marker=".", markersize=2.5)
        x, y = stage.goal_states[i, 0, :2].tolist()
        circle = np.linspace(0, 2 * np.pi, 60)
        radius = cfg.task.success_radius
        ax.plot(
            x + radius * np.cos(circle), y + radius * np.sin(circle),
            color=PALETTE["vermillion"], linewidth=1.5,
        )  # fmt: skip
        ax.set(xlim=(0, cfg.world.size), ylim=(cfg.world.size, 0), xticks=[], yticks=[])
        ax.set_title(f"ends {trial.distance[i, -1].item():.1f} px away", fontsize=FONT - 1)
    return fig


def draw_figures(folder: Path, model: Model, stage: Stage, cfg: Config) -> list[Path]:
    """Draws every figure of a run; returns the files."""
    few = Stage(cfg, min(8, len(stage.goal_frames)))
    trial, imagined = film(model, few, cfg)
    paths = [folder / "figures" / "paths.png"]
    write_png(paths[0], paths_figure(trial, few, cfg))
    if not isinstance(model, TokenModel):
        goal = few.goal_frames[0].mean(0).numpy()
        arrays = {"frames": trial.frames[0].numpy(), "distance": trial.distance[0].numpy()}
        paths.append(folder / "figures" / "episode.gif")
        write_gif(paths[1], episode_frames(trial, imagined, goal), fps=6, **arrays)
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_dir", nargs="?", type=Path, help="a finished run")
    parser.add_argument("--results", action="store_true", help="the figures of results/*.json")
    args = parser.parse_args()
    if args.results == bool(args.run_dir):
        parser.error("expected a run directory, or --results")
    if args.results:
        from part5_action_planning.plot_results import draw_results

        paths = draw_results(PART / "results")
    else:
        if not (args.run_dir / "summary.json").exists():
            raise UserError(
                f"{args.run_dir} is no finished run; make one with: python "
                "part5_action_planning/train.py"
            )
        cfg, model = load_model(args.run_dir)
        paths = draw_figures(args.run_dir, model, Stage(cfg, 8), cfg)
    for path in paths:
        print(path)


if __name__ == "__main__":
    run_script(main)
