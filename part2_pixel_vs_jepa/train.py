"""The post's claim: a pixel predictor smears an ambiguous future, an embedding predictor does not.

    python part2_pixel_vs_jepa/train.py
    python part2_pixel_vs_jepa/train.py --config configs/part2/dots.yaml --steps 500

One ball, one input frame: the direction is hidden, so every middle frame has two futures. This
script trains a pixel predictor and a JEPA (of about 700K parameters each) on the same batches, and
then scores both on held-out pairs whose every real future is known. Expect the deterministic pixel
arm to come within 5% of the Bayes floor (0.0176) and to smear (index near 1), since the blur *is*
the best answer under squared error; and the JEPA with a latent z to name each real future (index
near 0.1, most of it its readout's). What the latent z does, and what embeddings do without it, are
the other two rows of the table. Files: runs/part2/<name>-seed<k>/, figures included.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss
from tqdm import tqdm

from common.episodes import Batch, draw_batch, make_clips
from common.harness.config import parse_config, to_yaml
from common.harness.errors import UserError, before_training, check_weights, run_script, stopping_at
from common.harness.runs import Run
from common.losses import covariance_penalty, variance_hinge
from common.sigreg import random_slices, sigreg
from part2_pixel_vs_jepa.config import BASELINE, Config, generator, learning_rate
from part2_pixel_vs_jepa.model import Arm, make_arms
from part2_pixel_vs_jepa.plot import draw_figures
from part2_pixel_vs_jepa.report.run_table import headline_table
from part2_pixel_vs_jepa.scoring.heldout import make_heldout
from part2_pixel_vs_jepa.scoring.scores import bounds, evaluate, heldout_error


def best_of(distance: Tensor, relaxation: float) -> tuple[Tensor, Tensor]:
    """Prediction loss of K hypotheses, and which z was nearest, (B,).

    z* = argmin_z d(z) gets the loss (LeCun 2022, sec. 4.4: inference of z is minimisation), less
    a small share for the others, without which a hypothesis that never wins never moves.
    """
    nearest, z = distance.min(dim=1)  # (B,)
    others = (distance.sum(dim=1) - nearest) / max(1, distance.shape[1] - 1)
    share = relaxation if distance.shape[1] > 1 else 0.0
    return ((1 - share) * nearest + share * others).mean(), z


def compute_loss(
    arm: Arm, batch: Batch, cfg: Config, slice_generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of one arm, and its unweighted terms."""
    weight = cfg.loss
    z_past, z_pred, log_odds = arm.predict(batch, cfg)  # (B, n, D), (B, K, D), (B, K)

    if arm.in_pixels:  # predict the frame
        x_pred = arm.decode(z_pred)  # (B, K, C, H, W)
        distance = (x_pred - batch.x_next.unsqueeze(1)).square().mean(dim=(2, 3, 4))
        prediction, z = best_of(distance, weight.relaxation)
        choice = cross_entropy(log_odds, z)
        return prediction + choice, {"prediction": prediction, "choice": choice}

    z_next = arm.encoder(batch.x_next)  # predict the embedding: gradients flow into both sides
    distance = (z_pred - z_next.unsqueeze(1)).square().mean(dim=2)
    prediction, z = best_of(distance, weight.relaxation)
    choice = cross_entropy(log_odds, z)
    terms = {"prediction": prediction, "choice": choice}
    z_t = z_past[:, -1]

    if cfg.regularizer == "vicreg":
        terms["variance"] = (variance_hinge(z_t) + variance_hinge(z_next)) / 2
        terms["covariance"] = covariance_penalty(z_t) + covariance_penalty(z_next)
        loss = (
            weight.invariance_weight * prediction
            + weight.variance_weight * terms["variance"]
            + weight.covariance_weight * terms["covariance"]
        )
    else:
        slices = random_slices(z_next.shape[1], weight.num_slices, slice_generator)
        terms["sigreg"] = sigreg(torch.stack([z_t, z_next]), slices)
        loss = prediction + weight.sigreg_weight * terms["sigreg"]

    x_read = arm.decoder(z_next.detach())  # the readout sees real frames' embeddings alone
    terms["readout"] = mse_loss(x_read, batch.clean_next)
    return loss + choice + terms["readout"], terms


