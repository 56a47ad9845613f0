"""The critical weight of SIGReg: its tables, and the claims about it with their verdicts."""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from common.harness.results import Table
from common.sigreg import CURVATURE
from part5_action_planning.config import PART
from part5_action_planning.report.tables import cell, read, share
from part5_action_planning.studies.critical import ALIVE, BENT, FINE, read_trained


def critical_arms() -> dict[tuple[str, int], dict[float, Mapping[str, Any]]]:
    """{(task, D): {r: metrics}} of what was trained around the critical weight."""
    return read_trained(PART / "results")


def spreads() -> dict[tuple[str, int], dict[float, list[float]]]:
    """{(task, D): {r: mean std of z, a seed each}}, close to the critical weight too."""
    fine = read_trained(PART / "results", FINE)
    return {
        key: {w: m["mean_std"]["values"] for w, m in sorted((found | fine.get(key, {})).items())}
        for key, found in critical_arms().items()
    }


def bent_spreads() -> dict[tuple[str, int], dict[float, list[float]]]:
    """The same without temporal straightening, where the task has it."""
    return {
        key: {w: m["mean_std"]["values"] for w, m in sorted(found.items())}
        for key, found in read_trained(PART / "results", BENT).items()
    }


def case(task: str, size: int) -> str:
    return f"{task.replace('_', ' ')}, D = {size}"


def critical_table() -> Table:
    """Success, rank and rollout error against SIGReg's weight."""
    arms = critical_arms()
    weights = sorted({weight for found in arms.values() for weight in found})
    shown = {
        "last": ("last step, %", lambda m: f"{100 * m['mean']:.0f}"),
        "held": ("held, %", lambda m: f"{100 * m['mean']:.0f}"),
        "effective_rank": ("rank", lambda m: f"{m['mean']:.1f}"),
        "mean_std": ("mean std", lambda m: f"{m['mean']:.2g}"),
        "error_px_5": ("5 steps, px", lambda m: f"{m['mean']:.1f}"),
    }
    header = [f"{len(read('critical')['seeds'])} seeds", *(f"r = {w:g}" for w in weights)]
    rows = [
        [f"{case(*key)}: {label}", *(form(found[w][name]) for w in weights)]
        for key, found in arms.items()
        for name, (label, form) in shown.items()
    ]
    return header, rows


def alive_table() -> Table:
    """How many seeds did not collapse, against SIGReg's weight."""
    found = spreads()
    weights = sorted({w for spread in found.values() for w in spread})
    rows = [
        [
            case(*key),
            *(f"{sum(s > ALIVE for s in spread[w])}" if w in spread else "" for w in weights),
        ]
        for key, spread in found.items()
    ]
    for key, spread in bent_spreads().items():
        cells = (f"{sum(s > ALIVE for s in spread[w])}" if w in spread else "" for w in weights)
        rows.append([f"{case(*key)}, not straightened", *cells])
    return ["seeds alive, of 3", *(f"r = {w:g}" for w in weights)], rows


def threshold_table() -> Table:
    """The critical weight as the untrained encoder has it."""
    content = read("threshold")
    columns = {
        "best_fvu": "FVU, best direction",
        "mean_fvu": "FVU, mean",
        "predicted": "critical r",
    }
    rows = [
        [arm.replace("_", " ").replace("-d", ", D = "), *(cell(m, name, 3) for name in columns)]
        for arm, m in content["arms"].items()
    ]
    return [f"{len(content['seeds'])} seeds", *columns.values()], rows


def smallest_weight() -> list[str]:
    """Is the best weight the smallest that does not collapse on any seed?"""
    parts, hits = [], []
    for key, found in critical_arms().items():
        alive = [w for w in sorted(found) if min(found[w]["mean_std"]["values"]) > ALIVE]
        best = max(found, key=lambda w: found[w]["last"]["mean"])
        reaches, top = found[alive[0]]["last"], found[best]["last"]
        if len(alive) == len(found):
            parts.append(f"{case(*key)}: alive at every weight, best r = {best:g} ({share(top)})")
            continue
        hits.append(alive[0] == best or reaches["high"] >= top["mean"])
        parts.append(
            f"{case(*key)}: smallest alive on every seed r = {alive[0]:g} ({share(reaches)}), best "
            f"r = {best:g} ({share(top)})"
        )
    verdict = {len(hits): "**holds**", 0: "**fails**"}.get(sum(hits), "**holds in part**")
    return [
        "the best weight of SIGReg is the smallest that does not collapse (ours)",
        "; ".join(parts),
        f"{verdict}: within the interval in {sum(hits)} of the {len(hits)} cases that can collapse",
    ]


def collapse_line() -> list[str]:
    """Does collapse end where the untrained encoder says?"""
    theory, parts, right, total, constant = read("threshold")["arms"], [], 0, 0, 0
    above, fallen = 0, 0  # runs above 1 / k, and those of them that collapsed
    for (task, size), spread in (spreads() | bent_spreads()).items():  # it knows no straightening
        dead = [w for w, values in spread.items() if max(values) <= ALIVE]
        alive = [w for w, values in spread.items() if min(values) > ALIVE]
        line = theory[f"{task}-d{size}"]["predicted"]
        below = f"no seed alive at {max(dead):g}, " if dead else ""
        parts.append(
            f"{case(task, size)}: {below}every seed from {min(alive):g}, predicted "
            f"{line['mean']:.2f}"
        )
        for w, values in spread.items():
            sides = [(s > ALIVE) == (w > p) for s, p in zip(values, line["values"], strict=True)]
            right, total = right + sum(sides), total + len(sides)
            constant += sum((s > ALIVE) == (w > 1 / CURVATURE) for s in values)
            if w > 1 / CURVATURE:
                above, fallen = above + len(values), fallen + sum(s <= ALIVE for s in values)
    told = (
        f"{right} of {total} runs are where their own encoder's line says, {constant} where 1 / k; "
        f"of {above} runs above 1 / k, where theory has no collapse, {fallen} collapsed"
    )
    word = "**holds in part**" if right > constant else "**not shown**"
    return [
        "collapse ends at the weight that an untrained encoder tells (ours)",
        "; ".join(parts),
        f"{word}: {told}",
    ]


def alone() -> list[str]:
    """Or does temporal straightening keep an embedding from shrinking to a point, too?"""
    told, better = [], []
    for key, found in bent_spreads().items():
        for w, without in found.items():
            with_it = spreads()[key][w]
            better.append(sum(s > ALIVE for s in with_it) > sum(s > ALIVE for s in without))
            told.append(
                f"r = {w:g}: mean std {fmean(without):.2g} alone, {fmean(with_it):.2f} with "
                "straightening"
            )
    return [
        "SIGReg alone decides whether an embedding lives (ours: two rooms)",
        "; ".join(told),
        "**fails**: straightening knows no scale, and keeps alive what SIGReg lets collapse"
        if any(better)
        else "**not contradicted**",
    ]
