"""The claims about collapse itself: what was measured of each, and what follows."""

from typing import Any

from common.intervals import wilson
from part3_collapse_regularizers.report.tables import METRIC, read
from part3_collapse_regularizers.studies.loss_vs_quality import COLLAPSED

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
    ratio = arms["none-next"]["collapse_ratio"]["mean"]
    return (
        "naive training collapses",
        f"collapse ratio below {COLLAPSED} and position R² below 0.1: two views "
        f"{counted(found['views'])}, next frame {counted(found['next'])}",
        verdict(
            all(found["views"]),
            "on two views; of next frames nothing can be read either (position R² "
            f"{mean(arms['none-next'], METRIC)}), but the ratio is {ratio:.3f}",
        ),
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
