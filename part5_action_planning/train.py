"""The post's claim: an agent plans well inside a model that predicts embeddings, given its actions.

    python part5_action_planning/train.py
    python part5_action_planning/train.py --config configs/part5/two_rooms.yaml

A ball with momentum, pushed at random, is all that the model sees. It learns an embedding of
single frames and predicts the next one from the last two and the actions, end to end, kept from
collapsing by SIGReg (LeWorldModel at toy size). Then it acts: it plans to a goal *image* by rolling
the model out, executes the first action, looks again, and plans anew. The run ends with success
rates between those of an agent that acts at random and one that knows the true dynamics: expect
95 to 100% at the last step. Minutes on two cores (its run.json says how many). Files:
runs/part5/<name>-seed<k>/; to see it act:

    python part5_action_planning/plan.py runs/part5/baseline-seed0

    torchrun --nproc_per_node 2 part5_action_planning/train.py

trains on two processes, CPU or GPU, each with its share of every batch; loss and gradient are the
same (see common/distributed.py). Files: runs/part5/<name>-ddp2-seed<k>/.
"""

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from common.distributed import average, average_gradients, world_size
from common.harness.config import parse_config, to_yaml
from common.harness.errors import before_training, check_weights, run_script, stopping_at
from common.harness.machine import autocast, device_name, pick_device
from common.harness.processes import Processes, started
from common.harness.runs import Run
from common.losses import covariance_penalty, variance_hinge
from common.schedules import warmup_cosine
from common.sigreg import CURVATURE, random_slices, sigreg
from part5_action_planning.config import BASELINE, Config, Stream, generator
from part5_action_planning.data import (
    Batch,
    draw_batch,
    fit_codebook,
    make_recording,
    read_tokens,
)  # fmt: skip
from part5_action_planning.model.jepa import LatentModel, predict_clips, rollout_windows
from part5_action_planning.model.world_models import PixelModel, TokenModel, make_model
from part5_action_planning.planning.closed_loop import EvalEpisodes

if TYPE_CHECKING:
    from part5_action_planning.model.policies import AnyPolicy, Policy, SequencePolicy
    from part5_action_planning.model.words import WordModel

Loss = tuple[Tensor, dict[str, Tensor]]  # what is minimised, and its unweighted terms


def compute_loss(model: Any, batch: Batch, cfg: Config) -> Loss:
    """The loss of the config's method, for the model that ``make_model`` gives it."""
    match cfg.method:
        case "lewm":
            return lewm_loss(model, batch, cfg)
        case "pldm":
            return pldm_loss(model, batch, cfg)
        case "vjepa2_ac":
            return vjepa2_ac_loss(model, batch, cfg)
        case "dino_wm":
            return dino_wm_loss(model, batch, cfg)
        case "pixel":
            return pixel_loss(model, batch, cfg)
        case "words":
            return words_loss(model, batch, cfg)
        case "cloning":
            return cloning_loss(model, batch, cfg)
        case "cloning_gpt":
            return sequence_loss(model, batch, cfg)
        case "oracle":
            raise ValueError("method oracle has no loss: nothing is trained")
        case _:
            assert_never(cfg.method)


def lewm_loss(model: LatentModel, batch: Batch, cfg: Config) -> Loss:
    """|z_pred - z_next|^2 + lambda SIGReg(z) / B, with gradients through the target too.

    LeWorldModel, arXiv 2603.19312: z = enc(x), z_pred = pred(z_past, a_past) rolled out.
    """
    assert batch.slices is not None
    z = encode_clips(model, batch)  # (B, T, D)
    z_pred, z_next = predict_clips(model, z, batch.actions, cfg.rollout)
    prediction = (z_pred - z_next).square().mean()
    samples = len(z) * world_size()
    regularizer = sigreg(z.transpose(0, 1), batch.slices) / samples  # (T, B, D): each time apart
    weight = cfg.loss_weights.sigreg_lambda
    weight = 2 / CURVATURE if weight == "auto" else weight  # see common.sigreg.critical_lambda
    loss = prediction + weight * regularizer
    terms = {"prediction": prediction, "sigreg": regularizer}
    return add_shared_terms(loss, terms, model, z, batch, cfg)


def pldm_loss(model: LatentModel, batch: Batch, cfg: Config) -> Loss:
    """|z_pred - z_next|^2 + variance + covariance + |inverse(z_t, z_next) - a_t|^2, weighted.

    PLDM, arXiv 2502.14819, with VICReg's terms (2105.04906) over batch and time at once.
    """
    w, z = cfg.loss_weights, encode_clips(model, batch)  # (B, T, D)
    z_pred, z_next = predict_clips(model, z, batch.actions, cfg.rollout)
    terms = {"prediction": (z_pred - z_next).square().mean()}
    flat = z.flatten(0, 1)  # (B T, D)
    terms["variance"], terms["covariance"] = variance_hinge(flat), covariance_penalty(flat)
    pairs = torch.cat([z[:, :-1], z[:, 1:]], -1).flatten(0, 1)
    a_t = batch.actions.flatten(0, 1) / model.predictor.scale
    terms["inverse"] = (model.inverse(pairs) - a_t).square().mean()
    loss = terms["prediction"] + w.variance * terms["variance"]
    loss = loss + w.covariance * terms["covariance"] + w.inverse * terms["inverse"]
    return add_shared_terms(loss, terms, model, z, batch, cfg)


