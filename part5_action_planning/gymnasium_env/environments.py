"""Each task as a Gymnasium environment over the same simulator, so that other agents can try it.

    from part5_action_planning.gymnasium_env.environments import register
    register()
    env = gymnasium.make("JepaBall/Reach-v0")             or TwoRooms, BankShot, LeftRight
    env = gymnasium.make("JepaBall/Reach-v0", overrides={"task.budget": 100, "world.channels": 3})
    envs = gymnasium.make_vec("JepaBall/Reach-v0", 64, vectorization_mode="vector_entry_point")

Needs the extra ``gym``: pip install -e ".[gym]".

observation  {"frame", "goal"}: what is seen now, and where the ball should be; uint8 (H, W, C)
action       thrust as a share of the world's largest, float32 (2,) in [-1, 1]; LeftRight: 0 left, 1
             right
reward       minus the distance to the goal after the action, in sides of the box; in BankShot 0 but
             at the last step, since its ball only flies past
terminated   never: what counts is to be there at the end, so nothing ends an episode early
truncated    at the last step of the task's budget
info         "state" (4,): x, y (px), vx, vy (px/frame); "goal_state"; "distance" (px); "success":
             within the task's radius. For scores and oracles, not for agents that should see.

Computed on the CPU, or on the device of overrides={"device": "cuda"}: frames go to numpy each step.
Sub-environment i of a vector environment with seed s is the single environment with seed s + i.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from common.distractors import sample_layers
from common.distributed import exact
from common.harness.machine import pick_device, to_device
from part5_action_planning.config import task_config
from part5_action_planning.planning.closed_loop import BatchedEnv
from part5_action_planning.tasks.goals import sample_problems
from part5_action_planning.tasks.rules import Problems, choices

Observation = dict[str, np.ndarray]

IDS = {
    "reach": "JepaBall/Reach-v0", "two_rooms": "JepaBall/TwoRooms-v0",
    "bank_shot": "JepaBall/BankShot-v0", "left_right": "JepaBall/LeftRight-v0",
}  # fmt: skip
METADATA = {"render_modes": ["rgb_array"], "render_fps": 10}


def register() -> None:
    """Makes the environments known to gymnasium.make and gymnasium.make_vec; twice is once."""
    for task, name in IDS.items():
        if name not in gymnasium.registry:
            gymnasium.register(
                name,
                entry_point=f"{__name__}:BallEnv",
                vector_entry_point=f"{__name__}:BallVectorEnv",
                kwargs={"task": task},
            )


def check_action(action: Any, space: spaces.Space) -> np.ndarray:
    """The action as an array; raises ValueError where it is not of the space."""
    got, wanted = np.asarray(action), space.shape or ()
    if got.shape != wanted:
        raise ValueError(f"got an action of shape {got.shape}; wanted {wanted}")
    low, high, kind = (
        (-1, 1, "numbers") if isinstance(space, spaces.Box) else (0, 1, "whole numbers")
    )
    if low == 0 and not np.issubdtype(got.dtype, np.integer):
        raise ValueError(f"got an action of {got.dtype}; wanted {kind} from {low} to {high}")
    if not np.all((got >= low) & (got <= high)):  # also false for NaN
        raise ValueError(f"got the action {got.tolist()}; wanted {kind} from {low} to {high}")
    return got


class Episodes(BatchedEnv):
    """The closed loop as Gymnasium sees it: E episodes in step, arrays in and out."""

    def __init__(
        self, task: str, overrides: Mapping[str, Any] | None, render_mode: str | None
    ) -> None:
        if task not in IDS:
            raise ValueError(f"got task {task!r}; wanted one of {', '.join(IDS)}")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"got render_mode {render_mode!r}; wanted rgb_array or None")
        cfg = task_config(task, overrides)
        super().__init__(cfg)
        frame = spaces.Box(0, 255, (cfg.world.size, cfg.world.size, cfg.world.channels), np.uint8)
        self.observation_space = spaces.Dict({"frame": frame, "goal": frame})
        self.device = torch.device("cpu") if cfg.device == "auto" else pick_device(cfg.device)
        self.options = choices(cfg.task, self.device)
        self.action_space: spaces.Space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        if self.options is not None:
            self.action_space = spaces.Discrete(len(self.options))

    def deal(self, randoms: Sequence[np.random.Generator]) -> None:
        """Draws a new episode from each of the generators, and begins them."""
        cfg, found, layers = self.cfg, [], []
        for random in randoms:
            generator = torch.Generator().manual_seed(int(random.integers(2**63 - 1)))
            found.append(sample_problems(cfg.task, cfg.world, 1, generator))
            length = cfg.task.budget + 2
            layers.append(sample_layers(cfg.distractor, cfg.world.size, 1, length, generator)[0])
        behind = None if layers[0] is None else torch.cat(layers)
        self.start(to_device(Problems.cat(found), self.device), to_device(behind, self.device))
        self.goal = _channels_last(self.goal_frames())

    def move(self, action: Any, space: spaces.Space) -> None:
        """Carries out one action per episode, and ends them with the budget."""
        if self.time is None or self.over:
            raise ResetNeeded("the episode is over, or has not begun: call reset() first")
        chosen = torch.as_tensor(check_action(action, space)).reshape(len(self.state), -1)
        if self.options is None:
            self.step(self.cfg.world.max_thrust * chosen.float().to(self.device))
        else:
            self.step(self.options[chosen[:, 0].long().to(self.device)])

    def observation(self) -> Observation:
        """frame and goal, uint8 (E, H, W, C), nothing of which is used again."""
        if self.time is None:
            raise ResetNeeded("no episode has begun: call reset() first")
        return {"frame": _channels_last(self.frames()), "goal": self.goal.copy()}

    def colored(self) -> np.ndarray:
        """What is seen now in three colours, uint8 (E, H, W, 3)."""
        frames = self.observation()["frame"]
        return np.repeat(frames, 3, axis=3) if frames.shape[3] == 1 else frames

    def info(self) -> dict[str, np.ndarray]:
        """See the module; each with E in front."""
        distance = exact(self.distance()).numpy()
        return {
            "state": self.state[:, 0].numpy(force=True).copy(),
            "goal_state": self.problems.goal[:, 0].numpy(force=True).copy(),
            "distance": distance,
            "success": distance <= self.cfg.task.success_radius,
        }

    def reward(self) -> np.ndarray:
        """(E,)"""
        counts = self.cfg.task.kind != "bank_shot" or self.over
        return -exact(self.distance()).numpy() / self.cfg.world.size * counts


def _channels_last(frames: torch.Tensor) -> np.ndarray:
    return frames.movedim(1, -1).contiguous().numpy(force=True)


class BallEnv(gymnasium.Env):
    """One episode at a time; see the module for what is seen, done and earned."""

    metadata: dict[str, Any] = METADATA

    def __init__(
        self, task: str = "reach", overrides: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:  # fmt: skip
        self.episodes, self.render_mode = Episodes(task, overrides, render_mode), render_mode
        self.observation_space = self.episodes.observation_space
        self.action_space = self.episodes.action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        self.episodes.deal([self.np_random])
        return self._observation(), self._info()

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        self.episodes.move(action, self.action_space)
        reward = float(self.episodes.reward()[0])
        return self._observation(), reward, False, self.episodes.over, self._info()

    def render(self) -> np.ndarray | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The frame (H, W, 3) uint8, in mode rgb_array."""
        return None if self.render_mode is None else self.episodes.colored()[0]

    def _observation(self) -> Observation:
        return {name: frames[0] for name, frames in self.episodes.observation().items()}

    def _info(self) -> dict[str, Any]:
        info = {name: values[0] for name, values in self.episodes.info().items()}
        return info | {"distance": float(info["distance"]), "success": bool(info["success"])}


