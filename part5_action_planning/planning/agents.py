"""Who chooses the next action: planners on a world model, and those that have none.

    act(time, frames, states) -> actions (E, A)     for E episodes at once

An agent is made for one set of episodes, with their goals, and is asked once a step. frames
(E, C, H, W) in [0, 1] is what it sees; states (E, 1, 4) is for the oracle alone. Goal images of
another size or range raise ValueError.
"""

from dataclasses import replace

import torch
from torch import Tensor

from common.harness.machine import check_memory
from part5_action_planning.config import ACTION_DIM, Config, Stream, generator
from part5_action_planning.data import random_actions
from part5_action_planning.model.jepa import WorldModel
from part5_action_planning.model.policies import AnyPolicy, Policy, SequencePolicy
from part5_action_planning.model.words import WordModel
from part5_action_planning.planning.closed_loop import EvalEpisodes
from part5_action_planning.planning.costs import goal_distance, make_cost
from part5_action_planning.planning.discrete import DiscreteConfig, plan_discrete
from part5_action_planning.planning.memory import Memory, check_goals
from part5_action_planning.planning.planners import plan, shift
from part5_action_planning.planning.policy_agents import CloningAgent, SequenceAgent
from part5_action_planning.planning.search_state import Bounds, CostFn, Plan
from part5_action_planning.tasks.rules import choices, largest_action


def action_bounds(cfg: Config, device: torch.device | str = "cpu") -> Bounds:
    """Least and largest action of a config's world."""
    largest = torch.full((ACTION_DIM,), largest_action(cfg.task, cfg.world), device=device)
    return Bounds(-largest, largest)