def vjepa2_ac_loss(model: TokenModel, batch: Batch, cfg: Config) -> Loss:
    """|z_pred - z_next| one step ahead, plus the same at the end of a rollout; L1, frozen tokens.

    V-JEPA 2-AC, arXiv 2506.09985, eq. 2-4.
    """
    z = model.state(batch.seen.float())
    z_pred, z_next = predict_clips(model, z, batch.actions, 1)
    forced = (z_pred - z_next).abs().mean()
    z_pred, z_next = predict_clips(model, z, batch.actions, cfg.rollout)
    rolled = (z_pred[:, :, -1] - z_next[:, :, -1]).abs().mean()
    return forced + rolled, {"teacher_forcing": forced, "rollout": rolled}


def dino_wm_loss(model: TokenModel, batch: Batch, cfg: Config) -> Loss:
    """|z_pred - z_next|^2 on a frozen encoder's patch tokens: DINO-WM, arXiv 2411.04983."""
    z = model.state(batch.seen.float())
    z_pred, z_next = predict_clips(model, z, batch.actions, cfg.rollout)
    loss = (z_pred - z_next).square().mean()
    return loss, {"prediction": loss}


def pixel_loss(model: PixelModel, batch: Batch, cfg: Config) -> Loss:
    """|x_pred - x_next|^2: the state is the frame, x_pred = dec(pred(enc(x_past), a_past))."""
    x_pred, x_next = rollout_windows(model, encode_clips(model, batch), batch.actions, cfg.rollout)
    loss = (x_pred - x_next).square().mean()
    return loss, {"prediction": loss}


def words_loss(model: "WordModel", batch: Batch, cfg: Config) -> Loss:
    """-log p(word | words before it, actions), of each frame's words: as language models learn."""
    n = model.history_length
    words = model.codebook.encode(batch.seen.flatten(0, 1)).unflatten(0, batch.seen.shape[:2])
    frames = words.unfold(1, n + 1, 1).movedim(-1, 2)  # (B, W, n + 1, N)
    actions = batch.actions.unfold(1, n, 1).movedim(-1, 2)  # (B, W, n, A)
    bits = model.bits(frames.flatten(0, 1), actions.flatten(0, 1))  # (B W, N)
    return bits.mean() * math.log(2), {"bits": bits.sum(1).mean()}


def cloning_loss(model: "Policy", batch: Batch, cfg: Config) -> Loss:
    """|policy(z_past, z_goal) - a_t|^2, given any later frame of the clip as the goal."""
    z, n = encode_clips(model, batch), model.history_length
    now, goal = torch.triu_indices(z.shape[1], z.shape[1], 1, device=z.device)  # now < goal
    now, goal = now[now >= n - 1], goal[now >= n - 1]
    z_past = z[:, now[:, None] + torch.arange(1 - n, 1, device=z.device)]  # (B, P, n, D)
    action = model(z_past.flatten(0, 1), z[:, goal].flatten(0, 1))
    loss = ((action - batch.actions[:, now].flatten(0, 1)) / model.scale).square().mean()
    return loss, {"prediction": loss}


def sequence_loss(model: "SequencePolicy", batch: Batch, cfg: Config) -> Loss:
    """|policy(z_1, a_1, .., z_t, z_goal) - a_t|^2 at every t, given any later frame as the goal."""
    z, n = encode_clips(model, batch), model.context
    goals = z[:, n:]  # (B, G, D)
    past, actions = (x[:, :n].repeat_interleave(goals.shape[1], 0) for x in (z, batch.actions))
    action = model(past, actions[:, : n - 1], goals.flatten(0, 1))  # (B G, n, A)
    loss = ((action - actions) / model.scale).square().mean()
    return loss, {"prediction": loss}


def encode_clips(model: "LatentModel | PixelModel | AnyPolicy", batch: Batch) -> Tensor:
    """z (B, T, D) of clips of frames."""
    return model.encode(batch.seen.flatten(0, 1)).unflatten(0, batch.seen.shape[:2])


