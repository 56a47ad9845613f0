"""The networks of this part that ``common`` does not have: predictors, and an encoder."""

from typing import assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.encoders import gather_patches
from common.predictors import Predictor
from common.vit import Block
from part5_action_planning.config import ACTION_DIM, Config
from part5_action_planning.tasks.rules import largest_action

HEAD_DIM = 16


def make_blocks(dim: int, depth: int, condition_dim: int = 0) -> nn.ModuleList:
    """Transformer blocks with a head for every HEAD_DIM of their width."""
    heads = max(1, dim // HEAD_DIM)
    blocks = (Block(dim=dim, num_heads=heads, condition_dim=condition_dim) for _ in range(depth))
    return nn.ModuleList(blocks)


class CausalPredictor(nn.Module):
    """LeWorldModel's predictor: causal attention over n embeddings, each modulated by its action.

    z_past (B, n, D), a_past (B, n, A) -> z_next (B, D). Differs: two blocks, and a prediction that
    is added to the last embedding.
    """

    def __init__(
        self, *, embedding_dim: int, history_length: int, action_dim: int, hidden_dim: int,
        depth: int = 2,
    ) -> None:  # fmt: skip
        super().__init__()
        self.first = nn.Linear(embedding_dim, hidden_dim)
        self.place = nn.Parameter(0.02 * torch.randn(history_length, hidden_dim))
        self.action = nn.Sequential(
            nn.Linear(action_dim, hidden_dim), nn.SiLU(), nn.Linear(hidden_dim, hidden_dim)
        )
        self.blocks = make_blocks(hidden_dim, depth, condition_dim=hidden_dim)
        self.norm = nn.LayerNorm(hidden_dim)
        self.last = nn.Linear(hidden_dim, embedding_dim)

    def forward(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        h, condition = self.first(z_past) + self.place, self.action(a_past)
        for block in self.blocks:
            h = block(h, condition, causal=True)
        return z_past[:, -1] + self.last(self.norm(h[:, -1]))


class ActionPredictor(nn.Module):
    """z_next from n embeddings and the n actions that leave them; actions are scaled to +-1."""

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        n = cfg.model.history_length
        sizes = {"embedding_dim": cfg.model.embedding_dim, "hidden_dim": cfg.model.hidden_dim}
        self.scale = largest_action(cfg.task, cfg.world)
        match cfg.model.predictor:
            case "mlp":
                actions = n * ACTION_DIM
                made = Predictor(history_length=n, action_dim=actions, num_hypotheses=1, **sizes)
            case "adaln":
                made = CausalPredictor(history_length=n, action_dim=ACTION_DIM, **sizes)
            case "attention":
                raise ValueError("model.predictor attention is for a frozen encoder's tokens")
            case _:
                assert_never(cfg.model.predictor)
        self.network = made

    def forward(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        actions = a_past / self.scale
        if isinstance(self.network, Predictor):
            z_pred, _ = self.network(z_past, actions.flatten(1))
            return z_pred[:, 0]
        return self.network(z_past, actions)


class TokenMLP(nn.Module):
    """All patch tokens at once, through one narrow layer: "DINO-WM style", "V-JEPA 2-AC style".

    tokens (B, n, N, D), a_past (B, n, A) -> those of the next frame (B, N, D), as they are and not
    as a change: where a ball crosses from patch to patch, tokens change almost whole. Differs from
    DINO-WM (arXiv 2411.04983) and V-JEPA 2-AC (2506.09985), whose predictors are transformers: what
    comes through one narrow layer for the whole frame is kept near possible frames, as a rollout
    needs it.
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


class TokenAttention(nn.Module):
    """Attention over the patches, the action on every token: DINO-WM's kind; shapes as TokenMLP.

    Differs from DINO-WM: the history of a patch is one wide token, so attention runs over the N
    patches alone.
    """

    def __init__(
        self, *, num_tokens: int, token_dim: int, history_length: int, action_dim: int,
        hidden_dim: int, depth: int = 2,
    ) -> None:  # fmt: skip
        super().__init__()
        self.first = nn.Linear(history_length * (token_dim + action_dim), hidden_dim)
        self.place = nn.Parameter(0.02 * torch.randn(num_tokens, hidden_dim))
        self.blocks = make_blocks(hidden_dim, depth)
        self.norm = nn.LayerNorm(hidden_dim)
        self.last = nn.Linear(hidden_dim, token_dim)

    def forward(self, tokens: Tensor, a_past: Tensor) -> Tensor:
        actions = a_past.flatten(1).unsqueeze(1).expand(-1, tokens.shape[2], -1)  # (B, N, n A)
        seen = tokens.transpose(1, 2).flatten(2)  # (B, N, n D)
        h = self.first(torch.cat([seen, actions], dim=-1)) + self.place
        for block in self.blocks:
            h = block(h)
        return self.last(self.norm(h))


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
        self.blocks = make_blocks(dim, depth)
        self.norm = nn.LayerNorm(dim)
        self.project = nn.Linear(dim, embedding_dim)

    def forward(self, x: Tensor) -> Tensor:
        patches = gather_patches(x.movedim(1, -1), 16).flatten(1, 2)  # (B, N, 256 C)
        h = self.patch(patches) + self.place
        for block in self.blocks:
            h = block(h)
        return self.project(self.norm(h).mean(1))
