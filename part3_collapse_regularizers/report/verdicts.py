"""Every claim with its verdict: about collapse, then about the methods and the theory."""

from common.harness.results import Table
from part3_collapse_regularizers.figures.results import weight_and_size
from part3_collapse_regularizers.report.claims import (
    REGULARIZED,
    collapse,
    counted,
    cure,
    mean,
    origin,
    scale,
    verdict,
)
from part3_collapse_regularizers.report.tables import (
    JUDGED,
    METHOD_WEIGHTS,
    METRIC,
    decades,
    read,
    show_decades,
)
from part3_collapse_regularizers.studies.loss_vs_quality import (
    QUALITY,
    RESULTS,
    chosen_runs,
    columns,
    correlation,
)
from part3_collapse_regularizers.studies.stability import threshold


def verdicts_table() -> Table:
    """One row a claim."""
    claims = (
        collapse,
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
    size = {method: decades(method, JUDGED)[0]["mean"] for method in methods.values()}
    shown = ", ".join(
        f"{name} {show_decades(method, JUDGED)} ({show_decades(method, METRIC)})"
        for name, method in methods.items()
    )
    widest = size["vicreg-variance"] > size["barlow-redundancy"]
    return (
        "VICReg is more stable than Barlow Twins",
        "decades over which one weight keeps content (position) R² within 0.05 of the method's "
        f"best: {shown}",
        verdict(widest, "", "VICReg has two ratios to get right; the variance is the touchy one"),
    )


def parts() -> tuple[str, str, str]:
    arms = read("lejepa_parts")["arms"]
    labels = {
        "plain": "as it is",
        "stopgrad": "at matched odds with stop-gradient",
        "teacher": "teacher",
        "predictor": "predictor",
        "constant_rate": "no decay of the rate",
        "no_warmup": "no warm-up",
    }
    values = ", ".join(f"{label} {mean(arms[arm], METRIC)}" for arm, label in labels.items())
    taken = {"constant_rate": "decay of the rate", "no_warmup": "warm-up"}  # plain has these
    adds = {
        taken.get(arm, label): (arms[arm][METRIC]["mean"] - arms["plain"][METRIC]["mean"])
        * (-1 if arm in taken else 1)
        for arm, label in labels.items()
        if arm != "plain"
    }
    helps = [f"{label} adds {gain:.2f}" for label, gain in adds.items() if gain >= 0.02]
    return (
        "LeJEPA needs no stop-gradient, teacher, predictor or schedule",
        f"position R² {values}",
        f"**holds in part**: {', '.join(helps)}, the others nothing"
        if helps
        else "**holds**: none of them adds 0.02",
    )


def one_number() -> tuple[str, str, str]:
    size = decades("sigreg-odds", JUDGED)[0]["mean"]
    others = [decades(m, JUDGED)[0]["mean"] for m in METHOD_WEIGHTS if m != "sigreg-odds"]
    return (
        "LeJEPA's one hyper-parameter is easy to set",
        f"decades within 0.05 of the best content R²: {show_decades('sigreg-odds', JUDGED)} (the "
        f"weights of Barlow and VICReg: {min(others):.1f} and more), of the best position R²: "
        f"{show_decades('sigreg-odds', METRIC)}; a tenth of the default reads position at R² "
        f"{mean(read('weights')['arms']['sigreg-odds-x0.1'], METRIC)}",
        verdict(size >= min(others), "", "one number, and the touchiest of all here"),
    )


def judge() -> tuple[str, str, str]:
    found = columns(read(RESULTS.stem))
    choices = chosen_runs(found)
    count = {rule: int(chosen.sum()) for rule, chosen in choices.items()}
    scaled, raw = (
        {
            rule: correlation(found[key][chosen], found["quality"][chosen])[0]
            for rule, chosen in choices.items()
        }
        for key in ("scaled", "loss")
    )
    return (
        "LeJEPA's training loss tells how good the embedding is (Spearman 94.5% in the paper)",
        f"with {QUALITY.split('_')[0]} R²: loss / weight^0.4 {scaled['none']:.2f} over all "
        f"{count['none']} runs, {scaled['point']:.2f} over the {count['point']} not collapsed to a "
        f"point, {scaled['origin']:.2f} over the {count['origin']} of these away from the origin, "
        f"{scaled['read']:.2f} over {count['read']}, with those near it that the probe reads; raw "
        f"loss {raw['none']:.2f}, {raw['point']:.2f}, {raw['origin']:.2f} and {raw['read']:.2f}",
        "**holds**"
        if scaled["none"] >= 0.9
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
        "collapse is unstable where r k > 1 - R² (next frame), r k > 2 (1 - rho) (two views)",
        f"as stated, on features of known R²: {len(off)} measured thresholds, none further than "
        f"{100 * max(off):.1f}% from it",
        verdict(max(off) < 0.05),
    )


def from_scratch() -> tuple[str, str, str]:
    arms = read("stability")["arms"]
    lines = {s: arms[f"{s}-untrained"]["predicted"]["mean"] for s in ("views", "next_frame")}
    views = right_sides("phase_batch", lines["views"])
    ahead = right_sides("phase_rollout", lines["next_frame"])
    always = {s: threshold(s, 0.0) for s in lines}  # always enough, whatever is predicted
    plain = right_sides("phase_batch", always["views"])
    plain_ahead = right_sides("phase_rollout", always["next_frame"])
    words = [
        verdict(sum(views) >= 0.9 * len(views), "on two views", "on two views"),
        verdict(sum(ahead) >= 0.9 * len(ahead), "on next frames", "on next frames (line too low)"),
    ]
    return (
        "and says where training from scratch collapses",
        "threshold from the untrained encoder's best predicted direction: position R² is above "
        f"0.5 where it says so, and only there, on two views in {counted(views)} runs over weight "
        f"and batch size, on next frames in {counted(ahead)} over weight and rollout (four steps "
        f"judged by the threshold of one); at R² = rho = 0, which needs no encoder, {sum(plain)} "
        f"and {sum(plain_ahead)} ([phase diagrams](results/README.md#when-collapse-is-unstable))",
        "; ".join(words),
    )


def right_sides(experiment: str, critical: float) -> list[bool]:
    """Per run of a phase diagram: whether a critical r puts it on the side where it is."""
    content = read(experiment)
    found = []
    for arm, metrics in content["arms"].items():
        odds, size = weight_and_size(arm)
        batch = size if experiment == "phase_batch" else content["protocol"]["batch_size"]
        found += [(odds * batch > critical) == (r2 > 0.5) for r2 in metrics[METRIC]["values"]]
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
    sigreg, vicreg = (arms[f"{method}-d64"][METRIC] for method in ("sigreg", "vicreg"))
    gap = vicreg["mean"] - sigreg["mean"]
    return (
        "SIGReg suits low intrinsic dimension badly",
        "two factors in 2, 16 and 64 dimensions, position R²: "
        + several("dimension", "-d", (2, 16, 64)),
        f"**holds, slightly**: {gap:.2f} below VICReg in 64 dimensions, intervals apart"
        if sigreg["high"] < vicreg["low"]
        else "**not seen**: the intervals of SIGReg and VICReg meet in 64 dimensions",
    )


def batches() -> tuple[str, str, str]:
    arms = read("batch")["arms"]
    lost = {
        label: arms[f"{arm}-n256"][METRIC]["mean"] - arms[f"{arm}-n16"][METRIC]["mean"]
        for arm, label in REGULARIZED.items()
    }
    fine = [label for label, loss in lost.items() if loss < 0.1]
    bad = [f"{label} loses {loss:.2f} to 256" for label, loss in lost.items() if loss >= 0.1]
    more = read("phase_batch")["arms"]["w0.1-n16"]
    return (
        "the regularizers work in batches of 16",
        "batch 16, 64 and 256, equal steps and weights, position R²: "
        f"{several('batch', '-n', (16, 64, 256))}; SIGReg at 16 with a share of 0.09, not 0.02, "
        f"{mean(more, METRIC)}",
        f"**holds** for {' and '.join(fine)}; "
        + ("; ".join(bad) + ", unless its share grows as the batch shrinks" if bad else "all"),
    )
