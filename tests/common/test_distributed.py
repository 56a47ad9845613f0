"""Two Gloo processes under DistributedDataParallel against one process on the joined batch.

Run as a script, this file is one of the two processes: ``test_distributed.py RANK FOLDER``.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import common.sigreg as sigreg_module
from common.dino import Centre, cross_entropy, gram_anchoring
from common.distributed import (
    all_reduce_sum,
    average,
    average_gradients,
    shared_seed,
    world_size,
)
from common.heads import MLP, BatchNorm
from common.losses import barlow_twins, lejepa, negative_cosine, variance_hinge, vicreg
from common.sigreg import random_slices, sigreg, sigreg_direct

NUM_RANKS, BATCH = 2, 12  # samples per rank
LOSSES = [
    "vicreg",
    "barlow_twins",
    "negative_cosine",
    "dino",
    "sigreg",
    "sigreg_direct",
    "lejepa",
    "batch_norm",
]


def loss_and_gradient(name: str, encoder: nn.Module, frames: Tensor, seed: int) -> dict:
    """One backward pass of the named loss on two noisy views (2, B, ...) of a batch."""
    encoder.zero_grad()
    z_a, z_b = encoder(frames).unbind(0)
    more = {}
    match name:
        case "vicreg":
            terms = vicreg(z_a, z_b)
            loss = 25 * terms["invariance"] + 25 * terms["variance"] + terms["covariance"]
        case "barlow_twins":
            terms = barlow_twins(z_a, z_b)
            loss = terms["invariance"] + 0.0051 * terms["redundancy"]
        case "negative_cosine":
            loss = negative_cosine(z_a, z_b.detach())
        case "dino":
            centre = Centre(16)
            centre.update(z_b)
            loss = cross_entropy(z_a, z_b, centre.mean)
            more["centre"] = centre.mean
        case "batch_norm":  # through a predictor whose normalisation runs over all ranks
            torch.manual_seed(1)
            head = MLP(in_dim=16, hidden_dim=24, out_dim=16, normalise=True)
            loss = negative_cosine(head(z_a), z_b.detach())
            more["running_mean"] = head.norm.running_mean
            more["running_var"] = head.norm.running_var
        case _:
            slices = random_slices(16, 40, torch.Generator().manual_seed(shared_seed(seed)))
            if name == "lejepa":
                terms = lejepa(torch.stack([z_a, z_b]), slices)
                loss = 0.9 * terms["prediction"] + 0.1 * terms["sigreg"]
            else:
                statistic = {"sigreg": sigreg, "sigreg_direct": sigreg_direct}[name]
                loss = statistic(torch.stack([z_a, z_b]), slices)
    loss.backward()
    gradient = torch.cat([p.grad.flatten() for p in encoder.parameters() if p.grad is not None])
    return {"loss": loss.detach(), "gradient": gradient} | more


def own_and_joined(encoder: nn.Module, frames: Tensor) -> dict:
    """A mean over a rank's own samples beside a joined statistic, without the wrapper."""
    encoder.zero_grad()
    z_a, z_b = encoder(frames).unbind(0)
    terms = {"own": (z_a - z_b).square().mean(), "joined": variance_hinge(z_a)}
    (terms["own"] + terms["joined"]).backward()
    average_gradients([*encoder.parameters(), nn.Parameter(torch.ones(1))])  # one is not used
    gradients = [p.grad.flatten() for p in encoder.parameters() if p.grad is not None]
    return average(terms) | {"gradient": torch.cat(gradients)}


def make_encoder_and_frames() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(6, 20), nn.Tanh(), nn.Linear(20, 16))
    x = torch.randn(NUM_RANKS * BATCH, 6)
    return encoder, torch.stack([x, x + 0.1 * torch.randn_like(x)])


