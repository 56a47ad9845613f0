"""The post's claim: a pixel predictor smears an ambiguous future, an embedding predictor does not.

    python part2_pixel_vs_jepa/train.py
    python part2_pixel_vs_jepa/train.py --config configs/part2/dots.yaml --steps 500

One ball, one input frame: the direction is hidden, so every middle frame has two futures. This
script trains a pixel predictor and a JEPA (of about 700K parameters each) on the same batches, and
then scores both on held-out pairs whose every real future is known; a minute on two cores. Expect
the deterministic pixel predictor to come within 5% of the Bayes floor (0.0176) and to smear (index
near 1), since the blur *is* the best answer under squared error; and the JEPA with a latent z to
name each real future (index near 0.1, most of it its readout's). What the latent z does, and what
embeddings do without it: --config configs/part2/four_arms.yaml. Files: runs/part2/<name>-seed<k>/.
"""

import math
from dataclasses import replace
from typing import assert_never

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from common.episodes import Batch, draw_batch, make_clips
from common.harness.config import parse_config, to_yaml
from common.harness.errors import before_training, check_weights, run_script, stopping_at
from common.harness.machine import autocast, device_name, pick_device, to_device
from common.harness.runs import Run
from common.losses import vicreg_spread
from common.schedules import warmup_cosine
from common.sigreg import random_slices, sigreg
from part2_pixel_vs_jepa.config import BASELINE, Config, Stream, generator
from part2_pixel_vs_jepa.model import Arm, LikelihoodModel, Model, make_models
from part2_pixel_vs_jepa.report.tables import run_text
from part2_pixel_vs_jepa.scoring.heldout import make_heldout
from part2_pixel_vs_jepa.scoring.scores import heldout_error, score_run
from part2_pixel_vs_jepa.tokens import TokenModel

Loss = tuple[Tensor, dict[str, Tensor]]  # what is minimised, and its unweighted terms
Pair = tuple[Tensor, Tensor]  # embeddings (B, D) of a frame and of the next


def best_of(distance: Tensor, relaxation: float) -> tuple[Tensor, Tensor]:
    """Prediction loss of K hypotheses from their distances (B, K), and which z was nearest, (B,).

    z* = argmin_z d(z) gets the loss (LeCun 2022, sec. 4.4: inference of z is minimisation), less
    a small share for the others, without which a hypothesis that never wins never moves.
    """
    nearest, z = distance.min(dim=1)  # (B,)
    others = (distance.sum(dim=1) - nearest) / max(1, distance.shape[1] - 1)
    share = relaxation if distance.shape[1] > 1 else 0.0
    return ((1 - share) * nearest + share * others).mean(), z


def without_choice(cfg: Config) -> Config:
    """The config for the steps before z_start: each of K hypotheses has 1 / K of the loss."""
    k = cfg.num_hypotheses
    return replace(cfg, loss_weights=replace(cfg.loss_weights, relaxation=(k - 1) / k))


def pixel_loss(model: Model, batch: Batch, cfg: Config, slices: Tensor) -> Loss:
    """Predict the frame (the second post's equation): min_z |x_next - dec(pred(enc(x_t), z))|^2.

    And, in every method, the choice: -log p(z* | x_t), which weighs the hypotheses.
    """
    _, z_pred, log_odds = model.predict(batch)  # (B, K, D), (B, K)
    x_pred = model.decode(z_pred)  # (B, K, C, H, W)
    distance = (x_pred - batch.x_next.unsqueeze(1)).square().mean(dim=(2, 3, 4))
    prediction, z = best_of(distance, cfg.loss_weights.relaxation)
    choice = cross_entropy(log_odds, z)
    return prediction + choice, {"prediction": prediction, "choice": choice}


def jepa_loss(model: Model, batch: Batch, cfg: Config, slices: Tensor) -> Loss:
    """Predict the embedding (the third post's equation): min_z |enc(x_next) - pred(enc(x_t), z)|^2.

    Gradients flow into both sides, so that a regularizer has to keep the embeddings apart.
    """
    z_past, z_pred, log_odds = model.predict(batch)  # (B, n, D), (B, K, D), (B, K)
    z_next = model.encoder(batch.x_next)  # (B, D)
    z = (z_past[:, -1], z_next)
    distance = (z_pred - z_next.unsqueeze(1)).square().mean(dim=2)
    prediction, nearest = best_of(distance, cfg.loss_weights.relaxation)
    match cfg.regularizer:
        case "vicreg":
            loss, terms = vicreg_loss(prediction, z, cfg, slices)
        case "sigreg":
            loss, terms = sigreg_loss(prediction, z, cfg, slices)
        case _:
            assert_never(cfg.regularizer)
    choice = cross_entropy(log_odds, nearest)
    x_read = model.decoder(z_next.detach())  # the readout sees real frames' embeddings alone
    readout = mse_loss(x_read, batch.clean_next)
    terms = {"prediction": prediction, "choice": choice} | terms | {"readout": readout}
    return loss + choice + readout, terms


def vicreg_loss(prediction: Tensor, z: Pair, cfg: Config, slices: Tensor) -> Loss:
    """i * prediction + v * variance + c * covariance: VICReg, arXiv 2105.04906, eq. 6.

    Its invariance is the prediction error, of the nearest of K hypotheses.
    """
    w, terms = cfg.loss_weights, vicreg_spread(z)
    loss = w.invariance * prediction + w.variance * terms["variance"]
    return loss + w.covariance * terms["covariance"], terms


