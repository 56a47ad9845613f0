"""Agents without a world model: one forward pass of a policy a step."""

from collections import deque

import torch
from torch import Tensor

from part5_action_planning.config import ACTION_DIM, Config
from part5_action_planning.model.policies import Policy, SequencePolicy
from part5_action_planning.planning.memory import Memory, check_goals
from part5_action_planning.tasks.rules import choices


class CloningAgent:
    """Goal-conditioned behaviour cloning: one forward pass a step."""

    def __init__(self, cfg: Config, policy: Policy, goal_frames: Tensor) -> None:
        check_goals(cfg, goal_frames)
        self.policy, self.options = policy, choices(cfg.task, goal_frames.device)
        self.z_goal = policy.encode(goal_frames)
        self.memory = Memory(policy.history_length)

    def act(self, time: int, frames: Tensor, states: Tensor) -> Tensor:
        self.memory.see(self.policy.encode(frames))
        z_past, _ = self.memory.past()
        action = self.policy(z_past, self.z_goal)
        if self.options is not None:
            action = self.options[(action[:, 0] > 0).long()]
        self.memory.act(action)
        return action


class SequenceAgent:
    """A transformer over the episode so far: one forward pass a step."""

    def __init__(self, cfg: Config, policy: SequencePolicy, goal_frames: Tensor) -> None:
        check_goals(cfg, goal_frames)
        self.policy, self.options = policy, choices(cfg.task, goal_frames.device)
        self.z_goal = policy.encode(goal_frames)
        self.seen: deque[Tensor] = deque(maxlen=policy.context)
        self.done: deque[Tensor] = deque(maxlen=policy.context)

    def act(self, time: int, frames: Tensor, states: Tensor) -> Tensor:
        self.seen.append(self.policy.encode(frames))
        between = [*self.done][-(len(self.seen) - 1) :] if len(self.seen) > 1 else []
        none = frames.new_zeros(len(frames), 0, ACTION_DIM)
        actions = torch.stack(between, 1) if between else none
        action = self.policy(torch.stack([*self.seen], 1), actions, self.z_goal)[:, -1]
        if self.options is not None:
            action = self.options[(action[:, 0] > 0).long()]
        self.done.append(action)
        return action