REFUSING: dict[str, Callable[[Tensor], object]] = {
    "vicreg": lambda z: vicreg(z, z),
    "barlow_twins": lambda z: barlow_twins(z, z),
    "negative_cosine": lambda z: negative_cosine(z, z),
    "cross_entropy": lambda z: cross_entropy(z, z, torch.zeros(z.shape[1])),
    "centre": lambda z: Centre(z.shape[1]).update(z),
    "batch_norm": lambda z: BatchNorm(z.shape[1])(z),
    "gram_anchoring": lambda z: gram_anchoring(z.unsqueeze(1), z.unsqueeze(1)),
    "sigreg": lambda z: sigreg(z, torch.eye(z.shape[1])),
    "sigreg_direct": lambda z: sigreg_direct(z, torch.eye(z.shape[1])),
    "lejepa": lambda z: lejepa(torch.stack([z, z]), torch.eye(z.shape[1])),
}


def refusal(name: str, z: Tensor) -> str:
    try:
        REFUSING[name](z)
    except ValueError as error:
        return str(error)
    return "accepted"


def run_rank(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    sigreg_module.CHUNK_ELEMENTS = 1  # the smallest chunks: several all-reduces per statistic
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder / 'rendezvous'}",
        rank=rank,
        world_size=NUM_RANKS,
        timeout=timedelta(seconds=60),
    )
    encoder, frames = make_encoder_and_frames()
    model = DistributedDataParallel(encoder)
    own = frames[:, rank * BATCH : (rank + 1) * BATCH]
    results: dict = {name: loss_and_gradient(name, model, own, seed=5 + rank) for name in LOSSES}
    results["own_and_joined"] = own_and_joined(encoder, own)
    results["refusals"] = {name: refusal(name, own[0, rank:]) for name in REFUSING}
    one_each = vicreg(own[0, :1], own[1, :1])  # a variance needs two samples, wherever they are
    results["one_each"] = torch.stack(list(one_each.values()))
    torch.save(results, folder / f"rank{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    folder = tmp_path_factory.mktemp("ranks")
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", __file__, str(rank), str(folder)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for rank in range(NUM_RANKS)
    ]
    try:
        errors = [process.communicate(timeout=120)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * NUM_RANKS, "\n".join(errors)
    return [torch.load(folder / f"rank{rank}.pt") for rank in range(NUM_RANKS)]


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_two_ranks_equal_one_process(ranks: list[dict], name: str) -> None:
    encoder, frames = make_encoder_and_frames()
    expected = loss_and_gradient(name, encoder, frames, seed=5)
    assert expected["gradient"].norm() > 0.01
    for rank in ranks:
        for key, reference in expected.items():
            difference = (rank[name][key] - reference).norm()
            assert difference <= 1e-5 * reference.norm(), (key, difference)
    assert torch.equal(ranks[0][name]["loss"], ranks[1][name]["loss"])


@pytest.mark.slow
def test_a_mean_may_stay_the_ranks_own(ranks: list[dict]) -> None:
    expected = own_and_joined(*make_encoder_and_frames())
    assert set(expected) == {"own", "joined", "gradient"}
    for rank in ranks:
        torch.testing.assert_close(rank["own_and_joined"], expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSING)
def test_unequal_batches_are_refused_on_every_rank(ranks: list[dict], name: str) -> None:
    for result in ranks:
        message = result["refusals"][name]
        assert f"ranks hold batches of {BATCH}, {BATCH - 1} samples" in message
        assert "wanted equal ones" in message


@pytest.mark.slow
def test_one_sample_per_rank_is_a_batch(ranks: list[dict]) -> None:
    _, frames = make_encoder_and_frames()
    z_a, z_b = frames[:, [0, BATCH]]
    expected = torch.stack(list(vicreg(z_a, z_b).values()))
    for rank in ranks:
        torch.testing.assert_close(rank["one_each"], expected)


def test_identity_in_one_process() -> None:
    x = torch.ones(3, requires_grad=True)
    assert world_size() == 1
    assert all_reduce_sum(x, 3) is x
    assert shared_seed(7) == 7


if __name__ == "__main__":
    run_rank(int(sys.argv[1]), Path(sys.argv[2]))
