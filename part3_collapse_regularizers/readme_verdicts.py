"""The claims, what was measured of each, and what follows from the numbers."""

from typing import Any

from common.intervals import wilson
from part3_collapse_regularizers.judge import (
    COLLAPSED,
    QUALITY,
    RESULTS,
    columns,
    correlation,
    is_alive,
)
from part3_collapse_regularizers.readme_tables import METRIC, Table, decades, read, show_decades

NUM_FACTORS = 6  # x, y and radius of two balls
GOOD = 0.9  # of the ceiling
REGULARIZED = {"barlow": "Barlow", "vicreg": "VICReg", "sigreg": "SIGReg"}


def mean(metrics: dict[str, Any], name: str, digits: int = 2) -> str:
    """A metric's mean over seeds."""
    return f"{metrics[name]['mean']:.{digits}f}"


def verdict(holds: bool, why: str = "", why_not: str = "") -> str:
    """The word, and what it means."""
    word, text = ("**holds**", why) if holds else ("**fails**", why_not)
    return f"{word}: {text}" if text else word


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
        dimensions,
        batches,
    )
    header = ["the claim", "measured (means over seeds)", "verdict"]
    return header, [list(claim()) for claim in claims]


def collapsed(metrics: dict[str, Any]) -> list[bool]:
    """Per seed: collapse ratio below the line, and nothing to be read."""
    pairs = zip(metrics["collapse_ratio"]["values"], metrics[METRIC]["values"], strict=True)
    return [ratio < COLLAPSED and r2 < 0.1 for ratio, r2 in pairs]


def counted(runs: list[bool]) -> str:
    """How many of the runs, with the 95% Wilson interval."""
    low, high = wilson(sum(runs), len(runs))
    return f"{sum(runs)} of {len(runs)} [{low:.2f}, {high:.2f}]"


def collapse() -> tuple[str, str, str]:
    arms = read("main")["arms"]
    found = {s: collapsed(arms[f"none-{s}"]) for s in ("views", "next")}
    return (
        "naive training collapses",
        f"collapse ratio below {COLLAPSED} and position R² below 0.1: two views "
        f"{counted(found['views'])}, next frame {counted(found['next'])}",
        verdict(all(found["views"]), "on two views; next frames can take longer"),
    )


def fresh() -> tuple[str, str, str]:
    runs = collapsed(read("fresh_seeds")["arms"]["none-views"])
    return (
        "and does so on seeds that nothing was chosen on",
        f"two views, seeds 5 to 9: {counted(runs)}",
        verdict(all(runs)),
    )


def cure() -> tuple[str, str, str]:
    content = read("main")
    arms, bounds = content["arms"], content["bounds"]
    ceiling = arms["supervised-views"][METRIC]["mean"]
    passed = []
    for arm in REGULARIZED:
        metrics = arms[f"{arm}-views"]
        clear = metrics[METRIC]["low"] > bounds["random_encoder"][METRIC]["high"]
        per_seed = zip(metrics[METRIC]["values"], metrics["effective_rank"]["values"], strict=True)
        passed += [clear and r2 >= GOOD * ceiling and k >= NUM_FACTORS for r2, k in per_seed]
    values = ", ".join(
        f"{label} {mean(arms[f'{arm}-views'], METRIC)}" for arm, label in REGULARIZED.items()
    )
    return (
        "Barlow Twins' trick, and those after it, stop it",
        f"position R² {values}; supervised {ceiling:.2f}, untrained "
        f"{mean(bounds['random_encoder'], METRIC)}, raw pixels "
        f"{mean(bounds['raw_pixels'], METRIC)}; at least {GOOD:g} of the ceiling and a rank of "
        f"{NUM_FACTORS} or more in {sum(passed)} of {len(passed)} runs",
        verdict(all(passed)),
    )


def scale() -> tuple[str, str, str]:
    arms = read("main")["arms"]
    named = {"Barlow": "barlow-views", "VICReg": "vicreg-views", "SimSiam": "simsiam-views"}
    return (
        "mean std (the post's measure) tells how well an embedding spreads",
        "; ".join(
            f"{label} has {mean(arms[arm], 'mean_std')} at position R² {mean(arms[arm], METRIC)}"
            for label, arm in named.items()
        ),
        "**fails**: it is a unit, not a measure",
    )


def origin() -> tuple[str, str, str]:
    weak = read("weights")["arms"]["sigreg-odds-x0.01"]
    return (
        "a scale-free measure does better (our collapse ratio)",
        "SIGReg at a hundredth of its weight shrinks to the origin: collapse ratio "
        f"{mean(weak, 'collapse_ratio')}, rank {mean(weak, 'effective_rank', 1)}, mean std "
        f"{weak['mean_std']['mean']:.0e}, SIGReg per sample {mean(weak, 'sigreg_per_sample', 3)} "
        f"(all zeros: 0.402), position R² {mean(weak, METRIC)}",
        "**not alone**: ratio and rank miss a collapse to the origin; a scale or a probe shows it",
    )


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
    return (
        "LeJEPA's one hyper-parameter is easy to set",
        f"decades within 0.05 of the best content R²: {show_decades('sigreg-odds')}, on a grid of "
        "whole decades",
        verdict(size >= 1, "", "one number, but it must be right within a factor of ten"),
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
        verdict(rho["scaled", "alive"] >= 0.9, "", "not among runs that did not collapse"),
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
        f"{100 * max(off):.1f}% from it; from scratch: "
        "[phase diagrams](results/README.md#when-collapse-is-unstable)",
        verdict(max(off) < 0.05, "as stated"),
    )


def several(experiment: str, mark: str, numbers: tuple[int, ...]) -> str:
    """Position R² of the three regularizers at some numbers."""
    arms = read(experiment)["arms"]
    return "; ".join(
        f"{label} " + ", ".join(mean(arms[f"{arm}{mark}{n}"], METRIC) for n in numbers)
        for arm, label in REGULARIZED.items()
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
