"""The ball moves as physics says: against naive references, exact answers and invariants."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from common.collisions import bounce_off_box, collide, fold
from common.harness.config import config, load_config
from common.harness.errors import ConfigError
from common.simulator import (
    INNER_WALL_THICKNESS,
    Scene,
    headings,
    outgoing,
    sample_scene,
    sample_start,
    simulate,
    step,
)
from common.world import World

MakeWorld = Callable[..., World]
PLANE = {"axes": 2, "wall": "reflect", "antialias": True, "start_margin": 0.0}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scene_of(radius: Tensor, door: float = 32.0) -> Scene:
    """A white scene for radius (B, N)."""
    return Scene(radius, torch.ones(*radius.shape, 1), torch.full((len(radius),), door))


def one_ball(*state: float, radius: float = 8.0, door: float = 32.0) -> tuple[Tensor, Scene]:
    return torch.tensor([[state]]), scene_of(torch.tensor([[radius]]), door)


def random_actions(world: World, num_episodes: int) -> Tensor:
    """Thrust at its bounds, of random sign, held for five frames."""
    shape = (num_episodes, math.ceil(world.episode_length / 5), 2)
    sign = 2.0 * torch.randint(2, shape, generator=seeded(9)) - 1
    return world.max_thrust * sign.repeat_interleave(5, 1)[:, : world.episode_length - 1]


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Between every pair; torch.cdist takes differences of squares and loses digits."""
    return (a.unsqueeze(-2) - b.unsqueeze(-3)).norm(dim=-1)


# One ball, exact


def fly(x: float, v: float, low: float, high: float) -> tuple[float, float]:
    """One frame of flight in one dimension, from bounce to bounce."""
    left = 1.0
    while v:
        until = ((high if v > 0 else low) - x) / v
        if until >= left:
            return x + v * left, v
        x, v, left = x + v * until, -v, left - until
    return x, v


@pytest.mark.parametrize("fastest", [6.0, 40.0, 500.0])
def test_reflection_is_exact_for_any_number_of_bounces(
    make_world: MakeWorld, fastest: float
) -> None:
    world = make_world(**PLANE, radius=(1.0, 20.0))
    radius = 1 + 19 * torch.rand(200, 1, generator=seeded(), dtype=torch.float64)
    place = radius[..., None] + (64 - 2 * radius[..., None]) * torch.rand(
        200, 1, 2, generator=seeded(1), dtype=torch.float64
    )
    velocity = fastest * (2 * torch.rand(200, 1, 2, generator=seeded(2), dtype=torch.float64) - 1)
    state, scene = torch.cat([place, velocity], -1), scene_of(radius)
    bounces = 0
    for _ in range(2):
        expected = state.clone()
        for b, r in enumerate(radius.flatten().tolist()):
            for axis in (0, 1):
                x, v = fly(state[b, 0, axis].item(), state[b, 0, 2 + axis].item(), r, 64 - r)
                expected[b, 0, axis], expected[b, 0, 2 + axis] = x, v
                bounces += v != state[b, 0, 2 + axis].item()
        state = step(world, state, scene)
        torch.testing.assert_close(state, expected, atol=1e-9, rtol=0)
    assert bounces > 50


def test_reflection_keeps_the_partial_step(make_world: MakeWorld) -> None:
    world = make_world(**PLANE)
    state, scene = one_ball(54.0, 10.0, 6.0, -5.0)
    assert step(world, state, scene)[0, 0].tolist() == [52.0, 11.0, -6.0, 5.0]
    low, high = torch.tensor([8.0]), torch.tensor([56.0])
    x, v = fold(torch.tensor([8.0 + 48 * 5 + 3]), torch.tensor([1.0]), low, high)
    assert (x.item(), v.item()) == (53.0, -1.0)  # five bounces, 3 px away from the right wall


def test_reflection_runs_backwards(make_world: MakeWorld) -> None:
    world = make_world(**PLANE, speeds=(7.3,), episode_length=30)
    states, scene = simulate(world, 50, seeded())
    flip = torch.tensor([1.0, 1.0, -1.0, -1.0])
    state = states[:, -1] * flip
    for _ in range(29):
        state = step(world, state, scene)
    torch.testing.assert_close(state * flip, states[:, 0], atol=1e-3, rtol=0)


