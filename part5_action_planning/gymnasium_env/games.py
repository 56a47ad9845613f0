"""Episodes of a task as they are played, E in step: the simulator under the environments."""

from collections.abc import Sequence

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from common.distractors import sample_layers
from common.rendering import render
from part5_action_planning.config import Config
from part5_action_planning.tasks.goals import sample_episodes
from part5_action_planning.tasks.rules import Episodes, advance, choices, joined

Observation = dict[str, np.ndarray]


class Games:
    """E episodes that are played in step: the simulator under both environments."""

    def __init__(self, cfg: Config) -> None:
        self.cfg = cfg
        size, channels = cfg.world.size, cfg.world.channels
        frame = spaces.Box(0, 255, (size, size, channels), np.uint8)
        self.observation_space = spaces.Dict({"frame": frame, "goal": frame})
        self.options = choices(cfg.task)
        self.action_space: spaces.Space = (
            spaces.Box(-1.0, 1.0, (2,), np.float32)
            if self.options is None
            else spaces.Discrete(len(self.options))
        )
        self.time: int | None = None  # steps so far; None before the first reset

    def deal(self, randoms: Sequence[np.random.Generator]) -> None:
        """Draws a new episode from each of the generators, and begins them."""
        cfg, found, layers = self.cfg, [], []
        for random in randoms:
            seed = int(random.integers(2**63 - 1))
            generator = torch.Generator().manual_seed(seed)
            found.append(sample_episodes(cfg.task, cfg.world, 1, generator))
            shape = (cfg.world.size, 1, cfg.task.budget + 2)  # one layer more, for the goal
            layers.append(sample_layers(cfg.distractor, *shape, generator)[0])
        self.episodes: Episodes = joined(found, len(found))
        self.layers = None if layers[0] is None else torch.cat(layers)
        self.state, self.time = self.episodes.start, 0
        self.goal_frames = self._look(self.episodes.goal, cfg.task.budget + 1)

    def move(self, actions: np.ndarray) -> None:
        """Carries out one checked action per episode, and ends them with the budget."""
        if self.time is None or self.over:
            raise ResetNeeded("the episode is over, or has not begun: call reset() first")
        if self.options is None:
            chosen = self.cfg.world.max_thrust * torch.as_tensor(actions, dtype=torch.float32)
        else:
            chosen = self.options[torch.as_tensor(actions).long()]
        cfg, scene = self.cfg, self.episodes.scene
        self.state = advance(cfg.task, cfg.world, self.state, scene, chosen, self.time)
        self.time += 1

    @property
    def over(self) -> bool:
        return self.time == self.cfg.task.budget

    def observation(self) -> Observation:
        """frame and goal, uint8 (E, H, W, C), nothing of which is used again."""
        frames = self._look(self.state, self.time or 0)
        return {"frame": frames, "goal": self.goal_frames.copy()}

    def info(self) -> dict[str, np.ndarray]:
        """See the module; each with E in front."""
        distance = self._distance()
        return {
            "state": self.state[:, 0].numpy().copy(),
            "goal_state": self.episodes.goal[:, 0].numpy().copy(),
            "distance": distance,
            "success": distance <= self.cfg.task.success_radius,
        }

    def reward(self) -> np.ndarray:
        """(E,)"""
        late = self.cfg.task.kind != "bank_shot" or self.over
        distance = self._distance()
        return -distance / self.cfg.world.size if late else np.zeros_like(distance)

    def _distance(self) -> np.ndarray:
        """To the goal (px), (E,) in float64."""
        offset = self.state[:, 0, :2] - self.episodes.goal[:, 0, :2]
        return offset.double().norm(dim=-1).numpy()

    def _look(self, state: torch.Tensor, moment: int) -> np.ndarray:
        behind = None if self.layers is None else self.layers[:, moment].unsqueeze(1)
        frames = render(self.cfg.world, state.unsqueeze(1), self.episodes.scene, behind)
        return frames[:, 0].movedim(1, -1).contiguous().numpy()
