"""Does the training loss tell how good an embedding is? Spearman correlations over many runs.

LeJEPA (arXiv 2511.08544, sec. 6.3) reports 94.5% between its training loss, divided by
weight^0.4, and linear accuracy. Here: the same over the runs of loss_vs_quality.json, on held-out
frames; over all of them, and without those that collapsed, of whom two clusters alone, collapsed
and not, can decide a correlation. Writes loss_quality_correlation.json, from that file, in seconds.
"""

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from common.harness.errors import no_options
from common.harness.results import read_results, write_results
from common.metrics import spearman
from common.sigreg import sigreg_share
from part3_collapse_regularizers.config import PART

RUNS = PART / "results" / "loss_vs_quality.json"
EXPONENT = 0.4  # the paper's
COLLAPSED = 0.003  # collapse ratio below which an encoder counts as collapsed to a point ...
AT_ORIGIN = 0.4  # ... SIGReg per sample above which that point is the origin (all zeros: 0.402)
READ = 0.5  # position R^2 above which the noisy probe reads an encoder, wherever it lies
QUALITY = "content_1000"
RESAMPLES = 2000
PREDICTORS = ("loss", "scaled_loss", "prediction", "sigreg", "rank")


def columns(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Per run, (runs,): quality, what tells of a collapse, and each predictor (lower is better)."""
    rows = []
    for variant in content["variants"].values():
        value = {key: interval["mean"] for key, interval in variant["metrics"].items()}
        batch = variant["params"]["batch_size"]
        share = sigreg_share(variant["params"]["loss_weights.sigreg_lambda"], batch)
        told = {key: value[key] for key in ("collapse_ratio", "sigreg_per_sample")}
        loss, sigreg = value["heldout_loss"], value["heldout_sigreg"] / batch
        predictors = (
            loss, loss / share**EXPONENT, value["heldout_prediction"], sigreg,
            -value["effective_rank"],
        )  # fmt: skip
        told |= {"quality": value[QUALITY], "position": value["position_1000"]}
        rows.append(told | dict(zip(PREDICTORS, predictors, strict=True)))
    return {key: torch.tensor([row[key] for row in rows]).double() for key in rows[0]}


def chosen_runs(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Which runs are compared, (runs,), by the rule that left the others out."""
    not_a_point = found["collapse_ratio"] >= COLLAPSED
    not_collapsed = not_a_point & (found["sigreg_per_sample"] < AT_ORIGIN)
    return {
        "all": torch.ones_like(not_a_point),
        "not a point": not_a_point,
        "not collapsed": not_collapsed,
        "not collapsed or still read": not_collapsed | (found["position"] > READ),
    }


def correlation(predictor: Tensor, quality: Tensor) -> dict[str, Any]:
    """Spearman of -predictor with quality, and its 95% percentile bootstrap interval over runs."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(len(quality), (RESAMPLES, len(quality)), generator=generator)
    resampled = torch.tensor([spearman(-predictor[i], quality[i]) for i in drawn])
    low, high = resampled.quantile(torch.tensor([0.025, 0.975])).tolist()
    rho = spearman(-predictor, quality)
    return {"mean": rho, "low": low, "high": high, "n": 1, "values": [rho]}


def main() -> None:
    no_options(__doc__)
    begin = time.monotonic()
    found = columns(read_results(RUNS))
    variants = {}
    for rule, chosen in chosen_runs(found).items():
        number = float(chosen.sum())
        count = {"mean": number, "low": None, "high": None, "n": 1, "values": [number]}
        for name in PREDICTORS:
            rho = correlation(found[name][chosen], found["quality"][chosen])
            variants[f"{name}, {rule}"] = {
                "params": {"predictor": name, "runs": rule},
                "metrics": {"spearman": rho, "num_runs": count},
            }
    protocol = {"of": RUNS.name, "quality": QUALITY, "resamples": RESAMPLES}
    command = "python part3_collapse_regularizers/study.py loss_quality_correlation"
    write_results(
        PART / "results" / "loss_quality_correlation.json", command, protocol=protocol,
        seconds=time.monotonic() - begin, seeds=[0], variants=variants,
    )  # fmt: skip
