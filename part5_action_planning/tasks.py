"""What an agent is asked to do: where an episode starts, where its goal is, what an action does.

    reach       be at the goal's position, and stay: thrust on a ball with momentum
    two_rooms   the same with a wall between start and goal, and a door in it
    bank_shot   thrust in the first few steps, then coast: only a bounce leads to the goal
    left_right  the post's own setting: the ball moves one step to the left or to the right

A goal is a frame of the ball at rest where it should end. Every episode starts from rest (but for
left_right, which knows no rest), so that a history of copies of the first frame is true.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from common.distractors import Distractor, sample_layers
from common.rendering import render
from common.simulator import Scene, inner_walls, sample_scene, sample_start, step
from common.world import World

SHOTS = 64  # random shots per start, among which one that bounces is sought
SEARCHED = 4096  # aimed shots per goal, among which a straight one is sought
SLACK = 2.0  # px, by which that search is more generous than the world: 0.5 let some goals by
ROUNDS = 100
STARTS = 16  # least starts that a round of that search draws
SIEVES = (1 / 64, 1 / 8, 1)  # shares of SEARCHED that a goal must survive, one after another


@dataclass(frozen=True)
class Task:
    """What counts as success, and when an agent may act.

    Args:
        kind: which task.
        budget: steps of an episode.
        success_radius: the ball's distance to the goal that counts as reached (px).
        held_steps: last steps in all of which the ball must be there, for "held".
        min_distance: least distance from start to goal (px), so that none starts solved.
        thrust_steps: bank_shot: steps in which the ball can be pushed; later actions do nothing.
    """

    kind: Literal["reach", "two_rooms", "bank_shot", "left_right"]
    budget: int = field(metadata={"min": 1, "max": 10_000})
    success_radius: float = field(metadata={"above": 0.0, "max": 64.0})
    held_steps: int = field(metadata={"min": 1, "max": 1000})
    min_distance: float = field(metadata={"min": 0.0, "max": 512.0})
    thrust_steps: int = field(metadata={"min": 1, "max": 1000})

    def __post_init__(self) -> None:
        if self.held_steps > self.budget:
            raise ValueError(
                f"task.held_steps {self.held_steps} is more than the budget of {self.budget} steps"
            )
        if self.thrust_steps > self.budget:
            raise ValueError(
                f"task.thrust_steps {self.thrust_steps} is more than the budget of {self.budget} "
                "steps"
            )


def check_task(task: Task, world: World) -> None:
    """Raises ValueError where a world does not fit its task."""
    if world.num_balls != 1 or world.wall == "stochastic":
        raise ValueError(
            f"task {task.kind} steers one ball that the dynamics alone decide about: set "
            f"world.num_balls to 1 (got {world.num_balls}) and world.wall to reflect or turn_back "
            f"(got {world.wall})"
        )
    wants_door = task.kind in ("two_rooms", "bank_shot")
    if wants_door and not world.door_width:
        raise ValueError(f"task {task.kind} needs an inner wall: set world.door_width above 0")
    if task.kind == "left_right":
        if world.axes != 1 or world.max_thrust or len(world.speeds) != 1:
            raise ValueError(
                "task left_right moves the ball by one speed: it needs world.axes 1, "
                f"world.max_thrust 0 and one of world.speeds, got {world.axes}, "
                f"{world.max_thrust:g} and {list(world.speeds)}"
            )
    elif world.max_thrust == 0:
        raise ValueError(f"task {task.kind} needs an action: set world.max_thrust above 0")
    elif world.speeds != (0.0,):
        raise ValueError(
            f"task {task.kind} starts from rest: set world.speeds to [0.0], got "
            f"{list(world.speeds)}"
        )


def choices(task: Task) -> Tensor | None:
    """The actions one can choose from, (C, 2), where they are finitely many."""
    return torch.tensor([[-1.0, 0.0], [1.0, 0.0]]) if task.kind == "left_right" else None


def largest_action(task: Task, world: World) -> float:
    """The bound of each component of an action."""
    return 1.0 if task.kind == "left_right" else world.max_thrust


def advance(
    task: Task, world: World, state: Tensor, scene: Scene, action: Tensor, time: int
) -> Tensor:
    """The state (B, 1, 4) one frame later.

    action (B, 2): thrust in px/frame^2, or for left_right a heading, -1 or +1, on its first
    component. Raises ValueError for an action of another shape or out of bounds.
    """
    if task.kind == "left_right":
        if action.shape != (len(state), 2) or not ((action[:, 0].abs() == 1).all()):
            raise ValueError(
                f"an action of left_right is (-1, 0) or (1, 0) for each of {len(state)} episodes, "
                f"got {tuple(action.shape)}: {action.flatten()[:4].tolist()}"
            )
        heading = world.speeds[0] * action[:, None] * torch.tensor([1.0, 0.0])
        return step(world, torch.cat([state[..., :2], heading], -1), scene)
    if task.kind == "bank_shot" and time >= task.thrust_steps:
        action = torch.zeros_like(action)
    return step(world, state, scene, action)


@dataclass(frozen=True)
class Episodes:
    """E problems: start and goal (E, 1, 4), the goal at rest, and the scene they lie in."""

    start: Tensor
    goal: Tensor
    scene: Scene


def sample_episodes(
    task: Task, world: World, num_episodes: int, generator: torch.Generator
) -> Episodes:
    """Problems drawn for a task; raises ValueError where the world has none."""
    if task.kind == "bank_shot":
        return _sample_bank_shots(task, world, num_episodes, generator)
    scene = sample_scene(world, num_episodes, generator)
    start = sample_start(world, scene, generator)
    goal = sample_start(world, scene, generator)
    for _ in range(1000):
        bad = ~_is_apart(task, world, start, goal)
        if not bad.any():
            goal[..., 2:] = 0
            return Episodes(start, goal, scene)
        goal[bad] = sample_start(world, scene[bad], generator)
        start[bad] = sample_start(world, scene[bad], generator)
        if task.kind == "left_right":  # only places an even number of steps away can be met
            goal[bad] = _steps_away(task, world, start[bad], generator)
    raise ValueError(
        f"found no start and goal {task.min_distance:g} px apart in a box of {world.size} px: "
        "use a smaller task.min_distance"
    )


def _is_apart(task: Task, world: World, start: Tensor, goal: Tensor) -> Tensor:
    offset = goal[:, 0, :2] - start[:, 0, :2]
    apart = offset.norm(dim=-1) >= task.min_distance
    if task.kind == "two_rooms":
        middle = world.size / 2
        apart &= (start[:, 0, 0] < middle) != (goal[:, 0, 0] < middle)
    if task.kind == "left_right":
        pairs = offset[:, 0] / (2 * world.speeds[0])
        apart &= ((pairs - pairs.round()).abs() < 1e-4) & (pairs.abs() <= task.budget // 2)
    return apart


def _steps_away(task: Task, world: World, start: Tensor, generator: torch.Generator) -> Tensor:
    """The start moved by an even number of steps, within the budget and the box."""
    pair, radius = 2 * world.speeds[0], world.radius[1]
    goal = start.clone()
    far = task.budget // 2
    fewest = torch.ceil((radius - start[:, 0, 0]) / pair).clamp(min=-far)
    most = torch.floor((world.size - radius - start[:, 0, 0]) / pair).clamp(max=far)
    share = torch.rand(len(start), generator=generator)
    goal[:, 0, 0] += pair * (fewest + torch.floor(share * (most - fewest + 1)))
    return goal


def _sample_bank_shots(
    task: Task, world: World, num_episodes: int, generator: torch.Generator
) -> Episodes:
    """Starts in the left room, goals in the right one where a bounce leads and no straight flight.

    A goal is the end of a random shot that bounced, for which ``straight_shots`` finds no sequence
    that gets there without touching anything. Most goals fall to a small share of it.
    """
    found: list[Episodes] = []
    for _ in range(ROUNDS):
        scene = sample_scene(world, max(num_episodes, STARTS), generator)
        start = sample_start(world, scene, generator)
        left = (start[:, 0, 0] < world.size / 2).nonzero()[:, 0]
        rows = left.repeat_interleave(SHOTS)
        shots = random_shots(task, world, len(rows), generator)
        goal, touched = fly(task, world, start[rows], scene[rows], shots)
        apart = (goal - start[rows])[:, 0, :2].norm(dim=-1) >= task.min_distance
        good = touched & apart & (goal[:, 0, 0] > world.size / 2 + world.radius[1])
        for share in SIEVES:
            rows, goal = rows[good], goal[good]
            if share == 1:  # one goal a start
                first = torch.cat([torch.ones(1), rows.diff()])[: len(rows)] > 0
                rows, goal = rows[first], goal[first]
            count = max(1, round(share * SEARCHED))
            args = (task, world, start[rows], goal, scene[rows], count, generator, SLACK)
            good = straight_shots(*args) == 0
        goal[..., 2:] = 0
        found.append(Episodes(start[rows[good]], goal[good], scene[rows[good]]))
        if sum(len(problems.start) for problems in found) >= num_episodes:
            return joined(found, num_episodes)
    raise ValueError(
        "found too few goals that a bounce reaches and no straight flight: use a wider "
        "world.door_width or a larger world.max_thrust"
    )


def joined(found: list[Episodes], count: int) -> Episodes:
    """The first so many of several sets of problems."""
    scenes = [problems.scene for problems in found]
    scene = Scene(
        torch.cat([scene.radius for scene in scenes]),
        torch.cat([scene.color for scene in scenes]),
        torch.cat([scene.door for scene in scenes]),
    )
    start = torch.cat([problems.start for problems in found])
    goal = torch.cat([problems.goal for problems in found])
    return Episodes(start[:count], goal[:count], scene[torch.arange(count)])


def random_shots(task: Task, world: World, count: int, generator: torch.Generator) -> Tensor:
    """Thrusts (count, budget, 2), uniform within bounds in the first thrust_steps, then 0."""
    shots = torch.zeros(count, task.budget, 2)
    drawn = torch.rand(count, task.thrust_steps, 2, generator=generator)
    shots[:, : task.thrust_steps] = world.max_thrust * (2 * drawn - 1)
    return shots


def fly(
    task: Task, world: World, start: Tensor, scene: Scene, shots: Tensor
) -> tuple[Tensor, Tensor]:
    """Ends (B, 1, 4) of shots (B, budget, 2) from start (B, 1, 4), and which of them bounced.

    A shot has bounced when it is not where the same thrusts lead in empty space.
    """
    state, touched = start, torch.zeros(len(shots), dtype=torch.bool)
    free_position, free_velocity = start[:, 0, :2], start[:, 0, 2:]
    for t in range(shots.shape[1]):
        state = advance(task, world, state, scene, shots[:, t], t)
        free_velocity = world.drag * free_velocity
        free_position = free_position + free_velocity + shots[:, t] / 2
        free_velocity = free_velocity + shots[:, t]
        touched |= (state[:, 0, :2] - free_position).abs().amax(-1) > 1e-2
    return state, touched


def straight_shots(
    task: Task,
    world: World,
    start: Tensor,
    goal: Tensor,
    scene: Scene,
    count: int,
    generator: torch.Generator,
    slack: float = 0.0,
) -> Tensor:
    """How many of so many shots aimed at each goal fly there without touching anything, (E,).

    start, goal (E, 1, 4) at rest. In empty space the end is linear in the thrusts, so the last of
    them is solved for: every sequence within bounds whose straight flight ends in the goal's disc
    is one draw of the earlier thrusts and of a point of that disc. slack makes the disc so many px
    wider and the ball so many thinner: what is then not found is well out of reach.
    """
    free = torch.zeros(len(start))
    for rows in torch.arange(len(start)).split(max(1, 65536 // count)):
        many = rows.repeat_interleave(count)
        shots = random_shots(task, world, len(many), generator)
        angle = 2 * torch.pi * torch.rand(len(many), generator=generator)
        radius = torch.rand(len(many), generator=generator).sqrt() * (task.success_radius + slack)
        aim = goal[many, 0, :2] + radius[:, None] * torch.stack([angle.cos(), angle.sin()], -1)
        last, left = task.thrust_steps - 1, range(task.budget, 0, -1)
        reach = torch.tensor([_travel(world.drag, steps) for steps in left])[: last + 1]
        moved = (reach[:last, None] * shots[:, :last]).sum(1)
        shots[:, last] = (aim - start[many, 0, :2] - moved) / reach[last]
        allowed = (shots[:, last].abs() <= world.max_thrust).all(-1)
        many, shots = many[allowed], shots[allowed]
        clear = _is_clear(world, _free_path(world, start[many], shots), scene[many], slack)
        free.index_add_(0, many, clear.float())
    return free


def _free_path(world: World, start: Tensor, shots: Tensor, parts: int = 4) -> Tensor:
    """Places (B, T parts, 2) of shots (B, T, 2) in empty space, parts of them in each step."""
    position, velocity = start[:, 0, :2], start[:, 0, 2:]
    share = torch.arange(1, parts + 1)[:, None] / parts
    places = []
    for thrust in shots.unbind(1):
        velocity = world.drag * velocity
        way = velocity[:, None] * share + thrust[:, None] * share.square() / 2
        places.append(position[:, None] + way)
        position, velocity = places[-1][:, -1], velocity + thrust
    return torch.cat(places, 1)


def _is_clear(world: World, places: Tensor, scene: Scene, slack: float) -> Tensor:
    """Whether a ball thinner by slack px touches no wall at any of its places (B, P, 2)."""
    radius = scene.radius[:, :1] - slack  # (B, 1)
    clear = ((places >= radius[..., None]) & (places <= world.size - radius[..., None])).all(-1)
    for low, high in inner_walls(world, scene):
        gap = (places - torch.maximum(torch.minimum(places, high), low)).norm(dim=-1)
        clear &= gap >= radius
    return clear.all(1)


def _travel(drag: float, steps: int) -> float:
    """How far a unit of thrust carries in empty space by the end of so many steps, its own first.

    Half a px within its own step, then drag, drag^2, ... px.
    """
    return 0.5 + sum(drag**k for k in range(1, steps))


@dataclass(frozen=True)
class Recording:
    """E episodes: frames (E, T, C, H, W) uint8, states (E, T, 1, 4), actions (E, T - 1, 2)."""

    frames: Tensor
    states: Tensor
    actions: Tensor
    scene: Scene


def random_actions(
    task: Task,
    world: World,
    num_episodes: int,
    length: int,
    smoothness: float,
    generator: torch.Generator,
) -> Tensor:
    """The policy that collects data, (E, length, 2): it knows no goal.

    reach and two_rooms: an autoregressive walk a <- smoothness a + sqrt(1 - smoothness^2) noise,
    of standard deviation max_thrust, clamped to the bounds. bank_shot: uniform in the steps that
    have thrust, then 0. left_right: a fair coin each step.
    """
    shape = (num_episodes, length, 2)
    if task.kind == "left_right":
        heading = 2.0 * torch.randint(2, shape, generator=generator) - 1
        return heading * torch.tensor([1.0, 0.0])
    if task.kind == "bank_shot":
        actions = world.max_thrust * (2 * torch.rand(shape, generator=generator) - 1)
        actions[:, task.thrust_steps :] = 0
        return actions
    noise = world.max_thrust * torch.randn(shape, generator=generator)
    walk = noise.clone()
    for t in range(1, length):
        walk[:, t] = smoothness * walk[:, t - 1] + (1 - smoothness**2) ** 0.5 * noise[:, t]
    return walk.clamp(-world.max_thrust, world.max_thrust)


def record(
    task: Task,
    world: World,
    distractor: Distractor,
    start: Tensor,
    scene: Scene,
    actions: Tensor,
    generator: torch.Generator,
) -> Recording:
    """What happens when actions (E, T - 1, 2) are executed from start (E, 1, 4), and its frames."""
    states = [start]
    for t in range(actions.shape[1]):
        states.append(advance(task, world, states[-1], scene, actions[:, t], t))
    stacked = torch.stack(states, dim=1)
    episodes, length = stacked.shape[:2]
    layers, _ = sample_layers(distractor, world.size, episodes, length, generator)
    return Recording(render(world, stacked, scene, layers), stacked, actions, scene)


def crossing_share(world: World, states: Tensor) -> float:
    """Share of episodes (E, T, 1, 4) in which the ball changes rooms."""
    left = states[:, :, 0, 0] < world.size / 2
    return (left.any(1) & (~left).any(1)).float().mean().item()
