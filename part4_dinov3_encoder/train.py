"""The post's claim: one family of recipes makes encoders that know where things are, unlabelled.

    python part4_dinov3_encoder/train.py --config configs/part4/dino.yaml
    python part4_dinov3_encoder/train.py --config configs/part4/ijepa.yaml

One small ViT, four ways to train it: I-JEPA and V-JEPA predict a slow teacher's tokens of hidden
blocks, in pictures and in clips; DINO gives two views of a frame the same prototype; LeJEPA gives
them the same embedding and keeps all embeddings Gaussian. Half of a batch are striped balls on a
texture, half crops of real photographs. Each run ends with a table of what can be read from the
frozen encoder, beside an untrained ViT and raw pixels, and with encoder.pt, which
``common.frozen.load_frozen`` and the other scripts of this part take as --weights.
Files: runs/part4/<name>-seed<k>/.
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from common.dino import cross_entropy, dino, gram_anchoring
from common.ema import ema_rate, initial_share, update_teacher
from common.frozen import save_vit
from common.harness.config import parse_config, to_yaml
from common.harness.errors import before_training, check_weights, run_script, stopping_at
from common.harness.runs import Run
from common.losses import squared_error
from common.masking import block_masks
from common.sigreg import lejepa, random_slices
from common.vit import ViT, pick_tokens
from part4_dinov3_encoder.config import (
    BASELINE,
    Config,
    generator,
    learning_rate,
    protocol,
)
from part4_dinov3_encoder.data.scenes import Scenes
from part4_dinov3_encoder.data.views import Pool, Views, draw_views, draw_windows, make_pool
from part4_dinov3_encoder.model import Model, each, make_model
from part4_dinov3_encoder.report.run_table import run_table
from part4_dinov3_encoder.scoring.features import features, subject_of
from part4_dinov3_encoder.scoring.scores import collapse_scores, evaluate, make_heldout, make_test

Loss = tuple[Tensor, dict[str, Tensor]]


def masked_loss(model: Model, x: Tensor, cfg: Config, masks: torch.Generator) -> Loss:
    """I-JEPA and V-JEPA, of windows (B, T, 3, V, V): the teacher's tokens of hidden blocks.

    Targets are the teacher's tokens, each normalised over its coordinates (both papers' code);
    I-JEPA takes the squared error, V-JEPA the absolute one. I-JEPA, arXiv 2301.08243, sec. 3;
    differs: all blocks are predicted in one pass, not one by one. V-JEPA, arXiv 2404.08471, sec. 3;
    differs: I-JEPA's masks through all frames, not its short- and long-range ones of about 90%.
    """
    side = cfg.data.view // cfg.model.patch_size
    grid = (x.shape[1] // cfg.model.tubelet, side, side)
    seen, wanted = block_masks(
        side,
        side,
        len(x),
        masks,
        num_targets=cfg.mask.num_targets,
        target_scale=cfg.mask.target_scale,
        target_aspect=cfg.mask.target_aspect,
        context_scale=cfg.mask.context_scale,
    )
    seen, wanted = (through_time(index, grid) for index in (seen, wanted))
    with torch.no_grad():
        target = pick_tokens(model.teacher(x), wanted)
        target = F.layer_norm(target, target.shape[-1:])  # (B, m, D)
    predicted = model.predictor(model.encoder(x, seen), seen, wanted, grid)
    if cfg.recipe == "vjepa":
        error = (predicted - target).abs().mean()
    else:
        error = squared_error(predicted.flatten(0, 1), target.flatten(0, 1))
    return error, {"prediction": error}


def through_time(index: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """Patches (B, n) of a picture as tokens of every time of a clip, (B, T n)."""
    length, rows, columns = grid
    return (index[:, None] + torch.arange(length)[:, None] * rows * columns).flatten(1)


def dino_loss(model: Model, views: Views, cfg: Config, step: int) -> Loss:
    """DINO between whole views, between patches that two views share, and Gram anchoring.

    A whole view is the mean of its tokens. The student sees all views, the teacher the large ones.
    Moves the centres, after the loss, as the authors do.
    """
    w = cfg.weights
    temperatures = {
        "student_temperature": w.student_temperature,
        "teacher_temperature": w.teacher_temperature,
    }
    with torch.no_grad():
        seen = each(model.teacher, views.large)  # (2, B, N, D)
        named = each(model.teacher_head, seen.mean(2))  # (2, B, K)
        named_patches = model.teacher_dense_head(tokens_at(seen, views.pairs))
    tokens = each(model.encoder, views.large)
    student = [each(model.head, tokens.mean(2))]
    if len(views.small):
        student.append(each(model.head, each(model.encoder, views.small).mean(2)))
    terms = dino(torch.cat(student), named, model.centre.mean, **temperatures)
    loss = terms["cross_entropy"]
    if w.dense_weight:
        patches = model.dense_head(tokens_at(tokens, views.pairs))  # (2, B K', prototypes)
        centre = model.dense_centre.mean
        crossed = [
            cross_entropy(patches[v], named_patches[1 - v], centre, **temperatures)
            for v in range(2)
        ]
        terms["dense"] = torch.stack(crossed).mean()
        loss = loss + w.dense_weight * terms["dense"]
    if w.gram_weight and step >= w.gram_start * cfg.steps:
        with torch.no_grad():
            anchor = model.gram_teacher(views.large.flatten(0, 1))
        terms["gram"] = gram_anchoring(tokens.flatten(0, 1), anchor)
        loss = loss + w.gram_weight * terms["gram"]
    model.centre.update(named)
    model.dense_centre.update(named_patches)
    return loss, terms


def lejepa_loss(model: Model, views: Views, cfg: Config, slice_generator: torch.Generator) -> Loss:
    """LeJEPA between whole views (means of their tokens), and between patches that two share.

    The large views are the global ones, whose mean is the centre that all views are drawn to.
    Without the second part nothing would ask a token to know more than the mean of all needs.
    """
    w = cfg.weights
    slices = random_slices(cfg.model.projection_dim, w.num_slices, slice_generator)
    tokens = each(model.encoder, views.large)  # (2, B, N, D)
    pooled = [tokens.mean(2)]
    if len(views.small):
        pooled.append(each(model.encoder, views.small).mean(2))
    z_views = each(model.head, torch.cat(pooled))  # (V, B, P)
    terms = lejepa(z_views, slices, num_global=2)
    share = w.sigreg_share
    loss = (1 - share) * terms["prediction"] + share * terms["sigreg"]
    if w.dense_weight:
        z_patches = each(model.dense_head, tokens_at(tokens, views.pairs))  # (2, B K, P)
        dense = lejepa(z_patches, slices)
        terms |= {f"dense_{name}": term for name, term in dense.items()}
        dense_share = share / cfg.views.num_pairs  # SIGReg grows with the number of samples
        loss = loss + w.dense_weight * (
            (1 - dense_share) * dense["prediction"] + dense_share * dense["sigreg"]
        )
    return loss, terms


def tokens_at(tokens: Tensor, pairs: Tensor) -> Tensor:
    """Tokens (2, B, N, D) of two views at the places (2, B, K) they share: (2, B K, D)."""
    picked = pick_tokens(tokens.flatten(0, 1), pairs.flatten(0, 1))
    return picked.unflatten(0, tokens.shape[:2]).flatten(1, 2)


def compute_loss(
    model: Model, pool: Pool, cfg: Config, step: int, samples: torch.Generator
) -> Loss:
    """The loss of the config's recipe on a batch drawn here, and its unweighted terms."""
    match cfg.recipe:
        case "ijepa" | "vjepa":
            return masked_loss(model, draw_windows(cfg, pool, samples), cfg, samples)
        case "dino":
            return dino_loss(model, draw_views(cfg, pool, samples), cfg, step)
        case "lejepa":
            return lejepa_loss(model, draw_views(cfg, pool, samples), cfg, samples)


