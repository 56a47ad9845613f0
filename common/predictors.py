"""Embeddings of the past (and an action, and a latent z) -> embeddings of what comes next."""

import torch
from torch import Tensor, nn


class Predictor(nn.Module):
    """K hypotheses of the next embedding, and the log-odds of each.

    A residual MLP on the last embeddings and the action. The latent variable z (LeCun 2022, "A
    path towards autonomous machine intelligence", sec. 4.4) is discrete: z in 1 .. K adds a learnt
    vector to the first layer. K = 1 is the deterministic predictor. The weights of the hypotheses
    come from the past and the action alone, and learning them leaves the embeddings as they are.
    """

    def __init__(
        self, *, embedding_dim: int, history_length: int, action_dim: int, num_hypotheses: int,
        hidden_dim: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.first = nn.Linear(history_length * embedding_dim + action_dim, hidden_dim)
        self.code = nn.Parameter(torch.randn(num_hypotheses, hidden_dim) * (num_hypotheses > 1))
        self.rest = nn.Sequential(
            nn.ReLU(), nn.Linear(hidden_dim, hidden_dim),
            nn.ReLU(), nn.Linear(hidden_dim, embedding_dim),
        )  # fmt: skip
        self.log_odds = nn.Linear(hidden_dim, num_hypotheses)

    def forward(self, z_past: Tensor, a_t: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z_past (B, n, D), a_t (B, A) or None -> z_pred (B, K, D), log-odds (B, K)."""
        seen = z_past.flatten(1) if a_t is None else torch.cat([z_past.flatten(1), a_t], dim=1)
        h = self.first(seen)  # (B, hidden)
        z_pred = z_past[:, -1:] + self.rest(h.unsqueeze(1) + self.code)  # (B, K, D)
        return z_pred, self.log_odds(h.relu().detach())
