"""By how much may a weight be off? From weights.json, in seconds -> weight_tolerance.json.

weights.json has runs in which one weight is the default's times a factor, the others as they are.
Here each of them is named by weight and factor, and the tolerance of a weight is the number of
decades over which an R² stays within 0.05 of the best that the method reached, seed by seed.
"""

import math
import time
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from common.harness.config import load_config
from common.harness.errors import no_options
from common.harness.results import read_results, write_results
from common.intervals import mean_interval, share_interval
from part3_collapse_regularizers.config import BASELINE, PART, Config

RUNS = PART / "results" / "weights.json"
WITHIN = 0.05  # of a method's best: what a weight may cost before it counts as off
WEIGHTS = {  # as they stand in a config: whose they are
    "redundancy": "barlow", "variance": "vicreg", "covariance": "vicreg", "sigreg_lambda": "sigreg",
}  # fmt: skip
SHOWN = ("content_1000", "position_1000", "effective_rank")
Runs = Mapping[float, Mapping[str, Any]]  # {factor: metrics}


def by_factor(content: Mapping[str, Any], weight: str) -> dict[float, Any]:
    """{factor on a weight: metrics} of the runs in which no other weight is off."""
    default = vars(load_config(Config, [BASELINE]).loss_weights)
    found = {}
    for variant in content["variants"].values():
        params = variant["params"]
        off = {w: params[f"loss_weights.{w}"] / default[w] for w in WEIGHTS}
        others = [w for w in WEIGHTS if w != weight and not math.isclose(off[w], 1, rel_tol=1e-6)]
        if params["method"] == WEIGHTS[weight] and not others:
            found[10.0 ** round(math.log10(off[weight]))] = variant["metrics"]
    return dict(sorted(found.items()))


def tolerance(mine: Runs, best: list[float], metric: str) -> tuple[list[float], list[bool]]:
    """Per seed: decades within reach of the best, and whether they end where the runs do."""
    decades, at_end = [], []
    for seed, top in enumerate(best):
        good = [(f, mine[f][metric]["values"][seed] >= top - WITHIN) for f in mine]
        runs = [[f for f, _ in run] for fine, run in groupby(good, lambda item: item[1]) if fine]
        longest = max(runs, key=lambda run: run[-1] / run[0], default=[1.0])
        decades.append(math.log10(longest[-1] / longest[0]))
        at_end.append(longest[0] == min(mine) or longest[-1] == max(mine))
    return decades, at_end


def main() -> None:
    no_options(__doc__)
    begin = time.monotonic()
    content = read_results(RUNS)
    tables = {weight: by_factor(content, weight) for weight in WEIGHTS}
    variants: dict[str, Any] = {}
    for weight, mine in tables.items():
        family = [tables[w] for w in WEIGHTS if WEIGHTS[w] == WEIGHTS[weight]]
        metrics: dict[str, Any] = {}
        for metric in SHOWN[:2]:
            runs = [m[metric]["values"] for table in family for m in table.values()]
            best = [max(seed) for seed in zip(*runs, strict=True)]
            decades, at_end = tolerance(mine, best, metric)
            tried = math.log10(max(mine) / min(mine))
            metrics[f"decades_{metric}"] = mean_interval(decades, (0, tried))
            metrics[f"at_end_{metric}"] = share_interval(at_end, 1)
        variants[weight] = {"params": {"weight": weight}, "metrics": metrics}
        for factor, found in mine.items():
            params = {"weight": weight, "factor": factor}
            kept = {metric: found[metric] for metric in SHOWN}
            variants[f"{weight} x {factor:g}"] = {"params": params, "metrics": kept}
    command = "python part3_collapse_regularizers/study.py weight_tolerance"
    write_results(
        PART / "results" / "weight_tolerance.json", command, seeds=content["seeds"],
        protocol={"of": RUNS.name, "within": WITHIN}, seconds=time.monotonic() - begin,
        variants=variants, reference="redundancy",
    )  # fmt: skip
