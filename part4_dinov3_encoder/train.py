"""The post's claim: one family of methods makes encoders that know where things are, unlabelled.

    python part4_dinov3_encoder/train.py --config configs/part4/dino.yaml
    python part4_dinov3_encoder/train.py --config configs/part4/ijepa.yaml

One small ViT, four ways to train it: I-JEPA and V-JEPA predict a slow teacher's tokens of hidden
blocks, in pictures and in clips; DINO gives two views of a frame the same prototype; LeJEPA gives
them the same embedding and keeps all embeddings Gaussian. Half of a batch are striped balls on a
texture, half crops of photographs. Two minutes of one core, and it ends with what can be read from
the frozen encoder: expect a position R² near 0.69 for LeJEPA, where an untrained ViT has 0.57.
runs/part4/<name>-seed<k>/encoder.pt is what the other scripts of this part take as --weights.

    torchrun --nproc_per_node 2 part4_dinov3_encoder/train.py --config configs/part4/dino.yaml

trains on two processes, CPU or GPU, each with its share of every batch; loss and gradient are the
same (see common/distributed.py). Files: runs/part4/<name>-ddp2-seed<k>/.
"""

from dataclasses import replace
from typing import assert_never

import torch
from torch import Tensor

from common.dino import cross_entropy, dino, gram_anchoring
from common.distributed import average, average_gradients, world_size
from common.frozen import save_vit
from common.harness.config import parse_config, to_yaml
from common.harness.errors import before_training, check_weights, run_script, stopping_at
from common.harness.machine import autocast, device_name, pick_device
from common.harness.processes import Processes, started
from common.harness.runs import Run
from common.losses import lejepa, squared_error
from common.masking import patches_apart
from common.schedules import warmup_cosine
from common.sigreg import sigreg, sigreg_share
from common.vit import pick_tokens
from part4_dinov3_encoder.config import BASELINE, Config, Stream, generator
from part4_dinov3_encoder.controls import pixels_loss, supervised_loss
from part4_dinov3_encoder.data.batches import Batch, Views, Windows
from part4_dinov3_encoder.data.views import draw_batch, make_pool
from part4_dinov3_encoder.model import (
    Model,
    after_step,
    each,
    encode_views,
    make_model,
    teacher_logits,
    tokens_at,
    wanted_of,
)  # fmt: skip
from part4_dinov3_encoder.scoring.run_scores import collapse, finish
from part4_dinov3_encoder.scoring.scores import make_test

Terms = dict[str, Tensor]


def ijepa_loss(model: Model, batch: Batch, cfg: Config) -> tuple[Tensor, Terms]:
    """|| P(E(x_seen)) - LN(E'(x))_block ||^2, mean over blocks; E' the slow teacher.

    I-JEPA, arXiv 2301.08243, sec. 3. With context_sigreg, + SIGReg(E(x_seen)) over all tokens seen:
    a teacher alone does not keep them from collapsing in part (C-JEPA, arXiv 2410.19560, with
    VICReg's terms in its place).
    """
    assert isinstance(batch, Windows)
    (mask,) = batch.masks
    context, _, predicted = model.predict(batch, mask)
    target = wanted_of(model.targets(batch.x), mask)
    loss = error = squared_error(predicted.flatten(0, 1), target.flatten(0, 1))
    terms = {"prediction": error}
    if cfg.loss_weights.context_sigreg:
        terms["sigreg"] = sigreg_of_tokens(context, batch.slices)
        loss = loss + cfg.loss_weights.context_sigreg * terms["sigreg"]
    return loss, terms


