"""Does an embedding collapse on the side of the threshold that theory names? Runs counted.

Reads results/critical*.json and threshold.json; trains nothing. For each run there are two lines:
the weight (1 - R^2) / k of its own untrained encoder, and 1 / k, above which no embedding should
collapse whatever its R^2. A run counts as right where it did not collapse above the line, or did
below it. Collapsed: the mean standard deviation of the embedding's coordinates is below 0.1.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scipy.stats import binomtest

from common.harness.aggregate import interval_of
from common.harness.results import read_results
from common.intervals import paired
from part5_action_planning.config import PART
from part5_action_planning.studies import write_study

NOT_COLLAPSED = 0.1  # mean standard deviation of the embedding
SWEEPS = {  # results file: its task, and whether temporal straightening is part of the loss
    "critical": ("reach", False),
    "critical_fine": ("reach", False),
    "critical_two_rooms": ("two_rooms", True),
    "critical_no_straightening": ("two_rooms", False),
}
PLAYED = ("critical", "critical_two_rooms")  # with enough episodes to compare their success
TWO_ROOMS_DIM = 16  # of configs/part5/two_rooms.yaml, which its sweeps do not vary
Case = tuple[str, int, bool]  # task, D, straightened


def read(name: str) -> dict[str, Any]:
    return read_results(PART / "results" / f"{name}.json")


def read_cases(names: Iterable[str] = SWEEPS) -> dict[Case, dict[float, Mapping[str, Any]]]:
    """{case: {sigreg_lambda: metrics}} of the named sweeps, weights ascending."""
    found: dict[Case, dict[float, Mapping[str, Any]]] = defaultdict(dict)
    for name in names:
        task, straightened = SWEEPS[name]
        for variant in read(name)["variants"].values():
            params = variant["params"]
            case = (task, params.get("model.embedding_dim", TWO_ROOMS_DIM), straightened)
            found[case][params["loss_weights.sigreg_lambda"]] = variant["metrics"]
    return {case: dict(sorted(weights.items())) for case, weights in found.items()}


def agreement(runs: Sequence[tuple[float, float, float]], constant: float) -> dict[str, Any]:
    """Shares of runs (weight, mean std, threshold) that are on the right side of each line.

    mcnemar_p: two-sided, that the two lines are right equally often, from the runs on which they
    differ. collapsed_above: share of the runs above the constant that collapsed.
    """
    stood = [spread > NOT_COLLAPSED for _, spread, _ in runs]
    own = [kept == (w > line) for kept, (w, _, line) in zip(stood, runs, strict=True)]
    fixed = [kept == (w > constant) for kept, (w, _, _) in zip(stood, runs, strict=True)]
    above = [not kept for kept, (w, _, _) in zip(stood, runs, strict=True) if w > constant]
    found = {
        "runs": interval_of([len(runs)]),
        "right_encoder": _share(own),
        "right_constant": _share(fixed),
        "runs_above": interval_of([len(above)]),
    }
    differ = [mine for mine, other in zip(own, fixed, strict=True) if mine != other]
    if differ:
        found["mcnemar_p"] = interval_of([float(binomtest(sum(differ), len(differ)).pvalue)])
    return found | ({"collapsed_above": _share(above)} if above else {})


def best_weight(weights: Mapping[float, Mapping[str, Any]]) -> dict[str, Any]:
    """The smallest weight at which no seed collapsed beside the one that succeeds most.

    last_gain: success at the best less success at the smallest, paired by seed.
    """
    kept = [w for w, m in weights.items() if min(m["mean_std"]["values"]) > NOT_COLLAPSED]
    best = max(weights, key=lambda weight: weights[weight]["last"]["mean"])
    return {
        "smallest_weight": interval_of([kept[0]]),
        "best_weight": interval_of([best]),
        "last_smallest": weights[kept[0]]["last"],
        "last_best": weights[best]["last"],
        "last_gain": paired(weights[best]["last"]["values"], weights[kept[0]]["last"]["values"]),
    }


def _share(outcomes: Sequence[bool]) -> dict[str, Any]:
    """Wilson's interval, the runs being the trials."""
    return interval_of([sum(outcomes) / len(outcomes)], len(outcomes))


def measure() -> dict[str, Any]:
    variants, every, thresholds = {}, [], read("threshold")
    lines = {
        (v["params"]["task"], v["params"]["model.embedding_dim"]): v["metrics"]
        for v in thresholds["variants"].values()
    }
    constant = next(iter(lines.values()))["one_over_k"]["mean"]
    played = read_cases(PLAYED)
    for case, weights in read_cases().items():
        task, size, straightened = case
        line = lines[task, size]["predicted"]["values"]
        row = f"{task.replace('_', ' ')}, D = {size}"
        row += ", without straightening" if task == "two_rooms" and not straightened else ""
        params = {"task": task, "model.embedding_dim": size, "straightened": straightened}
        runs = []
        for weight, metrics in weights.items():
            spreads = metrics["mean_std"]["values"]
            runs += [(weight, s, p) for s, p in zip(spreads, line, strict=True)]
            kept = [float(spread > NOT_COLLAPSED) for spread in spreads]
            variants[f"{row}, {weight:g}"] = {
                "params": params | {"case": row, "loss_weights.sigreg_lambda": weight},
                "metrics": {"not_collapsed": interval_of(kept, 1)},
            }
        every += [] if straightened else runs  # the theory knows no straightening
        compared = best_weight(played[case]) if case in played else {}
        variants[row] = {"params": params, "metrics": agreement(runs, constant) | compared}
    variants["all"] = {"params": {"straightened": False}, "metrics": agreement(every, constant)}
    protocol = {"not_collapsed": f"mean std above {NOT_COLLAPSED}", "one_over_k": constant}
    return {"variants": variants, "protocol": protocol, "seeds": thresholds["seeds"]}


def main() -> None:
    write_study("critical_agreement", measure, __doc__)
