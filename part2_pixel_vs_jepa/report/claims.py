"""The post's claims, what decides each, and what was found; (ours): claims of this experiment."""

from collections.abc import Callable

from common.harness.claims import Claim, Results

Test = tuple[str, str, str, float]  # "file:row", metric, "<" or ">", and the limit


def shown(*tests: Test) -> Callable[[Results], bool | None]:
    """Whether all tests pass; False where an interval lies on the other side of its limit, None,
    not shown, where one holds its limit."""

    def holds(results: Results) -> bool | None:
        passed = set()
        for row, metric, side, limit in tests:
            cell = results["main"][row][metric]
            above = None if cell.low <= limit <= cell.high else cell.low > limit
            passed.add(None if above is None else above == (side == ">"))
        return False if False in passed else None if None in passed else True

    return holds


WIDTHS = ("0.25", "0.5", "0.71", "1", "1.41", "2", "4")
CLAIMS = (
    Claim("Pixel MSE smears an ambiguous future.",
          "without z, pixels smear by 0.75 or more, within 5% of the Bayes floor", "holds",
          "Smear is {main[pixels][smear]:.2f} at {main[pixels][mse_over_bayes]:.2f} times the "
          "irreducible error: the blur is the best answer there is to squared error.",
          shown(("main:pixels", "smear", ">", 0.75), ("main:pixels", "mse_over_bayes", "<", 1.05))),
    Claim("Model size is not the cause.",
          "smear is above 0.9 at every size from 0.08 to 9 million parameters", "holds",
          "From 79 thousand to 8.9 million parameters smear falls only from "
          "{width[pixels-x0.25][smear]:.2f} to {width[pixels-x4][smear]:.2f}.",
          shown(*((f"width:pixels-x{x}", "smear", ">", 0.9) for x in WIDTHS))),
    Claim("Predicting embeddings removes the smear.",
          "without z, JEPAs smear by less than 0.5, with VICReg and with SIGReg", "fails",
          "A JEPA without z predicts the mean of two embeddings: its smear is "
          "{main[jepa][smear]:.2f} decoded, and {main[jepa][latent_smear]:.2f} measured between "
          "embeddings, where no decoder is involved.",
          shown(*((f"main:{m}", "smear", "<", 0.5) for m in ("jepa", "jepa_sigreg")))),
    Claim("A latent z removes it, in either space (ours).",
          "with z, pixels and embeddings smear by less than 0.25", "holds",
          "With two values of z smear falls to {main[pixels_z][smear]:.2f} in pixels and "
          "{main[jepa_z][smear]:.2f} in embeddings, and {main[jepa_z][coverage]:%1} of the real "
          "futures are named.",
          shown(*((f"main:{m}", "smear", "<", 0.25)
                  for m in ("pixels_z", "jepa_z", "jepa_z_sigreg")))),
    Claim("A likelihood of words does not draw the blur (ours).",
          "a sample of the language model smears by less than 0.5, and less than 0.02 of its "
          "pixels are grey", "holds",
          "Samples of a language model of patches smear by "
          "{tokens[tokens][smear]:.2f}, and {tokens[tokens][precision]:%} of them are a real "
          "future; naming a frame takes {tokens[tokens][bits_above]:.1f} bits more than with the "
          "true dynamics.",
          shown(("tokens:tokens", "smear", "<", 0.5), ("tokens:tokens", "grey_mass", "<", 0.02))),
    Claim("Likelihood in place of squared error is what removes the smear (ours).",
          "of pixels taken one by one, black or white by likelihood, a sample smears by less than "
          "0.5", "fails",
          "Of samples drawn pixel by pixel {likelihood[pixels_nll][precision]:%} are a real "
          "future; with z, a mixture of two such frames, {likelihood[pixels_nll_z][precision]:%}.",
          shown(("likelihood:pixels_nll", "smear", "<", 0.5))),
    Claim("Noise makes a pixel model 3 to 4 times worse.",
          "200 dots add 0.5 or more to the ratio of the ball's error to the Bayes-optimal "
          "frame's, paired by seed", "fails",
          "After 500 steps (above: 1,500) dots raise MSE from {noise[none][mse]:.3f} to "
          "{noise[dots][mse]:.3f}, but that is their own variance: the ball's own error is "
          "{noise[none][ball_over_bayes]:.2f} times the best possible without dots, "
          "{noise[dots][ball_over_bayes]:.2f} with.",
          shown(("noise:dots", "differences.ball_over_bayes", ">", 0.5))),
    Claim("An action removes the ambiguity.",
          "told the heading, predictors without z smear by less than 0.25", "holds",
          "Told where the ball is heading, smear falls from {action[pixels][smear]:.2f} to "
          "{action[pixels_action][smear]:.2f} in pixels and from {action[jepa][smear]:.2f} to "
          "{action[jepa_action][smear]:.2f} in embeddings.",
          shown(*((f"action:{m}_action", "smear", "<", 0.25) for m in ("pixels", "jepa")))),
    Claim("The encoder drops what it cannot predict.",
          "R² of flickering squares, read from JEPA + z, is below 0.5 at invariance weights 1, 5 "
          "and 25", "fails",
          "It may: squares that flicker at random are read from its embedding with R² "
          "{squares_why[jepa_z-d32-inv25][probe_distractor]:.2f} at the default invariance weight, "
          "25, but with {squares_why[jepa_z-d32-inv1][probe_distractor]:.2f} at weight 1.",
          shown(*((f"squares_why:jepa_z-d32-inv{i}", "probe_distractor", "<", 0.5)
                  for i in (1, 5, 25)))),
    Claim("The encoder keeps what it needs (ours).",
          "before a static background, the ball's x is read from a JEPA with R² above 0.5", "fails",
          "A background that never moves is predicted best, and fills VICReg's embedding: the "
          "ball's x is read with R² {background[jepa][probe_x]:.2f}, from random weights with "
          "{background[random_encoder][probe_x]:.2f}.",
          shown(*((f"background:{m}", "probe_x", ">", 0.5) for m in ("jepa", "jepa_z")))),
    Claim("Blur compounds over long horizons in pixels, not in embeddings.",
          "40 steps on, a JEPA's frames are sharper than the pixel predictor's, paired by seed",
          "fails",
          "Given two frames, which leave one future, then 40 of their own predictions, pixels go "
          "from a sharpness (1: a crisp disc) of {two_frames[pixels][sharpness_at_1]:.2f} to "
          "{two_frames[pixels][sharpness_at_40]:.2f}, "
          "decoded embeddings (the readout may share the fault) from "
          "{two_frames[jepa][sharpness_at_1]:.2f} to {two_frames[jepa][sharpness_at_40]:.2f}; both "
          "lose the ball.",
          shown(*((f"{world}:jepa", "differences.sharpness_at_40", ">", 0)
                  for world in ("two_frames", "stochastic_wall")))),
    Claim("z goes to the bit that saves most squared error (ours).",
          "in every run z reads, of direction and best square, the one that is worth more", "fails",
          "Where squares flicker, all runs in embeddings agree; in pixels "
          "{z_account[pixels][agrees]:%} do: with squares of 16 px z says "
          "if one is lit, though the direction would save more, even where z starts late.",
          lambda r: all(r["z_account"][n]["agrees"].mean == 1 for n in ("embeddings", "pixels"))),
)  # fmt: skip
