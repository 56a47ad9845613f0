"""Every claim with its verdict: about collapse, then about the methods and the theory."""

from common.results import Table
from part3_collapse_regularizers.judge import QUALITY, RESULTS, columns, correlation, is_alive
from part3_collapse_regularizers.plot_results import weight_and_size
from part3_collapse_regularizers.readme_claims import (
    REGULARIZED,
    collapse,
    cure,
    fresh,
    mean,
    origin,
    scale,
    verdict,
)
from part3_collapse_regularizers.readme_tables import (
    METHOD_WEIGHTS,
    METRIC,
    decades,
    read,
    show_decades,
)


def verdicts_table() -> Table:
    """One row a claim."""
    claims = (
        collapse,
        fresh,
        cure,
        scale,
        origin,
        stability,
        parts,
        one_number,
        judge,
        theory,
        from_scratch,
        dimensions,
        batches,
    )
    header = ["the claim", "measured (means over seeds)", "verdict"]
    return header, [list(claim()) for claim in claims]


def stability() -> tuple[str, str, str]:
    methods = {
        "Barlow's redundancy weight": "barlow-redundancy",
        "VICReg's variance weight": "vicreg-variance",
        "its covariance weight": "vicreg-covariance",
    }
    size = {method: decades(method)[0]["mean"] for method in methods.values()}
    widest = size["vicreg-variance"] > size["barlow-redundancy"]
    return (
        "VICReg is more stable than Barlow Twins",
        "decades over which one weight keeps content R² within 0.05 of the method's best: "
        + ", ".join(f"{name} {show_decades(method)}" for name, method in methods.items()),
        verdict(widest, "", "VICReg has two weights to get right, and the variance is the touchy"),
    )


def parts() -> tuple[str, str, str]:
    arms = read("lejepa_parts")["arms"]
    labels = {
        "plain": "as it is",
        "stopgrad": "with stop-gradient",
        "teacher": "teacher",
        "predictor": "predictor",
        "constant_rate": "no decay of the rate",
        "no_warmup": "no warm-up",
    }
    values = ", ".join(f"{label} {mean(arms[arm], METRIC)}" for arm, label in labels.items())
    gain = max(arms[a][METRIC]["mean"] for a in labels) - arms["plain"][METRIC]["mean"]
    return (
        "LeJEPA needs no stop-gradient, teacher, predictor or schedule",
        f"position R² {values}",
        verdict(gain < 0.02, "none of them adds more than 0.02", f"one of them adds {gain:.2f}"),
    )


def one_number() -> tuple[str, str, str]:
    size = decades("sigreg-odds")[0]["mean"]
    others = [decades(m)[0]["mean"] for m in METHOD_WEIGHTS if m != "sigreg-odds"]
    return (
        "LeJEPA's one hyper-parameter is easy to set",
        f"decades within 0.05 of the best content R²: {show_decades('sigreg-odds')} (the weights "
        f"of Barlow and VICReg: {min(others):.1f} and more); a tenth of the default reads position "
        f"at R² {mean(read('weights')['arms']['sigreg-odds-x0.1'], METRIC)}",
        verdict(size >= min(others), "", "one number, and the touchiest of all here"),
    )


def judge() -> tuple[str, str, str]:
    found = columns(read(RESULTS.stem))
    alive = is_alive(found)
    rho = {
        (key, kept): correlation(found[key][chosen], found["quality"][chosen])[0]
        for key in ("loss", "scaled")
        for kept, chosen in (("all", alive | ~alive), ("alive", alive))
    }
    return (
        "LeJEPA's training loss tells how good the embedding is (Spearman 94.5% in the paper)",
        f"with {QUALITY.split('_')[0]} R²: loss / weight^0.4 {rho['scaled', 'all']:.2f} over all "
        f"{len(alive)} runs, {rho['scaled', 'alive']:.2f} over the {int(alive.sum())} that did not "
        f"collapse; raw loss {rho['loss', 'all']:.2f} and {rho['loss', 'alive']:.2f}",
        "**holds**"
        if rho["scaled", "all"] >= 0.9
        else "**partly**: it orders the runs that live, and praises those that collapsed",
    )


def theory() -> tuple[str, str, str]:
    arms = read("stability")["arms"]
    off = [
        abs(value / metrics["predicted"]["mean"] - 1)
        for metrics in arms.values()
        if "threshold" in metrics
        for value in metrics["threshold"]["values"]
    ]
    return (
        "collapse is unstable where r k > 1 - R² (the local theory)",
        f"as stated, on features of known R²: {len(off)} measured thresholds, none further than "
        f"{100 * max(off):.1f}% from it",
        verdict(max(off) < 0.05),
    )


def from_scratch() -> tuple[str, str, str]:
    found = [
        right
        for experiment, setting in (("phase_batch", "views"), ("phase_rollout", "next_frame"))
        for right in right_sides(experiment, setting)
    ]
    return (
        "and says where training from scratch collapses",
        "threshold from the untrained encoder's best predicted direction: position R² is above "
        f"0.5 where it says so, and only there, in {sum(found)} of {len(found)} settings of "
        "[weight, batch size and rollout](results/README.md#when-collapse-is-unstable)",
        verdict(sum(found) >= 0.9 * len(found), "the line can be drawn before training", ""),
    )


def right_sides(experiment: str, setting: str) -> list[bool]:
    """Per setting of a phase diagram: whether the theory puts it on the side where it is."""
    critical = read("stability")["arms"][f"{setting}-untrained"]["predicted"]["mean"]
    content = read(experiment)
    found = []
    for arm, metrics in content["arms"].items():
        odds, size = weight_and_size(arm)
        batch = size if experiment == "phase_batch" else content["protocol"]["batch_size"]
        found.append((odds * batch > critical) == (metrics[METRIC]["mean"] > 0.5))
    return found


def several(experiment: str, mark: str, numbers: tuple[int, ...]) -> str:
    """Position R² of the three regularizers at some numbers."""
    arms = read(experiment)["arms"]
    return "; ".join(
        f"{label} " + ", ".join(mean(arms[f"{arm}{mark}{n}"], METRIC) for n in numbers)
        for arm, label in REGULARIZED.items()
        if f"{arm}{mark}{numbers[0]}" in arms
    )


def dimensions() -> tuple[str, str, str]:
    arms = read("dimension")["arms"]
    lost = arms["sigreg-d2"][METRIC]["mean"] - arms["sigreg-d64"][METRIC]["mean"]
    return (
        "SIGReg suits low intrinsic dimension badly",
        "two factors in 2, 16 and 64 dimensions, position R²: "
        + several("dimension", "-d", (2, 16, 64)),
        verdict(lost > 0.05, "", "for reading position, that is; nothing is planned here"),
    )


def batches() -> tuple[str, str, str]:
    arms = read("batch")["arms"]
    lost = {
        arm: arms[f"{arm}-n256"][METRIC]["mean"] - arms[f"{arm}-n16"][METRIC]["mean"]
        for arm in REGULARIZED
    }
    worst = max(lost, key=lambda arm: lost[arm])
    return (
        "the regularizers work in batches of 16",
        f"batch 16, 64 and 256, equal steps, position R²: {several('batch', '-n', (16, 64, 256))}",
        verdict(
            max(lost.values()) < 0.1, "", f"{REGULARIZED[worst]} loses {lost[worst]:.2f} to 256"
        ),
    )
