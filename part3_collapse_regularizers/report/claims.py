"""What this part claims, with what decides each verdict, as data."""

from common.harness.claims import Cell, Claim, Results

R2 = "position_1000"
STOPPED = ("barlow-views", "vicreg-views", "sigreg-views")


def collapsed(r: Results) -> bool:
    none = r["main"]["none-views"]
    return max(none["collapse_ratio"].values) < 0.003 and max(none[R2].values) < 0.1


def stopped(r: Results) -> bool:
    rows, best = [r["main"][name] for name in STOPPED], r["main"]["supervised-views"][R2].mean
    ranked = all(min(row["effective_rank"].values) >= 6 for row in rows)
    gained = all(row[f"differences.{R2}"].low > 0 for row in rows)
    return ranked and gained and all(min(row[R2].values) >= 0.9 * best for row in rows)


def ordered(r: Results) -> bool:
    """Whether three methods have the same order by mean std and by position R²."""
    rows = [r["main"][name] for name in ("barlow-views", "vicreg-views", "simsiam-views")]
    return sorted(rows, key=lambda w: w["mean_std"].mean) == sorted(rows, key=lambda w: w[R2].mean)


def off(r: Results) -> float:
    """Largest relative distance of a measured threshold from the theory's."""
    rows = [
        r["stability"][f"{s}-{x}"] for s in ("next_frame", "views") for x in (0, 0.5, 0.9, 0.99)
    ]
    return max(abs(v / w["predicted"].mean - 1) for w in rows for v in w["threshold"].values)


def above(cell: Cell, least: float = 0.0) -> bool | None:
    """Whether a number is above another, by its interval."""
    return True if cell.low >= least else False if cell.high < least else None


