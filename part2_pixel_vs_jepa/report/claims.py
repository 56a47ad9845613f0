"""The post's claims, with what decides each; (ours): a claim of this experiment."""

from common.harness.claims import Cell, Claim, Claims, Results


def below(cell: Cell, limit: float) -> bool | None:
    """Whether a quantity is below a limit; None where its interval holds the limit."""
    return True if cell.high < limit else False if cell.low > limit else None


def above(cell: Cell, limit: float) -> bool | None:
    """Whether a quantity is above a limit; None where its interval holds the limit."""
    found = below(cell, limit)
    return None if found is None else not found


def every(*found: bool | None) -> bool | None:
    """False where any is, else None where any is."""
    return False if False in found else None if None in found else True


def account_holds(results: Results) -> bool:
    account = results["z_account"]
    return account["embeddings"]["agrees"].mean == account["pixels"]["agrees"].mean == 1


CLAIMS = Claims([
    Claim(
        "Pixel MSE smears an ambiguous future.",
        "the deterministic pixel predictor smears by 0.75 or more, within 5% of the Bayes floor",
        holds=lambda r: every(
            above(r["main"]["pixels"]["smear"], 0.75),
            below(r["main"]["pixels"]["mse_over_bayes"], 1.05),
        ),
        verdict="holds",
        finding="Its smear is {main[pixels][smear]:.2f} at {main[pixels][mse_over_bayes]:.2f} "
        "times the irreducible error: the blur is the best answer there is to squared error.",
    ),
    Claim(
        "Model size is not the cause.",
        "smear is above 0.9 at every size from 0.08 to 9 million parameters",
        holds=lambda r: every(
            *(above(r["width"][size]["smear"], 0.9) for size in r["width"].content["variants"])
        ),
        verdict="holds",
        finding="From 79 thousand to 8.9 million parameters smear only falls from "
        "{width[pixels-x0.25][smear]:.2f} to {width[pixels-x4][smear]:.2f}.",
    ),
    Claim(
        "Predicting embeddings removes the smear.",
        "the deterministic JEPA smears by less than 0.5, with VICReg and with SIGReg",
        holds=lambda r: every(
            *(below(r["main"][name]["smear"], 0.5) for name in ("jepa", "jepa_sigreg"))
        ),
        verdict="fails",
        finding="The deterministic JEPA predicts the mean of the two embeddings: its smear is "
        "{main[jepa][smear]:.2f} when decoded, and {main[jepa][latent_smear]:.2f} measured between "
        "embeddings, with no decoder involved.",
    ),
    Claim(
        "A latent z removes it, in either space (ours).",
        "with z, pixels and embeddings smear by less than 0.25",
        holds=lambda r: every(
            *(below(r["main"][n]["smear"], 0.25) for n in ("pixels_z", "jepa_z", "jepa_z_sigreg"))
        ),
        verdict="holds",
        finding="With two values of z smear falls to {main[pixels_z][smear]:.2f} in pixels and "
        "{main[jepa_z][smear]:.2f} in embeddings, and both real futures are named.",
    ),
    Claim(
        "Noise makes pixel prediction 3 to 4 times worse.",
        "200 dots raise the ball's error, over the Bayes-optimal frame's, by half or more",
        holds=lambda r: above(
            r["noise"]["dots"]["ball_over_bayes"],
            1.5 * r["noise"]["none"]["ball_over_bayes"].mean,
        ),
        verdict="fails",
        finding="MSE rises from {noise[none][mse]:.3f} to {noise[dots][mse]:.3f}, but that is the "
        "variance of the dots themselves: the ball's error stays {noise[none][ball_over_bayes]:.2f}"
        " and {noise[dots][ball_over_bayes]:.2f} times the best possible.",
    ),
    Claim(
        "An action removes the ambiguity.",
        "with the heading as an input, both deterministic predictors smear by less than 0.25",
        holds=lambda r: every(
            *(below(r["action"][name]["smear"], 0.25) for name in ("pixels_action", "jepa_action"))
        ),
        verdict="holds",
        finding="Told where the ball is heading, smear falls from {action[pixels][smear]:.2f} to "
        "{action[pixels_action][smear]:.2f} in pixels and from {action[jepa][smear]:.2f} to "
        "{action[jepa_action][smear]:.2f} in embeddings.",
    ),
    Claim(
        "The encoder drops what it cannot predict.",
        "R² of flickering squares, read from a JEPA with z, is below 0.5 at every VICReg weight",
        holds=lambda r: every(
            *(below(r["squares_why"][f"jepa_z-d32-inv{i}"]["probe_distractor"], 0.5)
              for i in (1, 5, 25))
        ),
        verdict="fails",
        finding="It may: squares that flicker at random are read from its embedding with R² "
        "{squares_why[jepa_z-d32-inv25][probe_distractor]:.2f} at the default invariance weight, "
        "but {squares_why[jepa_z-d32-inv1][probe_distractor]:.2f} at weight 1.",
    ),
    Claim(
        "The encoder keeps what it needs (ours).",
        "before a static background, x is read from a JEPA no worse than from random weights",
        holds=lambda r: above(
            r["background"]["jepa"]["probe_x"], r["background"]["random_encoder"]["probe_x"].low
        ),
        verdict="fails",
        finding="Before a background that never moves, VICReg's embedding fills up with it: the "
        "ball's x is read with R² {background[jepa][probe_x]:.2f}, from random weights with "
        "{background[random_encoder][probe_x]:.2f}.",
    ),
    Claim(
        "Blur compounds over long horizons in pixels, not in embeddings.",
        "40 steps on, a JEPA's frames are sharper than the pixel predictor's, paired by seed",
        holds=lambda r: every(
            *(above(r[world]["jepa"]["differences.sharpness_at_40"], 0)
              for world in ("two_frames", "stochastic_wall"))
        ),
        verdict="fails",
        finding="Between mirrors, frames of the pixel predictor are hardly less sharp after 40 "
        "steps ({two_frames[pixels][sharpness_at_1]:.2f} to "
        "{two_frames[pixels][sharpness_at_40]:.2f}); decoded embeddings are "
        "({two_frames[jepa][sharpness_at_1]:.2f} to {two_frames[jepa][sharpness_at_40]:.2f}). "
        "Both lose the ball.",
    ),
    Claim(
        "z goes to the bit that saves most squared error (ours).",
        "in every run, z reads, of the direction and the best square, the one that is worth more",
        holds=account_holds,
        verdict="fails",
        finding="All runs in embeddings agree; in pixels {z_account[pixels][agrees]:%} do, and "
        "squares of 16 px take z though the direction is worth more.",
    ),
])  # fmt: skip