def train(cfg: Config, run: Run) -> None:
    """Trains every arm of the config on the same batches, scores them, and writes the run."""
    with before_training():
        clips = make_clips(cfg.world, cfg.distractor, cfg.data.train_episodes, generator(cfg, 1))
        held = make_heldout(cfg)
    arms = make_arms(cfg)
    optimizers = {
        name: torch.optim.AdamW(
            arm.parameters(), lr=cfg.learning_rate, weight_decay=cfg.weight_decay, fused=True
        )
        for name, arm in arms.items()
    }
    batches = generator(cfg, 4)
    slices = {name: generator(cfg, 5) for name in arms}

    start = 0
    if saved := run.restore():
        start = saved["step"]
        batches.set_state(saved["batches"])
        for name in arms:
            arms[name].load_state_dict(saved["arms"][name])
            optimizers[name].load_state_dict(saved["optimizers"][name])
            slices[name].set_state(saved["slices"][name])

    for step in tqdm(range(start, cfg.steps), initial=start, total=cfg.steps, desc="training"):
        batch = draw_batch(clips, cfg.batch_size, cfg.num_past, max(cfg.world.speeds), batches)
        done = step + 1
        look = done % cfg.eval_every == 0 or done == cfg.steps
        for name, arm in arms.items():
            for group in optimizers[name].param_groups:
                group["lr"] = learning_rate(step, cfg)
            with stopping_at(done):
                with torch.autocast("cpu", torch.bfloat16, enabled=cfg.precision == "bf16"):
                    loss, terms = compute_loss(arm, batch, cfg, slices[name])
                optimizers[name].zero_grad()
                loss.backward()
                optimizers[name].step()
                if look or done % cfg.save_every == 0:
                    check_weights(arm.parameters())

            if look or done % cfg.log_every == 0:
                line = {"arm": name} | {term: value.detach() for term, value in terms.items()}
                if look:
                    error, reference = heldout_error(arm, held, cfg)
                    line |= {"heldout": error, "heldout_ratio": error / reference}
                run.log(done, line)
        if done % cfg.save_every == 0 or done == cfg.steps:
            state = {
                "step": done,
                "arms": {name: arm.state_dict() for name, arm in arms.items()},
                "optimizers": {name: o.state_dict() for name, o in optimizers.items()},
                "batches": batches.get_state(),
                "slices": {name: g.get_state() for name, g in slices.items()},
            }
            run.save(done, state)

    scored = {name: evaluate(arm, held, clips, cfg) for name, arm in arms.items()}
    summary = {
        "arms": {name: scores for name, (scores, _) in scored.items()},
        "bounds": bounds(held, clips, cfg),
        "protocol": {"steps": cfg.steps, "num_hypotheses": cfg.num_hypotheses},
    }
    if cfg.figures:
        draw_figures(run, arms, held, cfg)
    single = {
        f"{name}/{term}" if len(arms) > 1 else term: values
        for name, (_, outcomes) in scored.items()
        for term, values in outcomes.items()
    }
    run.finish(summary, single)
    print(headline_table(summary, cfg))


def main() -> None:
    cfg, options = parse_config(Config, baseline=BASELINE, description=__doc__ or "")
    torch.set_num_threads(cfg.threads)
    if cfg.precision == "bf16" and "AVX512" not in torch.backends.cpu.get_cpu_capability():
        raise UserError(
            "precision bf16 is no faster than fp32 on this processor, which has no AVX-512: "
            "use precision fp32"
        )
    with Run.open("part2", options, to_yaml(cfg), seed=cfg.seed, precision=cfg.precision) as run:
        train(cfg, run)


if __name__ == "__main__":
    run_script(main)