@pytest.mark.parametrize("axes", [1, 2])
def test_turn_back_is_the_rule_of_the_posts(make_world: MakeWorld, axes: int) -> None:
    world = make_world(axes=axes, speeds=(3.0, 6.0, 23.0))
    states, _ = simulate(world, 100, seeded())
    for episode in states[:, :, 0].tolist():
        place, velocity = episode[0][:2], episode[0][2:]
        for truth in episode[1:]:
            for axis in (0, 1):
                if not 8 <= place[axis] + velocity[axis] <= 56:
                    velocity[axis] = -velocity[axis]
                place[axis] += velocity[axis]
            assert truth == pytest.approx([*place, *velocity], abs=1e-3)
    assert 8 <= states[..., 0].min() <= states[..., 0].max() <= 56
    if axes == 1:
        assert (states[..., 1] == 32).all()
        steps = states[:, 1:, 0, 0] - states[:, :-1, 0, 0]
        torch.testing.assert_close(steps, states[:, 1:, 0, 2], atol=1e-4, rtol=0)


# Starts


def test_starts_are_uniform_over_the_free_box(make_world: MakeWorld) -> None:
    world = make_world(**{**PLANE, "start_margin": 1.5}, radius=(2.0, 9.0), speeds=(2.0, 5.0))
    scene = sample_scene(world, 20_000, seeded())
    state = sample_start(world, scene, seeded(1))
    gap = scene.radius + 1.5
    share = (state[:, 0, :2] - gap) / (64 - 2 * gap)  # 0 .. 1 across what is free
    assert 0 <= share.min() < 0.01 < 0.99 < share.max() <= 1
    histogram = torch.stack([share[:, axis].histc(10, 0, 1) for axis in (0, 1)])
    assert (histogram - 2000).abs().max() < 5 * math.sqrt(20_000 * 0.1 * 0.9)
    assert 2 <= scene.radius.min() < 2.01 < 8.99 < scene.radius.max() <= 9
    unit = headings(world)
    velocities = torch.cat([speed * unit for speed in world.speeds])
    distance = distances(state[:, 0, 2:], velocities)
    assert distance.amin(1).max() < 1e-4
    counts = distance.argmin(1).bincount(minlength=16)
    assert (counts - 1250).abs().max() < 5 * math.sqrt(1250)


def test_headings_are_unit_vectors_and_mirror_images(make_world: MakeWorld) -> None:
    for count in (2, 6, 8, 16):
        unit = headings(make_world(axes=2, num_headings=count))
        torch.testing.assert_close(unit.norm(dim=1), torch.ones(count))
        for mirror in (torch.tensor([-1.0, 1.0]), torch.tensor([1.0, -1.0])):
            assert distances(unit * mirror, unit).amin(1).max() < 1e-3
    assert headings(make_world()).tolist() == [[1.0, 0.0], [-1.0, 0.0]]


@pytest.mark.parametrize("changes", [{}, {"door_width": 20.0, "door_center": (12.0, 50.0)}])
def test_balls_do_not_touch_anything_at_the_start(
    make_world: MakeWorld, changes: dict[str, Any]
) -> None:
    world = make_world(**PLANE, num_balls=5, radius=(3.0, 6.0), **changes)
    scene = sample_scene(world, 300, seeded())
    state = sample_start(world, scene, seeded(1))
    place, radius = state[..., :2], scene.radius
    apart = distances(place, place) - radius[:, :, None] - radius[:, None]
    assert apart[:, ~torch.eye(5, dtype=torch.bool)].min() > 0
    assert (place - radius[..., None]).min() >= 0
    assert (place + radius[..., None]).max() <= 64
    if changes:
        assert (gap_to_inner_wall(world, state, scene) > 0).all()


def test_too_many_balls(make_world: MakeWorld) -> None:
    world = make_world(**PLANE, num_balls=5, radius=(12.0, 14.0))
    with pytest.raises(
        ValueError, match=r"5 balls of radius up to 14 px do not fit in a box of 64"
    ):
        simulate(world, 4, seeded())


# Forces


