"""When is collapse unstable? The local theory, tested as it is stated.

    python part3_collapse_regularizers/study.py stability      -> results/stability.json, a minute

Near collapse every coordinate has a small spread e. Predicting it costs (1 - R^2) e^2, R^2 being
how well the frozen feature underneath can be predicted (for two views of correlation rho,
2 (1 - rho) e^2); SIGReg per sample falls by k e^2, with k = 1.546 for 17 knots on [0, 3]. With r
the weight of SIGReg per sample over that of the squared error, the spread must grow if

    r k > 1 - R^2        (next frame),        r k > 2 (1 - rho)        (two views),

and shrink otherwise: log e^2 grows by 4 eta / D times the difference per step of gradient descent
of size eta. Here a last layer, scaled to 1e-3, sits on features whose R^2 is known by construction,
and is trained by plain gradient descent at several r. What the theory says of training a whole
encoder from scratch is another experiment, ``collapse_line``; the line drawn there comes from the
untrained encoder's best predicted direction, which is found here too.
"""

import time
from typing import Any

import torch
from torch import Tensor

from common.harness.config import load_config
from common.harness.errors import no_options
from common.harness.results import write_results
from common.intervals import mean_interval, share_interval
from common.sigreg import CURVATURE, critical_lambda, random_slices, sigreg
from part3_collapse_regularizers.config import BASELINE, PART, Config, Stream, generator
from part3_collapse_regularizers.data import draw_sample, frames_ahead, make_pool
from part3_collapse_regularizers.model import make_model

R2 = (0.0, 0.5, 0.9, 0.99)  # of the features, one step ahead; of two views, rho
RATIOS = (0.5, 0.8, 0.9, 1.1, 1.25, 2.0)  # r over the predicted threshold
SEEDS = (0, 1, 2, 3, 4)
DIM, FEATURES, SAMPLES, SLICES = 8, 16, 1024, 32
NEXT_FRAME = BASELINE.with_name("next_frame.yaml")
START, STEPS = 1e-3, 25  # scale of the last layer; steps of gradient descent


def threshold(setting: str, r2: float) -> float:
    """The r at which the theory says that collapse stops being stable."""
    return (1 - r2 if setting == "next_frame" else 2 * (1 - r2)) / CURVATURE


def growth(setting: str, r2: float, r: float, seed: int) -> float:
    """Growth of log e^2 per step, over 4 eta / D: the theory says r k - (1 - R^2)."""
    generator = torch.Generator().manual_seed(seed)
    rho = r2 if setting == "views" else r2**0.5  # correlation of the two features
    weight = START * torch.randn(FEATURES, DIM, generator=generator) / FEATURES**0.5
    weight.requires_grad_()
    eta = DIM / (2 * max(threshold(setting, r2), 0.02)) / 200
    first = weight.detach().square().sum()
    for _ in range(STEPS):
        shared = torch.randn(SAMPLES, FEATURES, generator=generator)
        other = torch.randn(SAMPLES, FEATURES, generator=generator)
        phi_next = rho * shared + (1 - rho**2) ** 0.5 * other
        z_t, z_next = shared @ weight, phi_next @ weight  # (N, D)
        z_pred = rho * z_t if setting == "next_frame" else z_t  # the best linear prediction
        error = (z_pred - z_next).square().mean()
        slices = random_slices(DIM, SLICES, generator)
        statistic: Tensor = sigreg(torch.stack([z_t, z_next]), slices) / SAMPLES
        (gradient,) = torch.autograd.grad(error + r * statistic, weight)
        with torch.no_grad():
            weight -= eta * gradient
    grown = (weight.detach().square().sum() / first).log().item() / STEPS
    return grown * DIM / (4 * eta)


def untrained_threshold(setting: str, seed: int) -> float:
    """The r at which an untrained encoder's best predicted direction would start to spread."""
    files = [BASELINE, *([NEXT_FRAME] if setting == "next_frame" else [])]
    cfg = load_config(Config, files, {"seed": seed, "method": "sigreg"})
    pool = make_pool(cfg, 2048, 1 + frames_ahead(cfg), generator(cfg, Stream.LABELLED_EPISODES))
    sample = draw_sample(cfg, pool, SAMPLES * 2, generator(cfg, Stream.TRAIN_SAMPLES))
    with torch.no_grad():
        z_a, z_b = make_model(cfg).embed(sample.x)
    line = critical_lambda(z_a, z_b)
    rho = 1 - line * CURVATURE / 2
    return line if setting == "views" else threshold(setting, rho**2)


def crossing(ratios: tuple[float, ...], growths: list[float]) -> float:
    """The ratio at which growth is zero, by the line between its neighbours."""
    for low, high, g_low, g_high in zip(ratios, ratios[1:], growths, growths[1:], strict=False):
        if g_low <= 0 < g_high:
            return low + (high - low) * -g_low / (g_high - g_low)
    raise ValueError(f"growth does not change sign over ratios {ratios}: {growths}")


def measured(setting: str, r2: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """The variant of features of one R^2, and its growth over the ratios."""
    predicted = threshold(setting, r2)
    table = [[growth(setting, r2, q * predicted, seed) for q in RATIOS] for seed in SEEDS]
    right = [
        sum((g > 0) == (q > 1) for g, q in zip(row, RATIOS, strict=True)) / len(RATIOS)
        for row in table
    ]
    metrics = {
        "predicted": mean_interval([predicted] * len(SEEDS)),
        "threshold": mean_interval([crossing(RATIOS, row) * predicted for row in table]),
        "sign_right": share_interval(right, len(RATIOS)),
    }
    points = [mean_interval(column) for column in zip(*table, strict=True)]
    curve = {key: [p[key] for p in points] for key in ("mean", "low", "high")}
    variant = {"params": {"setting": setting, "r2": r2}, "metrics": metrics}
    return variant, {"growth": {"x": list(RATIOS)} | curve}


def main() -> None:
    no_options(__doc__)
    begin = time.monotonic()
    torch.set_num_threads(1)  # as a sweep's runs
    variants, curves = {}, {}
    for setting in ("next_frame", "views"):
        for r2 in R2:
            name = f"{setting}-{r2:g}"
            variants[name], curves[name] = measured(setting, r2)
            print(f"{name}: threshold {variants[name]['metrics']['threshold']['mean']:.4f}")
        found = mean_interval([untrained_threshold(setting, seed) for seed in SEEDS])
        params = {"setting": setting, "features": "untrained"}
        variants[f"{setting}-untrained"] = {"params": params, "metrics": {"predicted": found}}
    protocol = {"samples": SAMPLES, "embedding_dim": DIM, "scale": START, "steps": STEPS}
    command = "python part3_collapse_regularizers/study.py stability"
    write_results(
        PART / "results" / "stability.json", command, protocol=protocol, seeds=SEEDS,
        seconds=time.monotonic() - begin, variants=variants, curves=curves,
    )  # fmt: skip
