"""A ball in a box: batched states in torch, on any device, seeded by the generator passed in.

    state (B, N, 4): x, y in px, vx, vy in px per frame, for B worlds of N balls
    Scene: what stays fixed within an episode (radius, colour, door)

One ball without drag, gravity, thrust or an inner wall moves exactly, bounces included. Everything
else moves in ``SUBSTEPS`` equal sub-steps: within one, free flight is exact, then overlaps with
walls and balls are resolved elastically.

``common/futures.py`` lists what can come next given what a model sees.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from common.collisions import bounce_off_box, collide, fold
from common.world import INNER_WALL_THICKNESS, SUBSTEPS, World


@dataclass(frozen=True)
class Scene:
    """What stays fixed in each of B episodes: radius (B, N) px, color (B, N, C), door (B,) px."""

    radius: Tensor
    color: Tensor
    door: Tensor

    def __getitem__(self, index: Tensor | slice) -> "Scene":
        return Scene(self.radius[index], self.color[index], self.door[index])

    def repeat(self, times: int) -> "Scene":
        """Each episode's scene so many times over, one after another."""
        index = torch.arange(len(self.door), device=self.door.device)
        return self[index.repeat_interleave(times)]

    @staticmethod
    def cat(scenes: Sequence["Scene"]) -> "Scene":
        """The episodes of several scenes, one scene after another."""
        fields = zip(*((scene.radius, scene.color, scene.door) for scene in scenes), strict=True)
        return Scene(*map(torch.cat, fields))


def uniform(shape: tuple[int, ...], bounds: tuple[float, float], generator: torch.Generator):
    """Draws uniform in [low, high)."""
    draw = torch.rand(shape, generator=generator, device=generator.device)
    return bounds[0] + (bounds[1] - bounds[0]) * draw


def headings(world: World, device: torch.device | str = "cpu") -> Tensor:
    """Unit vectors of the starting directions, (num_headings, 2); +x and -x on one axis."""
    if world.axes == 1:
        return torch.tensor([[1.0, 0.0], [-1.0, 0.0]], device=device)
    angle = (torch.arange(world.num_headings, device=device) + 0.5) * math.tau / world.num_headings
    return torch.stack([angle.cos(), angle.sin()], dim=-1)


def sample_scene(world: World, num_episodes: int, generator: torch.Generator) -> Scene:
    """Radius, colour and door of each episode, drawn uniformly in the world's ranges."""
    balls = (num_episodes, world.num_balls)
    return Scene(
        radius=uniform(balls, world.radius, generator),
        color=uniform((*balls, world.channels), world.brightness, generator),
        door=uniform((num_episodes,), world.door_center, generator),
    )


def sample_start(world: World, scene: Scene, generator: torch.Generator) -> Tensor:
    """Starting states (B, N, 4): uniform over the free box, balls apart, speed and heading drawn.

    Raises ValueError when the balls do not fit in the box without touching.
    """
    state = _draw_states(world, scene.radius, generator)
    for _ in range(1000):
        bad = _overlaps(world, state, scene)
        if not bad.any():
            return state
        state[bad] = _draw_states(world, scene.radius[bad], generator)
    balls = f"{world.num_balls} balls of radius up to {world.radius[1]:g} px do not fit in a box"
    raise ValueError(f"{balls} of {world.size} px without touching: use fewer or smaller balls")


def _draw_states(world: World, radius: Tensor, generator: torch.Generator) -> Tensor:
    shape = radius.shape
    gap = (radius + world.start_margin).unsqueeze(-1)
    place = gap + (world.size - 2 * gap) * uniform((*shape, 2), (0.0, 1.0), generator)
    if world.axes == 1:
        place[..., 1] = world.size / 2
    directions = headings(world, radius.device)
    speeds = torch.tensor(world.speeds, device=radius.device)
    device = generator.device
    which = torch.randint(len(directions), shape, generator=generator, device=device)
    speed = speeds[torch.randint(len(speeds), shape, generator=generator, device=device)]
    return torch.cat([place, directions[which] * speed.unsqueeze(-1)], dim=-1)


