"""The post's claim: predicting embeddings alone collapses, and a regularizer stops it.

    python part3_collapse_regularizers/train.py --config configs/part3/none.yaml
    python part3_collapse_regularizers/train.py --config configs/part3/vicreg.yaml

Half a minute each. One encoder, two frames of the same balls in different looks, and a loss that
asks for equal embeddings. A constant embedding is a perfect answer to that, and naive training
(none.yaml) finds it: its collapse ratio falls below 0.003 and nothing can be read from it any more.
Change one line of YAML to barlow, vicreg or sigreg, and the embedding spreads out and holds where
the balls are: position R² near 0.9. The other configs are the ways around it: stop-gradient,
predictor, teacher, centring. Each run ends with a table beside raw pixels and an untrained encoder.
Files: runs/part3/<name>-seed<k>/.
"""

from collections.abc import Callable
from typing import assert_never

import torch
from torch import Tensor

from common.dino import cross_entropy
from common.distributed import world_size
from common.harness.config import parse_config, to_yaml
from common.harness.errors import before_training, check_weights, run_script, stopping_at
from common.harness.runs import Run
from common.losses import barlow_twins, negative_cosine, squared_error, vicreg_spread
from common.sigreg import sigreg, sigreg_share
from part3_collapse_regularizers.config import BASELINE, Config, Stream, generator, learning_rate
from part3_collapse_regularizers.data import Batch, draw_sample, training_pool
from part3_collapse_regularizers.model import Model, make_batch, make_model, make_optimizer
from part3_collapse_regularizers.report.tables import run_table
from part3_collapse_regularizers.scoring.dashboard import Dashboard
from part3_collapse_regularizers.scoring.scores import make_heldout, summarise

Terms = dict[str, Tensor]  # unweighted scalars
Loss = tuple[Tensor, Terms]
Distance = Callable[[Tensor, Tensor], Tensor]  # of a prediction to what it should be, (B, D)


def compute_loss(model: Model, batch: Batch, cfg: Config) -> Loss:
    """The loss of a batch and its unweighted terms.

        z = f(x),  z' = f(x') of another view or a later frame,  z_pred = p(z)
        loss = distance(z_pred, z') + what keeps z from collapsing

    z' passes a gradient, stops it, or comes from a slow teacher (see ``Model.targets``).
    """
    match cfg.method:
        case "mse":
            return mse_loss(model, batch, cfg)
        case "cosine":
            return cosine_loss(model, batch, cfg)
        case "dino":
            return dino_loss(model, batch, cfg)
        case "barlow":
            return barlow_loss(model, batch, cfg)
        case "vicreg":
            return vicreg_loss(model, batch, cfg)
        case "sigreg":
            return lejepa_loss(model, batch, cfg)
        case "supervised":
            return supervised_loss(model, batch, cfg)
        case _:
            assert_never(cfg.method)


def mse_loss(model: Model, batch: Batch, cfg: Config) -> Loss:
    """mean (z_pred - z')^2: the naive loss, which a constant embedding solves."""
    terms = prediction(squared_error, model, model.embed(batch.x), batch)
    return terms["prediction"], terms


def cosine_loss(model: Model, batch: Batch, cfg: Config) -> Loss:
    """-cos(z_pred, z'), z' without a gradient: SimSiam (2011.10566), eq. 1; BYOL (2006.07733)."""
    terms = prediction(negative_cosine, model, model.embed(batch.x), batch)
    return terms["prediction"], terms


def dino_loss(model: Model, batch: Batch, cfg: Config) -> Loss:
    """-sum_k P'_k log P_k, P' of the centred, sharpened teacher: DINO (2104.14294), eq. 2."""
    w = cfg.loss_weights

    def distance(z_pred: Tensor, logits: Tensor) -> Tensor:
        return cross_entropy(
            model.head(z_pred), logits, model.centre.mean,
            student_temperature=w.student_temperature, teacher_temperature=w.teacher_temperature,
        )  # fmt: skip

    terms = prediction(distance, model, model.embed(batch.x), batch)
    return terms["prediction"], terms


def barlow_loss(model: Model, batch: Batch, cfg: Config) -> Loss:
    """sum_i (1 - C_ii)^2 + lambda sum_(i != j) C_ij^2, C the cross-correlation of z_pred and z'.

    Barlow Twins (2103.03230), eq. 1.
    """
    pairs = model.pairs(model.embed(batch.x), batch.target)
    found = [barlow_twins(z_pred, z_other) for z_pred, z_other in pairs]
    terms = {name: torch.stack([f[name] for f in found]).mean() for name in found[0]}
    return terms["invariance"] + cfg.loss_weights.redundancy * terms["redundancy"], terms