def test_drag_and_thrust_have_known_answers(make_world: MakeWorld) -> None:
    world = make_world(**PLANE, drag=0.9, max_thrust=2.0)
    state, scene = one_ball(20.0, 20.0, 5.0, 0.0)
    for n in range(1, 5):
        before, state = state, step(world, state, scene)
        assert state[0, 0, 2].item() == pytest.approx(5 * 0.9**n, rel=1e-5)
        assert (state - before)[0, 0, 0].item() == pytest.approx(5 * 0.9**n, rel=1e-4)
    state, scene = one_ball(20.0, 20.0, 5.0, 0.0)
    after = step(world, state, scene, torch.tensor([[1.0, -2.0]]))
    # v <- 0.9 v, then a constant acceleration over one frame
    assert after[0, 0].tolist() == pytest.approx([20 + 4.5 + 0.5, 20 - 1, 5.5, -2.0], abs=1e-4)
    without = step(world, state, scene, torch.zeros(1, 2))
    assert torch.equal(without, step(world, state, scene))


def test_thrust_moves_ball_zero_alone_and_only_along_the_axes(make_world: MakeWorld) -> None:
    world = make_world(**PLANE, num_balls=2, max_thrust=1.0)
    state = torch.tensor([[[20.0, 20.0, 0.0, 0.0], [40.0, 45.0, 0.0, 0.0]]])
    after = step(world, state, scene_of(torch.full((1, 2), 4.0)), torch.tensor([[1.0, 0.5]]))
    assert after[0, 0].tolist() == pytest.approx([20.5, 20.25, 1.0, 0.5], abs=1e-4)
    assert torch.equal(after[0, 1], state[0, 1])
    line = make_world(wall="reflect", max_thrust=1.0)
    state, scene = one_ball(30.0, 32.0, 0.0, 0.0)
    after = step(line, state, scene, torch.tensor([[1.0, 1.0]]))
    assert after[0, 0].tolist() == pytest.approx([30.5, 32.0, 1.0, 0.0], abs=1e-4)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ([[math.nan, 0.0]], r"must lie within \+-2 px/frame\^2, got nan"),
        ([[0.0, math.inf]], r"must lie within \+-2 px/frame\^2, got inf"),
        ([[0.0, -2.5]], r"must lie within \+-2 px/frame\^2, got 2.5"),
        ([[0.0, 0.0, 0.0]], r"shape \(1, 2\), got \(1, 3\)"),
        ([0.0, 0.0], r"shape \(1, 2\), got \(2,\)"),
        ([[0.0, 0.0], [0.0, 0.0]], r"shape \(1, 2\), got \(2, 2\)"),
    ],
)
def test_bad_actions(make_world: MakeWorld, action: list[Any], message: str) -> None:
    state, scene = one_ball(20.0, 20.0, 5.0, 0.0)
    with pytest.raises(ValueError, match=message):
        step(make_world(**PLANE, max_thrust=2.0), state, scene, torch.tensor(action))


def test_a_world_without_thrust_refuses_an_action(make_world: MakeWorld) -> None:
    state, scene = one_ball(20.0, 32.0, 6.0, 0.0)
    with pytest.raises(ValueError, match="takes no action: its max_thrust is 0"):
        step(make_world(), state, scene, torch.zeros(1, 2))


@pytest.mark.parametrize("gravity", [0.25, -1.0])
def test_gravity_is_free_fall_and_keeps_energy_when_bouncing(
    make_world: MakeWorld, gravity: float
) -> None:
    world = make_world(**PLANE, gravity=gravity, speeds=(2.0, 5.0), episode_length=80)
    state, scene = one_ball(32.0, 32.0, 1.0, -2.0)
    fallen = step(world, step(world, state, scene), scene)
    expected = [34.0, 32 - 4 + 2 * gravity, 1.0, -2 + 2 * gravity]
    assert fallen[0, 0].tolist() == pytest.approx(expected, abs=1e-3)

    states, _ = simulate(world, 50, seeded())
    speed2 = states[..., 2:].square().sum(-1)
    energy = speed2 / 2 - gravity * states[..., 1]
    swing = abs(gravity) * 48  # of the potential energy, from one wall to the other
    assert (energy - energy[:, :1]).abs().max() < 2e-3 * swing
    turned = (states[:, 1:, 0, 3] * gravity < 0) & (states[:, :-1, 0, 3] * gravity > 0)
    assert turned.any(1).float().mean() > 0.9  # they did bounce
    assert states[..., :2].min() >= 8 - 1e-4
    assert states[..., :2].max() <= 56 + 1e-4


