"""Any world model, and how it is rolled out: predicted states under many action sequences."""

from typing import Protocol

import torch
from torch import Tensor

CHUNK_ELEMENTS = 65_536  # state numbers predicted at a time, so that they stay in a core's cache


class WorldModel(Protocol):
    """What planners and agents need; history_length is the n that ``step`` wants."""

    history_length: int

    def encode(self, frames: Tensor, states: Tensor) -> Tensor: ...
    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor: ...
    def goal_features(self, z: Tensor) -> Tensor: ...


def rollout(model: WorldModel, z_past: Tensor, a_past: Tensor, actions: Tensor) -> Tensor:
    """Predicted states (E, S, H, D) of S action sequences for each of E episodes.

    z_past (E, n, D) what was observed, oldest first; a_past (E, n - 1, A) the actions between;
    actions (E, S, H, A), the first of them leaving z_past[:, -1]. The window slides: later steps
    see what was predicted, and the actions that go with it. Raises ValueError for another history.
    """
    episodes, samples = actions.shape[:2]
    wanted = (model.history_length, model.history_length - 1)
    if (z_past.shape[1], a_past.shape[1]) != wanted:
        raise ValueError(
            f"got a history of {z_past.shape[1]} observations and {a_past.shape[1]} actions; the "
            f"model wants {wanted[0]} and {wanted[1]}"
        )
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

    z (B, T, D), actions (B, T - 1, A) -> z_pred, z_next (B, W, steps, D): W windows with a full
    history before and so many frames after.
    """
    n = model.history_length
    time = torch.arange(z.shape[1], device=z.device)
    begin = time[: len(time) - n - steps + 1, None]  # (W, 1)
    z_past = z[:, begin + time[:n]]  # (B, W, n, D)
    a_past = actions[:, begin + time[: n - 1]]  # (B, W, n - 1, A)
    ahead = actions[:, begin + n - 1 + time[:steps]]  # (B, W, steps, A)
    z_next = z[:, begin + n + time[:steps]]
    z_pred = rollout(
        model, z_past.flatten(0, 1), a_past.flatten(0, 1), ahead.flatten(0, 1)[:, None]
    )
    return z_pred[:, 0].unflatten(0, z_next.shape[:2]), z_next
