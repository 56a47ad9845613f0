"""The verdicts of the README, each computed from the results files."""

from collections.abc import Mapping, Sequence
from typing import Any

from common.harness.results import Table
from part4_dinov3_encoder.report.tables import RECIPES, arms, read

COLLAPSED, LEAST_RANK = 0.003, 3.0  # part 3's line of the collapse ratio; effective rank of patches
GOAL = 0.8  # foreground IoU


def mean(metrics: Mapping[str, Any], name: str) -> float:
    return metrics[name]["mean"]


def number(value: float) -> str:
    """Two digits, and no minus before a zero."""
    return f"{round(value, 2) + 0.0:.2f}"


def listed(names: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


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
    others = {"untrained": "the untrained ViT", "raw_pixels": "raw pixels"}
    found = ", ".join(
        f"{label.removeprefix('the ')} {mean(arms()[arm], 'position_all_1000'):.2f}"
        for arm, label in (RECIPES | others).items()
    )
    better = above("position_all_1000", *others)
    told = [f"**holds** for {listed(better)}" if better else "**fails**"]
    for arm, label in others.items():
        higher = above("position_all_1000", arm)
        if rest := [recipe for recipe in RECIPES.values() if recipe not in higher]:
            told.append(f"not above {label}: {listed(rest)}")
    return (
        "a self-supervised encoder knows where the ball is better than pixels do",
        f"position R², all tokens: {found}",
        "; ".join(told),
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
    found = read("recipes")["arms"]
    two, one = (
        {arm: found[arm][name] for arm in RECIPES}
        for name in ("velocity2_all_1000", "velocity_all_1000")
    )
    shown = ", ".join(f"{label} {number(two[arm]['mean'])}" for arm, label in RECIPES.items())
    seen = [label for arm, label in RECIPES.items() if two[arm]["low"] > max(0.0, one[arm]["high"])]
    return (
        "velocity is in two frames, not in one",
        f"velocity R²: two frames (to V-JEPA a clip), {shown}; one frame, at most "
        f"{number(max(cell['mean'] for cell in one.values()))}",
        f"**holds** for {listed(seen)}"
        if seen
        else "**not shown**: no recipe's interval lies above 0 and above that for one frame",
    )


def clusters() -> tuple[str, str, str]:
    name, value = best("foreground")
    pixels, untrained = (mean(arms()[arm], "foreground") for arm in ("raw_pixels", "untrained"))
    labelled = ", ".join(
        f"{label} {mean(arms()[arm], 'foreground_labelled'):.2f}"
        for arm, label in (
            RECIPES | {"untrained": "untrained ViT", "raw_pixels": "raw pixels"}
        ).items()
    )
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
        f"the same clusters; by a linear probe of 100 labelled frames, {labelled}",
        f"**{verdict}**: {reached}",
    )


def tracking() -> tuple[str, str, str]:
    content = read("tracking")
    found, told, met = content["arms"] | content["bounds"], [], []
    sides = content["protocol"]["resolutions"]
    for side in sides:
        half = 64 / (side / 8) / 2  # px of a frame of 64: half a patch of the enlarged one
        error = {arm: found[f"{arm}@{side}"]["error_px"] for arm in RECIPES}
        pixels = found[f"raw_pixels@{side}"]["error_px"]
        name = min(error, key=lambda arm: error[arm]["mean"])
        fine = sum(cell["high"] <= half for cell in error.values())
        if fine:
            met.append(f"{side // 8} x {side // 8}, {beside(error[name], pixels)}")
        told.append(
            f"{side // 8} x {side // 8} patches ({half:.1f} px): best {RECIPES[name]} "
            f"{error[name]['mean']:.1f}, {fine} of {len(error)} recipes within; untrained ViT "
            f"{mean(found[f'vit_random@{side}'], 'error_px'):.1f}, raw pixels {pixels['mean']:.1f}"
        )
    return (
        "frozen patches follow the ball to half a patch side",
        "within: with the whole interval over clips, weights of one training seed; "
        + "; ".join(told),
        f"**in part**: at {len(met)} of {len(sides)} grids ({'; '.join(met)})"
        if met
        else "**fails**",
    )


def beside(error: Mapping[str, float], pixels: Mapping[str, float]) -> str:
    """How raw pixels' error compares with the best recipe's, by their intervals."""
    if pixels["high"] < error["low"]:
        return "where raw pixels do better"
    if pixels["low"] > error["high"]:
        return "where raw pixels do worse"
    return "where raw pixels do as well within the intervals"


def places() -> tuple[str, str, str]:
    floor = arms()["raw_pixels"]["leakage"]
    found = {
        label: arms()[arm] for arm, label in ({"untrained": "the untrained ViT"} | RECIPES).items()
    }
    shown = ", ".join(
        f"{label.removeprefix('the ')} {mean(m, 'leakage'):.2f} to {mean(m, 'leakage_removed'):.2f}"
        for label, m in found.items()
    )
    more = [label for label, m in found.items() if m["leakage"]["low"] > floor["high"]]
    gone = [label for label in more if found[label]["leakage_removed"]["low"] <= floor["high"]]
    kept = [label for label in more if label not in gone]
    told = [f"**holds** for {listed(gone)}"] if gone else []
    told += [f"**fails** for {listed(kept)}"] if kept else []
    if rest := [label for label in found if label not in more]:
        told.append(f"nothing to take out above raw pixels in {listed(rest)}")
    return (
        "a blank picture shows which directions of a token tell its place",
        f"place's share of the variance, with and without those directions: {shown}; raw pixels, "
        f"which know no place, {floor['mean']:.2f}",
        "; ".join(told) if more else f"**not shown**: {told[-1]}",
    )


def verdicts_table() -> Table:
    """Claims, measured, verdict."""
    makers = (collapse, position, pooled, motion, clusters, tracking, places)
    return ["the claim", "measured (means over seeds)", "verdict"], [
        list(make()) for make in makers
    ]