# Two balls


@pytest.mark.parametrize("radii", [(5.0, 5.0), (3.0, 7.0)])
def test_two_balls_keep_energy_and_momentum(
    make_world: MakeWorld, radii: tuple[float, float]
) -> None:
    world = make_world(**PLANE, size=512, num_balls=2, radius=(3.0, 7.0))
    scene = scene_of(torch.tensor([radii]).expand(64, 2))
    state = torch.zeros(64, 2, 4)
    angle = torch.linspace(0, math.tau, 64)
    across = torch.linspace(-14.0, 14.0, 64)  # from a miss to head-on
    state[:, :, :2] = 256
    state[:, 1, 0] += 40 * angle.cos() - across * angle.sin()
    state[:, 1, 1] += 40 * angle.sin() + across * angle.cos()
    state[:, 1, 2:] = -4 * torch.stack([angle.cos(), angle.sin()], -1)
    state[:, 0, 2] = 0.5
    mass = scene.radius.square().unsqueeze(-1)
    start = state
    for _ in range(20):  # nothing gets near a wall
        state = step(world, state, scene)
        momentum, before = ((mass * s[..., 2:]).sum(1) for s in (state, start))
        torch.testing.assert_close(momentum, before, atol=1e-4 * 4 * 49, rtol=0)
        energy, before = ((mass * s[..., 2:].square()).sum((1, 2)) for s in (state, start))
        torch.testing.assert_close(energy, before, atol=0, rtol=1e-4)
    hit = (state[:, 0, 2:] - start[:, 0, 2:]).norm(dim=-1) > 0.01
    assert hit[across.abs() < 5].all()
    assert not hit[across.abs() > 13].any()


def test_energy_is_kept_for_a_long_time_with_walls(make_world: MakeWorld) -> None:
    world = make_world(
        **PLANE, num_balls=3, radius=(3.0, 8.0), speeds=(3.0, 6.0), episode_length=60
    )
    states, scene = simulate(world, 16, seeded())
    mass = scene.radius.square()[:, None]
    energy = (mass * states[..., 2:].square().sum(-1)).sum(-1)
    torch.testing.assert_close(energy, energy[:, :1].expand_as(energy), atol=0, rtol=1e-4)
    first = states[:, :, 0, 2:].norm(dim=-1)
    assert ((first - first[:, :1]).abs() > 0.1).any(1).all()  # energy did change hands
    gap = scene.radius[:, None, :, None]
    assert (states[..., :2] - gap).min() > -1e-4
    assert (states[..., :2] + gap).max() < 64 + 1e-4


@pytest.mark.parametrize("radii", [(5.0, 5.0), (8.0, 4.0)])
def test_head_on_collision_has_the_known_answer(
    make_world: MakeWorld, radii: tuple[float, float]
) -> None:
    world = make_world(wall="reflect", num_balls=2, radius=(4.0, 8.0))
    state = torch.tensor([[[16.0, 32.0, 3.0, 0.0], [36.0, 32.0, -1.0, 0.0]]])
    scene = scene_of(torch.tensor([radii]))
    for _ in range(4):
        state = step(world, state, scene)
    m, n = radii[0] ** 2, radii[1] ** 2
    common = (m * 3 - n) / (m + n)  # the velocity of the centre of mass
    assert state[0, :, 2].tolist() == pytest.approx([2 * common - 3, 2 * common + 1], abs=1e-4)
    assert (state[..., 1] == 32).all()
    assert (state[..., 3] == 0).all()


@pytest.mark.parametrize("speed", [1.0, 5.0, 7.9])  # a world refuses 8 for this radius
def test_balls_on_one_axis_never_pass_through_each_other(
    make_world: MakeWorld, speed: float
) -> None:
    world = make_world(
        wall="reflect", num_balls=2, radius=(0.5, 0.5), speeds=(speed,), episode_length=60
    )
    states, _ = simulate(world, 300, seeded())
    left = states[:, :, 0, 0] < states[:, :, 1, 0]
    assert (left == left[:, :1]).all()


