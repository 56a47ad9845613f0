"""Scores a world model: in the closed loop, and before anyone acts on it.

    python part5_action_planning/evaluate.py                              the published model
    python part5_action_planning/evaluate.py runs/part5/baseline-seed0    a run of yours
    python part5_action_planning/evaluate.py RUN --planner.kind=mppi --cost.when=last

Prints the table that a run ends with; writes nothing. Options of the run's config, as --key=value,
score it with another planner, cost or task of the same world (train.py --help says what they mean).
"""

import fnmatch
from typing import Any

import torch

from common.harness.errors import before_training, run_script, stopping_at
from common.harness.machine import device_of, to_device
from common.harness.runs import Run
from part5_action_planning.config import Config, SharedStream, Stream, generator, shared_generator
from part5_action_planning.data import Recording, crossing_share, make_recording
from part5_action_planning.model.loading import model_of_command
from part5_action_planning.model.policies import AnyPolicy
from part5_action_planning.model.world_models import Model, Oracle
from part5_action_planning.planning.agents import (
    GreedyAgent,
    PlanningAgent,
    RandomAgent,
    RestingAgent,
    make_agent,
)
from part5_action_planning.planning.closed_loop import EvalEpisodes, Trajectories, reached, success
from part5_action_planning.scoring.model_metrics import describe, rank_correlation
from part5_action_planning.scoring.surprise import check_events, score_surprise

SHARES = ("last", "held", "ever", "at_start", "greedy_last", "greedy_held", "greedy_ever")
ANY = 1e300  # JSON knows no infinity
LIMITS = {  # metrics that are no shares, and what they can be
    "*_auroc": (0.0, 1.0), "*_r2": (-ANY, 1.0), "rank_correlation": (-1.0, 1.0),
    "straightness": (-1.0, 1.0), "collapse_ratio": (0.0, 1.0), "effective_rank": (1.0, ANY),
    "mean_std": (0.0, ANY), "fvu_*": (0.0, ANY), "*_fvu": (0.0, ANY), "error_px_*": (0.0, ANY),
    "ms*": (0.0, ANY), "*_delay": (0.0, ANY), "*_ratio": (0.0, ANY), "spread_px": (0.0, ANY),
    "last_distance_px": (0.0, ANY), "predicted": (0.0, ANY),
}  # fmt: skip


def limits_of(metric: str) -> tuple[float, float]:
    """What a metric can be; the widest of limits where nothing is known."""
    known = (ends for form, ends in LIMITS.items() if fnmatch.fnmatch(metric, form))
    return next(known, (-ANY, ANY))


@torch.no_grad()
def evaluate(
    model: Model | Oracle, episodes: EvalEpisodes
) -> tuple[dict[str, float], Trajectories]:
    """Scores of a world model or policy, and the trajectories that they come from."""
    cfg, agent = episodes.cfg, make_agent(model, episodes)
    played = episodes.play(agent, progress=True)
    steps = cfg.task.budget * len(played.distance)
    scores = success(played, cfg.task) | {"ms_per_step": 1000 * played.seconds / steps}
    if isinstance(model, AnyPolicy) or not isinstance(agent, PlanningAgent):
        return scores, played
    scores["calls_per_step"] = agent.calls / cfg.task.budget
    if isinstance(model, Oracle):
        return scores, played
    sizes, device = cfg.evaluation, episodes.goal_frames.device
    recording, ranked = (
        to_device(make_recording(cfg, count, shared_generator(cfg, purpose)), device)
        for count, purpose in (
            (sizes.num_heldout_episodes, SharedStream.HELDOUT_DATA),
            (sizes.num_ranked_states, SharedStream.RANKED_DATA),
        )
    )
    candidates = generator(cfg, Stream.RANKED_CANDIDATES)
    correlation = rank_correlation(model, episodes, ranked, candidates)
    goal = episodes.goal_frames, episodes.goal_states
    greedy = GreedyAgent(cfg, model, *goal, generator(cfg, Stream.GREEDY, device))
    without = success(episodes.play(greedy), cfg.task)
    scores |= {f"greedy_{name}": value for name, value in without.items() if name != "at_start"}
    scores |= {"rank_correlation": correlation} | describe(model, recording)
    if cfg.evaluation.num_surprise_clips:
        chance = shared_generator(cfg, SharedStream.SURPRISE)
        scores |= score_surprise(model, cfg, chance, device)
    return scores, played


