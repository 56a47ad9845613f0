"""Does the training loss tell how good an embedding is? Spearman correlations over many runs.

    python -m common.sweep configs/part3/sweeps/loss_as_judge.yaml
    python part3_collapse_regularizers/judge.py

LeJEPA (arXiv 2511.08544, sec. 6.3) reports 94.5% between its training loss, divided by
weight^0.4, and linear accuracy. Printed here: the same over runs of this part, on held-out frames,
with every run, with those that did not collapse to a point, with those not collapsed to the origin
either (two clusters alone, collapsed and not, can decide a rho), and with these and whatever the
noisy probe still reads near the origin, each with a 95% bootstrap interval over runs.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common.harness.config import REPOSITORY, read_yaml
from common.harness.errors import no_options, run_script
from common.harness.results import markdown_table, read_results
from common.metrics import spearman
from part3_collapse_regularizers.config import PART

RESULTS = PART / "results" / "loss_as_judge.json"
SWEEP = REPOSITORY / "configs" / "part3" / "sweeps" / "loss_as_judge.yaml"
EXPONENT = 0.4  # the paper's
COLLAPSED = 0.003  # collapse ratio below which an encoder counts as collapsed to a point ...
AT_ORIGIN = 0.4  # ... SIGReg per sample above which that point is the origin (all zeros: 0.402)
READ = 0.5  # position R^2 above which the noisy probe reads an encoder, wherever it lies
QUALITY = "content_1000"
RESAMPLES = 2000
JUDGES = {
    "loss": "loss, held out",
    "scaled": "loss / weight^0.4",
    "prediction": "prediction term",
    "sigreg": "SIGReg / batch",
    "rank": "effective rank (larger is better)",
}


def columns(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Per run: quality, position R², collapse ratio, and what each judge says (lower is better)."""
    arms = read_yaml(Path(SWEEP))["arms"]
    rows = []
    for name, metrics in content["arms"].items():
        share = arms[name]["overrides"]["weights.sigreg_share"]
        batch = arms[name]["overrides"]["batch_size"]
        value = {key: metric["mean"] for key, metric in metrics.items()}
        rows.append(
            {
                "quality": value[QUALITY],
                "position": value["position_1000"],
                "collapse_ratio": value["collapse_ratio"],
                "loss": value["heldout_loss"],
                "scaled": value["heldout_loss"] / share**EXPONENT,
                "prediction": value["heldout_prediction"],
                "sigreg": value["heldout_sigreg"] / batch,
                "sigreg_per_sample": value["sigreg_per_sample"],
                "rank": -value["effective_rank"],
            }
        )
    return {key: torch.tensor([row[key] for row in rows]).double() for key in rows[0]}


def is_alive(found: Mapping[str, Tensor]) -> Tensor:
    """Which runs did not collapse, neither to a point nor to the origin, (runs,)."""
    return (found["collapse_ratio"] >= COLLAPSED) & (found["sigreg_per_sample"] < AT_ORIGIN)


def chosen_runs(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Which runs are compared, (runs,), by the rule that left the others out."""
    pointlike = found["collapse_ratio"] < COLLAPSED
    alive = is_alive(found)
    return {
        "none": pointlike | ~pointlike,
        "point": ~pointlike,
        "origin": alive,
        "read": alive | (found["position"] > READ),
    }


def correlation(judge: Tensor, quality: Tensor) -> tuple[float, float, float]:
    """Spearman of -judge with quality, and its 95% percentile bootstrap interval over runs."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(len(judge), (RESAMPLES, len(judge)), generator=generator)
    resampled = torch.tensor([spearman(-judge[i], quality[i]) for i in drawn])
    low, high = resampled.quantile(torch.tensor([0.025, 0.975])).tolist()
    return spearman(-judge, quality), low, high


def judge_table() -> tuple[list[str], list[list[str]]]:
    """A row a judge: Spearman over all runs, and over those that did not collapse."""
    found = columns(read_results(RESULTS))
    choices = chosen_runs(found)
    count = {rule: int(chosen.sum()) for rule, chosen in choices.items()}
    header = [
        f"Spearman with content R², of {count['none']} runs",
        "all",
        f"the {count['point']} with a collapse ratio of {COLLAPSED} or more",
        f"the {count['origin']} of them away from the origin",
        f"the {count['read']}: these, and those with position R² above {READ} all the same",
    ]
    rows = []
    for key, label in JUDGES.items():
        cells = [label]
        for chosen in choices.values():
            rho, low, high = correlation(found[key][chosen], found["quality"][chosen])
            cells.append(f"{rho:.2f} [{low:.2f}, {high:.2f}]")
        rows.append(cells)
    return header, rows


def main() -> None:
    no_options(__doc__)
    print(markdown_table(*judge_table()))


if __name__ == "__main__":
    run_script(main)
