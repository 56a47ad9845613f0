"""The claims of this part: what decides each, and what was found."""

from common.harness.claims import Cell, Claim, Results

METHODS = ("ijepa", "vjepa", "dino", "lejepa")
HALVES = {64: 4.0, 128: 2.0, 192: 4 / 3}  # side of the frame (px): half a patch (px of 64)


def cells(r: Results, metric: str, *methods: str) -> list[Cell]:
    return [r["methods"][method][metric] for method in methods or METHODS]


def above_untrained(r: Results, *methods: str) -> bool | None:
    less = cells(r, "differences.position_all_1000", *methods)
    if any(d.high < 0 for d in less):
        return False
    return all(d.low > 0 for d in less) or None


def at_length(r: Results) -> bool | None:
    rows = [r["growth"][method] for method in ("ijepa", "vjepa")]
    if any(len(row["position_all_1000"].values) == 1 for row in rows):
        return None
    return all(row["differences.position_all_1000"].low > 0 for row in rows)


CLAIMS = (
    Claim("Two views teach an encoder where things are.",
          "position R² of DINO and of LeJEPA, paired, is above that of the untrained ViT", "holds",
          "A linear probe of LeJEPA's tokens finds the ball with R² "
          "{methods[lejepa][position_all_1000]}, of DINO's {methods[dino][position_all_1000]}, of "
          "an untrained encoder's {references[untrained][position_all_1000]}.",
          lambda r: above_untrained(r, "dino", "lejepa")),
    Claim("Predicting hidden blocks teaches it too.", "the same of I-JEPA and V-JEPA", "fails",
          "At this length neither reads better than no training does: I-JEPA's R² is "
          "{methods[ijepa][position_all_1000]}, V-JEPA's {methods[vjepa][position_all_1000]}.",
          lambda r: above_untrained(r, "ijepa", "vjepa")),
    Claim("At fifteen times the length, hidden blocks teach it.",
          "the same after 250,000 pictures and, V-JEPA, 500,000; a single seed shows nothing",
          "not shown",
          "In one seed I-JEPA's R² is {growth[ijepa][position_all_1000]}, V-JEPA's "
          "{growth[vjepa][position_all_1000]}, no training's "
          "{growth[untrained][position_all_1000]}; with pixels to predict instead "
          "{growth[pixels][position_all_1000]}.", at_length),
    Claim("The mean of an encoder's tokens still tells where things are.",
          "position R² of a method's mean token is above half of that of all its tokens", "fails",
          "Averaging loses most: LeJEPA's R² falls from {methods[lejepa][position_all_1000]} to "
          "{methods[lejepa][position_mean_1000]}.",
          lambda r: any(mean.mean > 0.5 * whole.mean for mean, whole in zip(
              cells(r, "position_mean_1000"), cells(r, "position_all_1000"), strict=True))),
    Claim("Two frames tell how fast the ball moves.",
          "velocity R² from two frames: a method's interval is above 0", "not shown",
          "A linear probe reads none; from V-JEPA, which sees both frames as one clip, R² "
          "{methods[vjepa][velocity2_all_1000]:i2}.",
          lambda r: any(cell.low > 0 for cell in cells(r, "velocity2_all_1000")) or None),
    Claim("Patch features find balls without labels where grey levels do not.",
          "a method's clusters have IoU of 0.8 or more, and more than those of raw pixels", "fails",
          "Of patches put in two clusters, the best, LeJEPA's, overlap the balls by "
          "{methods[lejepa][foreground]}, those of raw pixels by "
          "{references[raw_pixels][foreground]}.",
          lambda r: max(cell.mean for cell in cells(r, "foreground"))
          >= max(0.8, r["references"]["raw_pixels"]["foreground"].mean)),
    Claim("Frozen patches follow a ball to half a patch.",
          "on each of three grids a method's whole interval is within half a patch side", "fails",
          "A mark handed on, frame by frame, to the most similar patches is "
          "{tracking[lejepa@128][error_px]} px off with LeJEPA on 16 x 16 patches (half a patch: 2 "
          "px), and {tracking[raw_pixels@128][error_px]} with raw pixels, without any encoder.",
          lambda r: all(
              any(r["tracking"][f"{m}@{side}"]["error_px"].high <= half for m in METHODS)
              for side, half in HALVES.items())),
    Claim("A blank picture shows which directions of an untrained token tell its place.",
          "place's share of the untrained ViT's variance, paired: above that of raw pixels before "
          "those directions are taken out, and not after", "holds",
          "Where a patch lies explains {references[untrained][leakage]:%} of how untrained tokens "
          "vary, {references[untrained][leakage_removed]:%} once those directions are out; of raw "
          "pixels, told no place, {references[raw_pixels][leakage]:%}: balls keep off the border.",
          lambda r: r["references"]["raw_pixels"]["differences.leakage"].high < 0
          and r["references"]["raw_pixels"]["differences.leakage_removed"].low >= 0),
    Claim("No method collapses.",
          "patches' collapse ratio is above 0.003 and effective rank above 3, in every seed",
          "holds",
          "Patch tokens spread over {methods[vjepa][patch_effective_rank]:.1f} directions or more; "
          "but V-JEPA's whole frames over {methods[vjepa][effective_rank]:.1f} only, an untrained "
          "ViT's over {references[untrained][effective_rank]:.1f}.",
          lambda r: min(v for c in cells(r, "patch_collapse_ratio") for v in c.values) > 0.003
          and min(v for c in cells(r, "patch_effective_rank") for v in c.values) > 3),
)  # fmt: skip
