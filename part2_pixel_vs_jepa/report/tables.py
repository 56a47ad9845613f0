"""Every table of this part's pages and of its terminal, as data."""

from collections.abc import Mapping
from typing import Any, TypeVar

from common.harness.claims import Claims
from common.harness.tables import Column, Renders, Table
from part2_pixel_vs_jepa.report.claims import CLAIMS

T = TypeVar("T")
METHODS = {
    "pixels": "pixels", "pixels_z": "pixels + z", "jepa": "JEPA", "jepa_z": "JEPA + z",
    "jepa_sigreg": "JEPA, SIGReg", "jepa_z_sigreg": "JEPA + z, SIGReg",
}  # fmt: skip
UNTRAINED = {
    "oracle": "*upper bound: every real future*", "bayes": "*Bayes-optimal frame (exact blur)*",
    "copy": "*baseline: copy of the last frame*", "mean": "*baseline: mean of all frames*",
    "blank": "*baseline: black frame*",
}  # fmt: skip
ENCODERS = {"raw_pixels": "*raw pixels, averaged 2 x 2*", "random_encoder": "*random weights*"}
WORLDS = ("dots", "squares", "background", "speeds", "stochastic_wall")
SCORES = {"smear": ("smear", 2), "coverage": ("coverage", 2), "precision": ("precision", 2),
          "mse_over_bayes": ("MSE / Bayes floor", 2)}  # fmt: skip
INSIDE = {"smear_excess": ("smear less readout's", 2), "latent_smear": ("latent smear", 2),
          "fvu": ("FVU", 3), "effective_rank": ("rank", 1)}  # fmt: skip
WHY = {f"jepa_z-d{d}-inv{i}": f"JEPA + z, D = {d}, i = {i}" for d in (6, 32) for i in (1, 5, 25)}
WHY |= {"jepa_z-d6-inv1-K32": "JEPA + z, D = 6, i = 1, K = 32"}
WHY |= {f"pixels_z-{px}px": f"pixels + z, {px} px" for px in (8, 16, 20)}
KS = {f"{m}-K{k}": f"{METHODS[m]}, K = {k}" for m in ("pixels", "jepa") for k in (1, 2, 4, 8, 16)}


def pick(named: Mapping[str, T], *keys: str) -> dict[str, T]:
    return {key: named[key] for key in keys}


def bare(columns: Mapping[str, tuple[str, int]]) -> dict[str, Column]:
    """The same columns without intervals."""
    return {key: Column(*column, interval=False) for key, column in columns.items()}


def count(label: str) -> Column:
    return Column(label, whole=True, interval=False)


def horizon(world: str, names: Mapping[str, str]) -> Table:
    columns = {f"position_error_at_{n}": (f"px at {n}", 2) for n in (1, 5, 10, 20, 40)}
    columns |= {f"sharpness_at_{n}": (f"sharpness at {n}", 2) for n in (1, 40)}
    bounds = {"oracle": "*true dynamics, drawn again*", "copy": "*a ball that stays*"}
    return Table(world, names, columns, bounds)


PLAIN = {name: label.strip("*") for name, label in UNTRAINED.items()}
RUN = Table("main", METHODS, bare(SCORES | INSIDE) | {"parameters": count("parameters")}, PLAIN)
COVERED = {f"coverage_{k}": (f"coverage of {k}", 2) for k in (1, 2, 4, 8)}
COVERED |= {"coverage": ("of 16", 2)}
BITS = {"bits": ("bits", 2), "bits_above": ("above the exact", 2),
        "bits_ball": ("on the ball", 2), "bits_elsewhere": ("elsewhere", 2)}  # fmt: skip
DRAWN = {"pixels_nll": "pixels, likelihood", "pixels_nll_z": "pixels + z, likelihood",
         "tokens": "tokens"}  # fmt: skip
WORDS = pick(DRAWN, "tokens")
SAMPLED = {"sampler": "*true dynamics, drawn afresh*", "frames": "*true dynamics*",
           "codebook": "*every real future, in words*",
           "shown": "*every real future, as it is seen*"}  # fmt: skip