def test_what_moves_apart_is_left_alone() -> None:
    """Two overlapping balls, and a ball that overlaps a wall, on their way out."""
    position = torch.tensor([[[10.0, 10.0], [17.0, 10.0]]])
    velocity = torch.tensor([[[-1.0, 2.0], [0.5, 0.0]]])
    moved, kept = position.clone(), velocity.clone()
    collide(moved, kept, torch.full((1, 2), 4.0))
    assert torch.equal(moved, position)
    assert torch.equal(kept, velocity)
    low, high = torch.tensor([[[21.0, 0.0]]]), torch.tensor([[[25.0, 20.0]]])
    bounce_off_box(moved[:, 1:], kept[:, 1:], torch.full((1, 1), 4.5), low, high, position[:, 1:])
    assert kept[0, 1].tolist() == [-0.5, 0.0]  # this one was on its way in
    assert moved[0, 1].tolist() == [16.5, 10.0]
    moved[:, 1] = position[:, 1]
    bounce_off_box(moved[:, 1:], kept[:, 1:], torch.full((1, 1), 4.5), low, high, position[:, 1:])
    assert kept[0, 1].tolist() == [-0.5, 0.0]


# The inner wall


def gap_to_inner_wall(world: World, states: Tensor, scene: Scene) -> Tensor:
    """Distance (px) from each ball's rim to the inner wall, for states (B, ..., N, 4)."""
    lead = (len(states), *[1] * (states.dim() - 2))
    door, radius = scene.door.view(lead), scene.radius.view(*lead[:-1], -1)
    x, y = states[..., 0], states[..., 1]
    dx = ((x - world.size / 2).abs() - INNER_WALL_THICKNESS / 2).clamp(min=0)
    dy = (world.door_width / 2 - (y - door).abs()).clamp(min=0)
    return (dx.square() + dy.square()).sqrt() - radius


def test_a_ball_passes_the_door_and_no_other_place(make_world: MakeWorld) -> None:
    world = make_world(**PLANE, radius=(4.0, 4.0), door_width=14.0, door_center=(20.0, 20.0))
    state, scene = one_ball(20.0, 20.0, 6.0, 0.0, radius=4.0, door=20.0)
    for _ in range(4):
        state = step(world, state, scene)
    assert state[0, 0].tolist() == pytest.approx([44.0, 20.0, 6.0, 0.0], abs=1e-3)
    state, scene = one_ball(20.0, 45.0, 6.0, 0.0, radius=4.0, door=20.0)
    for _ in range(2):
        state = step(world, state, scene)
    # it touches the wall at x = 26 after one frame and is back by one more, to a sub-step
    assert state[0, 0, [1, 2, 3]].tolist() == pytest.approx([45.0, -6.0, 0.0], abs=1e-4)
    assert state[0, 0, 0].item() == pytest.approx(20.0, abs=6 / 16)


def test_a_ball_is_never_inside_the_inner_wall(make_world: MakeWorld) -> None:
    world = make_world(
        **PLANE,
        radius=(3.0, 5.0),
        door_width=12.0,
        door_center=(6.0, 58.0),
        max_thrust=1.0,
        drag=0.95,
        episode_length=40,
    )
    states, scene = simulate(world, 150, seeded(), random_actions(world, 150))
    gap = gap_to_inner_wall(world, states, scene)
    assert gap.min() > -1e-3
    left = states[:, :, 0, 0] < 32
    assert (left[:, 1:] != left[:, :-1]).any(1).float().mean() > 0.1  # some do pass
    assert states[..., :2].min() >= 3
    assert states[..., :2].max() <= 61


