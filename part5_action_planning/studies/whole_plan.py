"""Whole plans at the published sizes, timed on a device: what ``planning_time`` extrapolates.

    python part5_action_planning/study.py whole_plan --device cuda
    python part5_action_planning/study.py whole_plan --samples 4 --iterations 1    a look, anywhere

CEM, 300 candidates x 30 iterations x 5 steps, in the two world models of ``planning_time``, for one
episode and for 50 at once. In float32; on a GPU also with TF32 products; in bf16. Operations are
launched one by one (eager), and on CUDA also replayed as one graph: a small model waits for its
launches, a large one does not, and so the ratio of the two says as much of the machine as of the
models. Writes results/whole_plan_<device>.json, unless it is but a look. On a CPU it takes hours.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from common.harness.machine import add_device, autocast, device_name, pick_device, wait_for
from common.harness.results import write_results
from part5_action_planning.config import PART, PlannerConfig
from part5_action_planning.planning.planners import plan
from part5_action_planning.planning.search_state import Bounds
from part5_action_planning.studies import variant
from part5_action_planning.studies.planning_time import (
    HORIZON,
    ITERATIONS,
    SAMPLES,
    PublishedPredictor,
    published,
)

EPISODES = (1, 50)
ACTION = 10  # numbers: two a frame, five frames at a time
ELITES = 30
TOKENS = 2**18  # that a predictor is given at a time, so that they fit
ENOUGH, RUNS = 10.0, 3  # a plan is timed RUNS times, or for so many seconds
Step = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Setting:
    """How a plan is computed; precision one of fp32, tf32, bf16."""

    precision: str
    is_graph: bool
    episodes: int

    @property
    def name(self) -> str:
        return f"{self.precision}/{'graph' if self.is_graph else 'eager'}/{self.episodes}"

    @property
    def dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.precision == "bf16" else torch.float32


def settings(device: torch.device) -> Iterator[Setting]:
    """Those that a device has."""
    is_cuda = device.type == "cuda"
    for episodes in EPISODES:
        for precision in ("fp32", "tf32", "bf16") if is_cuda else ("fp32", "bf16"):
            for is_graph in (False, True) if is_cuda else (False,):
                yield Setting(precision, is_graph, episodes)


def graphed(step: Step, example: Tensor) -> Step:
    """A step on CUDA, recorded once and then launched whole; it takes tensors of one shape."""
    taken, aside = example.clone(), torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # what is allocated at first is no part of the graph
        for _ in range(3):
            step(taken)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        given = step(taken)

    def replay(x: Tensor) -> Tensor:
        taken.copy_(x)
        graph.replay()
        return given.clone()

    return replay


def by_parts(predictor: nn.Module, rows: int, tokens: int, setting: Setting) -> Step:
    """A predictor of rows (B, tokens, D), a part of them at a time."""
    parts = next(n for n in range(1, rows + 1) if rows % n == 0 and rows // n * tokens <= TOKENS)
    replays: dict[torch.Size, Step] = {}  # by shape: the mean is tried alone at the end

    def step(x: Tensor) -> Tensor:
        found = []
        for part in x.split(max(1, rows // parts)):
            if setting.is_graph and part.shape not in replays:
                replays[part.shape] = graphed(predictor, part)
            found.append(replays.get(part.shape, predictor)(part))
        return torch.cat(found)

    return step


def planned(
    predictor: PublishedPredictor, encoder: nn.Module, side: int, setting: Setting,
    planner: PlannerConfig, device: torch.device,
) -> Callable[[], Any]:  # fmt: skip
    """A whole plan, encoding the frame first, as a call without arguments."""
    size, width = predictor.size
    tokens, episodes = size // 3, setting.episodes
    step = by_parts(predictor, episodes * planner.num_samples, size, setting)
    kind: dict[str, Any] = {"dtype": setting.dtype, "device": device}
    frames = torch.rand(episodes, 3, side, side, device=device)
    past, goal = torch.randn(episodes, size, width, **kind), torch.randn(tokens, width, **kind)
    chance = torch.Generator(device).manual_seed(0)
    bounds = Bounds(*(torch.full((ACTION,), end, device=device) for end in (-1.0, 1.0)))
    start = torch.zeros(episodes, planner.horizon, ACTION, device=device)

    def cost_fn(actions: Tensor) -> Tensor:
        """Squared distance (E, S) of the last predicted frame's tokens from a goal's."""
        samples = actions.shape[1]
        window = past.repeat_interleave(samples, 0)  # (E S, 3 N, D)
        for action in actions.flatten(0, 1).to(setting.dtype).unbind(1):  # (E S, A)
            window[:, -tokens:, -ACTION:] = action[:, None]
            window = torch.cat([window[:, tokens:], step(window)[:, -tokens:]], 1)
        distance = (window[:, -tokens:] - goal).float().square().sum((1, 2))
        return distance.view(len(actions), samples)

    def call() -> None:
        with autocast(device, "bf16" if setting.precision == "bf16" else "fp32"):
            encoder(frames)
        plan(planner, cost_fn, bounds, start, chance)

    return call


def seconds_of(call: Callable[[], Any], device: torch.device) -> float:
    """Median over RUNS calls after one that is not counted, fewer where they take long."""
    times: list[float] = []
    while len(times) <= RUNS and sum(times) < ENOUGH:
        begin = time.perf_counter()
        call()
        wait_for(device)
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:] or times)


def measure(device: torch.device, planner: PlannerConfig) -> dict[str, dict[str, float]]:
    """{setting: seconds of both models' plans, and their ratio}."""
    found = {}
    for setting in settings(device):
        is_tf32 = "high" if setting.precision == "tf32" else "highest"
        torch.set_float32_matmul_precision(is_tf32)
        seconds = {}
        for name, (predictor, encoder, side) in published().items():
            models = predictor.to(device, setting.dtype), encoder.to(device)
            call = planned(*models, side, setting, planner, device)
            seconds[f"{name}_seconds"] = seconds_of(call, device)
        ratio = seconds["dino_wm_seconds"] / seconds["lewm_seconds"]
        found[setting.name] = seconds | {"ratio": ratio}
        print(setting.name, *(f"{key} {value:.4g}" for key, value in found[setting.name].items()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_device(parser)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--iterations", type=int, default=ITERATIONS)
    arguments = parser.parse_args()
    if min(arguments.samples, arguments.iterations) < 1:
        parser.error("--samples and --iterations must be 1 or more")
    device, begin = pick_device(arguments.device), time.monotonic()
    planner = PlannerConfig(
        kind="cem", horizon=HORIZON, num_samples=arguments.samples,
        num_iterations=arguments.iterations, num_elites=min(ELITES, arguments.samples),
    )  # fmt: skip
    with torch.no_grad():
        found = measure(device, planner)
    if (arguments.samples, arguments.iterations) != (SAMPLES, ITERATIONS):
        return print("a look: results are written for whole plans alone")
    write_results(
        PART / "results" / f"whole_plan_{device.type}.json",
        f"python part5_action_planning/study.py whole_plan --device {device.type}",
        protocol={"plan": f"{SAMPLES} candidates x {ITERATIONS} iterations x {HORIZON} steps",
                  "elites": ELITES, "runs": f"median of {RUNS}, one where it takes {ENOUGH:g} s"},
        seconds=time.monotonic() - begin,
        seeds=[0],
        device=device_name(device),
        variants={
            name: variant(dict(zip(("precision", "launch", "episodes"), name.split("/"),
                                   strict=True)), [scores])
            for name, scores in found.items()
        },
    )  # fmt: skip
