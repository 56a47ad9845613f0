"""What each method's encoder knows after how many pictures: the encoders kept by the sweep length.

Trains first what is not there yet (``study.py length``: hours of one core a seed). Every run's
encoders after 1,024 to 250,048 pictures are then scored in the same worlds as the untrained ViT of
that seed, which is at 0; what is found stays beside the run, as growth-<step>.json, so that what is
interrupted goes on. Writes results/growth.json: variants are the encoders at the end, curves those
on the way.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from common import sweep
from common.frozen import FrozenEncoder, load_frozen, untrained_vit
from common.harness.aggregate import metric_intervals
from common.harness.config import REPOSITORY, load_config
from common.harness.errors import no_options
from common.harness.files import read_json, write_json
from common.harness.launcher import Job
from common.harness.results import write_results
from common.harness.runs import RUNS
from part4_dinov3_encoder.config import BASELINE, PART, Config, protocol
from part4_dinov3_encoder.scoring.encoders import raw_pixels
from part4_dinov3_encoder.scoring.growth import frame_scores, make_motion, motion_scores
from part4_dinov3_encoder.scoring.scores import limits, make_heldout

SWEEP = REPOSITORY / "configs" / "part4" / "sweeps" / "length.yaml"
CURVES = ("position_all_1000", "position_attentive", "foreground_labelled", "effective_rank")
Scores = dict[str, float]
Score = Callable[[FrozenEncoder, bool], Scores]


def baselines(cfg: Config) -> dict[str, FrozenEncoder]:
    """What was never trained, at one seed; clips: V-JEPA's ViT, whose tokens are of two frames."""
    return {
        "untrained": untrained_vit(cfg.vit_sizes, seed=cfg.seed),
        "untrained_clips": untrained_vit(cfg.vit_sizes | {"tubelet": 2}, seed=cfg.seed),
        "raw_pixels": raw_pixels(cfg, channels=1),
    }


def make_score(cfg: Config) -> Score:
    """What scores encoders in the worlds of one seed; those of the end of motion too."""
    held, motion = make_heldout(cfg), make_motion(cfg)

    def score(encoder: FrozenEncoder, is_end: bool) -> Scores:
        more = motion_scores(encoder, motion, cfg) if is_end else {}
        return frame_scores(encoder, held, cfg) | more

    return score


def kept(folder: Path) -> Iterator[tuple[int, int, Callable[[], FrozenEncoder]]]:
    """Step, pictures seen, and how to load the encoder of then, of a finished run."""
    cfg = load_config(Config, [folder / "config.yaml"])
    files = {step: folder / f"encoder-{step}.pt" for step in cfg.snapshots}
    files[cfg.steps] = folder / "encoder.pt"
    for step, path in files.items():
        yield (
            step, round(step * cfg.pictures_per_step),
            lambda path=path: load_frozen(cfg.method, path),
        )  # fmt: skip


def scored(folder: Path, score: Score) -> dict[int, Scores]:
    """{pictures seen: scores} of a run; those that are not beside it yet are made."""
    found = {}
    encoders = list(kept(folder))
    for i, (step, pictures, load) in enumerate(encoders):
        path = folder / f"growth-{step}.json"
        if not path.exists():
            write_json(path, score(load(), i + 1 == len(encoders)))
        found[pictures] = read_json(path)
    return found


def measure(jobs: list[Job], seeds: Sequence[int]) -> tuple[dict[str, list[Scores]], dict]:
    """Scores at the end, {row: one a seed}; on the way, {row: {pictures: one a seed}}."""
    ends: dict[str, list[Scores]] = {}
    way: dict[str, dict[int, list[Scores]]] = {}
    for seed in seeds:
        cfg = load_config(Config, [BASELINE], {"seed": seed})
        score = make_score(cfg)
        for name, encoder in baselines(cfg).items():
            ends.setdefault(name, []).append(score(encoder, True))
        for job in tqdm([job for job in jobs if job.seed == seed], desc=f"seed {seed}"):
            found = scored(job.folder, score)
            told = read_json(job.folder / "summary.json")["variants"].values()
            context = {k: v for each in told for k, v in each.items() if k == "context_explains"}
            ends.setdefault(job.variant, []).append(found[max(found)] | context)
            for pictures, scores in found.items():
                way.setdefault(job.variant, {}).setdefault(pictures, []).append(scores)
    return ends, way


def main() -> None:
    no_options(__doc__)
    begin = time.monotonic()
    sweep.main([str(SWEEP)])
    torch.set_num_threads(1)  # as the sweep's runs
    asked, jobs = sweep.read_sweep(SWEEP, RUNS)
    ends, way = measure(jobs, asked.seeds)
    bounds = {"limits": limits([metric for runs in ends.values() for metric in runs[0]])}
    variants = {
        name: {"params": {"method": name}, "metrics": metric_intervals(name, runs, bounds)}
        for name, runs in ends.items()
    }
    curves = {}
    for name, points in way.items():
        made = [metric_intervals(name, runs, bounds) for runs in points.values()]
        curves[name] = {
            metric: {"x": list(points)}
            | {key: [each[metric][key] for each in made] for key in ("mean", "low", "high")}
            for metric in CURVES
        }
    write_results(
        PART / "results" / "growth.json",
        "python part4_dinov3_encoder/study.py growth",
        protocol=protocol(load_config(Config, [BASELINE])),
        seconds=time.monotonic() - begin,
        seeds=asked.seeds,
        reference="untrained",
        variants=variants,
        curves=curves,
    )
