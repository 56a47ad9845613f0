"""What a distance is worth to a planner, apart from any learnt dynamics: the true ones, each time.

One white ball on black is all that there is to see, so that an embedding is a function of its
place: it is asked for on a grid of STEP px, once, and looked up in the search. Planner, episodes
and seeds are those of the expensive models (reduced.yaml). rank_a_b: Spearman correlation, over
pairs of places a to b px apart, of their distance in the space with that in px; the curves: the
mean of its square against px, as a share of its largest. Every encoder is one training; lewm is
the published model of this part.

Expected before the first run: where two balls do not overlap (20 to 40 px), frames and all patch
tokens rank places no better than chance (below 0.2), frames blurred by 16 px and lewm do (above
0.9); with these two as the distance the planner reaches 95% or more, with frames 73.5% as before.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from common.episodes import to_float
from common.frozen import UNTRAINED, load_frozen
from common.harness.config import load_config
from common.harness.runs import RUNS
from common.metrics import spearman
from common.rendering import render
from common.schedules import stream
from common.simulator import Scene
from common.sweep import read_sweep
from part5_action_planning.config import ACTION_DIM, BASELINE, Config
from part5_action_planning.data import CHUNK
from part5_action_planning.model.loading import PUBLISHED, load_run
from part5_action_planning.model.world_models import Oracle
from part5_action_planning.planning.agents import make_agent
from part5_action_planning.planning.closed_loop import EvalEpisodes, success
from part5_action_planning.planning.costs import goal_distance
from part5_action_planning.studies import SWEEPS, variant, write_study

STEP = 0.5  # px between places that are looked up
PAIRS = 20_000
BINS = ((0, 10), (10, 20), (20, 40), (40, 70))  # px apart
WIDTH = 2  # px, of a point of the curves
Embed = Callable[[Tensor], Tensor]  # frames (B, C, H, W) -> (B, D)


class Looked(Oracle):
    """The true dynamics, whose states are compared as embeddings of what they look like.

    places (G, G, D): of ``embed_places``. It steps as far as the config's models do. A state is
    the simulator's, and which episode it is of, whose goal's distance to every place is at hand.
    """

    def __init__(self, cfg: Config, episodes: EvalEpisodes, places: Tensor) -> None:
        super().__init__(cfg.task, cfg.world, episodes.problems.scene)
        self.frame_skip, self.least = cfg.model.frame_skip, cfg.world.radius[1]
        self.last = len(places) - 1
        goals = places[self._nearest(episodes.goal_states[:, 0])]  # (E, D)
        distances = [goal_distance(places, goal, cfg.cost.norm) for goal in goals]
        table = torch.stack(distances)  # (E, G, G)
        self.table = table.sqrt() if cfg.cost.norm == "squared_l2" else table

    def encode(self, frames: Tensor | None, states: Tensor) -> Tensor:
        which = torch.arange(len(states), dtype=states.dtype)[:, None]
        return torch.cat([super().encode(frames, states), which], 1)  # (E, 7)

    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        for action in a_past.split(ACTION_DIM, dim=-1):
            z_past = super().step(z_past, action).unsqueeze(1)
        return z_past[:, 0]

    def goal_features(self, z: Tensor) -> Tensor:
        """How far states (..., 7) are from their episode's goal: (..., 1), at the goal itself 0."""
        return self.table[(z[..., 6].long(), *self._nearest(z))].unsqueeze(-1)

    def _nearest(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Rows and columns of the places nearest to states (..., at least 2)."""
        index = ((z[..., :2] - self.least) / STEP).round().long().clamp(0, self.last)
        return index[..., 0], index[..., 1]


def embed_places(cfg: Config, embed: Embed) -> Tensor:
    """Embeddings (G, G, D) of a white ball at x, y = radius, radius + STEP, ... px."""
    least = cfg.world.radius[1]
    axis = torch.arange(least, cfg.world.size - least + STEP / 2, STEP)
    places = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).flatten(0, 1)
    states = torch.cat([places, torch.zeros_like(places)], -1)[:, None]  # (G G, 1, 4)
    embedded = []
    for part in states.split(CHUNK):
        radius, color = torch.full((len(part), 1), least), torch.ones(len(part), 1, 1)
        scene = Scene(radius=radius, color=color, door=torch.zeros(len(part)))
        embedded.append(embed(to_float(render(cfg.world, part[:, None], scene)[:, 0])))
    return torch.cat(embedded).unflatten(0, (len(axis), len(axis)))


def blurred(sigma: float) -> Embed:
    """Frames under a Gaussian of so many px, nothing but black beyond their border."""

    def embed(frames: Tensor) -> Tensor:
        pixel = torch.arange(frames.shape[-1])
        weight = (-((pixel[:, None] - pixel) ** 2) / (2 * sigma**2)).exp() / sigma
        return (weight @ frames @ weight.T).flatten(1)

    return embed


def tokens(name: str, grid: int) -> Embed:
    """A frozen encoder's patch tokens, averaged to grid x grid, each layer-normed."""
    encoder = load_frozen(name).averaged(grid)

    def embed(frames: Tensor) -> Tensor:
        found = encoder.encode(frames)
        return F.layer_norm(found, found.shape[-1:]).flatten(1)

    return embed


def spaces() -> dict[str, Embed]:
    """Every space by its name, apart from the true place's."""
    threads = torch.get_num_threads()
    _, lewm = load_run(PUBLISHED)
    torch.set_num_threads(threads)
    names = (UNTRAINED, "ijepa", "vjepa", "dino", "lejepa")
    return {
        "frames": lambda frames: frames.flatten(1),
        **{f"blurred_{sigma}": blurred(sigma) for sigma in (4, 8, 16)},
        **{f"{name}_{grid}": tokens(name, grid) for name in names for grid in (4, 8)},
        "lewm": lewm.encode,
    }


def ranks(places: Tensor, chance: torch.Generator) -> tuple[dict[str, float], dict[str, list]]:
    """Spearman's correlations of embeddings (G, G, D) by px apart, and the curve of distances."""
    size = len(places)
    ends = torch.randint(size, (4, PAIRS), generator=chance)
    one, other = places[ends[0], ends[1]], places[ends[2], ends[3]]
    apart = torch.cat([(a - b).square().sum(-1) for a, b in zip(
        one.split(CHUNK), other.split(CHUNK), strict=True)])  # fmt: skip
    px = STEP * (ends[:2] - ends[2:]).float().norm(dim=0)
    found = {}
    for low, high in BINS:
        held = (px >= low) & (px < high)
        found[f"rank_{low}_{high}"] = spearman(apart[held], px[held])
    steps = torch.arange(0, BINS[-1][1], WIDTH)
    means = [apart[(px >= low) & (px < low + WIDTH)].mean().item() for low in steps.tolist()]
    most = max(means)
    x, y = (steps + WIDTH / 2).tolist(), [mean / most for mean in means]
    return found, {"x": x, "mean": y, "low": [None] * len(x), "high": [None] * len(x)}


def measure() -> dict[str, Any]:
    _, jobs = read_sweep(SWEEPS / "expensive.yaml", RUNS)
    oracles = [
        load_config(Config, [BASELINE], job.config) for job in jobs if job.variant == "oracle"
    ]
    count = oracles[0].evaluation.num_test_episodes
    variants, curves = {}, {}
    for name, embed in tqdm(spaces().items()):
        places = embed_places(oracles[0], embed)
        correlations, curve = ranks(places, stream(0, 1))
        curves[name] = {"distance": curve}
        episodes = EvalEpisodes(oracles[0], count)  # the same for every seed
        model, runs = Looked(oracles[0], episodes, places), []
        for cfg in oracles:
            episodes.cfg = cfg
            runs.append(success(episodes.play(make_agent(model, episodes)), cfg.task))
        variants[name] = variant({"space": name}, [run | correlations for run in runs], count)
    return {
        "variants": variants,
        "curves": curves,
        "reference": "frames",
        "protocol": {"episodes": count, "grid_px": STEP, "pairs": PAIRS},
        "seeds": [cfg.seed for cfg in oracles],
    }


def main() -> None:
    write_study("spaces", measure, __doc__)
