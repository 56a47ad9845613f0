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

    torchrun --nproc_per_node 2 part3_collapse_regularizers/train.py --config ...

is the same training on two processes, CPU or GPU, each with its share of every batch; loss and
gradient are the same, since statistics run over the joined batch (see common/distributed.py).
It has no dashboard and no figures; files: runs/part3/<name>-ddp2-seed<k>/.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

import torch
from torch import Tensor

from common.dino import cross_entropy
from common.distributed import average_gradients, world_size
from common.harness.config import parse_config, to_yaml
from common.harness.errors import before_training, check_weights, run_script, stopping_at
from common.harness.machine import autocast, device_name, pick_device
from common.harness.processes import Processes, started
from common.harness.runs import Run
from common.losses import barlow_twins, negative_cosine, squared_error, vicreg_spread
from common.sigreg import sigreg, sigreg_share
from part3_collapse_regularizers.config import BASELINE, Config, Stream, generator, learning_rate
from part3_collapse_regularizers.critical import settled
from part3_collapse_regularizers.data import Batch, draw_sample, make_pool
from part3_collapse_regularizers.model import Model, make_batch, make_model, make_optimizer
from part3_collapse_regularizers.report.tables import run_table
from part3_collapse_regularizers.scoring.dashboard import Dashboard
from part3_collapse_regularizers.scoring.scores import Heldout, make_heldout, summarise

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
    w, z = cfg.loss_weights, model.embed(batch.x)  # (V, B, D)
    assert batch.slices is not None
    assert w.sigreg_lambda != "auto"  # train() has settled it
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


def train(cfg: Config, run: Run | None, here: Processes) -> None:
    """Trains one method on this process's share of every batch; rank 0 alone writes, to its run."""
    cfg = settled(cfg)  # a number for sigreg_lambda: auto
    with before_training():
        episodes, length = cfg.data.num_train_episodes, cfg.world.episode_length
        draws = generator(cfg, Stream.TRAIN_EPISODES, here.device)
        pool = make_pool(cfg, episodes, length, draws)
        held = make_heldout(cfg)
    here.join()
    model = make_model(cfg).to(here.device)
    optimizer = make_optimizer(model)
    samples, slices = (
        generator(cfg, each, here.device) for each in (Stream.TRAIN_SAMPLES, Stream.TRAIN_SLICES)
    )
    dashboard = Dashboard(held, cfg) if run and here.count == 1 else None
    state = {
        "model": model, "optimizer": optimizer, "samples": samples, "slices": slices,
        "snapshots": dashboard.snapshots if dashboard else [],
    }  # fmt: skip

    start = here.restore(run, state)
    if run and dashboard and not start:
        run.log(0, dashboard.look(0, model))

    for step in run.steps(start, cfg.steps) if run else range(start, cfg.steps):
        sample = draw_sample(cfg, pool, cfg.batch_size, samples, here.share(cfg.batch_size))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, cfg)
        done = step + 1
        every = (cfg.log_every, cfg.eval_every, cfg.save_every)
        log, look, save = (done % n == 0 or done == cfg.steps for n in every)
        save = save or (run is not None and run.is_stopping)
        with stopping_at(done):
            batch = make_batch(model, sample, cfg, slices)
            with autocast(here.device, cfg.precision):
                loss, terms = compute_loss(model, batch, cfg)
            optimizer.zero_grad()
            loss.backward()
            average_gradients(model.parameters())
            optimizer.step()
            model.after_step(batch, step)
            if look or save:
                check_weights(model.parameters())

        if run and log:
            run.log(done, {name: t.detach() for name, t in ({"loss": loss} | terms).items()})
        if run and dashboard and look:
            run.log(done, dashboard.look(done, model))
        if run and save:
            run.save(done, state)

    here.leave()  # what follows is rank 0's alone
    if run:
        finish(cfg, run, model, held, dashboard)


def finish(cfg: Config, run: Run, model: Model, held: Heldout, dashboard: Dashboard | None) -> None:
    """Draws and scores a trained model, and prints its table."""
    if cfg.figures and dashboard:
        from part3_collapse_regularizers.plot import draw_figures

        draw_figures(run.folder, dashboard.snapshots, held.test)
    summary = summarise(compute_loss, model, held, cfg)
    run.finish(summary)
    print(run_table(run.folder.name, summary))


def main() -> None:
    cfg, options = parse_config(Config, baseline=BASELINE, description=__doc__ or "")
    here = started(cfg.batch_size, pick_device(cfg.device, cfg.precision))
    torch.set_num_threads(max(1, cfg.threads // here.count))
    if here.rank > 0:
        train(cfg, None, here)
        here.end()
    if here.count > 1:
        options = replace(options, name=f"{options.name}-ddp{here.count}")
    with Run.open(
        "part3", options, to_yaml(cfg), seed=cfg.seed, device=device_name(here.device),
        precision=cfg.precision, logger=cfg.logger,
    ) as run:  # fmt: skip
        train(cfg, run, here)
    here.end()


if __name__ == "__main__":
    run_script(main)
