"""The claims, what was measured of each, and what follows."""

from typing import Any

from common.intervals import wilson
from part3_collapse_regularizers.judge import COLLAPSED, QUALITY, RESULTS, columns, correlation
from part3_collapse_regularizers.readme_tables import (
    Table,
    decades,
    read,
)


def mean(metrics: dict[str, Any], name: str, digits: int = 2) -> str:
    """A metric's mean over seeds."""
    return f"{metrics[name]['mean']:.{digits}f}"


def verdicts_table() -> Table:
    """One row a claim."""
    claims = (collapse, scale, stability, parts, one_number, judge, theory, dimensions, batches)
    header = ["the claim", "measured (means over seeds)", "verdict"]
    return header, [list(claim()) for claim in claims]


def collapse() -> tuple[str, str, str]:
    arms = read("main")["arms"]
    ratios = arms["none-views"]["collapse_ratio"]["values"]
    below = sum(ratio < COLLAPSED for ratio in ratios)
    low, high = wilson(below, len(ratios))
    return (
        "naive training collapses; Barlow Twins' trick, and those after it, stop it",
        f"collapse ratio below {COLLAPSED} in {below} of {len(ratios)} naive runs (95% Wilson "
        f"[{low:.2f}, {high:.2f}]), position R² {mean(arms['none-views'], 'position_1000')}; "
        f"Barlow {mean(arms['barlow-views'], 'position_1000')}, VICReg "
        f"{mean(arms['vicreg-views'], 'position_1000')}, SIGReg "
        f"{mean(arms['sigreg-views'], 'position_1000')}, supervised "
        f"{mean(arms['supervised-views'], 'position_1000')}",
        "**holds**",
    )


def scale() -> tuple[str, str, str]:
    arms = read("main")["arms"]
    barlow, vicreg = arms["barlow-views"], arms["vicreg-views"]
    return (
        "mean std tells a collapsed embedding (the post's measure)",
        f"mean std {mean(barlow, 'mean_std')} for Barlow, {mean(vicreg, 'mean_std')} for VICReg, "
        f"{mean(arms['simsiam-views'], 'mean_std')} for SimSiam, at position R² "
        f"{mean(barlow, 'position_1000')}, {mean(vicreg, 'position_1000')}, "
        f"{mean(arms['simsiam-views'], 'position_1000')}",
        "**misleads**: it is a unit, not a measure",
    )


def stability() -> tuple[str, str, str]:
    found = {
        name: decades(method)["mean"]
        for name, method in (
            ("Barlow's redundancy weight", "barlow-redundancy"),
            ("VICReg's variance weight", "vicreg-variance"),
            ("its covariance weight", "vicreg-covariance"),
        )
    }
    return (
        "VICReg is more stable than Barlow Twins",
        "decades over which one weight keeps position R² within 0.05 of the method's best: "
        + ", ".join(f"{name} {value:.1f}" for name, value in found.items()),
        "",
    )


def parts() -> tuple[str, str, str]:
    arms = read("lejepa_parts")["arms"]
    values = ", ".join(
        f"{label} {mean(arms[arm], 'position_1000')}"
        for arm, label in (
            ("plain", "as it is"),
            ("stopgrad", "with stop-gradient"),
            ("teacher", "teacher"),
            ("predictor", "predictor"),
            ("constant_rate", "no decay of the rate"),
            ("no_warmup", "no warm-up"),
        )
    )
    return ("LeJEPA needs no stop-gradient, teacher, predictor or schedule", values, "")


def one_number() -> tuple[str, str, str]:
    return (
        "LeJEPA has one hyper-parameter, and it is easy to set",
        f"its share's odds may be off over {decades('sigreg-odds')['mean']:.1f} decades",
        "",
    )


def judge() -> tuple[str, str, str]:
    found = columns(read(RESULTS.stem))
    alive = found["collapse_ratio"] >= COLLAPSED
    rho = [
        correlation(found[key][chosen], found["quality"][chosen])[0]
        for key in ("loss", "scaled")
        for chosen in (alive | ~alive, alive)
    ]
    return (
        "LeJEPA's training loss tells how good the embedding is (Spearman 94.5% in the paper)",
        f"with {QUALITY.split('_')[0]} R², {len(alive)} runs: raw loss {rho[0]:.2f} (not "
        f"collapsed: {rho[1]:.2f}), loss / weight^0.4 {rho[2]:.2f} ({rho[3]:.2f})",
        "",
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
        f"as stated, on features of known R²: measured thresholds within {100 * max(off):.1f}% of "
        f"it in {len(off)} of {len(off)} runs",
        "",
    )


def dimensions() -> tuple[str, str, str]:
    arms = read("dimension")["arms"]
    return (
        "SIGReg suits low intrinsic dimension badly",
        "two factors in 2, 16 and 64 dimensions, position R²: "
        + "; ".join(
            f"{label} "
            + ", ".join(mean(arms[f"{method}-d{d}"], "position_1000") for d in (2, 16, 64))
            for method, label in (("barlow", "Barlow"), ("vicreg", "VICReg"), ("sigreg", "SIGReg"))
        ),
        "",
    )


def batches() -> tuple[str, str, str]:
    arms = read("batch")["arms"]
    return (
        "the regularizers work in small batches",
        "batch 16 and 256, position R²: "
        + "; ".join(
            f"{label} "
            + ", ".join(mean(arms[f"{method}-n{n}"], "position_1000") for n in (16, 256))
            for method, label in (("barlow", "Barlow"), ("vicreg", "VICReg"), ("sigreg", "SIGReg"))
        ),
        "",
    )