@pytest.mark.parametrize(("radius", "thrust"), [(0.5, 0.0), (0.5, 16.0), (8.0, 16.0)])
def test_no_speed_takes_a_ball_through_the_wall(
    make_world: MakeWorld, radius: float, thrust: float
) -> None:
    """The door is as far away as it can be and nothing moves the ball along y."""
    world = make_world(
        **PLANE,
        radius=(radius, radius),
        speeds=(45.0,),
        door_width=2 * radius + 1,
        door_center=(radius + 0.5, radius + 0.5),
        max_thrust=thrust,
    )
    state = torch.zeros(300, 1, 4)
    state[:, 0, 0] = torch.linspace(radius, 30 - radius, 300)
    state[150:, 0, 0] = 64 - state[150:, 0, 0]
    state[:, 0, 1] = 50
    state[:, 0, 2] = torch.linspace(10, 45, 300)
    scene = scene_of(torch.full((300, 1), radius), radius + 0.5)
    left, start, seen = state[:, 0, 0] < 32, state, []
    for t in range(24):
        action = torch.tensor([[thrust if t < 12 else -thrust, 0.0]]).expand(300, 2)
        state = step(world, state, scene, action if thrust else None)
        assert torch.equal(state[:, 0, 0] < 32, left)
        assert gap_to_inner_wall(world, state, scene).min() > -1e-3
        assert (state[:, 0, 1] == 50).all()
        seen.append(state[:, 0])
    if not thrust:  # each goes to and fro, as fast as before
        velocity = torch.stack(seen)[..., 2]
        assert (velocity.amin(0) * velocity.amax(0) < 0).all()
        torch.testing.assert_close(velocity.abs(), start[:, 0, 2].expand_as(velocity))


@pytest.mark.parametrize("gravity", [0.25, -4.0])
def test_an_inner_wall_keeps_balls_in_the_box_and_their_energy(
    make_world: MakeWorld, gravity: float
) -> None:
    world = make_world(
        **PLANE, radius=(5.0, 15.0), door_width=31.0, door_center=(15.5, 48.5),
        gravity=gravity, speeds=(0.0, 6.0), episode_length=60,
    )  # fmt: skip
    states, scene = simulate(world, 200, seeded())
    energy = states[..., 2:].square().sum(-1) / 2 - gravity * states[..., 1]
    assert (energy - energy[:, :1]).abs().max() < 1e-3 * 64 * abs(gravity)
    gap = scene.radius[:, None, :, None]
    assert (states[..., :2] - gap).min() >= -1e-3
    assert (states[..., :2] + gap).max() <= 64 + 1e-3


# The stochastic wall


@pytest.mark.parametrize("num_outgoing", [2, 3, 4, 7])
@pytest.mark.parametrize("speed", [6.0, 24.0])
def test_the_stochastic_wall_keeps_the_ball_in(
    make_world: MakeWorld, num_outgoing: int, speed: float
) -> None:
    world = make_world(
        axes=2, wall="stochastic", num_outgoing=num_outgoing, speeds=(speed,), episode_length=60
    )
    states, _ = simulate(world, 300, seeded())
    assert states[..., :2].min() >= 8
    assert states[..., :2].max() <= 56
    fast = states[..., 2:].norm(dim=-1)
    torch.testing.assert_close(fast, torch.full_like(fast, speed), atol=1e-3, rtol=0)
    turned = (states[:, 1:, 0, 2:] != states[:, :-1, 0, 2:]).any(-1)
    outside = (states[:, :-1, 0, :2] + states[:, :-1, 0, 2:] - 32).abs().amax(-1) > 24
    assert torch.equal(turned, turned & outside)
    assert torch.equal(outside, turned | (outside & ~turned))
    assert turned.any(1).all()


@pytest.mark.parametrize(
    ("state", "normal", "possible"),
    [
        ((53.0, 30.0, 6.0, 0.0), math.pi, 5),  # the right wall
        ((30.0, 9.0, 3.0, -5.0), math.pi / 2, 5),  # the upper wall
        ((55.5, 55.5, 5.0, 3.0), -3 * math.pi / 4, 3),  # a corner: +-60 degrees leave again
        ((30.0, 30.0, 6.0, 0.0), None, 1),
    ],
)
def test_outgoing_headings_and_their_frequencies(
    make_world: MakeWorld, state: tuple[float, ...], normal: float | None, possible: int
) -> None:
    world = make_world(axes=2, wall="stochastic", num_outgoing=5)
    one, scene = one_ball(*state)
    velocities, probabilities = outgoing(world, one, scene)
    assert (probabilities > 0).sum() == possible
    assert probabilities.sum().item() == pytest.approx(1)
    if normal is None:
        assert velocities[0, 0].tolist() == list(state[2:])
    else:
        offset = torch.tensor([-60.0, -30.0, 0.0, 30.0, 60.0]).deg2rad()
        speed = math.hypot(*state[2:])
        expected = speed * torch.stack([(normal + offset).cos(), (normal + offset).sin()], -1)
        torch.testing.assert_close(velocities[0], expected, atol=1e-4, rtol=0)
        real = probabilities[probabilities > 0]
        torch.testing.assert_close(real, torch.full_like(real, 1 / possible))
    n = 5000
    many = scene_of(torch.full((n, 1), 8.0))
    after = step(world, one.expand(n, 1, 4), many, generator=seeded())
    torch.testing.assert_close(after[..., :2], one[..., :2] + after[..., 2:])
    distance = distances(after[:, 0, 2:], velocities[0])
    assert distance.amin(1).max() < 1e-4
    counts = distance.argmin(1).bincount(minlength=5)
    expected = n * probabilities[0]
    assert ((counts - expected).abs() <= 5 * (expected * (1 - probabilities[0])).sqrt()).all()