def vicreg_loss(model: Model, batch: Batch, cfg: Config) -> Loss:
    """lambda s(z_pred, z') + mu [v(z) + v(z')] / 2 + nu [c(z) + c(z')]: VICReg (2105.04906), eq. 6.

    v is the hinge on the standard deviations, c the squared covariances, of what the encoder says.
    """
    w, z = cfg.loss_weights, model.embed(batch.x)  # (V, B, D)
    terms = prediction(squared_error, model, z, batch) | vicreg_spread(z)
    loss = w.invariance * terms["prediction"] + w.variance * terms["variance"]
    return loss + w.covariance * terms["covariance"], terms


def lejepa_loss(model: Model, batch: Batch, cfg: Config) -> Loss:
    """(1 - s) mean (z_pred - z')^2 + s SIGReg(z): LeJEPA (2511.08544), sec. 5."""
    assert batch.slices is not None
    w, z = cfg.loss_weights, model.embed(batch.x)  # (V, B, D)
    terms = prediction(squared_error, model, z, batch)
    terms["sigreg"] = sigreg(z, batch.slices, num_knots=w.num_knots)
    share = sigreg_share(w.sigreg_lambda, z.shape[1] * world_size())
    return (1 - share) * terms["prediction"] + share * terms["sigreg"], terms


def supervised_loss(model: Model, batch: Batch, cfg: Config) -> Loss:
    """mean (W z - state)^2, the true state in boxes: an upper bound, not a rival."""
    state = batch.content / cfg.world.size  # (V, B, S)
    read = model.head(model.embed(batch.x))
    error = squared_error(read.flatten(0, 1), state.flatten(0, 1))
    return error, {"prediction": error}


def prediction(distance: Distance, model: Model, z: Tensor, batch: Batch) -> Terms:
    """The mean distance of the predictions from embeddings z (V, B, D) to what they should be."""
    found = [distance(z_pred, z_other) for z_pred, z_other in model.pairs(z, batch.target)]
    return {"prediction": torch.stack(found).mean()}


def train(cfg: Config, run: Run) -> None:
    """Trains one method, watches it collapse or not, scores it, and writes the run."""
    with before_training():
        pool = training_pool(cfg)
        held = make_heldout(cfg)
    model = make_model(cfg)
    optimizer = make_optimizer(model)
    samples, slices = generator(cfg, Stream.TRAIN_SAMPLES), generator(cfg, Stream.TRAIN_SLICES)
    dashboard = Dashboard(held, keep=cfg.figures)
    state = {
        "model": model, "optimizer": optimizer, "samples": samples, "slices": slices,
        "snapshots": dashboard.snapshots,
    }  # fmt: skip

    start = run.restore(state)
    if not start:
        run.log(0, dashboard.look(0, model))

    for step in run.steps(start, cfg.steps):
        batch = make_batch(model, draw_sample(cfg, pool, cfg.batch_size, samples), cfg, slices)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, cfg)
        done = step + 1
        is_saved = done % cfg.save_every == 0 or done == cfg.steps or run.is_stopping
        with stopping_at(done):
            loss, terms = compute_loss(model, batch, cfg)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            model.after_step(batch, step)
            if done % cfg.eval_every == 0 or is_saved:
                check_weights(model.parameters())

        if done % cfg.log_every == 0 or done == cfg.steps:
            run.log(done, {name: t.detach() for name, t in ({"loss": loss} | terms).items()})
        if done % cfg.eval_every == 0 or done == cfg.steps:
            run.log(done, dashboard.look(done, model))
        if is_saved:
            run.save(done, state)

    if cfg.figures:
        from part3_collapse_regularizers.plot import draw_figures

        draw_figures(run.folder, dashboard.snapshots, held.test)
    summary = summarise(compute_loss, model, held, cfg)
    run.finish(summary)
    print(run_table(run.folder.name, summary))


def main() -> None:
    cfg, options = parse_config(Config, baseline=BASELINE, description=__doc__ or "")
    torch.set_num_threads(cfg.threads)
    with Run.open("part3", options, to_yaml(cfg), seed=cfg.seed) as run:
        train(cfg, run)


if __name__ == "__main__":
    run_script(main)
