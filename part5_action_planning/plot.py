"""The figures of a run, drawn without training anything.

    python part5_action_planning/plot.py runs/part5/baseline-seed0
    python part5_action_planning/plot.py --results                  those of results/*.json

Of a run: episode.gif (what happens, what the model predicts at that moment, what its plan would
really lead to, and the goal), imagined.png (the same at a few steps), search.png (candidate plans
as the planner narrows them down), landscape.png (cost over the first action, predicted and true)
and paths.png (where the ball went in eight episodes).
"""

import argparse
from pathlib import Path

from common.figures.frames import write_gif
from common.figures.style import write_png
from common.harness.errors import run_script, typed_path
from common.harness.publish import finished
from part5_action_planning.config import PART
from part5_action_planning.figures.episode import (
    film,
    film_length,
    key_times,
    moments_figure,
    paths_figure,
)
from part5_action_planning.figures.search import landscape_figure, search_figure, searches_of
from part5_action_planning.model.loading import load_run
from part5_action_planning.model.policies import AnyPolicy
from part5_action_planning.model.world_models import Model, TokenModel
from part5_action_planning.planning.closed_loop import EvalEpisodes, Trajectories

NUM_DRAWN = 8  # episodes of a run's figures


def draw_figures(
    folder: Path, model: Model, episodes: EvalEpisodes
) -> tuple[Trajectories, list[Path]]:
    """Plays the episodes, draws them and the first one's searches; returns the files."""
    played, moments = film(model, episodes)
    goal = episodes.goal_frames[0].mean(0).numpy(force=True)
    figures = {"paths.png": paths_figure(played, episodes)}
    if moments[0].steps:
        figures["imagined.png"] = moments_figure(
            played, moments, key_times(played, episodes.cfg.task), goal
        )
    if not isinstance(model, AnyPolicy):
        searches = searches_of(model, played, episodes)
        if searches:
            figures["landscape.png"] = landscape_figure(searches, played, episodes.cfg)
            figures["search.png"] = search_figure(searches, played, episodes)
    for name, figure in figures.items():
        write_png(folder / name, figure)
    if not isinstance(model, TokenModel):
        length = film_length(played, episodes.cfg.task)
        frames, distance = (part[0].numpy(force=True) for part in (played.frames, played.distance))
        arrays = {"frames": frames, "distance": distance}
        film_strip = [moments_figure(played, moments, [t], goal) for t in range(length)]
        write_gif(folder / "episode.gif", film_strip, fps=6, **arrays)
        figures["episode.gif"] = film_strip[0]
    return played, [folder / name for name in figures]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_dir", nargs="?", type=typed_path, help="a finished run")
    parser.add_argument("--results", action="store_true", help="the figures of results/*.json")
    args = parser.parse_args()
    if args.results == bool(args.run_dir):
        parser.error("expected a run directory, or --results")
    if args.results:
        from part5_action_planning.figures.results import draw_results

        paths = draw_results(PART / "results")
    else:
        cfg, model = load_run(finished(args.run_dir, "python part5_action_planning/train.py"))
        episodes = EvalEpisodes(cfg, NUM_DRAWN)
        _, paths = draw_figures(args.run_dir / "figures", model, episodes)
    print(*paths, sep="\n")


if __name__ == "__main__":
    run_script(main)
