"""Every table of this part's pages and of its terminal, as data."""

from collections.abc import Mapping
from typing import Any

from common.harness.claims import Claims
from common.harness.tables import Column, Renders, Table
from part2_pixel_vs_jepa.report.claims import CLAIMS

METHODS = {
    "pixels": "pixels",
    "pixels_z": "pixels + z",
    "jepa": "JEPA",
    "jepa_z": "JEPA + z",
    "jepa_sigreg": "JEPA, SIGReg",
    "jepa_z_sigreg": "JEPA + z, SIGReg",
}
UNTRAINED = {
    "oracle": "*upper bound: every real future*",
    "bayes": "*Bayes-optimal frame (the exact blur)*",
    "copy": "*baseline: copy of the last frame*",
    "mean": "*baseline: mean of all frames*",
    "blank": "*baseline: black frame*",
}
ENCODERS = {"raw_pixels": "*raw pixels, averaged 2 x 2*", "random_encoder": "*random weights*"}
WORLDS = ("dots", "squares", "background", "speeds", "stochastic_wall")
SCORES = {
    "smear": ("smear", 2),
    "coverage": ("coverage", 2),
    "precision": ("precision", 2),
    "mse_over_bayes": ("MSE / Bayes floor", 2),
}
INSIDE = {"smear_excess": ("smear less readout's", 2), "latent_smear": ("latent smear", 2)}


def pick(names: Mapping[str, str], *keys: str) -> dict[str, str]:
    return {key: names[key] for key in keys}


def bare(columns: Mapping[str, tuple[str, int]]) -> dict[str, Column]:
    """The same columns without intervals."""
    return {key: Column(*column, interval=False) for key, column in columns.items()}


def horizon(world: str, names: Mapping[str, str]) -> Table:
    errors = {f"position_error_at_{n}": (f"px at {n}", 2) for n in (1, 5, 10, 20, 40)}
    sharpness = {f"sharpness_at_{n}": (f"sharpness at {n}", 2) for n in (1, 40)}
    bounds = {"oracle": "*true dynamics, drawn again*", "copy": "*a ball that stays*"}
    return Table(world, names, errors | sharpness, bounds)


MAIN = Table("main", METHODS, SCORES, UNTRAINED)
RUN = Table(
    "main",
    METHODS,
    bare(SCORES | INSIDE | {"fvu": ("FVU", 3), "effective_rank": ("rank", 1)})
    | {"parameters": Column("parameters", whole=True, interval=False)},
    UNTRAINED,
)
WHY = {f"jepa_z-d{d}-inv{i}": f"JEPA + z, D = {d}, i = {i}" for d in (6, 32) for i in (1, 5, 25)}
WHY |= {"jepa_z-d6-inv1-K32": "JEPA + z, D = 6, i = 1, K = 32"}
WHY |= {f"pixels_z-{px}px": f"pixels + z, squares of {px} px" for px in (8, 16, 20)}
KS = {f"pixels-K{k}": f"pixels, K = {k}" for k in (1, 2, 4, 8, 16)}
KS |= {f"jepa-K{k}": f"JEPA, K = {k}" for k in (1, 2, 4, 8, 16)}