def sigreg_loss(prediction: Tensor, z: Pair, cfg: Config, slices: Tensor) -> Loss:
    """prediction + sigreg_lambda * SIGReg / N: LeJEPA, arXiv 2511.08544, see common/sigreg.py."""
    statistic = sigreg(torch.stack(z), slices)
    loss = prediction + cfg.loss_weights.sigreg_lambda * statistic / len(z[0])
    return loss, {"sigreg": statistic}


def likelihood_loss(model: LikelihoodModel, batch: Batch) -> Loss:
    """-log sum_z p(z | x_t) prod_i p(pixel_i | z, x_t), a pixel: no squared error anywhere."""
    bits = model.bits(batch)  # (B,)
    return bits.mean() * math.log(2) / batch.x_next[0].numel(), {"bits": bits.mean()}


def token_loss(model: TokenModel, batch: Batch) -> Loss:
    """The recipe of language models: -log p(word | words before it), of the next frame's words."""
    bits = model.bits(batch)  # (B, N)
    return bits.mean() * math.log(2), {"bits": bits.sum(1).mean()}


def compute_loss(model: Arm, batch: Batch, cfg: Config, slices: Tensor) -> Loss:
    """The loss of one method, and its unweighted terms; slices (D, M) from ``draw_slices``."""
    if isinstance(model, TokenModel):
        return token_loss(model, batch)
    if isinstance(model, LikelihoodModel):
        return likelihood_loss(model, batch)
    return (pixel_loss if model.in_pixels else jepa_loss)(model, batch, cfg, slices)


def draw_slices(model: Arm, cfg: Config, draws: torch.Generator) -> Tensor:
    """SIGReg's random directions (D, M) for one step; none, (D, 0), where it is not computed."""
    if isinstance(model, TokenModel) or model.in_pixels or cfg.regularizer != "sigreg":
        return torch.empty(cfg.model.embedding_dim, 0, device=draws.device)
    return random_slices(cfg.model.embedding_dim, cfg.loss_weights.num_slices, draws)


def train(cfg: Config, run: Run, device: torch.device) -> None:
    """Trains every method of the config on the same batches, scores them, and writes the run."""
    with before_training():
        draws = generator(cfg, Stream.TRAIN_DATA, device)
        clips = make_clips(cfg.world, cfg.distractor, cfg.data.num_train_episodes, draws)
        held = to_device(make_heldout(cfg), device)
    models = {name: model.to(device) for name, model in make_models(cfg).items()}
    peaks = dict.fromkeys(models, cfg.learning_rate)
    for name, model in models.items():
        if isinstance(model, TokenModel):
            peaks[name] = cfg.tokens.learning_rate
            with before_training():
                model.fit_codebook(clips, generator(cfg, Stream.CODEBOOK, device))
    optimizers = {
        name: torch.optim.AdamW(
            model.parameters(), lr=peaks[name], weight_decay=cfg.weight_decay, fused=True
        )
        for name, model in models.items()
    }
    batches = generator(cfg, Stream.BATCHES, device)
    slices = {name: generator(cfg, Stream.SLICES, device) for name in models}
    state = {"models": models, "optimizers": optimizers, "batches": batches, "slices": slices}

    alike, begins = without_choice(cfg), cfg.loss_weights.z_start * cfg.steps

    start = run.restore(state)
    for step in run.steps(start, cfg.steps):
        now = alike if step < begins else cfg
        batch = draw_batch(
            clips, cfg.batch_size, cfg.history_length, max(cfg.world.speeds), batches
        )
        done = step + 1
        is_saved = done % cfg.save_every == 0 or done == cfg.steps or run.is_stopping
        look = done % cfg.eval_every == 0 or done == cfg.steps
        for name, model in models.items():
            for group in optimizers[name].param_groups:
                group["lr"] = warmup_cosine(step, cfg.steps, peaks[name], cfg.warmup)
            with stopping_at(done):
                drawn = draw_slices(model, cfg, slices[name])
                with autocast(device, cfg.precision):
                    loss, terms = compute_loss(model, batch, now, drawn)
                optimizers[name].zero_grad()
                loss.backward()
                optimizers[name].step()
                if look or is_saved:
                    check_weights(model.parameters())

            if look or done % cfg.log_every == 0:
                line = {"method": name} | {term: value.detach() for term, value in terms.items()}
                if look:
                    error, reference = heldout_error(model, held)
                    line |= {"heldout": error, "heldout_ratio": error / reference}
                run.log(done, line)
        if is_saved:
            run.save(done, state)

    summary, outcomes = score_run(models, held, clips, cfg)
    if cfg.figures:
        from part2_pixel_vs_jepa.plot import draw_figures

        models = {name: model.cpu() for name, model in models.items()}
        draw_figures(run.folder, models, to_device(held, "cpu"))
    run.finish(summary, outcomes)
    print(run_text(summary, cfg.regularizer))


def main() -> None:
    cfg, options = parse_config(Config, baseline=BASELINE, description=__doc__ or "")
    torch.set_num_threads(cfg.threads)
    device = pick_device(cfg.device, cfg.precision)
    with Run.open(
        "part2", options, to_yaml(cfg), seed=cfg.seed, device=device_name(device),
        precision=cfg.precision, logger=cfg.logger,
    ) as run:  # fmt: skip
        train(cfg, run, device)


if __name__ == "__main__":
    run_script(main)
