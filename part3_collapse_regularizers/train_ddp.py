"""The same training on several processes, CPU or GPU: the same loss, gradient and weights.

    torchrun --nproc_per_node 2 part3_collapse_regularizers/train_ddp.py \\
        --config configs/part3/sigreg.yaml

Each rank takes its share of the batch that one process would have drawn, and every statistic
(covariance, cross-correlation, characteristic function, centre, batch normalisation) runs over the
joined batch: see common/distributed.py. Ends with the table of train.py, without its figures and
dashboard; there is no resuming.
Files: runs/part3/<name>-ddp<processes>-seed<k>/, by rank 0.
"""

import os

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from common.harness.config import RunOptions, parse_config, to_yaml
from common.harness.errors import UserError, before_training, check_weights, run_script, stopping_at
from common.harness.runs import RUNS, Run
from part3_collapse_regularizers.config import BASELINE, Config, Stream, generator, learning_rate
from part3_collapse_regularizers.data import Batch, draw_sample, training_pool
from part3_collapse_regularizers.model import Model, make_batch, make_model, make_optimizer
from part3_collapse_regularizers.report.tables import run_table
from part3_collapse_regularizers.scoring.scores import make_heldout, summarise
from part3_collapse_regularizers.train import Loss, compute_loss


class Objective(nn.Module):
    """The loss as a module: one forward pass per step, which DistributedDataParallel can watch."""

    def __init__(self, model: Model, cfg: Config) -> None:
        super().__init__()
        self.model = model
        self.cfg = cfg

    def forward(self, batch: Batch) -> Loss:
        return compute_loss(self.model, batch, self.cfg)


def train(cfg: Config, rank: int, world: int, device: torch.device) -> tuple[Model, list[dict]]:
    """Trains on this rank's share of every batch; returns the model and lines to log."""
    with before_training():
        pool = training_pool(cfg)
    model = make_model(cfg).to(device)
    objective = DistributedDataParallel(Objective(model, cfg), broadcast_buffers=False)
    optimizer = make_optimizer(model)
    samples, lines = generator(cfg, Stream.TRAIN_SAMPLES), []
    slices = generator(cfg, Stream.TRAIN_SLICES)  # the same on every rank
    for step in tqdm(range(cfg.steps), desc="training", disable=rank > 0):
        sample = draw_sample(cfg, pool, cfg.batch_size, samples, rank, world).to(device)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, cfg)
        with stopping_at(step + 1):
            batch = make_batch(model, sample, cfg, slices)
            loss, terms = objective(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            model.after_step(batch, step)
        if (step + 1) % cfg.log_every == 0 or step + 1 == cfg.steps:
            found = {name: term.item() for name, term in ({"loss": loss} | terms).items()}
            lines.append({"step": step + 1} | found)
    with stopping_at(cfg.steps):
        check_weights(model.parameters())
    return model, lines


def check_shares(cfg: Config, world: int) -> None:
    """Raises UserError unless every rank gets the same number of samples, one at least."""
    if cfg.batch_size % world:
        raise UserError(
            f"batch_size {cfg.batch_size} over {world} processes gives unequal batches"
            f"{' (there are more processes than samples)' if cfg.batch_size < world else ''}: use "
            f"a multiple of {world}, such as {max(1, cfg.batch_size // world) * world}"
        )


def leave() -> None:
    """Leaves the group when all ranks do: one that goes first cuts off who still receives."""
    dist.barrier()
    dist.destroy_process_group()


def main() -> None:
    cfg, options = parse_config(Config, baseline=BASELINE, description=__doc__ or "")
    if "LOCAL_RANK" not in os.environ:
        raise UserError(
            "not started by torchrun; use: torchrun --nproc_per_node 2 "
            "part3_collapse_regularizers/train_ddp.py (train.py is for one process)"
        )
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    check_shares(cfg, world)
    torch.set_num_threads(max(1, cfg.threads // world))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    name = f"{options.name}-ddp{world}"
    folder = options.run_dir or RUNS / "part3" / f"{name}-seed{cfg.seed}"
    options = RunOptions(name, folder, options.overwrite)
    if rank > 0:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        train(cfg, rank, world, device)
        leave()
        return
    with Run.open("part3", options, to_yaml(cfg), seed=cfg.seed, device=device.type) as run:
        with before_training():
            held = make_heldout(cfg)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        model, lines = train(cfg, rank, world, device)
        leave()  # what follows is rank 0's alone
        (run.folder / "checkpoint.pt").unlink(missing_ok=True)  # of a run that was cut off:
        run.restore({})  # there is no resuming, so what it logged goes too
        for line in lines:
            run.log(line.pop("step"), line)
        run.save(cfg.steps, {"model": model.cpu()})
        summary = summarise(compute_loss, model, held, cfg)
        run.finish(summary)
        print(run_table(run.folder.name, summary))


if __name__ == "__main__":
    run_script(main)