def baselines(episodes: EvalEpisodes) -> dict[str, dict[str, float]]:
    """What acting without sense comes to, and how many episodes start solved."""
    cfg = episodes.cfg
    random = shared_generator(cfg, SharedStream.RANDOM_AGENT)
    agents = {
        "random": RandomAgent(cfg, len(episodes.goal_frames), random),
        "do_nothing": RestingAgent(cfg),
    }
    return {name: success(episodes.play(agent), cfg.task) for name, agent in agents.items()}


def uncertainty(cfg: Config, scores: dict[str, float]) -> dict[str, Any]:
    """What says which interval each score gets, for summary.json: see ``Run.finish``."""
    trials: dict[str, int] = dict.fromkeys(SHARES, cfg.evaluation.num_test_episodes)
    trials["crossing_share"] = cfg.data.num_train_episodes
    for name in scores:
        if name.endswith(("_false_alarms", "_calm_share")):
            trials[name] = cfg.evaluation.num_surprise_clips
    known = {name: limits_of(name) for name in scores if name not in trials}
    known = {name: ends for name, ends in known.items() if ends != (-ANY, ANY)}
    shares = {name: trials[name] for name in scores if name in trials}
    return {"shares": shares, "limits": known, "same_episodes": True}


def protocol(cfg: Config) -> dict[str, Any]:
    """What a number of this run depends on, for its results file."""
    planner, cost, task, options = cfg.planner, cfg.cost, cfg.task, cfg.task.num_choices
    kind, samples = planner.kind, planner.num_samples
    if options is not None:  # every sequence is tried, whatever the planner's settings
        kind, samples = "enumeration", options**planner.horizon
    return {
        "task": task.kind, "budget_steps": task.budget, "success_radius_px": task.success_radius,
        "held_steps": task.held_steps, "episodes": cfg.evaluation.num_test_episodes,
        "split": cfg.evaluation.split, "planner": kind, "samples": samples,
        **({} if options else {"iterations": planner.num_iterations}),
        "horizon_blocks": planner.horizon, "steps_per_block": cost.action_repeat,
        "blocks_executed": cost.replan_every / cost.action_repeat,
        **({"frame_skip": cfg.model.frame_skip} if cfg.model.frame_skip > 1 else {}),
        "cost": f"{cost.norm}, {cost.when}", "train_steps": cfg.steps,
        "train_episodes": cfg.data.num_train_episodes,
    }  # fmt: skip


def finish(
    cfg: Config, run: Run, episodes: EvalEpisodes, model: Model | None, learnt: Recording | None
) -> None:
    """Acts in every episode of the evaluation, and writes a run's scores, figures and table.

    model: None for the true dynamics. learnt: what it was trained on.
    """
    from part5_action_planning.plot import NUM_DRAWN, draw_figures
    from part5_action_planning.report.tables import RUN_TABLE

    with stopping_at(cfg.steps):  # a model whose predictions are not finite
        oracle = Oracle(cfg.task, cfg.world, episodes.problems.scene)
        scores, played = evaluate(model or oracle, episodes)
    if learnt is not None and cfg.world.door_width:
        scores["crossing_share"] = crossing_share(cfg.world, learnt.states)
    summary = {
        "variants": {cfg.method: scores},
        "bounds": baselines(episodes),
        "protocol": protocol(cfg),
        **uncertainty(cfg, scores),
    }
    if cfg.figures and model is not None:
        count = min(NUM_DRAWN, cfg.evaluation.num_test_episodes)
        few = EvalEpisodes(cfg, count, device_of(model))
        draw_figures(run.folder / "figures", model, few)
    outcomes = {name: met.numpy() for name, met in reached(played.distance, cfg.task).items()}
    run.finish(summary, outcomes | {"distance_px": played.distance.half().numpy(force=True)})
    print(RUN_TABLE.text({run.folder.name: scores}, summary["bounds"]))


def main() -> None:
    from part5_action_planning.report.tables import RUN_TABLE

    args, cfg, model = model_of_command(__doc__)
    with before_training():
        episodes = EvalEpisodes(cfg, cfg.evaluation.num_test_episodes, device_of(model))
        check_events(cfg)
    scores, _ = evaluate(model, episodes)
    print(RUN_TABLE.text({args.run_dir.name: scores}, baselines(episodes)))


if __name__ == "__main__":
    run_script(main)
