"""What the distance of a world model is worth to a planner whose dynamics are the true ones.

A ceiling for each row of the sweep published: its planner, and its distance to the goal, between
embeddings of real frames in place of predicted ones. Summed over the plan, as the sweep has it, and
at the plan's last step, as the papers have it. What a model scores below its ceiling is the fault
of its predictions. One white ball on black is all that there is to see, so that an embedding is a
function of its place: it is asked for on a grid of STEP px, once, and looked up in the search.
error_px_0: of the place that a probe reads from embeddings of real frames, the least that a rollout
can be off by. ms_per_step: of the look-up, no encoder runs.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from common.episodes import to_float
from common.harness.errors import UserError
from common.harness.runs import RUNS
from common.rendering import render
from common.simulator import Scene
from common.sweep import read_sweep
from part5_action_planning.config import ACTION_DIM, Config, SharedStream, shared_generator
from part5_action_planning.data import CHUNK, make_recording
from part5_action_planning.model.jepa import WorldModel
from part5_action_planning.model.loading import load_run
from part5_action_planning.model.policies import AnyPolicy
from part5_action_planning.model.world_models import Oracle
from part5_action_planning.planning.agents import make_agent
from part5_action_planning.planning.closed_loop import EvalEpisodes, success
from part5_action_planning.scoring.model_metrics import describe
from part5_action_planning.studies import SWEEPS, variant, write_study
from part5_action_planning.studies.baselines import Pixels

STEP = 0.5  # px between places that a model is asked about
WHEN = ("sum", "last")
SWEEP = "published"
MODELS = ("lewm", "lewm_published", "lewm_published_long", "dino_wm", "vjepa2_ac")  # its variants
FRAMES = "dino_wm"  # whose search the distance of frames is given


class Looked(Oracle):
    """The true dynamics, whose states are compared as a model's embeddings of what they look like.

    It steps as far at a time as the config's models do.
    """

    def __init__(self, cfg: Config, scene: Scene, model: WorldModel) -> None:
        super().__init__(cfg.task, cfg.world, scene)
        self.frame_skip = cfg.model.frame_skip
        self.least = cfg.world.radius[1]
        self.table = embed_places(cfg, model, self.least)

    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        for action in a_past.split(ACTION_DIM, dim=-1):
            z_past = super().step(z_past, action).unsqueeze(1)
        return z_past[:, 0]

    def goal_features(self, z: Tensor) -> Tensor:
        """Embeddings (..., D) at the places of the grid nearest to those of states (..., 6)."""
        index = ((z[..., :2] - self.least) / STEP).round().long().clamp(0, len(self.table) - 1)
        return self.table[index[..., 0], index[..., 1]]


def embed_places(cfg: Config, model: WorldModel, least: float) -> Tensor:
    """A model's embeddings (G, G, D) of a white ball at x, y = least, least + STEP, ... px."""
    axis = torch.arange(least, cfg.world.size - least + STEP / 2, STEP)
    places = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).flatten(0, 1)
    states = torch.cat([places, torch.zeros_like(places)], -1)[:, None]  # (G G, 1, 4)
    embedded = []
    for part in states.split(CHUNK):
        radius, color = torch.full((len(part), 1), least), torch.ones(len(part), 1, 1)
        scene = Scene(radius=radius, color=color, door=torch.zeros(len(part)))
        embedded.append(model.encode(to_float(render(cfg.world, part[:, None], scene)[:, 0]), part))
    return torch.cat(embedded).unflatten(0, (len(axis), len(axis)))


def score(cfg: Config, model: WorldModel) -> dict[str, dict[str, float]]:
    """{when the cost is taken: scores} of one model's distance."""
    heldout = shared_generator(cfg, SharedStream.HELDOUT_DATA)
    recording = make_recording(cfg, cfg.evaluation.num_heldout_episodes, heldout)
    floor = describe(model, recording)["error_px_0"]
    episodes, scores = EvalEpisodes(cfg, cfg.evaluation.num_test_episodes), {}
    looked = Looked(cfg, episodes.problems.scene, model)
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
