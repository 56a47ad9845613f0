"""What some losses put behind an encoder: an MLP with batch normalisation, DINO's prototypes."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.distributed import all_reduce_sum, world_size


class BatchNorm(nn.BatchNorm1d):
    """BatchNorm1d over the joined batch of all ranks; in one process, BatchNorm1d itself.

    Input and output (B, D); ranks with unequal batches raise ValueError. PyTorch's SyncBatchNorm
    does the same on GPUs and refuses the CPU.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (PyTorch's name)
        if not self.training or world_size() == 1:
            return super().forward(input)
        x = input.float()
        num_samples = len(x) * world_size()
        mean = all_reduce_sum(x.sum(0), len(x)) / num_samples  # (D,)
        variance = all_reduce_sum((x - mean).square().sum(0)) / num_samples
        running: Any = self  # whose statistics are there: nothing here leaves them out
        with torch.no_grad():  # the running variance is the unbiased one, as PyTorch's
            running.num_batches_tracked += 1
            running.running_mean.lerp_(mean, self.momentum)
            unbiased = variance * (num_samples / max(1, num_samples - 1))
            running.running_var.lerp_(unbiased, self.momentum)
        normal = (x - mean) / torch.sqrt(variance + self.eps)
        return (normal * self.weight + self.bias).to(input.dtype)


class MLP(nn.Module):
    """(B, D_in) -> (B, D_out): linear, batch normalisation, ReLU, linear.

    The predictor of SimSiam (arXiv 2011.10566, sec. 3) and BYOL (2006.07733, sec. 3.3). Without the
    normalisation it suits losses that compare lengths: a predictor that divides by the spread of
    its input cannot tell a shrunken embedding from a wide one.
    """

    def __init__(self, *, in_dim: int, hidden_dim: int, out_dim: int, normalise: bool) -> None:
        super().__init__()
        self.hidden = nn.Linear(in_dim, hidden_dim, bias=not normalise)
        self.norm: nn.Module = BatchNorm(hidden_dim) if normalise else nn.Identity()
        self.out = nn.Linear(hidden_dim, out_dim)

    def forward(self, z: Tensor) -> Tensor:
        return self.out(self.norm(self.hidden(z)).relu())


class DinoHead(nn.Module):
    """Embeddings (B, D) -> logits of K prototypes (B, K), cosines in [-1, 1].

    Linear, GELU, linear to a bottleneck that is scaled to length 1, and its product with K
    directions of length 1. DINO, arXiv 2104.14294, sec. 3.1 (weight normalisation whose length is
    fixed at 1); differs: two layers before the prototypes where DINO has three.
    """

    def __init__(
        self, *, in_dim: int, hidden_dim: int, bottleneck_dim: int, num_prototypes: int
    ) -> None:
        super().__init__()
        self.hidden = nn.Linear(in_dim, hidden_dim)
        self.bottleneck = nn.Linear(hidden_dim, bottleneck_dim)
        self.prototypes = nn.Parameter(torch.randn(num_prototypes, bottleneck_dim))

    def forward(self, z: Tensor) -> Tensor:
        h = F.normalize(self.bottleneck(F.gelu(self.hidden(z))), dim=-1)  # (B, bottleneck)
        return h @ F.normalize(self.prototypes, dim=-1).T