def test_the_stochastic_wall_needs_a_generator(make_world: MakeWorld) -> None:
    state, scene = one_ball(30.0, 30.0, 6.0, 0.0)
    with pytest.raises(ValueError, match="needs a generator"):
        step(make_world(axes=2, wall="stochastic"), state, scene)


# Every world

WORLDS: list[dict[str, Any]] = [
    {},
    {**PLANE, "radius": (4.0, 9.0), "speeds": (3.0, 20.0)},
    {"axes": 2, "wall": "stochastic"},
    {**PLANE, "gravity": 0.3, "drag": 0.98},
    {**PLANE, "max_thrust": 1.0, "drag": 0.95, "door_width": 20.0, "door_center": (20.0, 40.0)},
    {**PLANE, "num_balls": 3, "radius": (3.0, 6.0), "channels": 3, "brightness": (0.2, 1.0)},
]


@pytest.mark.parametrize("changes", WORLDS)
def test_a_generator_decides_everything(make_world: MakeWorld, changes: dict[str, Any]) -> None:
    world = make_world(**changes, episode_length=8)
    actions = random_actions(world, 5) if world.max_thrust else None
    state = torch.get_rng_state()
    states, scene = simulate(world, 5, seeded(3), actions)
    assert states.shape == (5, 8, world.num_balls, 4)
    assert scene.color.shape == (5, world.num_balls, world.channels)
    torch.rand(7)  # the global stream has no say
    again, scene_again = simulate(world, 5, seeded(3), actions)
    assert torch.equal(states, again)
    assert torch.equal(scene.color, scene_again.color)
    assert not torch.equal(states, simulate(world, 5, seeded(4), actions)[0])
    torch.set_rng_state(state)
    simulate(world, 2, seeded())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("changes", WORLDS)
def test_a_batch_is_its_worlds_one_at_a_time(
    make_world: MakeWorld, changes: dict[str, Any]
) -> None:
    world = make_world(**changes, episode_length=12)
    actions = random_actions(world, 8) if world.max_thrust else None
    states, scene = simulate(world, 8, seeded(), actions)
    for t in (0, 5, 10):
        now, action = states[:, t], None if actions is None else actions[:, t]
        for b in range(8):
            one = torch.tensor([b])
            if world.wall == "stochastic":
                together, alone = outgoing(world, now, scene), outgoing(world, now[one], scene[one])
                torch.testing.assert_close(together[0][one], alone[0])
                assert torch.equal(together[1][one], alone[1])
            else:
                push = None if action is None else action[one]
                alone = step(world, now[one], scene[one], push)
                torch.testing.assert_close(alone, states[one, t + 1], atol=1e-4, rtol=0)