def plan_length(cfg: Config, time: int) -> tuple[int, int]:
    """Blocks of a plan that is made before step ``time``, and steps of coasting after them."""
    left = cfg.task.budget - time
    if cfg.task.kind != "bank_shot":
        return min(cfg.planner.horizon, -(-left // cfg.cost.action_repeat)), 0
    pushes = min(left, max(0, cfg.task.thrust_steps - time))
    horizon = min(cfg.planner.horizon, -(-pushes // cfg.cost.action_repeat))
    return horizon, max(0, left - horizon * cfg.cost.action_repeat)


def check_search(cfg: Config, model: WorldModel, z_goal: Tensor) -> None:
    """Raises UserError where a search to goals (E, D) at once takes more memory than there is."""
    (blocks, coast), options = plan_length(cfg, 0), choices(cfg.task)
    steps = (blocks * cfg.cost.action_repeat + coast) // model.frame_skip
    paths = cfg.planner.num_samples if options is None else len(options) ** blocks
    seen = -(-model.history_length // model.frame_skip)
    held = max(2 * steps + seen, 3 * steps)  # states of a path: its past, what is
    check_memory(  # predicted, in parts and whole, then its differences to the goal
        "a search in every episode at once", (len(z_goal), paths, held, z_goal.shape[1]), 4,
        "planner.num_samples, planner.horizon or evaluation.num_test_episodes",
    )  # fmt: skip


class PlanningAgent:
    """Model-predictive control: plan, execute the first steps, look again, plan again.

    intention is what it last meant to do: z_past, a_past, and the actions (E, H, A) planned after.
    """

    def __init__(
        self, cfg: Config, model: WorldModel, goal_frames: Tensor, goal_states: Tensor,
        generator: torch.Generator,
    ) -> None:  # fmt: skip
        check_goals(cfg, goal_frames)
        self.cfg, self.model, self.generator = cfg, model, generator
        self.z_goal = model.encode(goal_frames, goal_states)
        check_search(cfg, model, self.z_goal)
        self.memory = Memory(model.history_length)
        self.bounds = action_bounds(cfg, goal_frames.device)
        self.last: Tensor | None = None  # the last plan, in blocks
        self.waiting = 0  # steps of the plan still to be executed before planning anew
        self.calls = 0  # rollouts per episode so far
        self.planned = goal_frames.new_zeros(len(goal_frames), 0, ACTION_DIM)  # left of the plan

    def act(self, time: int, frames: Tensor, states: Tensor) -> Tensor:
        self.memory.see(self.model.encode(frames, states))
        coasting = self.cfg.task.kind == "bank_shot" and time >= self.cfg.task.thrust_steps
        if not self.waiting:
            resting = frames.new_zeros(len(frames), 1, ACTION_DIM)
            blocks = resting if coasting else self._plan(time)
            self.planned = blocks.repeat_interleave(self.cfg.cost.action_repeat, 1)
            self.waiting = self.cfg.cost.replan_every
        self.intention = (*self.memory.past(), self.planned)
        action, self.planned = self.planned[:, 0], self.planned[:, 1:]
        self.waiting = min(self.waiting - 1, self.planned.shape[1])
        self.memory.act(action)
        return action

    def _plan(self, time: int) -> Tensor:
        """Blocks (E, H, A) of the cheapest plan found."""
        cfg, (z_past, a_past) = self.cfg, self.memory.past()
        horizon, coast = plan_length(cfg, time)
        cost_fn = make_cost(self.model, z_past, a_past, self.z_goal, cfg.cost, coast)
        episodes = len(z_past)
        options = choices(cfg.task, z_past.device)
        if options is not None:
            found = plan_choices(horizon, cost_fn, options, episodes, self.generator)
            self.calls += found.calls
            return found.actions
        middle = self.bounds.middle
        start = middle.expand(episodes, horizon, ACTION_DIM)
        if self.last is not None:
            start = shift(self.last, cfg.cost.replan_every // cfg.cost.action_repeat, middle)[
                :, :horizon
            ]
        settings = replace(cfg.planner, horizon=horizon)
        found = plan(settings, cost_fn, self.bounds, start, self.generator)
        self.last = found.actions
        self.calls += found.calls
        return found.actions


class RandomAgent:
    """The policy that collected the data."""

    def __init__(self, cfg: Config, episodes: int, generator: torch.Generator) -> None:
        self.actions = random_actions(cfg, episodes, cfg.task.budget, generator)

    def act(self, time: int, frames: Tensor, states: Tensor) -> Tensor:
        return self.actions[:, time].to(frames.device)


class RestingAgent:
    """Does nothing; where there is no rest, the first choice over and over."""

    def __init__(self, cfg: Config) -> None:
        options = choices(cfg.task)
        self.action = torch.zeros(ACTION_DIM) if options is None else options[0]

    def act(self, time: int, frames: Tensor, states: Tensor) -> Tensor:
        return self.action.to(frames.device).expand(len(frames), -1)


class GreedyAgent:
    """Greedy in embedding space: keeps an action while the goal comes nearer, else draws another.

    It knows the encoder and nothing of what actions do: run and tumble, as bacteria do it.
    """

    def __init__(
        self, cfg: Config, model: WorldModel, goal_frames: Tensor, goal_states: Tensor,
        generator: torch.Generator,
    ) -> None:  # fmt: skip
        check_goals(cfg, goal_frames)
        self.cfg, self.model, self.generator = cfg, model, generator
        self.goal = model.goal_features(model.encode(goal_frames, goal_states))
        self.before: Tensor | None = None  # the distances at the last step
        self.action = self._draw(len(goal_frames))

    def _draw(self, episodes: int) -> Tensor:
        return random_actions(self.cfg, episodes, 1, self.generator)[:, 0]

    def act(self, time: int, frames: Tensor, states: Tensor) -> Tensor:
        here = self.model.goal_features(self.model.encode(frames, states))
        now = goal_distance(here, self.goal, self.cfg.cost.norm)
        if self.before is not None:
            worse = (now >= self.before)[:, None]
            self.action = torch.where(worse, self._draw(len(now)), self.action)
        self.before = now
        return self.action


def plan_choices(
    horizon: int, cost_fn: CostFn, options: Tensor, episodes: int, generator: torch.Generator
) -> Plan:
    """The best of all sequences of choices (C, A); the plan's actions are (E, H, A)."""
    settings = DiscreteConfig(kind="enumerate", horizon=horizon)
    found = plan_discrete(
        settings, lambda index: cost_fn(options[index]), len(options), episodes, generator
    )
    return Plan(options[found.actions], found.cost, found.calls)


def make_agent(
    model: WorldModel | AnyPolicy, episodes: EvalEpisodes
) -> PlanningAgent | CloningAgent | SequenceAgent:
    """Acts on what was trained: a planner on a world model, or the policy itself."""
    cfg = episodes.cfg
    if isinstance(model, SequencePolicy):
        return SequenceAgent(cfg, model, episodes.goal_frames)
    if isinstance(model, Policy):
        return CloningAgent(cfg, model, episodes.goal_frames)
    if isinstance(model, WordModel):
        model.begin()
    goal = episodes.goal_frames, episodes.goal_states
    chance = generator(cfg, Stream.PLANNER, episodes.goal_frames.device)
    return PlanningAgent(cfg, model, *goal, chance)
