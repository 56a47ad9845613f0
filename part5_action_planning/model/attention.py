"""Attention where a config asks for it: LeWorldModel's predictor and encoder.

Block is a pre-norm transformer block; with a condition it is modulated by adaptive layer norm whose
gates start at zero (DiT, arXiv 2212.09748, sec. 3.2), which is how LeWorldModel (2603.19312) lets
the action in.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.encoders import gather_patches

HEAD_DIM = 16


class Block(nn.Module):
    """Tokens (B, L, D) -> the same; condition (B, L, C) modulates both halves if there is one."""

    def __init__(self, dim: int, condition_dim: int = 0) -> None:
        super().__init__()
        self.heads = max(1, dim // HEAD_DIM)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.widen = nn.Linear(dim, 4 * dim)
        self.narrow = nn.Linear(4 * dim, dim)
        affine = condition_dim == 0
        self.norms = nn.ModuleList(nn.LayerNorm(dim, elementwise_affine=affine) for _ in range(2))
        self.modulate = nn.Linear(condition_dim, 6 * dim) if condition_dim else None
        if self.modulate is not None:
            nn.init.zeros_(self.modulate.weight)
            nn.init.zeros_(self.modulate.bias)

    def forward(self, x: Tensor, condition: Tensor | None = None, causal: bool = False) -> Tensor:
        if self.modulate is None or condition is None:
            x = x + self._attend(self.norms[0](x), causal)
            return x + self.narrow(F.gelu(self.widen(self.norms[1](x))))
        shift, scale, gate, shift2, scale2, gate2 = self.modulate(F.silu(condition)).chunk(6, -1)
        x = x + gate * self._attend(self.norms[0](x) * (1 + scale) + shift, causal)
        h = self.norms[1](x) * (1 + scale2) + shift2
        return x + gate2 * self.narrow(F.gelu(self.widen(h)))

    def _attend(self, x: Tensor, causal: bool) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=causal)  # (B, heads, L, D / h)
        return self.out(mixed.transpose(1, 2).flatten(2))


class CausalPredictor(nn.Module):
    """LeWorldModel's predictor: causal attention over n embeddings, each modulated by its action.

    z_past (B, n, D), a_past (B, n, A) -> z_next (B, D). Differs: two blocks, and a prediction that
    is added to the last embedding.
    """

    def __init__(
        self, *, embedding_dim: int, history: int, action_dim: int, hidden_dim: int, depth: int = 2
    ) -> None:
        super().__init__()
        self.first = nn.Linear(embedding_dim, hidden_dim)
        self.place = nn.Parameter(0.02 * torch.randn(history, hidden_dim))
        self.action = nn.Sequential(
            nn.Linear(action_dim, hidden_dim), nn.SiLU(), nn.Linear(hidden_dim, hidden_dim)
        )
        self.blocks = nn.ModuleList(Block(hidden_dim, hidden_dim) for _ in range(depth))
        self.norm = nn.LayerNorm(hidden_dim)
        self.last = nn.Linear(hidden_dim, embedding_dim)

    def forward(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        h, condition = self.first(z_past) + self.place, self.action(a_past)
        for block in self.blocks:
            h = block(h, condition, causal=True)
        return z_past[:, -1] + self.last(self.norm(h[:, -1]))


class VitEncoder(nn.Module):
    """A small vision transformer, (B, C, H, W) -> (B, D): 16 px patches, two blocks, their mean.

    LeWorldModel encodes with a ViT-tiny and projects its class token; the projection matters, since
    a layer norm at the end would not let the embedding be Gaussian.
    """

    def __init__(
        self, *, in_channels: int, size: int, embedding_dim: int, dim: int = 64, depth: int = 2
    ) -> None:
        super().__init__()
        self.patch = nn.Linear(16 * 16 * in_channels, dim)
        self.place = nn.Parameter(0.02 * torch.randn((size // 16) ** 2, dim))
        self.blocks = nn.ModuleList(Block(dim) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.project = nn.Linear(dim, embedding_dim)

    def forward(self, x: Tensor) -> Tensor:
        patches = gather_patches(x.movedim(1, -1), 16).flatten(1, 2)  # (B, N, 256 C)
        h = self.patch(patches) + self.place
        for block in self.blocks:
            h = block(h)
        return self.project(self.norm(h).mean(1))