PLAINLY = {name: label.strip("*") for name, label in SAMPLED.items()}
FAR = {"distance": ("px", 2), "mse": ("MSE", 5)}
RUN_DRAWN = Table("tokens", DRAWN, bare(COVERED | BITS | FAR), PLAINLY)
VERSUS = {
    "versus:pixels": "pixels", "versus:pixels_z": "pixels + z",
    "versus:pixels_z-K8": "pixels + z, K = 8", "versus:jepa": "JEPA", "versus:jepa_z": "JEPA + z",
    "likelihood:pixels_nll": DRAWN["pixels_nll"],
    "likelihood:pixels_nll_z": DRAWN["pixels_nll_z"],
    "likelihood:pixels_nll_z-K8": f"{DRAWN['pixels_nll_z']}, K = 8", "tokens:tokens": "tokens",
}  # fmt: skip
LIKELIHOODS = {row: label for row, label in VERSUS.items() if not row.startswith("versus")}
SHARP = {"smear": ("smear", 2), "precision": ("precision", 2),
         "weighted_precision": ("precision, by weight", 2),
         "mse_over_bayes": ("MSE / Bayes floor", 2),
         "bits_above": ("bits above the exact", 1)}  # fmt: skip
IN_WORLDS = {"none": "posts' world", "speeds": "three speeds", "squares": "flickering squares",
             "dots": "random dots", "stochastic_wall": "stochastic wall"}  # fmt: skip