def vjepa_loss(model: Model, batch: Batch, cfg: Config) -> tuple[Tensor, Terms]:
    """| P(E(x_seen)) - LN(E'(x))_hidden |, of clips x, mean over short- and long-range masks.

    V-JEPA, arXiv 2404.08471, sec. 3. With ``visible``, + |P(E(x_seen))_seen - LN(E'(x))_seen| /
    sqrt(d), d patches from the nearest hidden one: V-JEPA 2.1's dense loss, arXiv 2603.14482. With
    context_sigreg, + SIGReg(E(x_seen)), as in ``ijepa_loss``.
    """
    assert isinstance(batch, Windows)
    target, w = model.targets(batch.x), cfg.loss_weights
    hidden, visible, spread = [], [], []
    for mask in batch.masks:
        context, at_seen, at_hidden = model.predict(batch, mask)
        hidden.append((at_hidden - wanted_of(target, mask)).abs().mean())
        if w.visible:
            error = (at_seen - pick_tokens(target, mask.seen)).abs().mean(-1)  # (B, n)
            distance = patches_apart(mask.seen, mask.wanted[0], batch.grid)
            visible.append((error / distance.sqrt()).mean())
        if w.context_sigreg:
            spread.append(sigreg_of_tokens(context, batch.slices))
    loss = torch.stack(hidden).mean()
    terms = {"prediction": loss}
    for name, weight, found in (
        ("visible", w.visible, visible), ("sigreg", w.context_sigreg, spread)
    ):  # fmt: skip
        if weight:
            terms[name] = torch.stack(found).mean()
            loss = loss + weight * terms[name]
    return loss, terms


def sigreg_of_tokens(tokens: Tensor, slices: Tensor) -> Tensor:
    """SIGReg per token, of tokens (B, n, D) as B n samples."""
    return sigreg(tokens.flatten(0, 1), slices) / (tokens.shape[:2].numel() * world_size())


def dino_loss(model: Model, batch: Batch, cfg: Config) -> tuple[Tensor, Terms]:
    """H(P_teacher, P_student) of whole views + dense H of patches that two share + gram anchoring.

    DINO, arXiv 2104.14294, eq. 3. A whole view is the mean of its tokens; the student sees all
    views, the teacher the large ones. Gram anchoring: DINOv3, arXiv 2508.10104, sec. 4. The terms
    also hold the teacher's logits, from which ``after_step`` moves the centres.
    """
    assert isinstance(batch, Views)
    w = cfg.loss_weights
    temperatures = {
        "student_temperature": w.student_temperature, "teacher_temperature": w.teacher_temperature
    }  # fmt: skip
    named, named_patches = teacher_logits(model, batch)  # (2, B, K), (2, B K', K)
    tokens, pooled = encode_views(model, batch.large, batch.small)
    student = torch.cat([each(model.head, view) for view in pooled])  # (V, B, K)
    terms = dino(student, named, model.centre.mean, **temperatures)
    loss = terms["cross_entropy"]
    if w.dense:
        patches = model.dense_head(tokens_at(tokens, batch.pairs))  # (2, B K', K)
        centre = model.dense_centre.mean
        pairs = ((patches[v], named_patches[1 - v]) for v in range(2))
        crossed = [cross_entropy(*pair, centre, **temperatures) for pair in pairs]
        terms["dense"] = torch.stack(crossed).mean()
        loss = loss + w.dense * terms["dense"]
    if batch.is_anchored:
        with torch.no_grad():
            anchor = model.gram_teacher(batch.large.flatten(0, 1))
        terms["gram"] = gram_anchoring(tokens.flatten(0, 1), anchor)
        loss = loss + w.gram * terms["gram"]
    return loss, terms | {"teacher_logits": named, "teacher_dense_logits": named_patches}


