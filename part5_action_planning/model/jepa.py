"""The JEPA of this part, and how it, or any other world model, is rolled out:

z = encoder(frame)                       an embedding of one frame
z_next = predictor(z_past, a_past)       the next one, from the last n and their actions
z_pred = rollout(model, ...)             many steps ahead, under many action sequences at once
"""

from typing import Protocol, assert_never

import torch
from torch import Tensor, nn

from common.heads import MLP
from common.predictors import Predictor
from part5_action_planning.config import ACTION_DIM, Config
from part5_action_planning.model.encoders import (
    make_blocks,
    make_decoder,
    make_encoder,
    make_projector,
)
from part5_action_planning.tasks.rules import largest_action

CHUNK_ELEMENTS = 65_536  # state numbers predicted at a time, so that they stay in a core's cache


class WorldModel(Protocol):
    """What planners and agents need.

    history_length: frames that a rollout wants to have seen; frame_skip: k, the steps from one of
    the n frames that ``step`` sees to the next, and to the one it predicts.
    """

    history_length: int
    frame_skip: int

    def encode(self, frames: Tensor, states: Tensor) -> Tensor: ...
    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor: ...
    def goal_features(self, z: Tensor) -> Tensor: ...


class CausalModel(WorldModel, Protocol):
    """One that, if is_causal, predicts what follows each of n states at once: (B, n, D)."""

    is_causal: bool

    def forced(self, z_past: Tensor, a_past: Tensor) -> Tensor: ...


class Seeing(nn.Module):
    """What trained models share: an encoder of one frame; distances are those of its embeddings."""

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.history_length, self.frame_skip = cfg.model.span, cfg.model.frame_skip
        self.encoder = make_encoder(cfg)

    def encode(self, frames: Tensor, states: Tensor | None = None) -> Tensor:
        return self.encoder(frames)

    def goal_features(self, z: Tensor) -> Tensor:
        return z


