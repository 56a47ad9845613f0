"""The tables of this part's pages, and the one that a run ends with, as data."""

from common.harness.claims import Claims
from common.harness.tables import Column, Pivot, Table
from part4_dinov3_encoder.report.claims import CLAIMS

METHODS = {"ijepa": "I-JEPA", "vjepa": "V-JEPA", "dino": "DINO", "lejepa": "LeJEPA"}
BASELINES = {"untrained": "untrained ViT", "raw_pixels": "raw pixels"}
CONV_JEPA = {"part2_jepa": "part 2's JEPA"}
LONG = {
    "supervised": "*upper bound:* labels", "lejepa": "LeJEPA", "dino": "DINO", "ijepa": "I-JEPA",
    "ijepa-sigreg": "I-JEPA + SIGReg", "vjepa": "V-JEPA",
    "ijepa-random": "*control:* I-JEPA, random teacher", "pixels": "*control:* masked pixels",
    "untrained": "untrained ViT", "untrained_clips": "untrained ViT of clips",
    "raw_pixels": "raw pixels",
}  # fmt: skip
LABELS = {
    "position_all_1000": ("position", 2), "position_all_100": ("position, 100 labels", 2),
    "position_mean_1000": ("mean token", 2), "position_max_1000": ("maximum token", 2),
    "position_all_removed": ("position, after", 2), "phase_all_1000": ("phase", 2),
    "radius_max_1000": ("radius", 2), "balls_max_1000": ("balls", 2),
    "velocity_all_1000": ("velocity, one frame", 2), "velocity2_all_1000": ("velocity, two", 2),
    "foreground": ("IoU", 2), "foreground_labelled": ("IoU, labels", 2),
    "foreground_removed": ("IoU, places taken out", 2), "leakage": ("place's share", 2),
    "leakage_removed": ("place's share, after", 2), "place_directions": ("directions", 0),
    "patch_effective_rank": ("rank", 1), "patch_collapse_ratio": ("collapse ratio", 3),
    "effective_rank": ("rank, frames", 1), "collapse_ratio": ("collapse ratio, frames", 3),
    "mean_std": ("mean std, frames", 3), "position_attentive": ("position, attentive", 2),
    "velocity_attentive": ("velocity, attentive", 2), "error_px": ("px off, followed", 2),
    "context_explains": ("context explains", 2),
}  # fmt: skip
RUN_NOTE = """
rank: effective, of patch tokens. position to velocity: R² of noisy linear probes from 1,000
labelled frames (all tokens, or their maximum for radius and balls). IoU: patches named ball by
clusters without labels; then by a linear probe of 100 labelled frames."""


def table(*metrics: str, less: str = "", conv_jepa: bool = False) -> Table:
    """Methods, then baselines; less: a metric whose paired difference from untrained is shown."""
    columns: dict[str, Column | tuple[str, int]] = {name: LABELS[name] for name in metrics}
    if less:
        label = f"gain in {LABELS[less][0]}"
        columns["less"] = Column(label, part="differences", metric=less)
    others = BASELINES | (CONV_JEPA if conv_jepa else {})
    rows = METHODS | {f"references:{name}": label for name, label in others.items()}
    return Table("methods", rows, columns)


RUN = table(
    "patch_effective_rank", "position_all_1000", "phase_all_1000", "radius_max_1000",
    "balls_max_1000", "velocity_all_1000", "velocity2_all_1000", "foreground",
    "foreground_labelled", conv_jepa=True,
)  # fmt: skip
LENGTH = Table("growth", LONG, {name: LABELS[name] for name in (
    "position_all_1000", "position_attentive", "foreground_labelled", "effective_rank", "error_px",
    "velocity_attentive", "context_explains")}, corner="seeds: {n}")  # fmt: skip
FOLLOWERS = METHODS | {
    "vit_random": "untrained ViT", "raw_pixels": "raw pixels",
    "true_labels": "upper bound: true labels", "never_moving": "a point that never moves",
}  # fmt: skip
ERROR, LOST = (
    Pivot("tracking", metric, "encoder", "resolution", Column(label), FOLLOWERS)
    for metric, label in (("error_px", "px off, frame of"), ("lost", "share lost, frame of"))
)
PAGES = {
    "README.md": {
        "main": table("position_all_1000", "foreground_labelled", "patch_effective_rank",
                      less="position_all_1000"),
        "claims": Claims(CLAIMS),
    },
    "results/README.md": {
        "claims": Claims(CLAIMS, criteria=True), "run": RUN, "error": ERROR, "lost": LOST,
        "length": LENGTH,
        "likeness": Table("likeness", METHODS | {"vit_random": "untrained ViT"} | {
            "raw_pixels": "raw pixels"}, {"chelsea": ("chelsea", 2), "grace_hopper":
            ("grace_hopper", 2)}, corner="correlation with colour"),
        "position": table("position_all_100", "position_all_1000", "position_mean_1000",
                          "position_max_1000", less="position_all_100", conv_jepa=True),
        "foreground": table("foreground", "foreground_removed", less="foreground"),
        "labelled": table("foreground_labelled", less="foreground_labelled"),
        "places": table("leakage", "leakage_removed", "place_directions", "position_all_1000",
                        "position_all_removed"),
        "collapse": table("collapse_ratio", "effective_rank", "mean_std", "patch_collapse_ratio",
                          "patch_effective_rank", conv_jepa=True),
    },
}  # fmt: skip