def _overlaps(world: World, state: Tensor, scene: Scene) -> Tensor:
    bad = torch.zeros(len(state), dtype=torch.bool, device=state.device)
    for i in range(world.num_balls):
        for j in range(i):
            distance = (state[:, i, :2] - state[:, j, :2]).norm(dim=-1)
            bad |= distance <= scene.radius[:, i] + scene.radius[:, j]
    if world.door_width:
        for low, high in inner_walls(world, scene):
            nearest = state[..., :2].clamp(low, high)
            bad |= ((state[..., :2] - nearest).norm(dim=-1) <= scene.radius).any(dim=-1)
    return bad


def step(
    world: World, state: Tensor, scene: Scene, action: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:  # fmt: skip
    """The state one frame later, (B, N, 4).

    action (B, 2): thrust on ball 0 in px/frame^2, each component within +-max_thrust. generator is
    needed by the stochastic wall alone. Raises ValueError on an action out of bounds or misplaced.
    """
    check_action(world, action, len(state))
    if world.is_substepped:
        return _step_in_parts(world, state, scene, action)
    position, velocity = state[..., :2], state[..., 2:]
    if world.wall == "stochastic":
        if generator is None:
            raise ValueError("wall stochastic needs a generator to draw its headings from")
        velocities, probabilities = outgoing(world, state, scene)
        which = torch.multinomial(probabilities, 1, generator=generator)  # (B, 1)
        velocity = velocities.gather(1, which.unsqueeze(-1).expand(-1, -1, 2))  # (B, 1, 2)
        return torch.cat([position + velocity, velocity], dim=-1)
    low = scene.radius.unsqueeze(-1)
    high = world.size - low
    if world.wall == "turn_back":
        ahead = position + velocity
        velocity = torch.where((ahead < low) | (ahead > high), -velocity, velocity)
        return torch.cat([position + velocity, velocity], dim=-1)
    return torch.cat(fold(position + velocity, velocity, low, high), dim=-1)


def check_action(world: World, action: Tensor | None, batch: int) -> None:
    """Raises ValueError unless the action is None or (batch, 2), finite and within bounds."""
    if action is None:
        return
    if action.shape != (batch, 2):
        raise ValueError(f"action must be of shape ({batch}, 2), got {tuple(action.shape)}")
    if world.max_thrust == 0:
        raise ValueError("this world takes no action: its max_thrust is 0")
    if not bool((action.abs() <= world.max_thrust).all()):  # also false for NaN
        wanted = f"each component of an action must lie within +-{world.max_thrust:g} px/frame^2"
        raise ValueError(f"{wanted}, got {action.abs().max().item():g}")


def outgoing(world: World, state: Tensor, scene: Scene) -> tuple[Tensor, Tensor]:
    """New velocities at the stochastic wall, (B, K, 2), and their probabilities, (B, K).

    Where the next step stays in the box the one velocity is kept, with probability 1. Otherwise K
    headings spread over +-60 degrees about the inward normal (in a corner, the diagonal) are
    equally likely, less those that would leave the box again. Where all would (K = 2 in a corner)
    the ball goes back the way it came.
    """
    position, velocity = state[:, 0, :2], state[:, 0, 2:]
    low = scene.radius[:, :1]
    high = world.size - low
    ahead = position + velocity
    normal = (ahead < low).float() - (ahead > high).float()  # (B, 2), zero inside
    hits = normal.abs().sum(dim=-1, keepdim=True) > 0
    fan = torch.linspace(-math.pi / 3, math.pi / 3, world.num_outgoing, device=state.device)
    angle = torch.atan2(normal[:, 1:], normal[:, :1]) + fan  # (B, K)
    speed = velocity.norm(dim=-1, keepdim=True)
    fresh = speed.unsqueeze(-1) * torch.stack([angle.cos(), angle.sin()], dim=-1)  # (B, K, 2)
    lands = position.unsqueeze(1) + fresh
    stays = ((lands >= low.unsqueeze(1)) & (lands <= high.unsqueeze(1))).all(dim=-1)
    kept = torch.zeros_like(stays)
    kept[:, 0] = True
    drawn = hits & stays.any(dim=-1, keepdim=True)
    allowed = torch.where(drawn, stays, kept)
    alone = torch.where(hits, -velocity, velocity).unsqueeze(1)
    velocities = torch.where(drawn.unsqueeze(-1), fresh, alone)
    return velocities, allowed.float() / allowed.sum(dim=-1, keepdim=True)


def inner_walls(world: World, scene: Scene):
    """The two rectangles above and below the door, each as (low, high) corners (B, 1, 2)."""
    left = torch.full_like(scene.door, (world.size - INNER_WALL_THICKNESS) / 2)
    right = left + INNER_WALL_THICKNESS
    top, bottom = torch.zeros_like(left), torch.full_like(left, world.size)
    upper, lower = scene.door - world.door_width / 2, scene.door + world.door_width / 2
    for low_y, high_y in ((top, upper), (lower, bottom)):
        yield torch.stack([left, low_y], -1)[:, None], torch.stack([right, high_y], -1)[:, None]


def _step_in_parts(world: World, state: Tensor, scene: Scene, action: Tensor | None) -> Tensor:
    """SUBSTEPS sub-steps of exact flight under constant acceleration, then elastic contacts.

    Drag acts once a frame, before the thrust: v <- drag * v, then v <- v + a over the frame.
    """
    dt = 1 / SUBSTEPS
    position, velocity = state[..., :2].clone(), world.drag * state[..., 2:]
    acceleration = torch.zeros_like(velocity)
    if action is not None:
        acceleration[:, 0] += action
    acceleration[..., 1] += world.gravity
    if world.axes == 1:
        acceleration[..., 1] = 0.0
    low = scene.radius.unsqueeze(-1)
    high = world.size - low
    for _ in range(SUBSTEPS):
        before = position
        ahead = position + velocity * dt + acceleration * (dt * dt / 2)
        velocity = velocity + acceleration * dt
        position, bounced = fold(ahead, velocity, low, high)
        # a bounce keeps v^2 / 2 - a x, so the folded place has its own speed
        energy = (velocity.square() + 2 * acceleration * (position - ahead)).clamp(min=0)
        changed = (position != ahead) & (acceleration != 0)
        velocity = torch.where(changed, bounced.sign() * energy.sqrt(), bounced)
        if world.door_width:
            ahead = position.clone()
            for corner_low, corner_high in inner_walls(world, scene):
                bounce_off_box(position, velocity, scene.radius, corner_low, corner_high, before)
            if world.gravity:  # moved back out of the wall, a ball has the speed of that height
                fall = 2 * world.gravity * (position - ahead)[..., 1:]
                speed2 = velocity.square().sum(dim=-1, keepdim=True)
                velocity *= ((speed2 + fall) / speed2.clamp(min=1e-12)).clamp(min=0).sqrt()
        collide(position, velocity, scene.radius)
    return torch.cat([position, velocity], dim=-1)


def simulate(
    world: World, num_episodes: int, generator: torch.Generator, actions: Tensor | None = None
) -> tuple[Tensor, Scene]:
    """Episodes of true states (B, T, N, 4) with T = episode_length, and their scenes.

    actions (B, T - 1, 2): the thrust between frames t and t + 1.
    """
    scene = sample_scene(world, num_episodes, generator)
    states = [sample_start(world, scene, generator)]
    for t in range(world.episode_length - 1):
        action = None if actions is None else actions[:, t]
        states.append(step(world, states[-1], scene, action, generator))
    return torch.stack(states, dim=1), scene
