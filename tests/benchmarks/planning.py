"""Part 5: its default job, one episode, a CEM iteration beside the bare model, an evaluation.

An iteration of CEM draws, clamps, rolls out, compares and refits; the bare model is what cannot be
saved of that: as many predictor calls, on as many rows, with nothing around them. Weights are
untrained, since time does not depend on them, but for plan.py, which uses the published ones.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from default_job import time_job

from common.harness.config import load_config
from part5_action_planning.config import ACTION_DIM, BASELINE, Config
from part5_action_planning.model.jepa import LatentModel
from part5_action_planning.model.world_models import make_model
from part5_action_planning.planning.agents import PlanningAgent, action_bounds
from part5_action_planning.planning.closed_loop import EvalEpisodes
from part5_action_planning.planning.costs import make_cost
from part5_action_planning.planning.planners import plan

EPISODES = (1, 200)
ALLOWED = {"train": 240, "plan": 20, "evaluation": 120}  # seconds
PEAK_GIB = 2.0


def milliseconds(work: Callable[[], object]) -> float:
    """Median over at least twenty runs and one second, after one that is not counted."""
    work()
    times: list[float] = []
    while len(times) < 20 or sum(times) < 1:
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(times)


def iteration(cfg: Config, model: LatentModel, episodes: int) -> dict[str, float]:
    """Milliseconds of a CEM iteration, and of its predictor calls alone."""
    cem = replace(cfg.planner, kind="cem")
    history, dim = cfg.model.history_length, cfg.model.embedding_dim
    z_past, z_goal = torch.randn(episodes, history, dim), torch.randn(episodes, dim)
    a_past = torch.zeros(episodes, history - 1, ACTION_DIM)
    cost = make_cost(model, z_past, a_past, z_goal, cfg.cost)
    bounds = action_bounds(cfg)
    start = bounds.middle.expand(episodes, cem.horizon, -1)
    generator = torch.Generator().manual_seed(0)
    whole = milliseconds(lambda: plan(cem, cost, bounds, start, generator)) / cem.num_iterations
    rows = episodes * cem.num_samples
    z, a = torch.randn(rows, history, dim), torch.randn(rows, history, ACTION_DIM)

    def bare() -> None:
        for _ in range(cem.horizon):
            model.step(z, a)

    alone = milliseconds(bare)
    return {"ms": whole, "ms_model_alone": alone, "ratio": whole / alone}


def evaluation(cfg: Config, model: LatentModel) -> dict[str, float]:
    """Seconds of all episodes of the default evaluation, rendering included."""
    episodes = EvalEpisodes(cfg, cfg.evaluation.num_test_episodes)
    generator = torch.Generator().manual_seed(0)
    agent = PlanningAgent(cfg, model, episodes.goal_frames, episodes.goal_states, generator)
    begin = time.perf_counter()
    played = episodes.play(agent)
    return {"seconds": time.perf_counter() - begin, "seconds_thinking": played.seconds}


@torch.no_grad()
def run() -> dict[str, object]:
    """Each measure with what is allowed of it."""
    torch.set_num_threads(2)
    cfg = load_config(Config, [BASELINE])
    model = make_model(cfg)
    assert isinstance(model, LatentModel)
    rows: dict[str, object] = {
        f"cem_iteration_{count}_episodes": iteration(cfg, model.eval(), count) for count in EPISODES
    }
    rows["evaluation"] = evaluation(cfg, model) | {"seconds_allowed": ALLOWED["evaluation"]}
    with tempfile.TemporaryDirectory() as folder:
        rows["plan"] = time_job("part5_action_planning/plan.py", "--out", folder) | {
            "seconds_allowed": ALLOWED["plan"]
        }
        rows["train"] = time_job("part5_action_planning/train.py", "--run_dir", f"{folder}/run") | {
            "seconds_allowed": ALLOWED["train"],
            "peak_gib_allowed": PEAK_GIB,
        }
    return rows


if __name__ == "__main__":
    print(run())
