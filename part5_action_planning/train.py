"""The post's claim: an agent plans well inside a model that predicts embeddings, given its actions.

    python part5_action_planning/train.py
    python part5_action_planning/train.py --config configs/part5/two_rooms.yaml

A ball with momentum, pushed at random, is all that the model sees. It learns an embedding of
single frames and predicts the next one from the last two and the actions, end to end, kept from
collapsing by SIGReg (LeWorldModel at toy size). Then it acts: it plans to a goal *image* by
imagining, executes the first action, looks again, and plans anew. The run ends with success rates
between those of an agent that acts at random and one that knows the true dynamics. Minutes on two
cores (its run.json says how many). Files: runs/part5/<name>-seed<k>/; to see it act:

    python part5_action_planning/plan.py runs/part5/baseline-seed0
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from tqdm import tqdm

from common.harness.checkpoints import load_weights
from common.harness.config import parse_config, to_yaml
from common.harness.errors import before_training, check_weights, run_script, stopping_at
from common.harness.runs import Run
from common.losses import covariance_penalty, variance_hinge
from common.sigreg import random_slices, sigreg
from part5_action_planning.config import (
    BASELINE,
    FREE,
    Config,
    generator,
    learning_rate,
    protocol,
)
from part5_action_planning.data.clips import Clip, draw_clips, make_recording, read_tokens
from part5_action_planning.data.recordings import crossing_share
from part5_action_planning.model.build import make_model
from part5_action_planning.model.world_models import (
    LatentModel,
    Oracle,
    PixelModel,
    Policy,
    TokenModel,
)
from part5_action_planning.planning.closed_loop import Stage
from part5_action_planning.planning.rollout import rollout
from part5_action_planning.plot import EPISODES, draw_figures
from part5_action_planning.report.run_table import run_table
from part5_action_planning.scoring.scores import bounds, evaluate
from part5_action_planning.scoring.surprise import check_events

Trainable = LatentModel | PixelModel | TokenModel | Policy


def imagined(
    model: LatentModel | PixelModel | TokenModel, z: Tensor, actions: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """Rollouts of so many steps from every moment of a clip, and what really came.

    z (B, T, D), actions (B, T - 1, A) -> (B, W, steps, D) twice: W windows with a full history
    before and so many frames after.
    """
    n = model.history
    begin = torch.arange(z.shape[1] - n - steps + 1)[:, None]  # (W, 1)
    z_past = z[:, begin + torch.arange(n)]  # (B, W, n, D)
    a_past = actions[:, begin + torch.arange(n - 1)]  # (B, W, n - 1, A)
    ahead = actions[:, begin + n - 1 + torch.arange(steps)]  # (B, W, steps, A)
    z_next = z[:, begin + n + torch.arange(steps)]
    z_pred = rollout(
        model, z_past.flatten(0, 1), a_past.flatten(0, 1), ahead.flatten(0, 1)[:, None]
    )
    return z_pred[:, 0].unflatten(0, z_next.shape[:2]), z_next


def compute_loss(
    model: Trainable, clip: Clip, cfg: Config, slice_generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of the config's objective, and its unweighted terms."""
    w, terms = cfg.weights, {}
    if isinstance(model, Policy):
        return cloning_loss(model, clip)
    if isinstance(model, TokenModel):
        z = model.state(clip.seen.float())  # of the tokens that the frozen encoder gave
    else:
        z = model.observe(clip.seen.flatten(0, 1)).unflatten(0, clip.seen.shape[:2])

    if cfg.objective == "vjepa2_ac":  # V-JEPA 2-AC, arXiv 2506.09985, eq. 2-4
        z_pred, z_next = imagined(model, z, clip.actions, 1)
        terms["teacher_forcing"] = (z_pred - z_next).abs().mean()
        z_pred, z_next = imagined(model, z, clip.actions, cfg.rollout)
        terms["rollout"] = (z_pred[:, :, -1] - z_next[:, :, -1]).abs().mean()
        return terms["teacher_forcing"] + terms["rollout"], terms

    z_pred, z_next = imagined(model, z, clip.actions, cfg.rollout)
    terms["prediction"] = (z_pred - z_next).square().mean()
    loss = terms["prediction"]
    if not isinstance(model, LatentModel):  # pixels and frozen tokens cannot collapse
        return loss, terms

    if cfg.objective == "lewm":  # LeWorldModel, arXiv 2603.19312: gradients through the target too
        slices = random_slices(z.shape[-1], w.num_slices, slice_generator, device=z.device)
        terms["sigreg"] = sigreg(z.transpose(0, 1), slices) / len(z)  # (T, B, D): each time apart
        loss = loss + w.sigreg_weight * terms["sigreg"]
    else:  # PLDM, arXiv 2502.14819: VICReg (here over batch and time at once) and inverse dynamics
        flat = z.flatten(0, 1)
        terms["variance"], terms["covariance"] = variance_hinge(flat), covariance_penalty(flat)
        pairs = torch.cat([z[:, :-1], z[:, 1:]], -1).flatten(0, 1)
        action = clip.actions.flatten(0, 1) / model.predictor.scale
        terms["inverse"] = (model.inverse(pairs) - action).square().mean()
        loss = (
            loss
            + w.variance_weight * terms["variance"]
            + w.covariance_weight * terms["covariance"]
            + w.inverse_weight * terms["inverse"]
        )
    if w.straightening_weight:  # temporal straightening, arXiv 2603.12231
        move = z[:, 1:] - z[:, :-1]
        terms["curvature"] = 1 - cosine_similarity(move[:, 1:], move[:, :-1], dim=-1).mean()
        loss = loss + w.straightening_weight * terms["curvature"]
    # for looking only: the decoder reads embeddings without sending them a gradient
    terms["readout"] = (model.show(z[:, 0].detach()) - clip.seen[:, 0]).square().mean()
    return loss + terms["readout"], terms


