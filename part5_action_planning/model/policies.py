"""Agents without a world model: what was seen, and a goal, to an action."""

import torch
from torch import Tensor, nn

from common.heads import MLP
from part5_action_planning.config import ACTION_DIM, Config
from part5_action_planning.model.encoders import make_blocks
from part5_action_planning.model.jepa import Seeing
from part5_action_planning.tasks.rules import largest_action


class Policy(Seeing):
    """Goal-conditioned behaviour cloning: history and goal -> action, no world model."""

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.scale = largest_action(cfg.task, cfg.world)
        self.head = MLP(
            in_dim=(cfg.model.history_length + 1) * cfg.model.embedding_dim,
            hidden_dim=cfg.model.hidden_dim, out_dim=ACTION_DIM, normalise=False,
        )  # fmt: skip

    def forward(self, z_past: Tensor, z_goal: Tensor) -> Tensor:
        """Actions (B, A) within bounds, of embeddings (B, n, D) and the goal's (B, D)."""
        seen = torch.cat([z_past.flatten(1), z_goal], dim=1)
        return self.scale * torch.tanh(self.head(seen))


class SequencePolicy(Seeing):
    """The same in the way of language models: a causal transformer says what to do next.

    It reads the goal, then frames and actions in turn, as a decision transformer (arXiv 2106.01345)
    reads returns, states and actions; a goal in place of returns, as in GCSL (arXiv 1912.06088).
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.scale, self.context = largest_action(cfg.task, cfg.world), cfg.sequence.context
        width, dim = cfg.model.hidden_dim, cfg.model.embedding_dim
        self.goal, self.seen = nn.Linear(dim, width), nn.Linear(dim, width)
        self.done = nn.Linear(ACTION_DIM, width)
        self.place = nn.Parameter(0.02 * torch.randn(2 * self.context, width))
        self.blocks = make_blocks(width, cfg.sequence.depth)
        self.norm, self.last = nn.LayerNorm(width), nn.Linear(width, ACTION_DIM)

    def forward(self, z: Tensor, actions: Tensor, z_goal: Tensor) -> Tensor:
        """Actions (B, n, A) to take at each of embeddings (B, n, D), n up to ``context``.

        actions (B, n - 1, A): those taken between them; z_goal (B, D).
        """
        seen, done = self.seen(z), self.done(actions / self.scale)
        both = torch.stack([seen[:, :-1], done], dim=2).flatten(1, 2)  # in turn
        h = torch.cat([self.goal(z_goal).unsqueeze(1), both, seen[:, -1:]], dim=1)  # (B, 2 n, .)
        h = h + self.place[: h.shape[1]]
        for block in self.blocks:
            h = block(h, causal=True)
        return self.scale * torch.tanh(self.last(self.norm(h[:, 1::2])))


AnyPolicy = Policy | SequencePolicy