RESULTS: dict[str, Renders] = {
    "run": RUN,
    "main": MAIN,
    "inside": Table(
        "main", METHODS,
        {**INSIDE, "smear_bank": ("smear, nearest real frame", 2), "fvu": ("FVU", 3),
         "effective_rank": ("effective rank", 1), "grey_mass": ("grey mass", 3),
         "weight_error": ("weight error", 3)},
        pick(UNTRAINED, "bayes") | pick(ENCODERS, "random_encoder"),
    ),
    "probes": Table(
        "main", METHODS,
        {"probe_x": ("x", 3), "probe_sin_phase": ("sin phase", 2),
         "probe_cos_phase": ("cos phase", 2), "probe_velocity": ("velocity (two frames)", 3)},
        ENCODERS, "R², {n} seeds",
    ),
    **{
        world: Table(world, METHODS, SCORES | INSIDE, pick(UNTRAINED, "copy", "mean", "blank"))
        for world in WORLDS
    },
    "pairs": Table(
        "dots", {f"{world}:pairs": world for world in WORLDS},
        {"ambiguous": Column("with several futures", whole=True, interval=False),
         "count": Column("all pairs", whole=True, interval=False)},
    ),
    "noise": Table(
        "noise", {"none": "no dots", "dots": "200 dots"},
        {"mse": ("MSE", 4), "bayes_mse": ("Bayes floor", 4), "mse_over_bayes": ("ratio", 2),
         "ball_error": ("error of the ball", 4),
         "bayes_ball_error": ("of the Bayes-optimal frame", 4), "ball_over_bayes": ("ratio", 2)},
    ),
    "distractors": Table(
        "dots",
        {f"{world}:{name}": f"{world}: {label}" for world in ("dots", "squares", "background")
         for name, label in (METHODS | ENCODERS).items() if name != "pixels_z"},
        {"probe_distractor": ("R² of the distractors", 2), "probe_x": ("R² of x", 2)},
    ),
    "squares_why": Table(
        "squares_why", WHY,
        {"worth_direction": ("worth of direction", 2), "worth_square": ("of best square", 2),
         "z_reads_direction": ("z reads direction", 2), "z_reads_square": ("a square", 2),
         "probe_distractor": ("R² of squares", 2), **SCORES},
    ),
    "account": Table(
        "z_account",
        {"embeddings": "embeddings", "pixels": "pixels", "pixels_8": "pixels, squares of 8 px",
         "pixels_16": "pixels, squares of 16 px", "pixels_20": "pixels, squares of 20 px"},
        {"runs": Column("runs a seed", whole=True), "agrees": ("z reads the bit worth more", 2)},
    ),
    "hypotheses": Table("hypotheses", KS, SCORES | INSIDE | {"weight_error": ("weight error", 2)}),
    "width": Table(
        "width",
        {f"pixels-x{x}": f"width x {x}" for x in ("0.25", "0.5", "0.71", "1", "1.41", "2", "4")},
        {"parameters": Column("parameters", whole=True), "smear": ("smear", 2),
         "mse_over_bayes": ("MSE / Bayes floor", 3), "grey_mass": ("grey mass", 3)},
    ),
    "action": Table(
        "action",
        {"pixels": "pixels", "pixels_action": "pixels, action", "jepa": "JEPA",
         "jepa_action": "JEPA, action"},
        {"ball_error": ("error of the ball", 4), "smear": ("smear", 2)},
    ),
    "mirrors": horizon("two_frames", pick(METHODS, "pixels", "jepa", "jepa_sigreg")),
    "random_walls": horizon("stochastic_wall", METHODS),
    "criteria": Claims(CLAIMS.claims, criteria=True),
}  # fmt: skip
PAGES: dict[str, dict[str, Renders]] = {
    "../README.md": {
        "headline": Table("main", METHODS, bare(SCORES), pick(UNTRAINED, "oracle", "bayes", "copy"))
    },
    "README.md": {
        "main": Table("main", METHODS, SCORES, pick(UNTRAINED, "bayes", "copy")),
        "claims": CLAIMS,
    },
    "results/README.md": RESULTS,
}
SIGREG = {"jepa": "jepa_sigreg", "jepa_z": "jepa_z_sigreg"}


def run_text(summary: Mapping[str, Any], regularizer: str) -> str:
    """What a run ends with: its table, and what the words in it mean."""
    renamed: dict[str, str] = SIGREG if regularizer == "sigreg" else {}
    rows = {renamed.get(name, name): scores for name, scores in summary["variants"].items()}
    pairs = summary["bounds"]["pairs"]
    return (
        f"{RUN.text(rows, summary['bounds'])}\n\nsmear: 0 a real future, 1 the exact blur of them "
        f"all; on the {pairs['ambiguous']:.0f} of {pairs['count']:.0f}\nheld-out pairs whose "
        "futures are at least 1 px apart. MSE / Bayes floor: 1 is the\nirreducible error. FVU: "
        "share of the embedding's variance left unexplained."
    )