def lejepa_loss(model: Model, batch: Batch, cfg: Config) -> tuple[Tensor, Terms]:
    """(1 - s) || z_v - mean of the large z ||^2 + s SIGReg(z_v), of whole views, and of patches.

    LeJEPA, arXiv 2511.08544, sec. 5. Without the second part nothing would ask a token to know more
    than the mean of all needs.
    """
    assert isinstance(batch, Views)
    w = cfg.loss_weights
    tokens, pooled = encode_views(model, batch.large, batch.small)
    z_views = each(model.head, torch.cat(pooled))  # (V, B, P)
    terms = lejepa(z_views, batch.slices, num_global=2)
    num_samples = z_views.shape[1] * world_size()
    share = sigreg_share(w.sigreg_lambda, num_samples, prediction_scale=0.25)
    loss = (1 - share) * terms["prediction"] + share * terms["sigreg"]
    if w.dense:
        z_patches = each(model.dense_head, tokens_at(tokens, batch.pairs))  # (2, B K, P)
        dense = lejepa(z_patches, batch.slices)
        share = share / cfg.views.num_pairs  # SIGReg grows with the number of samples
        crossed = (1 - share) * dense["prediction"] + share * dense["sigreg"]
        loss = loss + w.dense * crossed
        terms |= {f"dense_{name}": term for name, term in dense.items()}
    return loss, terms


def compute_loss(model: Model, batch: Batch, cfg: Config) -> tuple[Tensor, Terms]:
    """The loss of the config's method on a batch, and its unweighted terms."""
    match cfg.method:
        case "ijepa":
            return ijepa_loss(model, batch, cfg)
        case "vjepa":
            return vjepa_loss(model, batch, cfg)
        case "dino":
            return dino_loss(model, batch, cfg)
        case "lejepa":
            return lejepa_loss(model, batch, cfg)
        case "pixels":
            return pixels_loss(model, batch, cfg)
        case "supervised":
            return supervised_loss(model, batch, cfg)
        case _:
            assert_never(cfg.method)


def train(cfg: Config, run: Run | None, here: Processes) -> None:
    """Trains an encoder on this process's share of every batch; rank 0 alone scores and writes."""
    with before_training():
        pool = make_pool(cfg, generator(cfg, Stream.TRAIN_DATA, here.device))
        test = make_test(cfg)
    model = make_model(cfg).to(here.device)
    here.join()
    learnt = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        learnt, lr=cfg.learning_rate, weight_decay=cfg.weight_decay, fused=True
    )
    samples = generator(cfg, Stream.SAMPLES, here.device)
    state = {"model": model, "optimizer": optimizer, "samples": samples}

    start, share = here.restore(run, state), here.share(cfg.batch_size)
    if run and not start:
        run.log(0, collapse(model, test))

    for step in run.steps(start, cfg.steps) if run else range(start, cfg.steps):
        for group in optimizer.param_groups:
            group["lr"] = warmup_cosine(step, cfg.steps, cfg.learning_rate, cfg.warmup)
        done = step + 1
        every = (cfg.log_every, cfg.eval_every, cfg.save_every)
        log, look, save = (done % n == 0 or done == cfg.steps for n in every)
        save = save or (run is not None and run.is_stopping)
        with stopping_at(done):
            batch = draw_batch(cfg, pool, step, samples).share(share)
            with autocast(here.device, cfg.precision):
                loss, terms = compute_loss(model, batch, cfg)
            optimizer.zero_grad()
            loss.backward()
            average_gradients(learnt)
            optimizer.step()
            after_step(model, terms, step, cfg)
            if look or save:
                check_weights(model.parameters())

        if log:
            line = average({"loss": loss} | {k: t for k, t in terms.items() if t.ndim == 0})
            if run:
                run.log(done, line)
        if run and look:
            run.log(done, collapse(model, test))
        if run and done in cfg.snapshots:
            save_vit(run.folder / f"encoder-{done}.pt", model.kept, cfg.method, cfg.vit_sizes)
        if run and save:
            run.save(done, state)

    here.leave()  # what follows is rank 0's alone
    if run:
        finish(cfg, run, model)


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
        "part4", options, to_yaml(cfg), seed=cfg.seed, device=device_name(here.device),
        precision=cfg.precision, logger=cfg.logger,
    ) as run:  # fmt: skip
        train(cfg, run, here)
    here.end()


if __name__ == "__main__":
    run_script(main)