class BallVectorEnv(VectorEnv):
    """num_envs episodes in one batch, which is far quicker than as many environments.

    All end together. As Gymnasium's own vector environments do by default, the step after the last
    begins new episodes, whatever the actions: its rewards are 0.
    """

    metadata: dict[str, Any] = METADATA | {"autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(
        self, num_envs: int = 1, task: str = "reach", overrides: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:  # fmt: skip
        if num_envs < 1:
            raise ValueError(f"got num_envs {num_envs}; wanted 1 or more")
        self.episodes = Episodes(task, overrides, render_mode)
        self.num_envs, self.render_mode = num_envs, render_mode
        self.single_observation_space = self.episodes.observation_space
        self.single_action_space = self.episodes.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.randoms = [seeding.np_random()[0] for _ in range(num_envs)]

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:  # fmt: skip
        """New episodes in all; a seed for each, or one for the first that counts up."""
        if isinstance(seed, int):
            seed = [seed + i for i in range(self.num_envs)]
        seeds = [None] * self.num_envs if seed is None else seed
        if len(seeds) != self.num_envs:
            raise ValueError(f"got {len(seeds)} seeds; wanted one for each of {self.num_envs}")
        for i, one in enumerate(seeds):
            if one is not None:
                self.randoms[i] = seeding.np_random(one)[0]
        if seeds[0] is not None:  # those that Gymnasium shows are the first's
            self._np_random, self._np_random_seed = self.randoms[0], seeds[0]
        self.episodes.deal(self.randoms)
        return self.episodes.observation(), self._info()

    def step(
        self, actions: Any
    ) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        none = np.zeros(self.num_envs, dtype=bool)
        if self.episodes.over:
            observation, info = self.reset()
            return observation, np.zeros(self.num_envs), none, none.copy(), info
        self.episodes.move(actions, self.action_space)
        rewards, over = self.episodes.reward(), np.full(self.num_envs, self.episodes.over)
        return self.episodes.observation(), rewards, none, over, self._info()

    def render(self) -> tuple[np.ndarray, ...] | None:
        """The frames, each (H, W, 3) uint8, in mode rgb_array."""
        return None if self.render_mode is None else tuple(self.episodes.colored())

    def _info(self) -> dict[str, Any]:
        info = self.episodes.info()
        return info | {f"_{name}": np.ones(self.num_envs, dtype=bool) for name in info}
