"""The post's claim: predicting embeddings alone collapses, and a regularizer stops it.

    python part3_collapse_regularizers/train.py --config configs/part3/none.yaml
    python part3_collapse_regularizers/train.py --config configs/part3/vicreg.yaml

One encoder, two frames of the same balls in different looks, and a loss that asks for equal
embeddings. A constant embedding is a perfect answer to that, and naive training (none.yaml) finds
it: its collapse ratio falls below 0.003 and nothing can be read from it any more. Change one line
of YAML to barlow, vicreg or sigreg, and the embedding spreads out and holds where the balls are.
The other configs are the ways around it: stop-gradient, predictor, teacher, centring. Each run ends
with a table beside raw pixels and an untrained encoder. Files: runs/part3/<name>-seed<k>/.
"""

from collections.abc import Iterator
from statistics import fmean

import torch
from torch import Tensor
from tqdm import tqdm

from common.dino import cross_entropy
from common.ema import ema_rate, update_teacher
from common.harness.config import parse_config, to_yaml
from common.harness.errors import before_training, check_weights, run_script, stopping_at
from common.harness.runs import Run
from common.losses import (
    barlow_twins,
    covariance_penalty,
    negative_cosine,
    squared_error,
    variance_hinge,
)
from common.metrics import fvu
from common.sigreg import random_slices, sigreg
from part3_collapse_regularizers.config import (
    BASELINE,
    Config,
    generator,
    learning_rate,
    protocol,
)
from part3_collapse_regularizers.data import Sample, draw_sample, make_pool
from part3_collapse_regularizers.model import Model, make_model
from part3_collapse_regularizers.plot import draw_figures
from part3_collapse_regularizers.report.run_table import run_table
from part3_collapse_regularizers.scoring.dashboard import Dashboard
from part3_collapse_regularizers.scoring.scores import (
    LOSS_BATCHES,
    Heldout,
    bounds,
    evaluate,
    make_heldout,
)


def predictions(model: Model, z: Tensor, cfg: Config) -> Iterator[tuple[Tensor, int]]:
    """What is predicted from embeddings (V, B, D), and of which of the V frames."""
    if cfg.setting == "views":
        yield model.predictor(z[0]), 1
        yield model.predictor(z[1]), 0
    else:
        z_pred = z[0]
        for h in range(1, len(z)):
            z_pred = model.predictor(z_pred)
            yield z_pred, h