class LatentModel(Seeing):
    """LeWorldModel's and PLDM's kind: an encoder and a predictor of embeddings, trained together.

    inverse reads the action between two neighbouring embeddings; decoder is for looking only, and
    sends no gradient back.
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.predictor = ActionPredictor(cfg)
        self.is_causal = cfg.model.predictor == "adaln"
        self.inverse = MLP(
            in_dim=2 * cfg.model.embedding_dim, hidden_dim=cfg.model.hidden_dim,
            out_dim=cfg.model.frame_skip * ACTION_DIM, normalise=False,
        )  # fmt: skip
        self.decoder = make_decoder(cfg)

    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        return self.predictor(z_past, a_past)

    def forced(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        """What follows each of n embeddings: (B, n, D)."""
        return self.predictor.forced(z_past, a_past)

    def decode(self, z: Tensor) -> Tensor:
        """Frames (B, C, H, W), of embeddings (B, D)."""
        return self.decoder(z)


class ActionPredictor(nn.Module):
    """z_next from n embeddings and the n actions that leave them; actions are scaled to +-1.

    With a frame skip of k an action is k of them, one after another.
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        n, size = cfg.model.history_length, cfg.model.frame_skip * ACTION_DIM
        sizes = {"embedding_dim": cfg.model.embedding_dim, "hidden_dim": cfg.model.hidden_dim}
        self.scale = largest_action(cfg.task, cfg.world)
        match cfg.model.predictor:
            case "mlp":
                made = Predictor(history_length=n, action_dim=n * size, num_hypotheses=1, **sizes)
            case "adaln":
                sizes["depth"], ends = cfg.model.depth, cfg.model.projector
                made = CausalPredictor(history_length=n, action_dim=size, projector=ends, **sizes)
            case "block_causal":
                raise ValueError("model.predictor block_causal is for a frozen encoder's tokens")
            case _:
                assert_never(cfg.model.predictor)
        self.network = made

    def forward(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        actions = a_past / self.scale
        if isinstance(self.network, Predictor):
            z_pred, _ = self.network(z_past, actions.flatten(1))
            return z_pred[:, 0]
        return self.network(z_past, actions)[:, -1]

    def forced(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        """What follows each of them, (B, n, D), of a predictor that is causal."""
        return self.network(z_past, a_past / self.scale)


class CausalPredictor(nn.Module):
    """LeWorldModel's predictor: causal attention over n embeddings, each modulated by its action.

    z_past (B, n, D), a_past (B, n, A) -> what follows each of them, (B, n, D). projector: as
    theirs, it ends in an MLP with batch norm; else a prediction is added to the embedding before.
    """

    def __init__(
        self, *, embedding_dim: int, history_length: int, action_dim: int, hidden_dim: int,
        depth: int, projector: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.first = nn.Linear(embedding_dim, hidden_dim)
        self.place = nn.Parameter(0.02 * torch.randn(history_length, hidden_dim))
        self.action = nn.Sequential(
            nn.Linear(action_dim, hidden_dim), nn.SiLU(), nn.Linear(hidden_dim, hidden_dim)
        )
        self.blocks = make_blocks(hidden_dim, depth, condition_dim=hidden_dim)
        self.norm = nn.LayerNorm(hidden_dim)
        self.is_residual = not projector
        self.last = make_projector(hidden_dim, embedding_dim, projector)

    def forward(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        h, condition = self.first(z_past) + self.place, self.action(a_past)
        for block in self.blocks:
            h = block(h, condition, causal=True)
        predicted = self.last(self.norm(h).flatten(0, 1)).view_as(z_past)
        return z_past + predicted if self.is_residual else predicted


def rollout(model: WorldModel, z_past: Tensor, a_past: Tensor, actions: Tensor) -> Tensor:
    """Predicted states (E, S, H, D) of S action sequences for each of E episodes.

    z_past (E, n, D) what was observed, oldest first; a_past (E, n - 1, A) the actions between;
    actions (E, S, H, A), the first of them leaving z_past[:, -1]. The window slides: later steps
    see what was predicted, and the actions that go with it. A frame skip of k reads every k-th
    observation, back from the last, and predicts every k-th state, (E, S, H / k, D). Raises
    ValueError for another history, and for an H that k does not divide.
    """
    wanted, skip = (model.history_length, model.history_length - 1), model.frame_skip
    if (z_past.shape[1], a_past.shape[1]) != wanted:
        raise ValueError(
            f"got a history of {z_past.shape[1]} observations and {a_past.shape[1]} actions; the "
            f"model wants {wanted[0]} and {wanted[1]}"
        )
    if actions.shape[2] % skip:
        raise ValueError(f"got {actions.shape[2]} actions; the model wants a multiple of {skip}")
    return _rollouts(model, z_past[:, ::skip], *(group(a, skip) for a in (a_past, actions)))


def group(actions: Tensor, frame_skip: int) -> Tensor:
    """Actions (..., T, A), the k of a frame skip beside each other: (..., T / k, k A)."""
    *rows, steps, size = actions.shape
    return actions.reshape(*rows, steps // frame_skip, frame_skip * size)


def _rollouts(model: WorldModel, z_past: Tensor, a_past: Tensor, actions: Tensor) -> Tensor:
    """As ``rollout``, of observations and actions that are those of the model's own steps."""
    episodes, samples = actions.shape[:2]
    z_past, a_past = (past.repeat_interleave(samples, 0) for past in (z_past, a_past))
    flat = actions.flatten(0, 1)  # (E S, H, A)
    rows = min(2048, max(64, CHUNK_ELEMENTS // z_past[0, 0].numel()))
    parts = zip(z_past.split(rows), a_past.split(rows), flat.split(rows), strict=True)
    predicted = torch.cat([_rollout(model, *part) for part in parts])
    return predicted.unflatten(0, (episodes, samples))


def _rollout(model: WorldModel, z_past: Tensor, a_past: Tensor, actions: Tensor) -> Tensor:
    """Predicted states (B, H, D) of one action sequence (B, H, A) each."""
    z_window, a_window = z_past, torch.cat([a_past, actions[:, :1]], 1)  # (B, n, D), (B, n, A)
    predicted = []
    for h in range(actions.shape[1]):
        z_next = model.step(z_window, a_window)
        predicted.append(z_next)
        if h + 1 < actions.shape[1]:
            z_window = torch.cat([z_window[:, 1:], z_next.unsqueeze(1)], 1)
            a_window = torch.cat([a_window[:, 1:], actions[:, h + 1 : h + 2]], 1)
    return torch.stack(predicted, 1)


def rollout_windows(
    model: WorldModel, z: Tensor, actions: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """Rollouts of so many steps from every moment of a clip, and what really came.

    z (B, T, D), actions (B, T - 1, A), both of the model's own steps (``Batch``) -> z_pred, z_next
    (B, W, steps, D): W windows with a full history before and so many frames after.
    """
    n = -(-model.history_length // model.frame_skip)
    time = torch.arange(z.shape[1], device=z.device)
    begin = time[: len(time) - n - steps + 1, None]  # (W, 1)
    z_past = z[:, begin + time[:n]]  # (B, W, n, D)
    a_past = actions[:, begin + time[: n - 1]]  # (B, W, n - 1, A)
    ahead = actions[:, begin + n - 1 + time[:steps]]  # (B, W, steps, A)
    z_next = z[:, begin + n + time[:steps]]
    z_pred = _rollouts(
        model, z_past.flatten(0, 1), a_past.flatten(0, 1), ahead.flatten(0, 1)[:, None]
    )
    return z_pred[:, 0].unflatten(0, z_next.shape[:2]), z_next


def predict_clips(
    model: CausalModel, z: Tensor, actions: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """As ``rollout_windows``; but one step ahead, a causal model is taught at every frame at once.

    Then the W = n windows are what it has seen up to each of a clip's first n frames: teacher
    forcing, as LeWorldModel, DINO-WM and V-JEPA 2-AC do it.
    """
    if steps > 1 or not model.is_causal:
        return rollout_windows(model, z, actions, steps)
    n = -(-model.history_length // model.frame_skip)
    z_pred, z_next = model.forced(z[:, :n], actions[:, :n]), z[:, 1 : n + 1]
    return z_pred.unsqueeze(2), z_next.unsqueeze(2)
