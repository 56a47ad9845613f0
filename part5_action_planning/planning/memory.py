"""What agents begin with and keep: goal images that are frames, and the last observations."""

from collections import deque

import torch
from torch import Tensor

from part5_action_planning.config import ACTION_DIM, Config


def check_goals(cfg: Config, goal_frames: Tensor) -> None:
    """Raises ValueError for goal images that are no frames (E, C, H, W) in [0, 1] of the world."""
    wanted = (cfg.world.channels, cfg.world.size, cfg.world.size)
    if goal_frames.ndim != 4 or goal_frames.shape[1:] != wanted:
        raise ValueError(
            f"got goal images of shape {tuple(goal_frames.shape)}; wanted (E, "
            f"{', '.join(map(str, wanted))}): episodes, channels, height, width of the world"
        )
    low, high = goal_frames.min().item(), goal_frames.max().item()
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"got goal images with values from {low:g} to {high:g}; wanted floats from 0 (black) "
            "to 1 (white), such as uint8 / 255"
        )


class Memory:
    """The last n observations and the actions between them.

    Before the first step there was rest: the first observation n times, and no action.
    """

    def __init__(self, history_length: int) -> None:
        self.z: deque[Tensor] = deque(maxlen=history_length)
        self.a: deque[Tensor] = deque(maxlen=max(0, history_length - 1))

    def see(self, z: Tensor) -> None:
        while len(self.z) < (self.z.maxlen or 1):
            if self.z:
                self.a.append(torch.zeros(len(z), ACTION_DIM, device=z.device))
            self.z.append(z)
        self.z.append(z)

    def act(self, action: Tensor) -> None:
        self.a.append(action)

    def past(self) -> tuple[Tensor, Tensor]:
        """z_past (E, n, D), a_past (E, n - 1, A)."""
        z_past = torch.stack([*self.z], 1)
        none = torch.zeros(len(z_past), 0, ACTION_DIM, device=z_past.device)
        return z_past, torch.stack([*self.a], 1) if self.a else none
