"""The attentive probe: a learnt query that looks at all tokens of a frame or clip, and reads off.

V-JEPA (arXiv 2404.08471, sec. 4) evaluates frozen encoders so: a linear probe of pooled tokens
cannot look somewhere. It learns more than a linear probe does; what it reads is there, what it does
not read may be there still.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.schedules import warmup_cosine
from common.vit import PLACE_SCALE, places

STEPS, BATCH, RATE, DECAY, LOOK_EVERY = 600, 64, 3e-3, 0.05, 50


class AttentiveProbe(nn.Module):
    """Tokens (B, N, D) of a grid (T, H, W) -> targets (B, S): cross-attention of one query, linear.

    Tokens are told their place and time, without which those of raw pixels would be a bag.
    """

    def __init__(
        self, *, dim: int, num_targets: int, grid: tuple[int, int, int], num_heads: int = 8
    ) -> None:
        super().__init__()
        width = 16 * num_heads
        self.num_heads = num_heads
        self.query = nn.Parameter(torch.randn(num_heads, 1, 16))
        self.enter = nn.Linear(dim, width)
        self.keys, self.values = nn.Linear(width, width), nn.Linear(width, width)
        self.norm, self.leave = nn.LayerNorm(width), nn.Linear(width, num_targets)
        time = torch.randn(grid[0], 1, 1, width)
        place = PLACE_SCALE * (places((1, *grid[1:]), width) + time)
        self.places = nn.Parameter(place.flatten(0, 2))  # (N, width)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.enter(tokens) + self.places
        k, v = (
            f(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for f in (self.keys, self.values)
        )  # (B, heads, N, 16)
        found = F.scaled_dot_product_attention(self.query.expand(len(x), -1, -1, -1), k, v)
        return self.leave(self.norm(found.flatten(1)))


def attentive_probe(
    z_train: Tensor, y_train: Tensor, z_test: Tensor, y_test: Tensor, grid: tuple[int, int, int],
    seed: int = 0,
) -> Tensor:  # fmt: skip
    """R^2 on the test set of each target, (S,); z (n, N, D) of a grid (T, H, W), y (n, S).

    Tokens and targets are standardised on the training samples; AdamW on squared error, stopped
    where a fifth of them, which it does not learn from, is read best. The same seed gives the same
    probe; torch's own stream is left as it was.
    """
    mean, scale = z_train.mean((0, 1)), z_train.std((0, 1)).clamp(min=1e-6)
    middle, spread = y_train.mean(0), y_train.std(0).clamp(min=1e-6)
    num_fitted = len(z_train) - len(z_train) // 5
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        probe = AttentiveProbe(dim=z_train.shape[-1], num_targets=y_train.shape[1], grid=grid)
        optimizer = torch.optim.AdamW(probe.parameters(), lr=RATE, weight_decay=DECAY)

        @torch.no_grad()
        def read(z: Tensor) -> Tensor:
            parts = [probe((part - mean) / scale) for part in z.split(BATCH)]
            return torch.cat(parts) * spread + middle

        least, found = math.inf, middle.expand(len(z_test), -1)
        for step in range(STEPS):
            for group in optimizer.param_groups:
                group["lr"] = warmup_cosine(step, STEPS, RATE, 0.05)
            index = torch.randint(num_fitted, (BATCH,))
            predicted = probe((z_train[index] - mean) / scale)
            loss = F.mse_loss(predicted, (y_train[index] - middle) / spread)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if (step + 1) % LOOK_EVERY == 0:
                error = (read(z_train[num_fitted:]) - y_train[num_fitted:]) / spread
                if (now := error.square().mean().item()) < least:
                    least, found = now, read(z_test)
    return 1 - (found - y_test).square().sum(0) / (y_test - y_test.mean(0)).square().sum(0)