def cloning_loss(policy: Policy, clip: Clip) -> tuple[Tensor, dict[str, Tensor]]:
    """Squared error of the action that was taken, given any later frame of the clip as the goal."""
    z = policy.observe(clip.seen.flatten(0, 1)).unflatten(0, clip.seen.shape[:2])
    n = policy.history
    now, goal = torch.triu_indices(z.shape[1], z.shape[1], offset=1)  # every pair now < goal
    now, goal = now[now >= n - 1], goal[now >= n - 1]
    z_past = z[:, now[:, None] + torch.arange(1 - n, 1)]  # (B, P, n, D)
    action = policy(z_past.flatten(0, 1), z[:, goal].flatten(0, 1))
    error = (action - clip.actions[:, now].flatten(0, 1)) / policy.scale
    loss = error.square().mean()
    return loss, {"prediction": loss}


def train(cfg: Config, run: Run) -> None:
    """Trains one world model, acts with it, scores it, and writes the run."""
    with before_training():
        stage = Stage(cfg, cfg.evaluation.episodes)
        check_events(cfg)
        recording = make_recording(cfg, cfg.data.train_episodes, generator(cfg, 1))
    model = make_model(cfg)
    tokens = None
    if isinstance(model, TokenModel):
        tokens = read_tokens(model, recording, run.folder.parent / "features")
        model.standardise(torch.from_numpy(np.array(tokens[::4, ::4])).float().flatten(0, 1))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=cfg.learning_rate, weight_decay=cfg.weight_decay, fused=True
    )
    samples, slices = generator(cfg, 4), generator(cfg, 5)

    start = 0
    if saved := run.restore():
        start = saved["step"]
        load_weights(model, saved["model"], run.folder / "checkpoint.pt")
        optimizer.load_state_dict(saved["optimizer"])
        samples.set_state(saved["samples"])
        slices.set_state(saved["slices"])

    for step in tqdm(range(start, cfg.steps), initial=start, total=cfg.steps, desc="training"):
        clip = draw_clips(recording, tokens, cfg.batch_size, cfg.data.clip_length, samples)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, cfg)
        done = step + 1
        with stopping_at(done):
            loss, terms = compute_loss(model, clip, cfg, slices)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if done % cfg.save_every == 0 or done == cfg.steps:
                check_weights(p for p in model.parameters() if p.requires_grad)

        if done % cfg.log_every == 0 or done == cfg.steps:
            line = {"loss": loss.detach()} | {name: t.detach() for name, t in terms.items()}
            run.log(done, line)
        if done % cfg.save_every == 0 or done == cfg.steps:
            state = {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "samples": samples.get_state(),
                "slices": slices.get_state(),
            }
            run.save(done, state)
    crossed = {"crossing_share": crossing_share(cfg.world, recording.states)}
    finish(cfg, run, stage, model.eval(), crossed if cfg.world.door_width else {})


def finish(
    cfg: Config, run: Run, stage: Stage, model: Trainable | None, known: dict[str, float]
) -> None:
    """Acts in every episode of the evaluation, and writes scores, figures and table.

    known is what is told beside the scores: the share of training episodes that cross the door.
    """
    actor = model or Oracle(cfg.task, cfg.world, stage.episodes.scene)
    with stopping_at(cfg.steps):  # a model whose imaginations are not finite
        scores, trial = evaluate(actor, stage, cfg)
    summary = {
        "arms": {cfg.objective: scores | known},
        "bounds": bounds(stage, cfg),
        "protocol": protocol(cfg),
    }
    if cfg.figures and model is not None:
        few = Stage(cfg, min(EPISODES, len(stage.goal_frames)))
        draw_figures(run.folder / "figures", model, few, cfg)
    run.finish(summary, {"distance_px": trial.distance.half().numpy()})
    print(run_table(summary, run.folder.name, cfg.task.kind))


def main() -> None:
    cfg, options = parse_config(Config, baseline=BASELINE, description=__doc__ or "")
    torch.set_num_threads(cfg.threads)
    with Run.open("part5", options, to_yaml(cfg), seed=cfg.seed) as run:
        if cfg.objective in FREE:
            with before_training():
                stage = Stage(cfg, cfg.evaluation.episodes)
            finish(cfg, run, stage, None, {})
        else:
            train(cfg, run)


if __name__ == "__main__":
    run_script(main)