def after_step(model: Model, step: int, cfg: Config) -> None:
    """What moves without a gradient: the teachers."""
    if cfg.recipe == "lejepa":
        return
    rate = ema_rate(step, cfg.steps, cfg.weights.ema_rate)
    update_teacher(model.teacher, model.encoder, rate)
    if cfg.recipe == "dino":
        update_teacher(model.teacher_head, model.head, rate)
        update_teacher(model.teacher_dense_head, model.dense_head, rate)
        if cfg.weights.gram_weight and step + 1 == round(cfg.weights.gram_start * cfg.steps):
            model.gram_teacher.load_state_dict(model.teacher.state_dict())


def train(cfg: Config, run: Run) -> None:
    """Trains one recipe, watches whether it collapses, scores it, and writes the run."""
    with before_training():
        pool, test = make_pool(cfg, generator(cfg, 1)), make_test(cfg)
    model = make_model(cfg)
    learnt = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        learnt, lr=cfg.learning_rate, weight_decay=cfg.weight_decay, fused=True
    )
    samples = generator(cfg, 4)

    start = 0
    if saved := run.restore():
        start = saved["step"]
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        samples.set_state(saved["samples"])
    else:
        run.log(0, look(model, test, cfg))

    for step in tqdm(range(start, cfg.steps), initial=start, total=cfg.steps, desc="training"):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, cfg)
        done = step + 1
        with stopping_at(done):
            loss, terms = compute_loss(model, pool, cfg, step, samples)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            after_step(model, step, cfg)
            if done % cfg.measure_every == 0 or done % cfg.save_every == 0 or done == cfg.steps:
                check_weights(model.parameters())

        if done % cfg.log_every == 0 or done == cfg.steps:
            line = {"loss": loss.detach()} | {name: t.detach() for name, t in terms.items()}
            run.log(done, line)
        if done % cfg.measure_every == 0 or done == cfg.steps:
            run.log(done, look(model, test, cfg))
        if done % cfg.save_every == 0 or done == cfg.steps:
            state = {
                "step": done,
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "samples": samples.get_state(),
            }
            run.save(done, state)

    encoder = kept(model, cfg)
    save_vit(run.folder / "encoder.pt", encoder, cfg.recipe, cfg.vit_sizes)
    scores = evaluate(subject_of(encoder, cfg), make_heldout(cfg), cfg)
    if cfg.recipe != "lejepa":
        scores["initial_share"] = initial_share(cfg.steps, cfg.weights.ema_rate)
    summary = {"arms": {cfg.recipe: scores}, "protocol": protocol(cfg)}
    run.finish(summary)
    print(run_table(scores, run.folder.name))


def kept(model: Model, cfg: Config) -> ViT:
    """What a recipe hands on: the teacher where it has one, as the papers do."""
    encoder = model.encoder if cfg.recipe == "lejepa" else model.teacher
    assert isinstance(encoder, ViT)
    return encoder


def look(model: Model, test: Scenes, cfg: Config) -> dict[str, float]:
    """The collapse measures on held-out frames."""
    return collapse_scores(features(subject_of(kept(model, cfg), cfg).encode, test))


def main() -> None:
    cfg, options = parse_config(Config, baseline=BASELINE, description=__doc__ or "")
    torch.set_num_threads(cfg.threads)
    with Run.open("part4", options, to_yaml(cfg), seed=cfg.seed) as run:
        train(cfg, run)


if __name__ == "__main__":
    run_script(main)
