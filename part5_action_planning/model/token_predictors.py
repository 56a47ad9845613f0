"""Patch tokens of the past, and the actions between -> the tokens of the next frame.

tokens (B, n, N, D), a_past (B, n, A) -> (B, N, D), as they are and not as a change: where a ball
crosses from patch to patch, tokens change almost whole.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from part5_action_planning.model.attention import Block


class TokenMLP(nn.Module):
    """All tokens at once, through one narrow layer.

    Differs from DINO-WM (arXiv 2411.04983) and V-JEPA 2-AC (2506.09985), whose predictors are
    transformers: what comes through one narrow layer for the whole frame is kept near possible
    frames, as a rollout needs it.
    """

    def __init__(
        self, *, num_tokens: int, token_dim: int, history: int, action_dim: int, hidden_dim: int
    ) -> None:
        super().__init__()
        size = num_tokens * token_dim
        self.first = nn.Linear(history * (size + action_dim), hidden_dim)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_dim) for _ in range(2))
        self.middle = nn.Sequential(
            nn.Linear(hidden_dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, hidden_dim)
        )
        self.last = nn.Linear(hidden_dim, size)

    def forward(self, tokens: Tensor, a_past: Tensor) -> Tensor:
        h = self.first(torch.cat([tokens.flatten(1), a_past.flatten(1)], dim=1))
        h = h + self.middle(self.norms[0](h))
        return self.last(F.gelu(self.norms[1](h))).unflatten(1, tokens.shape[2:])


class TokenAttention(nn.Module):
    """Attention over the patches, the action on every token (DINO-WM).

    Differs from DINO-WM: the history of a patch is one wide token, so attention runs over the N
    patches alone.
    """

    def __init__(
        self,
        *,
        num_tokens: int,
        token_dim: int,
        history: int,
        action_dim: int,
        hidden_dim: int,
        depth: int = 2,
    ) -> None:
        super().__init__()
        self.first = nn.Linear(history * (token_dim + action_dim), hidden_dim)
        self.place = nn.Parameter(0.02 * torch.randn(num_tokens, hidden_dim))
        self.blocks = nn.ModuleList(Block(hidden_dim) for _ in range(depth))
        self.norm = nn.LayerNorm(hidden_dim)
        self.last = nn.Linear(hidden_dim, token_dim)

    def forward(self, tokens: Tensor, a_past: Tensor) -> Tensor:
        actions = a_past.flatten(1).unsqueeze(1).expand(-1, tokens.shape[2], -1)  # (B, N, n A)
        seen = tokens.transpose(1, 2).flatten(2)  # (B, N, n D)
        h = self.first(torch.cat([seen, actions], dim=-1)) + self.place
        for block in self.blocks:
            h = block(h)
        return self.last(self.norm(h))