def compute_loss(
    model: Model, sample: Sample, cfg: Config, slice_generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
    """The loss of the config's arm, its unweighted terms, and DINO's target logits (V, B, K)."""
    w = cfg.weights
    z = model.embed(sample.x)  # (V, B, D)
    if cfg.loss == "supervised":
        truth = sample.content / cfg.world.size  # (V, B, S)
        error = squared_error(model.head(z).flatten(0, 1), truth.flatten(0, 1))
        return error, {"prediction": error}, None

    if cfg.target == "gradient":  # the other side learns too
        z_target = z
    elif cfg.target == "stopgrad":
        z_target = z.detach()
    else:
        with torch.no_grad():
            z_target = model.teacher_embed(sample.x)
    logits = None
    if cfg.loss == "dino":
        with torch.no_grad():
            logits = (model.teacher_head if cfg.target == "teacher" else model.head)(z_target)

    pairs: list[dict[str, Tensor]] = []  # one per prediction
    for z_pred, v in predictions(model, z, cfg):
        match cfg.loss:
            case "cosine":
                pairs.append({"prediction": negative_cosine(z_pred, z_target[v])})
            case "dino":
                assert logits is not None
                pairs.append(
                    {
                        "prediction": cross_entropy(
                            model.head(z_pred),
                            logits[v],
                            model.centre.mean,
                            student_temperature=w.student_temperature,
                            teacher_temperature=w.teacher_temperature,
                        )
                    }
                )
            case "barlow":
                pairs.append(barlow_twins(z_pred, z_target[v]))
            case _:
                pairs.append({"prediction": squared_error(z_pred, z_target[v])})
    terms = {name: torch.stack([pair[name] for pair in pairs]).mean() for name in pairs[0]}

    match cfg.loss:
        case "barlow":
            return terms["invariance"] + w.redundancy_weight * terms["redundancy"], terms, None
        case "vicreg":
            terms["variance"] = torch.stack([variance_hinge(z_v) for z_v in z]).mean()
            terms["covariance"] = 2 * torch.stack([covariance_penalty(z_v) for z_v in z]).mean()
            loss = (
                w.invariance_weight * terms["prediction"]
                + w.variance_weight * terms["variance"]
                + w.covariance_weight * terms["covariance"]
            )
            return loss, terms, None
        case "sigreg":
            slices = random_slices(z.shape[-1], w.num_slices, slice_generator, device=z.device)
            terms["sigreg"] = sigreg(z, slices, num_knots=w.num_knots)
            share = w.sigreg_share
            return (1 - share) * terms["prediction"] + share * terms["sigreg"], terms, None
    return terms["prediction"], terms, logits  # mse, cosine and dino have nothing else


def after_step(model: Model, logits: Tensor | None, step: int, cfg: Config) -> None:
    """What moves without a gradient: DINO's centre, by the logits of the step, and the teacher."""
    if logits is not None:
        model.centre.update(logits)
    if cfg.target == "teacher":
        rate = ema_rate(step, cfg.steps, cfg.weights.ema_rate)
        update_teacher(model.teacher_encoder, model.encoder, rate)
        update_teacher(model.teacher_head, model.head, rate)


def train(cfg: Config, run: Run) -> None:
    """Trains one arm, watches it collapse or not, scores it, and writes the run."""
    with before_training():
        pool = make_pool(cfg, cfg.data.train_episodes, cfg.world.episode_length, generator(cfg, 1))
        held = make_heldout(cfg)
    model = make_model(cfg)
    learnt = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        learnt, lr=cfg.learning_rate, weight_decay=cfg.weight_decay, fused=True
    )
    samples, slices = generator(cfg, 4), generator(cfg, 5)
    dashboard = Dashboard(held, keep=cfg.figures)

    start = 0
    if saved := run.restore():
        start = saved["step"]
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        samples.set_state(saved["samples"])
        slices.set_state(saved["slices"])
        dashboard.snapshots = saved["snapshots"]
    else:
        run.log(0, dashboard.look(0, model))

    for step in tqdm(range(start, cfg.steps), initial=start, total=cfg.steps, desc="training"):
        sample = draw_sample(cfg, pool, cfg.batch_size, samples)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, cfg)
        done = step + 1
        with stopping_at(done):
            loss, terms, logits = compute_loss(model, sample, cfg, slices)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            after_step(model, logits, step, cfg)
            if done % cfg.measure_every == 0 or done % cfg.save_every == 0 or done == cfg.steps:
                check_weights(learnt)

        if done % cfg.log_every == 0 or done == cfg.steps:
            line = {"loss": loss.detach()} | {name: t.detach() for name, t in terms.items()}
            run.log(done, line)
        if done % cfg.measure_every == 0 or done == cfg.steps:
            run.log(done, dashboard.look(done, model))
        if done % cfg.save_every == 0 or done == cfg.steps:
            state = {
                "step": done,
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "samples": samples.get_state(),
                "slices": slices.get_state(),
                "snapshots": dashboard.snapshots,
            }
            run.save(done, state)

    scores = evaluate(model, held) | heldout_terms(model, held, cfg)
    summary = {"arms": {cfg.loss: scores}, "bounds": bounds(held, cfg), "protocol": protocol(cfg)}
    if cfg.figures:
        draw_figures(run.folder, dashboard.snapshots, held.test)
    run.finish(summary)
    print(run_table(summary, run.folder.name))


@torch.no_grad()
def heldout_terms(model: Model, held: Heldout, cfg: Config) -> dict[str, float]:
    """The training loss and its terms on held-out batches of the training size, and the FVU.

    fvu: mean |z_pred - z_v|^2 / variance of z_v, of the encoder's own embeddings in every arm.
    """
    model.eval()
    samples, slices = generator(cfg, 8), generator(cfg, 9)
    totals: dict[str, float] = {}
    for _ in range(LOSS_BATCHES):
        sample = draw_sample(cfg, held.pool, cfg.batch_size, samples)
        loss, terms, _ = compute_loss(model, sample, cfg, slices)
        z = model.embed(sample.x)
        unexplained = [fvu(z_pred, z[v]) for z_pred, v in predictions(model, z, cfg)]
        terms = {f"heldout_{name}": term.item() for name, term in ({"loss": loss} | terms).items()}
        for name, value in (terms | {"fvu": fmean(unexplained)}).items():
            totals[name] = totals.get(name, 0.0) + value / LOSS_BATCHES
    return totals


def main() -> None:
    cfg, options = parse_config(Config, baseline=BASELINE, description=__doc__ or "")
    torch.set_num_threads(cfg.threads)
    with Run.open("part3", options, to_yaml(cfg), seed=cfg.seed) as run:
        train(cfg, run)


if __name__ == "__main__":
    run_script(main)