def add_shared_terms(
    loss: Tensor, terms: dict[str, Tensor], model: LatentModel, z: Tensor, batch: Batch, cfg: Config
) -> Loss:
    """Temporal straightening (arXiv 2603.12231), and the decoder's readout of embeddings.

    The decoder is for looking only: it reads embeddings without sending them a gradient.
    """
    if cfg.loss_weights.straightening:
        move = z[:, 1:] - z[:, :-1]
        terms["curvature"] = 1 - cosine_similarity(move[:, 1:], move[:, :-1], dim=-1).mean()
        loss = loss + cfg.loss_weights.straightening * terms["curvature"]
    terms["readout"] = (model.decode(z[:, 0].detach()) - batch.seen[:, 0]).square().mean()
    return loss + terms["readout"], terms


def train(cfg: Config, run: Run | None, here: Processes) -> None:
    """Trains a world model on this process's share of every batch; rank 0 alone acts and writes."""
    # planners, scores, figures
    from part5_action_planning.evaluate import check_events, finish, make_agent

    device = here.device
    with before_training():
        episodes = EvalEpisodes(cfg, cfg.evaluation.num_test_episodes, device)
        check_events(cfg)
        draws = generator(cfg, Stream.TRAIN_DATA, device)
        recording = make_recording(cfg, cfg.data.num_train_episodes, draws)
    model, tokens = make_model(cfg).to(device), None
    with torch.no_grad():
        make_agent(model.eval(), episodes)  # refuses a search that memory cannot hold
    model.train()
    here.join()
    if isinstance(model, TokenModel):
        folder = run.folder.parent / "features" if run else None
        if folder is not None:  # rank 0 makes them; then the others find them made
            tokens = read_tokens(model, recording, folder)
        folder = here.from_first(folder)
        if tokens is None:
            tokens = read_tokens(model, recording, folder)
        some = torch.from_numpy(np.array(tokens[::4, ::4])).flatten(0, 1)
        model.standardise(some.float().to(device))
    if cfg.method == "words":
        codebook: Any = model.codebook
        with before_training():
            fit_codebook(codebook, recording, generator(cfg, Stream.CODEBOOK, device))
        words = {name: x.cpu() for name, x in codebook.state_dict().items()}
        codebook.load_state_dict(here.from_first(words))  # the same on all ranks
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=cfg.learning_rate, weight_decay=cfg.weight_decay, fused=True
    )
    clips, slices = (generator(cfg, each, device) for each in (Stream.CLIPS, Stream.SLICES))
    state = {"model": model, "optimizer": optimizer, "clips": clips, "slices": slices}

    start, share = here.restore(run, state), here.share(cfg.batch_size)
    sizes, skip = (cfg.batch_size, cfg.data.clip_length), cfg.model.frame_skip
    for step in run.steps(start, cfg.steps) if run else range(start, cfg.steps):
        batch = draw_batch(recording, tokens, *sizes, clips, skip, share)
        if cfg.method == "lewm":
            drawn = random_slices(cfg.model.embedding_dim, cfg.loss_weights.num_slices, slices)
            batch = Batch(batch.seen, batch.actions, drawn)
        for group in optimizer.param_groups:
            group["lr"] = warmup_cosine(step, cfg.steps, cfg.learning_rate, cfg.warmup)
        done = step + 1
        is_saved = done % cfg.save_every == 0 or done == cfg.steps
        is_saved = is_saved or (run is not None and run.is_stopping)
        with stopping_at(done):
            with autocast(device, cfg.precision):
                loss, terms = compute_loss(model, batch, cfg)
            optimizer.zero_grad()
            loss.backward()
            average_gradients(model.parameters())
            optimizer.step()
            if is_saved:
                check_weights(p for p in model.parameters() if p.requires_grad)

        if done % cfg.log_every == 0 or done == cfg.steps:
            line = average({"loss": loss} | terms)
            if run:
                run.log(done, line)
        if run and is_saved:
            run.save(done, state)
    here.leave()  # what follows is rank 0's alone
    if run:
        finish(cfg, run, episodes, model.eval(), recording)


def main() -> None:
    cfg, options = parse_config(Config, baseline=BASELINE, description=__doc__ or "")
    here = started(cfg.batch_size, pick_device(cfg.device, cfg.precision))
    torch.set_num_threads(max(1, cfg.threads // here.count))
    if here.rank > 0:
        if cfg.method != "oracle":
            train(cfg, None, here)
        here.end()
    if here.count > 1:
        options = replace(options, name=f"{options.name}-ddp{here.count}")
    with Run.open(
        "part5", options, to_yaml(cfg), seed=cfg.seed, device=device_name(here.device),
        precision=cfg.precision, logger=cfg.logger,
    ) as run:  # fmt: skip
        if cfg.method != "oracle":
            train(cfg, run, here)
        else:
            from part5_action_planning.evaluate import finish

            with before_training():
                episodes = EvalEpisodes(cfg, cfg.evaluation.num_test_episodes, here.device)
            finish(cfg, run, episodes, None, None)
    here.end()


if __name__ == "__main__":
    run_script(main)
