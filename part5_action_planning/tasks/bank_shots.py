"""Goals that a bounce reaches and no straight flight, and the search that says so."""

import torch
from torch import Tensor

from common.simulator import Scene, inner_walls, sample_scene, sample_start
from common.world import World
from part5_action_planning.config import Task
from part5_action_planning.tasks.rules import Problems, advance

SHOTS = 64  # random shots per start, among which one that bounces is sought
SEARCHED = 4096  # aimed shots per goal, among which a straight one is sought
SLACK = 2.0  # px, by which that search is more generous than the world: 0.5 let some goals by
ROUNDS = 100
STARTS = 16  # least starts that a round of that search draws
SIEVES = (1 / 64, 1 / 8, 1)  # shares of SEARCHED that a goal must survive, one after another


def sample_bank_shots(
    task: Task, world: World, num_episodes: int, generator: torch.Generator
) -> Problems:
    """Starts in the left room, goals in the right one where a bounce leads and no straight flight.

    A goal is the end of a random shot that bounced, for which ``straight_shots`` finds no sequence
    that gets there without touching anything. Most goals fall to a small share of it.
    """
    found: list[Problems] = []
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
        found.append(Problems(start[rows[good]], goal[good], scene[rows[good]]))
        if sum(len(problems.start) for problems in found) >= num_episodes:
            return Problems.cat(found)[:num_episodes]
    raise ValueError(
        "found too few goals that a bounce reaches and no straight flight: use a wider "
        "world.door_width or a larger world.max_thrust"
    )


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
