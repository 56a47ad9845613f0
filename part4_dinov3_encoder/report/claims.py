"""The claims of this part: what decides each, and what was found."""

from common.harness.claims import Claim, Results

METHODS = ("ijepa", "vjepa", "dino", "lejepa")
GRIDS = {64: 4.0, 128: 2.0, 192: 4 / 3}  # side of the frame (px): half a patch (px of 64)
POSITION = "differences.position_all_1000"


def not_collapsed(r: Results) -> bool:
    ratio, rank = "patch_collapse_ratio", "patch_effective_rank"
    rows = [r["methods"][method] for method in METHODS]
    return all(min(row[ratio].values) > 0.003 and min(row[rank].values) > 3 for row in rows)


def above_untrained(r: Results, *methods: str) -> bool | None:
    found = [r["methods"][method][POSITION] for method in methods]
    return None if any(d.low <= 0 <= d.high for d in found) else all(d.low > 0 for d in found)


def followed(r: Results) -> bool:
    rows = r["tracking"]
    return all(
        any(rows[f"{method}@{side}"]["error_px"].high <= half for method in METHODS)
        for side, half in GRIDS.items()
    )


CLAIMS = (
    Claim(
        "Two views teach an encoder where things are.",
        "position R², paired: DINO's and LeJEPA's interval less the untrained ViT's above 0",
        "holds",
        "R² {methods[lejepa][position_all_1000]} for LeJEPA and {methods[dino][position_all_1000]} "
        "for DINO, {references[untrained][position_all_1000]} for an untrained ViT, "
        "{references[raw_pixels][position_all_1000]} for raw pixels.",
        holds=lambda r: above_untrained(r, "dino", "lejepa"),
    ),
    Claim(
        "So does predicting hidden blocks.",
        "the same of I-JEPA and V-JEPA",
        "fails",
        "At this length both read worse than no training: I-JEPA by "
        "{methods[ijepa][differences.position_all_1000]:i2} of R², V-JEPA by "
        "{methods[vjepa][differences.position_all_1000]:i2}.",
        holds=lambda r: above_untrained(r, "ijepa", "vjepa"),
    ),
    Claim(
        "The mean of an encoder's tokens still tells where things are.",
        "position R² of the best mean token is above half of that of all its tokens",
        "fails",
        "Pooling loses most of it: LeJEPA's R² falls from {methods[lejepa][position_all_1000]} to "
        "{methods[lejepa][position_mean_1000]}.",
        holds=lambda r: any(
            r["methods"][method]["position_mean_1000"].mean
            > 0.5 * r["methods"][method]["position_all_1000"].mean
            for method in METHODS
        ),
    ),
    Claim(
        "Velocity can be read from two frames.",
        "a method's interval of R² from two frames lies above 0",
        "not shown",
        "A linear probe reads none, from no encoder: V-JEPA, which sees both frames as one clip, "
        "{methods[vjepa][velocity2_all_1000]:i2}.",
        holds=lambda r: (
            any(r["methods"][m]["velocity2_all_1000"].low > 0 for m in METHODS) or None
        ),
    ),
    Claim(
        "Patch features find the balls without labels where grey levels do not.",
        "IoU of the best method at least 0.8, and above that of raw pixels",
        "fails",
        "V-JEPA's clusters overlap the balls by {methods[vjepa][foreground]} (IoU), those of raw "
        "pixels by {references[raw_pixels][foreground]}. With 100 labelled frames LeJEPA reaches "
        "{methods[lejepa][foreground_labelled]}, an untrained ViT "
        "{references[untrained][foreground_labelled]}.",
        holds=lambda r: (
            max(r["methods"][m]["foreground"].mean for m in METHODS)
            > max(0.8, r["references"]["raw_pixels"]["foreground"].mean)
        ),
    ),
    Claim(
        "Frozen patches follow a ball to half a patch.",
        "on each of three grids a method's whole interval is within half a patch side",
        "fails",
        "Only LeJEPA on 16 x 16 patches: {tracking[lejepa@128][error_px]} px off, where raw pixels "
        "do better, {tracking[raw_pixels@128][error_px]} px.",
        holds=followed,
    ),
    Claim(
        "A blank picture shows which directions of a token tell its place.",
        "place's share of the untrained ViT's variance, paired: above raw pixels', and not once "
        "those directions are out",
        "holds",
        "Place explains {references[untrained][leakage]:%} of what an untrained ViT's tokens vary, "
        "{references[untrained][leakage_removed]:%} without {references[untrained]"
        "[place_directions]:.0f} directions, and {references[raw_pixels][leakage]:%} of raw pixels.",
        holds=lambda r: (
            r["references"]["raw_pixels"]["differences.leakage"].high < 0
            and r["references"]["raw_pixels"]["differences.leakage_removed"].low >= 0
        ),
    ),
    Claim(
        "No method collapses.",
        "patches' collapse ratio above 0.003 and effective rank above 3, in every seed",
        "holds",
        "Patch tokens use {methods[ijepa][patch_effective_rank]:.0f} directions or more; but whole "
        "frames of I-JEPA {methods[ijepa][effective_rank]:.1f}, of an untrained ViT "
        "{references[untrained][effective_rank]:.1f}.",
        holds=not_collapsed,
    ),
)