# fmt: off
CLAIMS = (
    Claim("Naive training collapses.", "each seed: collapse ratio below 0.003, position R² below "
          "0.1", "holds", "On two views the collapse ratio ends at "
          "{main[none-views][collapse_ratio]:.4f} and nothing can be read.", collapsed),
    Claim("Barlow Twins, VICReg and SIGReg stop it.", "each run: 0.9 of the supervised position "
          "R², rank 6; paired gain over untrained", "holds", "Position R² is "
          "{main[barlow-views][position_1000]:.2f}, {main[vicreg-views][position_1000]:.2f} and "
          "{main[sigreg-views][position_1000]:.2f}; supervised it is "
          "{main[supervised-views][position_1000]:.2f}, untrained "
          "{main[random_encoder][position_1000]:.2f}.", stopped),
    Claim("Collapse is unstable above a threshold of SIGReg's weight.", "every measured threshold "
          "within 5% of the theory's", "holds", "An embedding must spread where 1.546 "
          "sigreg_lambda > 1 - R² (R²: how well a frozen feature is predicted); at R² = 0.5 theory "
          "says {stability[next_frame-0.5][predicted]:.3f}, measured is "
          "{stability[next_frame-0.5][threshold]:.3f}.", lambda r: off(r) < 0.05),
    Claim("The threshold tells where training on two views collapses (ours).", "0.95 of the runs "
          "on the right side, by the interval", "holds", "With the untrained encoder's features it "
          "is right about {collapse_line[views, untrained encoder][num_right]:.0f} of "
          "{collapse_line[views, untrained encoder][num_runs]:.0f} runs: below it none spreads by "
          "more than {collapse_line[views, untrained encoder][widest_below]:.3f}, above it none by "
          "less than {collapse_line[views, untrained encoder][narrowest_above]:.2f}.",
          lambda r: above(r["collapse_line"]["views, untrained encoder"]["right_side"], 0.95)),
    Claim("It also tells where training on the next frame collapses.", "0.9 of the runs on the "
          "right side, by the interval", "fails", "It is right about {collapse_line[next_frame, "
          "untrained encoder][num_right]:.0f} of {collapse_line[next_frame, untrained "
          "encoder][num_runs]:.0f}; the line that needs no encoder, 0.647, "
          "about {collapse_line[next_frame, no encoder][num_right]:.0f}.",
          lambda r: above(r["collapse_line"]["next_frame, untrained encoder"]["right_side"], 0.9)),
    Claim("The mean std, the post's measure, tells how good an embedding is.", "Barlow Twins, "
          "VICReg, SimSiam: the same order by mean std and by position R²", "fails", "It "
          "measures scale: Barlow Twins has {main[barlow-views][mean_std]:.2f}, SimSiam "
          "{main[simsiam-views][mean_std]:.2f} with a worse position R².", ordered),
    Claim("The collapse ratio, which has no scale, tells it instead.",
          "no SIGReg weight has a ratio above 0.5 and position R² below 0.2", "fails",
          "An embedding that shrinks to the origin keeps "
          "its ratio: SIGReg at a hundredth of its weight has "
          "{weights[sigreg-odds-x0.01][collapse_ratio]:.2f} at position R² "
          "{weights[sigreg-odds-x0.01][position_1000]:.2f}.",
          lambda r: (w := r["weights"]["sigreg-odds-x0.01"])["collapse_ratio"].mean <= 0.5 or
          w[R2].mean > 0.2),
    Claim("VICReg is easier to set than Barlow Twins.", "each weight may be off by more powers of "
          "ten, paired, within 0.05 of the best position R²", "fails", "Position R² stays within "
          "0.05 of the best over {weight_tolerance[variance][decades_position_1000]:.1f} powers of "
          "ten of VICReg's variance weight, at least "
          "{weight_tolerance[redundancy][decades_position_1000]:.1f} of Barlow Twins' only weight.",
          lambda r: above(r["weight_tolerance"]["variance"][f"differences.decades_{R2}"])),
    Claim("LeJEPA's one weight is easy to set.", "it may be off by as many decades as Barlow "
          "Twins' weight, paired", "fails", "At a tenth of it, below the threshold, "
          "position R² falls from {weights[sigreg-odds-x1][position_1000]:.2f} to "
          "{weights[sigreg-odds-x0.1][position_1000]:.2f}; at ten times it is "
          "{weights[sigreg-odds-x10][position_1000]:.2f}.",
          lambda r: above(r["weight_tolerance"]["sigreg_lambda"][f"differences.decades_{R2}"])),
    Claim("LeJEPA needs no stop-gradient, teacher or predictor.", "none adds 0.02 position R², by "
          "the paired interval", "holds", "They change position R² by "
          "{lejepa_parts[stopgrad][differences.position_1000]:.3f}, "
          "{lejepa_parts[teacher][differences.position_1000]:.3f} and "
          "{lejepa_parts[predictor][differences.position_1000]:.3f}.",
          lambda r: all(r["lejepa_parts"][x][f"differences.{R2}"].high < 0.02 for x in
          ("stopgrad", "teacher", "predictor"))),
    Claim("LeJEPA needs no warm-up of the learning rate.", "without it position R² is as high, by "
          "the paired interval", "fails", "Without it position R² changes by "
          "{lejepa_parts[no_warmup][differences.position_1000]:.3f}; decay of the rate is not "
          "needed.", lambda r: above(r["lejepa_parts"]["no_warmup"][f"differences.{R2}"])),
    Claim("LeJEPA's loss tells how good the embedding is.", "Spearman of loss / weight^0.4 with "
          "content R² at least 0.9, all runs", "fails", "The paper reports a rank correlation of "
          "0.945; here it is {loss_quality_correlation[scaled_loss, all][spearman]:.2f}, since "
          "collapsed runs have low losses, and {loss_quality_correlation[scaled_loss, not "
          "collapsed][spearman]:.2f} without them.",
          lambda r: above(r["loss_quality_correlation"]["scaled_loss, all"]["spearman"], 0.9)),
    Claim("On one ball in 64 dimensions SIGReg tells less than VICReg.",
          "position R² below VICReg's, paired", "holds", "Slightly: position R² "
          "{dimension[sigreg-d64][position_1000]:.2f} against "
          "{dimension[vicreg-d64][position_1000]:.2f}, at 16 dimensions "
          "{dimension[sigreg-d16][position_1000]:.2f} against "
          "{dimension[vicreg-d16][position_1000]:.2f}.",
          lambda r: r["dimension"]["sigreg-d64"][f"differences.{R2}"].high < 0),
    Claim("The regularizers work in batches of 16.", "each within 0.1 of its position R² at 256",
          "fails", "Barlow Twins ({batch[barlow-n16][position_1000]:.2f}) and VICReg "
          "({batch[vicreg-n16][position_1000]:.2f}) do. LeJEPA, its terms weighed as at 256, has "
          "{batch[sigreg-n16][position_1000]:.2f} (SIGReg weighs a 16th per sample); at five times "
          "that weight {phase_batch[w0.1-n16][position_1000]:.2f}.",
          lambda r: all(r["batch"][f"{m}-n16"][R2].mean > r["batch"][f"{m}-n256"][R2].mean - 0.1
          for m in ("barlow", "vicreg", "sigreg"))),
)
