"""World models on a frozen encoder's patch tokens, V-JEPA 2-AC's and DINO-WM's kind."""

from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from part5_action_planning.config import ACTION_DIM, Config
from part5_action_planning.model.encoders import make_blocks
from part5_action_planning.tasks.rules import largest_action

if TYPE_CHECKING:
    from common.frozen import FrozenEncoder


class TokenModel(nn.Module):
    """V-JEPA 2-AC's and DINO-WM's kind: the state is a frozen encoder's patch tokens.

    frozen (``common.frozen.FrozenEncoder``) is not trained and no part of the weights. mean (N, D)
    and spread of the tokens that it gives to recorded frames are: see ``standardise``.
    """

    def __init__(self, cfg: Config, frozen: "FrozenEncoder") -> None:
        super().__init__()
        self.history_length = cfg.model.history_length
        self.frozen = frozen
        rows, columns = frozen.grid(cfg.world.size, cfg.world.size)
        self.tokens = (rows * columns, frozen.dim)
        self.scale = largest_action(cfg.task, cfg.world)
        kind = TokenAttention if cfg.model.predictor == "attention" else TokenMLP
        self.predictor = kind(
            num_tokens=rows * columns, token_dim=frozen.dim, action_dim=ACTION_DIM,
            history_length=cfg.model.history_length, hidden_dim=cfg.model.hidden_dim,
        )  # fmt: skip
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", torch.zeros(self.tokens))
        self.register_buffer("spread", torch.ones(()))

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        """Moves the frozen encoder with the model."""
        self.frozen.backbone._apply(fn)
        return super()._apply(fn, recurse)

    def standardise(self, tokens: Tensor) -> None:
        """Sets mean and spread from tokens (n, N, D), so that a state's variance is 1.

        What all frames share, most of a token where one small ball moves, says nothing about them.
        """
        normed = F.layer_norm(tokens, tokens.shape[-1:])
        self.mean.copy_(normed.mean(0))
        self.spread.copy_((normed - self.mean).square().mean().sqrt())

    def state(self, tokens: Tensor) -> Tensor:
        """Patch tokens (..., N, D) -> the state (..., N D): layer normalised, as in V-JEPA 2, and
        standardised."""
        normed = F.layer_norm(tokens, tokens.shape[-1:])
        return ((normed - self.mean) / self.spread).flatten(-2)

    def encode(self, frames: Tensor, states: Tensor | None = None) -> Tensor:
        return self.state(self.frozen.encode(frames))

    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        tokens = z_past.unflatten(2, self.tokens)  # (B, n, N, D)
        return self.predictor(tokens, a_past / self.scale).flatten(1)

    def goal_features(self, z: Tensor) -> Tensor:
        return z


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
