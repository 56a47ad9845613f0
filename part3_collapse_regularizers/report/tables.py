"""The tables of this part's pages, as data; a method without a label is shown by its name."""

from common.harness.claims import Claims
from common.harness.tables import Column, Pivot, Sources, Table
from part3_collapse_regularizers.report.claims import CLAIMS

# fmt: off
METHODS = {
    "none": "none (naive)", "stopgrad": "stop-gradient",
    "vicreg_no_variance": "VICReg, no variance", "vicreg_no_covariance": "VICReg, no covariance",
    "simsiam": "SimSiam", "byol": "BYOL", "dino": "DINO", "barlow": "Barlow Twins",
    "vicreg": "VICReg", "sigreg": "SIGReg (LeJEPA)", "supervised": "upper bound: supervised",
}
SETTINGS = {"views": "two views", "next_frame": "next frame"}
WEIGHTS = {"redundancy": "Barlow Twins, redundancy", "variance": "VICReg, variance",
           "covariance": "VICReg, covariance", "sigreg_lambda": "SIGReg, sigreg_lambda"}
BOUNDS = {"random_encoder": "baseline: untrained encoder", "raw_pixels": "baseline: raw pixels"}
METRICS = {
    "collapse_ratio": ("collapse ratio", 4), "effective_rank": ("rank", 1),
    "position_1000": ("position R²", 2), "content_1000": ("content R²", 2),
    "nuisance_1000": ("nuisance R²", 2), "mean_std": ("mean std", 3),
    "correlation": ("mean |correlation|", 3), "sigreg_per_sample": ("SIGReg / sample", 4),
    "fvu": ("FVU", 3), "position_100": ("position R², 100 labels", 2),
    "content_100": ("content R²", 2), "seconds": ("seconds", 0),
    "radius_1000": ("radius R²", 2), "second_1000": ("second ball R²", 2),
    "brightness_1000": ("brightness R²", 2), "background_1000": ("background R²", 2),
    "position_clean": ("position R², no noise", 2), "knn_content": ("content R², 10-NN", 2),
    "predicted": ("theory", 4), "threshold": ("threshold", 4), "right_side": ("right side", 3),
    "num_right": ("runs", 0), "num_runs": ("of", 0),
    "widest_below": ("largest spread below", 4), "narrowest_above": ("smallest above", 4),
}
ALL = "collapse_ratio effective_rank position_1000 content_1000 nuisance_1000"


def pick(names: str, interval: bool = True) -> dict[str, Column]:
    return {name: Column(*METRICS[name], interval=interval) for name in names.split()}


def sweep(names: str, setting: str = "views") -> Table:
    """All methods of the main sweep in one setting."""
    rows = {f"{method}-{setting}": label for method, label in METHODS.items()}
    return Table("main", rows, pick(names), BOUNDS)


def run_table(name: str, summary: dict) -> str:
    """What a run ends with, for the terminal."""
    (scores,) = summary["variants"].values()
    table = Table("main", {}, pick(ALL.replace("rank", "rank mean_std")), BOUNDS)
    return f"{table.text({name: scores}, summary['bounds'])}\n{NOTE}"


NOTE = """
collapse ratio: 0 a point, 1 spread about 0. rank: effective, of the embedding. R²: of noisy linear
probes on held-out frames, 1,000 labels; nuisance is what differs between a sample's two frames."""
TWICE = ("stopgrad", "vicreg_no_variance")  # the naive run once more
SHORT = Table(
    "main", {f"{m}-views": METHODS[m] for m in METHODS if m not in TWICE},
    {"collapse_ratio": Column("collapse ratio", 3),
     **pick("effective_rank position_1000 nuisance_1000")}, BOUNDS)
STABILITY = {f"{s}-{x}": f"{label} = {x}" for x in ("0", "0.5", "0.9", "0.99")
             for s, label in (("views", "two views, rho"), ("next_frame", "next frame, R²"))}
LINES = {f"{s}, {line}": f"{label}, {shown}" for s, label in SETTINGS.items()
         for line, shown in (("untrained encoder", "untrained encoder"), ("no encoder",
         "no encoder"), ("fresh", "new runs, predicted beforehand"))}
DECADES = {f"{kind}_{metric}_1000": Column(f"{label}{metric} R²", 1, interval=kind == "decades")
           for metric in ("content", "position")
           for kind, label in (("decades", "decades, "), ("at_end", "reached an end, "))}
PARTS = {
    "plain": "as it is", "stopgrad": "with stop-gradient, half the weight",
    "teacher": "with an EMA teacher, half the weight", "predictor": "with a predictor",
    "constant_rate": "without decay of the rate", "no_warmup": "without warm-up",
}
GAIN = {"gain": Column("change of position R²", 3, part="differences", metric="position_1000")}
PREDICTORS = {
    "loss": "loss, held out", "scaled_loss": "loss / weight^0.4", "prediction": "prediction term",
    "sigreg": "SIGReg / batch", "rank": "effective rank, larger is better",
}
SIZES = {f"{m}-n{n}": f"{METHODS[m]}, {n}" for m in ("barlow", "vicreg", "sigreg")
         for n in (16, 64, 256)}
WIDTHS = {f"{m}-d{d}": f"{METHODS[m]}, {d}" for m in ("vicreg", "sigreg") for d in (2, 16, 64)}
UNTRAINED = {f"vicreg-d{d}/{bound}": f"{label}, {d}" for bound, label in BOUNDS.items()
             for d in (2, 16, 64)}
RESULTS = {
    "criteria": Claims(CLAIMS, criteria=True),
    "sources": Sources((
        "main", "stability", "phase_batch", "phase_rollout", "collapse_predicted", "collapse_fresh",
        "collapse_line", "weights",
        "weight_tolerance", "lejepa_parts", "loss_vs_quality", "loss_quality_correlation", "batch",
        "dimension")),
    "views": sweep(ALL),
    "next_frame": sweep(ALL, "next"),
    "scale": sweep("mean_std correlation sigreg_per_sample fvu"),
    "read": sweep("radius_1000 second_1000 brightness_1000 background_1000"),
    "probes": sweep("position_100 position_clean knn_content seconds"),
    "probes_next": sweep("position_100 seconds", "next"),
    "stability": Table("stability", STABILITY, pick("predicted threshold")),
    "lines": Table("collapse_line", LINES, pick(
        "threshold right_side num_right num_runs widest_below narrowest_above")),
    "tolerance": Table("weight_tolerance", WEIGHTS, DECADES),
    "parts": Table("lejepa_parts", PARTS, pick(ALL) | GAIN, BOUNDS),
    "correlation": Pivot("loss_quality_correlation", "spearman", "predictor", "runs",
                         Column("Spearman with content R²"), PREDICTORS),
    "batch": Table("batch", SIZES, pick("position_1000 effective_rank"), BOUNDS),
    "dimension": Table("dimension", WIDTHS, pick("position_1000 effective_rank fvu"), UNTRAINED),
} | {
    f"weights_{metric}": Pivot("weight_tolerance", metric, "weight", "factor",
                               Column(*METRICS[metric], interval=False), WEIGHTS)
    for metric in ("position_1000", "content_1000", "effective_rank")
}
PAGES = {"README.md": {"main": SHORT, "claims": Claims(CLAIMS)}, "results/README.md": RESULTS}