RATES = {f"rate-{rate}": f"rate {rate}" for rate in ("0.003", "0.01")}
ARMS = pick(METHODS, "pixels", "pixels_z", "jepa", "jepa_z") | DRAWN
RESULTS: dict[str, Renders] = {
    "criteria": Claims(CLAIMS, criteria=True),
    "run": RUN,
    "main": Table("main", METHODS, SCORES, UNTRAINED),
    "inside": Table(
        "main", METHODS,
        INSIDE | {"smear_bank": ("smear, nearest real frame", 2), "grey_mass": ("grey mass", 3),
                  "weight_error": ("weight error", 3)},
        pick(UNTRAINED, "bayes") | pick(ENCODERS, "random_encoder")),
    "probes": Table(
        "main", METHODS, {"probe_x": ("x", 3), "probe_sin_phase": ("sin phase", 2),
                          "probe_cos_phase": ("cos phase", 2), "probe_velocity": ("velocity", 3)},
        ENCODERS, "R², {n} seeds"),
    **{world: Table(world, METHODS, SCORES | pick(INSIDE, "smear_excess", "latent_smear"),
                    pick(UNTRAINED, "copy", "mean", "blank")) for world in WORLDS},
    "pairs": Table("dots", {f"{world}:pairs": world for world in WORLDS},
                   {"ambiguous": count("pairs with several futures"), "count": count("all pairs")}),
    "noise": Table(
        "noise", {"none": "no dots", "dots": "200 dots"},
        {"mse": ("MSE", 4), "bayes_mse": ("Bayes floor", 4), "mse_over_bayes": ("ratio", 2),
         "ball_error": ("ball's error", 4), "bayes_ball_error": ("of the Bayes-optimal frame", 4),
         "ball_over_bayes": ("ratio", 2)}),
    "distractors": Table(
        "dots", {f"{world}:{name}": f"{world}: {label}" for world in WORLDS[:3]
                 for name, label in (METHODS | ENCODERS).items() if name != "pixels_z"},
        {"probe_distractor": ("R² of the distractors", 2), "probe_x": ("R² of x", 2)}),
    "squares_why": Table(
        "squares_why", WHY,
        {"worth_direction": ("worth of direction", 2), "worth_square": ("of best square", 2),
         "z_reads_direction": ("z reads direction", 2), "z_reads_square": ("z reads square", 2),
         "probe_distractor": ("R² of squares", 2), "smear": ("smear", 2),
         "coverage": ("coverage", 2)}),
    "account": Table(
        "z_account", {"embeddings": "embeddings", "pixels": "pixels"}
        | {f"pixels_{px}": f"pixels, squares of {px} px" for px in (8, 16, 20)},
        {"runs": count("runs a seed"), "agrees": ("share where z reads the bit worth more", 2)}),
    "hypotheses": Table("hypotheses", KS, pick(SCORES, "smear", "coverage", "precision")
                        | pick(INSIDE, "smear_excess") | {"weight_error": ("weight error", 2)}),
    "width": Table(
        "width", {f"pixels-x{x}": f"width x {x}" for x in (0.25, 0.5, 0.71, 1, 1.41, 2, 4)},
        {"parameters": count("parameters"), "smear": ("smear", 2), "grey_mass": ("grey mass", 3),
         "mse_over_bayes": ("MSE / Bayes floor", 3)}),
    "action": Table("action", {"pixels": "pixels", "pixels_action": "pixels, told the heading",
                               "jepa": "JEPA", "jepa_action": "JEPA, told the heading"},
                    {"ball_error": ("ball's error", 4), "smear": ("smear", 2)}),
    "versus": Table("versus", VERSUS, SHARP, {f"tokens:{row}": label for row, label in (
                    pick(SAMPLED, "codebook", "shown") | pick(UNTRAINED, "bayes")).items()}),
    "drawn_coverage": Table("tokens", LIKELIHOODS, COVERED, pick(SAMPLED, "sampler")),
    "tokens_bits": Table("tokens", WORDS, BITS, pick(SAMPLED, "sampler")),
    "tokens_worlds": Table(
        "tokens_worlds", IN_WORLDS,
        pick(SCORES, "smear", "precision") | {"bits_ball": ("bits, ball", 1),
        "bits_ball_above": ("above", 1), "bits_elsewhere": ("bits elsewhere", 1),
        "bits_elsewhere_above": ("above", 1)}, corner="{n} seeds"),
    "z_after": Table(
        "z_after", {"16px": "16 px, z from the start", "16px-after": "16 px, z from half-way",
                    "20px-after": "20 px, z from half-way"},
        {"z_reads_direction": ("z reads direction", 2), "z_reads_square": ("z reads square", 2),
         "worth_direction": ("worth of direction", 2), "worth_square": ("of best square", 2),
         "smear": ("smear", 2), "coverage": ("coverage", 2)}),
    "tokens_rate": Table("tokens_rate", RATES, pick(BITS, "bits", "bits_above")),
    "frame_time": Table("frame_time", ARMS, {"ms": ("ms a frame", 2)}),
    "mirrors": horizon("two_frames", pick(METHODS, "pixels", "jepa", "jepa_sigreg")),
    "random_walls": horizon("stochastic_wall", METHODS),
}  # fmt: skip
PAGES: dict[str, dict[str, Renders]] = {
    "README.md": {
        "main": Table("main", METHODS, SCORES, pick(UNTRAINED, "oracle", "bayes", "copy")),
        "claims": Claims(CLAIMS),
    },
    "results/README.md": RESULTS,
}


def run_text(summary: Mapping[str, Any], regularizer: str) -> str:
    """What a run ends with: its table, and what the words in it mean."""
    rows, pairs = dict(summary["variants"]), summary["bounds"]["pairs"]
    for name in ("jepa", "jepa_z"):
        if regularizer != "vicreg" and name in rows:
            rows[f"{name}_{regularizer}"] = rows.pop(name)
    words, drawn = "", {name: rows.pop(name) for name in DRAWN if name in rows}
    if drawn:
        rows |= {f"{DRAWN[name]}, 16 samples": scores for name, scores in drawn.items()}
        words = f"\n\n{RUN_DRAWN.text(drawn, summary['bounds'])}"
    return (
        f"{RUN.text(rows, summary['bounds'])}{words}\n\nsmear: 0 a real future, 1 the exact blur "
        f"of them all; on the {pairs['ambiguous']:.0f} of {pairs['count']:.0f}\nheld-out pairs "
        "whose futures are at least 1 px apart. MSE / Bayes floor: 1 is the\nirreducible error. "
        "FVU: share of the next embedding's variance left unexplained."
    )
