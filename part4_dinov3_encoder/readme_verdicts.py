"""The verdicts of the README, each computed from the results files."""

from collections.abc import Mapping
from typing import Any

from common.results import Table
from part4_dinov3_encoder.readme_tables import RECIPES, arms, read

COLLAPSED, LEAST_RANK = 0.003, 3.0  # part 3's line of the collapse ratio; effective rank of patches
GOAL = 0.8  # foreground IoU


def mean(metrics: Mapping[str, Any], name: str) -> float:
    return metrics[name]["mean"]


def best(name: str) -> tuple[str, float]:
    """The recipe with the largest mean of a metric, and that mean."""
    found = {arm: mean(read("recipes")["arms"][arm], name) for arm in RECIPES}
    arm = max(found, key=lambda key: found[key])
    return RECIPES[arm], found[arm]


def above(name: str, *references: str) -> list[str]:
    """The recipes whose interval lies above those of all these references."""
    recipes, others = read("recipes")["arms"], [arms()[reference][name] for reference in references]
    return [
        label
        for arm, label in RECIPES.items()
        if all(recipes[arm][name]["low"] > other["high"] for other in others)
    ]


def collapse() -> tuple[str, str, str]:
    alive, total = {}, 0
    for arm, label in RECIPES.items():
        metrics = read("recipes")["arms"][arm]
        seeds = zip(
            metrics["patch_collapse_ratio"]["values"],
            metrics["patch_effective_rank"]["values"],
            strict=True,
        )
        kept = [ratio > COLLAPSED and rank > LEAST_RANK for ratio, rank in seeds]
        alive[label], total = sum(kept), len(kept)
    return (
        "no recipe collapses",
        f"patches' collapse ratio above {COLLAPSED} and rank above {LEAST_RANK:g}: "
        + ", ".join(f"{label} {kept} of {total}" for label, kept in alive.items()),
        "**holds**" if min(alive.values()) == total else "**fails**",
    )


def position() -> tuple[str, str, str]:
    shown = RECIPES | {"untrained": "untrained ViT", "raw_pixels": "raw pixels"}
    found = ", ".join(
        f"{label} {mean(arms()[arm], 'position_all_1000'):.2f}" for arm, label in shown.items()
    )
    better = above("position_all_1000", "raw_pixels", "untrained")
    rest = [label for label in RECIPES.values() if label not in better]
    told = f"**holds** for {' and '.join(better)}" if better else "**fails**"
    return (
        "a self-supervised encoder knows where the ball is better than pixels do",
        f"position R², all tokens: {found}",
        told + (f"; {' and '.join(rest)} read no better than the untrained" if rest else ""),
    )


def pooled() -> tuple[str, str, str]:
    name, value = best("position_mean_1000")
    kept = mean(next(m for a, m in arms().items() if RECIPES.get(a) == name), "position_all_1000")
    return (
        "the mean of an encoder's tokens still tells where things are",
        f"position R² of the mean token: best {name} {value:.2f}; of all its tokens {kept:.2f}",
        "**holds**" if value > 0.5 * kept else "**fails**: pooling loses most of it",
    )


def motion() -> tuple[str, str, str]:
    name, value = best("velocity2_all_1000")
    _, still = best("velocity_all_1000")
    return (
        "velocity is in two frames, not in one",
        f"velocity R²: two frames, best {name} {value:.2f}; one frame, best {still:.2f}",
        "**holds**"
        if value > still + 0.1
        else "**not shown**: a linear probe of two frames reads no motion here either",
    )


def clusters() -> tuple[str, str, str]:
    name, value = best("foreground")
    pixels, untrained = (mean(arms()[arm], "foreground") for arm in ("raw_pixels", "untrained"))
    _, labelled = best("foreground_labelled")
    if not above("foreground", "raw_pixels"):
        verdict = "fails"
    elif not above("foreground", "raw_pixels", "untrained"):
        verdict = "holds, but training adds nothing that the intervals show"
    else:
        verdict = "holds"
    reached = "goal reached" if value >= GOAL else f"goal of {GOAL:g} not reached"
    return (
        "patch features find the balls without labels where grey levels do not",
        f"IoU: best {name} {value:.2f}, untrained ViT {untrained:.2f}, raw pixels {pixels:.2f}, by "
        f"the same clusters; by a linear probe of 100 labelled frames, best {labelled:.2f}",
        f"**{verdict}**: {reached}",
    )


def tracking() -> tuple[str, str, str]:
    content = read("tracking")
    found, told, met = content["arms"] | content["bounds"], [], 0
    sides = content["protocol"]["resolutions"]
    for side in sides:
        half = 64 / (side / 8) / 2  # px of a frame of 64: half a patch of the enlarged one
        error = {arm: mean(found[f"{arm}@{side}"], "error_px") for arm in RECIPES}
        name = min(error, key=lambda arm: error[arm])
        fine = sum(value <= half for value in error.values())
        met += fine > 0
        told.append(
            f"{side // 8} x {side // 8} patches ({half:.1f} px): best {RECIPES[name]} "
            f"{error[name]:.1f}, {fine} of {len(error)} recipes within; untrained ViT "
            f"{mean(found[f'vit_random@{side}'], 'error_px'):.1f}, raw pixels "
            f"{mean(found[f'raw_pixels@{side}'], 'error_px'):.1f}"
        )
    return (
        "frozen patches follow the ball to half a patch side",
        "; ".join(told),
        f"**in part**: at {met} of {len(sides)} grids, and raw pixels do better there"
        if met
        else "**fails**",
    )


def places() -> tuple[str, str, str]:
    found = {arm: read("recipes")["arms"][arm] for arm in RECIPES}
    before, after = (
        ", ".join(f"{RECIPES[arm]} {mean(m, name):.2f}" for arm, m in found.items())
        for name in ("leakage", "leakage_removed")
    )
    lower = all(mean(m, "leakage_removed") < mean(m, "leakage") for m in found.values())
    return (
        "a blank picture shows which directions of a token tell its place",
        f"place's share of the variance: {before}; with those directions taken out: {after}",
        "**holds**" if lower else "**partly**: not in every recipe",
    )


def verdicts_table() -> Table:
    """Claims, measured, verdict."""
    makers = (collapse, position, pooled, motion, clusters, tracking, places)
    return ["the claim", "measured (means over seeds)", "verdict"], [
        list(make()) for make in makers
    ]
