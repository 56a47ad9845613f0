"""The README's tables, each from a file of results/."""

from collections.abc import Mapping
from typing import Any

from common.harness.results import Table, format_interval, read_results
from common.intervals import mean_interval, wilson
from part2_pixel_vs_jepa.config import PART

ARM_LABELS = {
    "pixels": "pixels, deterministic",
    "pixels_z": "pixels, latent z",
    "jepa": "JEPA, deterministic (VICReg)",
    "jepa_z": "JEPA, latent z (VICReg)",
    "jepa_sigreg": "JEPA, deterministic (SIGReg)",
    "jepa_z_sigreg": "JEPA, latent z (SIGReg)",
}
BOUND_LABELS = {
    "oracle": "*ceiling: every real future*",
    "bayes": "*Bayes-optimal frame (the exact blur)*",
    "copy": "*floor: copy of the last frame*",
    "mean": "*floor: mean of all frames*",
    "blank": "*floor: black frame*",
    "raw_pixels": "*no encoder: raw pixels, averaged 2 x 2*",
    "random_encoder": "*encoder with random weights*",
}


def read(experiment: str) -> dict[str, Any]:
    """The results file of an experiment."""
    return read_results(PART / "results" / f"{experiment}.json")


def seeds(experiment: str) -> str:
    """Returns "5 seeds"."""
    return f"{len(read(experiment)['seeds'])} seeds"


def cells(metrics: Mapping[str, Any], names: list[str], digits: int = 3) -> list[str]:
    """One cell a metric, with its interval; empty where a row has none."""
    return [format_interval(metrics[n], digits) if n in metrics else "" for n in names]


def rows(
    results: Mapping[str, Any], names: list[str], arms: Mapping[str, str], bounds: list[str]
) -> list[list[str]]:
    """The arms' rows, then those of the floors and ceilings that know any of the metrics."""
    table = [[label, *cells(results["arms"][arm], names)] for arm, label in arms.items()]
    for bound in bounds:
        metrics = results["bounds"].get(bound, {})
        if any(name in metrics for name in names):
            table.append([BOUND_LABELS[bound], *cells(metrics, names)])
    return table


def main_table() -> Table:
    """The headline: smear, coverage, precision, error to the Bayes floor."""
    names = ["smear", "smear_excess", "coverage", "precision", "mse_over_bayes"]
    header = [
        seeds("main"),
        "smear",
        "smear less readout's",
        "coverage",
        "precision",
        "MSE / Bayes",
    ]
    return header, rows(
        read("main"), names, ARM_LABELS, ["oracle", "bayes", "copy", "mean", "blank"]
    )


def inside_table() -> Table:
    """What needs no readout: latent smear, rank, nearest frame, unexplained variance."""
    names = ["smear_bank", "latent_smear", "fvu", "effective_rank", "grey_mass", "weight_error"]
    header = [seeds("main"), "smear, nearest real frame", "latent smear", "FVU", "effective rank",
              "grey mass", "weight error"]  # fmt: skip
    return header, rows(read("main"), names, ARM_LABELS, ["oracle", "bayes", "random_encoder"])


def probes_table() -> Table:
    """What can be read from the embeddings of the posts' world."""
    names = ["probe_x", "probe_sin_phase", "probe_cos_phase", "probe_velocity"]
    header = [f"R², {seeds('main')}", "x", "sin phase", "cos phase", "velocity (two frames)"]
    return header, rows(read("main"), names, ARM_LABELS, ["raw_pixels", "random_encoder"])


def over_bayes(results: Mapping[str, Any], arm: str) -> dict[str, Any]:
    """An arm's error of the ball over that of the Bayes-optimal frame, with its interval."""
    mine, best = results["arms"][arm]["ball_error"], results["bounds"]["bayes"]["ball_error"]
    return mean_interval([a / b for a, b in zip(mine["values"], best["values"], strict=True)])


def noise_table() -> Table:
    """The pixel arm without and with dots: its error, and the ball's, each beside its floor."""
    header = ["pixels, deterministic", "MSE", "Bayes floor", "MSE / Bayes", "error of the ball",
              "of the Bayes-optimal frame", "ratio"]  # fmt: skip
    table = []
    for label, experiment, name in (
        ("no dots", "hypotheses", "pixels-K1"),
        ("200 dots", "dots", "pixels"),
    ):
        results = read(experiment)
        arm, bayes = results["arms"][name], results["bounds"]["bayes"]
        label = f"{label} ({seeds(experiment)})"
        table.append([label, *cells(arm, ["mse"], 4), *cells(bayes, ["mse"], 4),
                      *cells(arm, ["mse_over_bayes"]), *cells(arm, ["ball_error"], 4),
                      *cells(bayes, ["ball_error"], 4),
                      format_interval(over_bayes(results, name))])  # fmt: skip
    return header, table


