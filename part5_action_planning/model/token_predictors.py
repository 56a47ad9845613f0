"""Predictors of a frozen encoder's patch tokens: one MLP, and the transformer of two papers.

DINO-WM (arXiv 2411.04983, sec. 3) and V-JEPA 2-AC (2506.09985, sec. 3) predict the tokens of the
next frame by the same kind of transformer: tokens of all frames attend to those of their own frame
and of the frames before, and each becomes the token at its place in the next frame. They differ in
where the action stands, in their loss (train.py) and in their encoder. Line by line, as published
and here: results/README.md.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.vit import places
from part5_action_planning.model.encoders import make_blocks


class BlockCausalPredictor(nn.Module):
    """Tokens of n frames (B, n, N, D), actions (B, n, A) -> what follows each: (B, n, N, D).

    n may be less than history_length. action_token: an action is one token more of the frame that
    it leaves (V-JEPA 2-AC); else it stands beside the numbers of each of the frame's tokens
    (DINO-WM). Both papers put proprioception beside it; here there is none, the task gives frames.
    """

    def __init__(
        self, *, grid: tuple[int, int], token_dim: int, history_length: int, action_dim: int,
        hidden_dim: int, depth: int, action_token: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.first = nn.Linear(token_dim + (0 if action_token else action_dim), hidden_dim)
        self.action = nn.Linear(action_dim, hidden_dim) if action_token else None
        where = places((history_length, *grid), hidden_dim).flatten(1, 2)  # (n, N, hidden)
        if action_token:
            where = torch.cat([where.mean(1, keepdim=True), where], 1)
        self.place = nn.Parameter(where)
        self.blocks = make_blocks(hidden_dim, depth)
        self.norm = nn.LayerNorm(hidden_dim)
        self.last = nn.Linear(hidden_dim, token_dim)
        frame = torch.arange(history_length).repeat_interleave(where.shape[1])
        self.mask: Tensor
        self.register_buffer("mask", frame[:, None] >= frame, persistent=False)

    def forward(self, tokens: Tensor, actions: Tensor) -> Tensor:
        frames, patches = tokens.shape[1:3]
        actions = actions.unsqueeze(2)  # (B, n, 1, A)
        if self.action is None:
            h = self.first(torch.cat([tokens, actions.expand(-1, -1, patches, -1)], -1))
        else:
            h = torch.cat([self.action(actions), self.first(tokens)], 2)
        h = (h + self.place[:frames]).flatten(1, 2)  # (B, n N, hidden), or n (N + 1)
        mask = self.mask[: h.shape[1], : h.shape[1]]
        for block in self.blocks:
            h = block(h, mask=mask)
        return self.last(self.norm(h.unflatten(1, (frames, -1))[:, :, -patches:]))


class TokenMLP(nn.Module):
    """All patch tokens at once, through one narrow layer: neither paper's network.

    tokens (B, n, N, D), a_past (B, n, A) -> those of the next frame (B, N, D), as they are and not
    as a change: where a ball crosses from patch to patch, tokens change almost whole. What comes
    through one narrow layer for the whole frame is kept near possible frames, as a rollout needs
    it.
    """

    def __init__(
        self, *, num_tokens: int, token_dim: int, history_length: int, action_dim: int,
        hidden_dim: int,
    ) -> None:  # fmt: skip
        super().__init__()
        size = num_tokens * token_dim
        self.first = nn.Linear(history_length * (size + action_dim), hidden_dim)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_dim) for _ in range(2))
        self.middle = nn.Sequential(
            nn.Linear(hidden_dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, hidden_dim)
        )
        self.last = nn.Linear(hidden_dim, size)

    def forward(self, tokens: Tensor, a_past: Tensor) -> Tensor:
        h = self.first(torch.cat([tokens.flatten(1), a_past.flatten(1)], dim=1))
        h = h + self.middle(self.norms[0](h))
        return self.last(F.gelu(self.norms[1](h))).unflatten(1, tokens.shape[2:])