# Contradictions


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"radius": (9.0, 8.0)}, "put the smaller first"),
        ({"brightness": (0.9, 0.1)}, "put the smaller first"),
        ({"brightness": (0.0, 0.9)}, "at least 0.02"),
        ({"channels": 3, "brightness": (0.0, 0.01)}, "at least 0.02"),
        ({"radius": (8.0, 40.0)}, "radius 40 with start_margin 1 leaves no room in a box of 64 px"),
        ({"radius": (8.0, 31.0)}, "their sum must be below 32"),
        ({"start_margin": 24.0}, "radius 8 with start_margin 24 leaves no room"),
        ({"speeds": ()}, r"speeds must be one or more numbers below the 48 px .* got \[\]"),
        ({"wall": "reflect", "speeds": (6.0, 48.0)}, r"below the 48 px .* got \[6.0, 48.0\]"),
        ({"speeds": (25.0,)}, r"wall turn_back .* at most 24 px/frame, .* got \[25.0\]"),
        ({"axes": 2, "wall": "stochastic", "speeds": (25.0,)}, "wall stochastic .* at most 24 px"),
        ({"wall": "stochastic"}, "wall stochastic draws among headings: it needs axes 2, got 1"),
        ({"drag": 0.9}, "wall turn_back needs one ball and no drag, gravity, thrust or inner wall"),
        ({"max_thrust": 1.0}, "use wall reflect with those"),
        ({"num_balls": 2}, "use wall reflect with those"),
        ({"axes": 2, "gravity": 0.1}, "use wall reflect with those"),
        ({"wall": "reflect", "gravity": 0.1}, "door_width and gravity need axes 2"),
        ({"wall": "reflect", "door_width": 20.0}, "door_width and gravity need axes 2"),
        (
            {**PLANE, "door_width": 70.0},
            "a door 70 px wide .* is wider than its wall: it must stay within 0 and 64 px",
        ),
        ({**PLANE, "door_width": 20.0, "door_center": (5.0, 30.0)}, "is wider than its wall"),
        ({**PLANE, "door_width": 20.0, "door_center": (30.0, 60.0)}, "is wider than its wall"),
        ({**PLANE, "door_width": 20.0, "door_center": (40.0, 30.0)}, "door_center is .* smaller"),
        (
            {**PLANE, "door_width": 16.0},
            "door_width 16 lets no ball of radius 8 through: it must be above 16",
        ),
        (
            {**PLANE, "radius": (8.0, 15.5), "door_width": 40.0},
            "radius 15.5 does not fit beside the inner wall, in 30 px: radius must be at most 15",
        ),
        (
            {"wall": "reflect", "num_balls": 2, "radius": (0.5, 0.5), "speeds": (30.0,)},
            "2 balls of radius down to 0.5 can meet at 60 px/frame: wanted below 16 px/frame",
        ),
        ({**PLANE, "num_balls": 16, "radius": (0.5, 2.0)}, "use slower, larger or fewer balls"),
        ({**PLANE, "num_balls": 2, "radius": (0.5, 0.5), "gravity": 1.0}, "less .* gravity"),
        ({**PLANE, "num_balls": 2, "radius": (1.0, 1.0), "max_thrust": 1.0}, "less thrust"),
    ],
)
def test_contradictory_worlds(make_world: MakeWorld, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_world(**changes)


@config
class Config:
    """A config with a world."""

    world: World


@pytest.mark.parametrize(
    ("world", "message"),
    [
        ({"radius": [0.0, 8.0]}, r"world.radius: expected .*0\.5.*got 0\.0"),
        ({"radius": [40.0, 40.0]}, "radius 40 with start_margin 0 leaves no room"),
        ({"speeds": [-1.0]}, "world.speeds: expected at least 0"),
        ({"drag": 1.5}, "world.drag: expected at most 1"),
        ({"num_outgoing": 1}, "world.num_outgoing: expected at least 2"),
        ({"num_balls": 0}, "world.num_balls: expected at least 1"),
        ({"episode_length": 1}, "world.episode_length: expected at least 2"),
    ],
)
def test_worlds_that_a_config_cannot_hold(world: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(Config, [], {"world": world})


def test_is_substepped_exactly_where_motion_is_not_one_reflection(make_world: MakeWorld) -> None:
    world = make_world(**PLANE)
    assert not world.is_substepped
    for changes in (
        {"drag": 0.99},
        {"gravity": 0.1},
        {"gravity": -0.1},
        {"max_thrust": 0.1},
        {"num_balls": 2},
        {"door_width": 20.0},
    ):
        assert replace(world, **changes).is_substepped


def test_a_scene_is_taken_apart_put_together_and_repeated() -> None:
    scene = scene_of(torch.tensor([[2.0], [3.0], [4.0]]))
    assert torch.equal(Scene.cat([scene[:1], scene[1:]]).radius, scene.radius)
    assert scene[torch.tensor([2, 0])].radius.flatten().tolist() == [4.0, 2.0]
    twice = scene.repeat(2)
    assert twice.radius.flatten().tolist() == [2.0, 2.0, 3.0, 3.0, 4.0, 4.0]
    assert twice.color.shape == (6, 1, 1)