def distractor_table() -> Table:
    """What the encoder throws away."""
    names = ["probe_distractor", "probe_x"]
    header = [f"world ({seeds('dots')})", "arm", "R² of the distractors' state", "R² of x"]
    table = []
    for world in ("dots", "squares", "background"):
        results = read(world)
        for arm in ("pixels", "jepa", "jepa_z", "jepa_sigreg", "jepa_z_sigreg"):
            table.append([world, ARM_LABELS[arm], *cells(results["arms"][arm], names)])
        for bound in ("raw_pixels", "random_encoder"):
            table.append([world, BOUND_LABELS[bound], *cells(results["bounds"][bound], names)])
    return header, table


def plain_table(experiment: str, names: list[str], header: list[str]) -> Table:
    """One row an arm, as the results file names it."""
    return header, [[arm, *cells(m, names)] for arm, m in read(experiment)["arms"].items()]


def hypotheses_table() -> Table:
    """K, where two futures are real."""
    names = ["smear", "smear_excess", "coverage", "precision", "weight_error"]
    return plain_table("hypotheses", names, [
        seeds("hypotheses"), "smear", "smear less readout's", "coverage", "precision",
        "weight error",
    ])  # fmt: skip


def width_table() -> Table:
    """Model size."""
    names = ["parameters", "smear", "mse_over_bayes", "grey_mass"]
    header = [seeds("width"), "parameters", "smear", "MSE / Bayes", "grey mass"]
    table = []
    for arm, metrics in read("width")["arms"].items():
        count = f"{metrics['parameters']['mean']:,.0f}"
        table.append([arm, count, *cells(metrics, names[1:])])
    return header, table


def action_table() -> Table:
    """Without and with the heading as an input."""
    header = [seeds("action"), "error of the ball", "smear"]
    return header, [
        [arm, *cells(metrics, ["ball_error"], 4), *cells(metrics, ["smear"])]
        for arm, metrics in read("action")["arms"].items()
    ]


def squares_table() -> Table:
    """What z is spent on, and why."""
    names = ["worth_direction", "worth_square", "z_reads_direction", "z_reads_square",
             "probe_distractor", "smear", "coverage"]  # fmt: skip
    return plain_table("squares_why", names, [
        seeds("squares_why"), "worth of the direction", "worth of the best square",
        "z reads the direction", "z reads a square", "squares in the embedding (R²)", "smear",
        "coverage",
    ])  # fmt: skip


def account_table() -> Table:
    """Run by run: does z read the bit that is worth more? Of the runs with K = 2."""
    found: dict[str, list[bool]] = {"jepa": [], "pixels": []}
    for arm, metrics in read("squares_why")["arms"].items():
        if arm.endswith("K32"):
            continue
        columns = ("worth_direction", "worth_square", "z_reads_direction", "z_reads_square")
        for worth, other_worth, reads, other_reads in zip(
            *(metrics[column]["values"] for column in columns), strict=True
        ):
            found[arm.split("_")[0]].append((worth > other_worth) == (reads > other_reads))
    labels = {
        "jepa": "embeddings, worth read after training",
        "pixels": "pixels, worth known before",
    }
    table = []
    for space, label in labels.items():
        agree, total = sum(found[space]), len(found[space])
        low, high = wilson(agree, total)
        table.append(
            [label, str(total), str(agree), f"{agree / total:.2f} [{low:.2f}, {high:.2f}]"]
        )
    return ["space", "runs", "z reads the bit worth more", "share, 95% Wilson interval"], table


def horizon_table() -> Table:
    """Position error of the ball, fed back."""
    steps = (1, 5, 10, 20, 40)
    names = [f"position_error_at_{h}" for h in steps] + ["sharpness_at_1", "sharpness_at_40"]
    header = [
        seeds("two_frames"),
        "world",
        *(f"px at {h}" for h in steps),
        "sharpness at 1",
        "at 40",
    ]
    table = []
    for world in ("two_frames", "stochastic_wall"):
        results = read(world)
        for arm, metrics in results["arms"].items():
            table.append([ARM_LABELS[arm], world, *cells(metrics, names, 2)])
        for bound, label in (("oracle", "*true dynamics, drawn afresh*"), ("copy", "*stays put*")):
            table.append([label, world, *cells(results["bounds"][bound], names, 2)])
    return header, table


def headline_table() -> Table:
    """The table of the front page: the 2 x 2."""
    names = ["smear", "coverage", "precision", "mse_over_bayes"]
    header = [seeds("main"), "smear", "coverage", "precision", "MSE / Bayes floor"]
    return header, rows(read("main"), names, ARM_LABELS, ["oracle", "bayes", "copy"])
