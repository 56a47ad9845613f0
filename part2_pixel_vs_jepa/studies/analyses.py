"""Two questions that the results files of finished sweeps answer: no training, a second each."""

import time

from common.harness.errors import no_options
from common.harness.results import read_results, write_results
from common.intervals import mean_interval, share_interval
from part2_pixel_vs_jepa.config import PART

RESULTS = PART / "results"
STUDY = "python part2_pixel_vs_jepa/study.py"


def noise() -> None:
    """What 200 dots cost the pixel predictor's own prediction of the ball: results/noise.json.

    ball_over_bayes is its error of the ball over that of the Bayes-optimal frame, seed by seed.
    """
    no_options(noise.__doc__)
    start, variants, seeds = time.monotonic(), {}, []
    for name, file, variant in (("none", "hypotheses", "pixels-K1"), ("dots", "dots", "pixels")):
        content = read_results(RESULTS / f"{file}.json")
        mine, best = content["variants"][variant]["metrics"], content["bounds"]["bayes"]
        pairs = zip(mine["ball_error"]["values"], best["ball_error"]["values"], strict=True)
        metrics = {metric: mine[metric] for metric in ("mse", "mse_over_bayes", "ball_error")}
        metrics |= {f"bayes_{metric}": best[metric] for metric in ("mse", "ball_error")}
        metrics["ball_over_bayes"] = mean_interval([error / floor for error, floor in pairs])
        variants[name] = {"params": {"distractor.kind": name}, "metrics": metrics}
        seeds = content["seeds"]
    write_results(
        RESULTS / "noise.json", f"{STUDY} noise", protocol={"from": ["hypotheses", "dots"]},
        seeds=seeds, seconds=time.monotonic() - start, variants=variants, reference="none",
    )  # fmt: skip


def z_account() -> None:
    """In how many runs z reads the bit that is worth more: results/z_account.json.

    Of all runs of squares_why with K = 2. Worth: squared error that knowing the bit saves, as a
    share of the variance over all futures, in the space that the model predicts in.
    """
    no_options(z_account.__doc__)
    start, content = time.monotonic(), read_results(RESULTS / "squares_why.json")
    sizes = {f"pixels_{px}": {"methods": ["pixels_z"], "distractor.square_size": px}
             for px in (8, 16, 20)}  # fmt: skip
    groups = {"embeddings": {"methods": ["jepa_z"]}, "pixels": {"methods": ["pixels_z"]}, **sizes}
    variants = {}
    for name, params in groups.items():
        params = {**params, "num_hypotheses": 2}
        runs = [
            _agrees(variant["metrics"])
            for variant in content["variants"].values()
            if all(variant["params"][option] == value for option, value in params.items())
        ]
        shares = [sum(of_seed) / len(runs) for of_seed in zip(*runs, strict=True)]
        metrics = {
            "agrees": share_interval(shares, len(runs)),
            "runs": mean_interval([len(runs)] * len(shares)),
        }
        variants[name] = {"params": params, "metrics": metrics}
    write_results(
        RESULTS / "z_account.json", f"{STUDY} z_account", protocol={"from": ["squares_why"]},
        seeds=content["seeds"], seconds=time.monotonic() - start, variants=variants,
    )  # fmt: skip


def _agrees(metrics: dict) -> list[bool]:
    """Of each seed's run: of direction and best square, does z read better the one worth more?"""
    columns = ("worth_direction", "worth_square", "z_reads_direction", "z_reads_square")
    each = zip(*(metrics[column]["values"] for column in columns), strict=True)
    return [(worth > other) == (reads > reads_other) for worth, other, reads, reads_other in each]
