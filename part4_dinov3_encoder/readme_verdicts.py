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


def separated(name: str, reference: str) -> bool:
    """Whether the best recipe's interval lies above the reference's."""
    recipes, other = read("recipes")["arms"], arms()[reference][name]
    return max(recipes[arm][name]["low"] for arm in RECIPES) > other["high"]


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
    name, value = best("position_all_1000")
    pixels, untrained = (
        mean(arms()[arm], "position_all_1000") for arm in ("raw_pixels", "untrained")
    )
    holds = separated("position_all_1000", "raw_pixels") and separated(
        "position_all_1000", "untrained"
    )
    return (
        "a self-supervised encoder knows where the ball is better than pixels do",
        f"position R², all tokens: best {name} {value:.2f}, untrained ViT {untrained:.2f}, raw "
        f"pixels {pixels:.2f}",
        "**holds**" if holds else "**fails**: intervals overlap",
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
    if not separated("foreground", "raw_pixels"):
        verdict = "fails"
    elif not separated("foreground", "untrained"):
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
    found, side = content["arms"] | content["bounds"], 128
    half = 64 / (side / 8) / 2  # px: half the side of a patch of the enlarged frame
    name = min(RECIPES, key=lambda arm: mean(found[f"{arm}@{side}"], "error_px"))
    own, untrained, pixels = (
        found[f"{arm}@{side}"]["error_px"] for arm in (name, "vit_random", "raw_pixels")
    )
    if own["mean"] > half:
        verdict = "**fails**: further off than half a patch side"
    elif own["high"] >= min(untrained["low"], pixels["low"]):
        verdict = "**holds**, and shows nothing: without training, propagation does it as well"
    else:
        verdict = "**holds**"
    return (
        f"frozen patches follow the ball to half a patch side ({half:g} px of a frame of 64)",
        f"frames enlarged to {side} px: best {RECIPES[name]} {own['mean']:.1f} px, untrained ViT "
        f"{untrained['mean']:.1f}, raw pixels {pixels['mean']:.1f}; as they are, 8 x 8 patches: "
        f"{mean(found[f'{name}@64'], 'error_px'):.1f} px, half a side is 4",
        verdict,
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
