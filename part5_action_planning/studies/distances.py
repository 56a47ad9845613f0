"""What the distance of a world model is worth to a planner whose dynamics are the true ones.

A ceiling for each row of the sweep published: its planner, and its distance to the goal, between
embeddings of real frames in place of predicted ones. Summed over the plan, as the sweep has it, and
at the plan's last step, as the papers have it. What a model scores below its ceiling is the fault
of its predictions. Embeddings are looked up, as in spaces.py. error_px_0: of the place that a probe
reads from embeddings of real frames, the least that a rollout can be off by. ms_per_step: of the
look-up, no encoder runs.
"""

from dataclasses import replace
from typing import Any

import torch
from tqdm import tqdm

from common.harness.errors import UserError
from common.harness.runs import RUNS
from common.sweep import read_sweep
from part5_action_planning.config import Config, SharedStream, shared_generator
from part5_action_planning.data import make_recording
from part5_action_planning.model.jepa import WorldModel
from part5_action_planning.model.loading import load_run
from part5_action_planning.model.policies import AnyPolicy
from part5_action_planning.planning.agents import make_agent
from part5_action_planning.planning.closed_loop import EvalEpisodes, success
from part5_action_planning.scoring.model_metrics import describe
from part5_action_planning.studies import SWEEPS, variant, write_study
from part5_action_planning.studies.baselines import Pixels
from part5_action_planning.studies.spaces import STEP, Looked, embed_places

WHEN = ("sum", "last")
SWEEP = "published"
MODELS = ("lewm", "lewm_published", "lewm_published_long", "dino_wm", "vjepa2_ac")  # its variants
FRAMES = "dino_wm"  # whose search the distance of frames is given


def score(cfg: Config, model: WorldModel) -> dict[str, dict[str, float]]:
    """{when the cost is taken: scores} of one model's distance."""
    heldout = shared_generator(cfg, SharedStream.HELDOUT_DATA)
    recording = make_recording(cfg, cfg.evaluation.num_heldout_episodes, heldout)
    floor = describe(model, recording)["error_px_0"]
    episodes, scores = EvalEpisodes(cfg, cfg.evaluation.num_test_episodes), {}
    places = embed_places(cfg, lambda frames: model.goal_features(model.encode(frames, frames)))
    looked = Looked(cfg, episodes, places)
    for when in WHEN:
        episodes.cfg = replace(cfg, cost=replace(cfg.cost, when=when))
        played = episodes.play(make_agent(looked, episodes))
        steps = cfg.task.budget * len(played.distance)
        scores[when] = success(played, cfg.task) | {
            "error_px_0": floor, "ms_per_step": 1000 * played.seconds / steps,
        }  # fmt: skip
    return scores


def measure() -> dict[str, Any]:
    sweep, jobs = read_sweep(SWEEPS / f"{SWEEP}.yaml", RUNS)
    runs: dict[str, list[dict[str, float]]] = {}
    for job in tqdm([job for job in jobs if job.variant in MODELS]):
        if not (job.folder / "summary.json").exists():
            raise UserError(
                f"{job.folder} is no finished run; train it with: python -m common.sweep "
                f"configs/part5/sweeps/{SWEEP}.yaml"
            )
        cfg, model = load_run(job.folder)
        torch.set_num_threads(1)
        assert not isinstance(model, AnyPolicy)
        found = {job.variant: score(cfg, model)}
        if job.variant == FRAMES:
            found["frames"] = score(cfg, Pixels(1))
        for name, scores in found.items():
            for when, each in scores.items():
                runs.setdefault(f"{name}/{when}", []).append(each)
    episodes = cfg.evaluation.num_test_episodes
    variants = {
        row: variant(dict(zip(("model", "cost.when"), row.split("/"), strict=True)), each, episodes)
        for row, each in runs.items()
    }
    return {
        "variants": variants,
        "protocol": {"episodes": episodes, "grid_px": STEP, "sweep": SWEEP},
        "seeds": sweep.seeds,
    }


def main() -> None:
    write_study("distances", measure, __doc__)
