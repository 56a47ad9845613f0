"""The post's claims, what was measured of each, and what follows."""

from collections.abc import Mapping
from typing import Any

from common.results import Table
from part2_pixel_vs_jepa.readme_tables import read

Arms = Mapping[str, Mapping[str, Any]]


def value(metrics: Mapping[str, Any], name: str, digits: int = 2) -> str:
    """The mean over seeds."""
    return f"{metrics[name]['mean']:.{digits}f}"


def verdicts_table() -> Table:
    """One row a claim."""
    header = ["the posts say", "measured (means over seeds)", "verdict"]
    claims = (smears, size, embeddings, noise, action, drops, compounds)
    return header, [list(claim()) for claim in claims]


def smears() -> tuple[str, str, str]:
    pixels = read("main")["arms"]["pixels"]
    return (
        "pixel MSE smears on a bimodal future",
        f"smear {value(pixels, 'smear')} at {value(pixels, 'mse_over_bayes', 3)}x the Bayes floor",
        "**holds**: the blur is the best answer to squared error",
    )


def size() -> tuple[str, str, str]:
    widths = read("width")["arms"].values()
    by_size = (f"{value(m, 'smear')} at {m['parameters']['mean'] / 1e6:.2g}M" for m in widths)
    return (
        "model size is not the cause",
        "smear " + ", ".join(by_size) + " parameters",
        "**holds**",
    )


def embeddings() -> tuple[str, str, str]:
    arms = read("main")["arms"]
    return (
        "embeddings do not smear",
        f"decoded smear {value(arms['jepa'], 'smear')} without z, {value(arms['jepa_z'], 'smear')} "
        f"with; pixels with z {value(arms['pixels_z'], 'smear')}",
        "**fails as stated**: it is z that cures the smear, in either space",
    )


def noise() -> tuple[str, str, str]:
    clean, dots = read("hypotheses"), read("dots")  # equal steps, seeds and test episodes
    before, after = clean["arms"]["pixels-K1"], dots["arms"]["pixels"]
    floors = clean["bounds"]["bayes"], dots["bounds"]["bayes"]
    return (
        "pixel prediction degrades 3-4x with noise",
        f"MSE {value(before, 'mse', 4)} to {value(after, 'mse', 4)}, Bayes floor "
        f"{value(floors[0], 'mse', 4)} to {value(floors[1], 'mse', 4)}; error of the ball alone "
        f"{value(before, 'ball_error', 4)} to {value(after, 'ball_error', 4)}",
        "**an artefact**: what rises is the variance of the dots in the target",
    )


def action() -> tuple[str, str, str]:
    arms = read("action")["arms"]
    return (
        "an action removes the ambiguity",
        f"smear {value(arms['pixels'], 'smear')} to {value(arms['pixels_action'], 'smear')} in "
        f"pixels, {value(arms['jepa'], 'smear')} to {value(arms['jepa_action'], 'smear')} in "
        "embeddings",
        "**holds**, in both spaces",
    )


def drops() -> tuple[str, str, str]:
    squares = read("squares")
    arms, raw = squares["arms"], squares["bounds"]["raw_pixels"]
    kept = read("squares_why")["arms"]
    return (
        "the encoder drops what it cannot predict",
        f"R² of the squares' bits: raw pixels {value(raw, 'probe_distractor')}, pixel arm "
        f"{value(arms['pixels'], 'probe_distractor')}, JEPA "
        f"{value(arms['jepa'], 'probe_distractor')}, with SIGReg "
        f"{value(arms['jepa_sigreg'], 'probe_distractor')}; JEPA with z "
        f"{value(arms['jepa_z'], 'probe_distractor')}, but "
        f"{value(kept['jepa_z-d32-inv1'], 'probe_distractor')} at invariance weight 1",
        "**may, not must**: it does where the weights of its loss make that pay",
    )


def compounds() -> tuple[str, str, str]:
    def course(arms: Arms, arm: str) -> str:
        near, far = (value(arms[arm], f"sharpness_at_{h}") for h in (1, 40))
        return f"{arm} {near} to {far}"

    mirrors, random = read("two_frames")["arms"], read("stochastic_wall")["arms"]
    return (
        "blur compounds over long horizons",
        f"sharpness, 1 to 40 steps ahead: mirrors {course(mirrors, 'pixels')}, "
        f"{course(mirrors, 'jepa')}; random walls {course(random, 'pixels')}, "
        f"{course(random, 'jepa')}, {course(random, 'jepa_z')}",
        "**fails as stated**: error compounds in every arm, blur in embeddings more than in pixels",
    )
