"""Frames show the states: against whole-frame formulas, areas, and the posts' own disc."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from common.rendering import coverage, disc, render
from common.simulator import Scene, simulate
from common.world import World

MakeWorld = Callable[..., World]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scene_of(radius: Tensor, color: Tensor | None = None, door: float = 32.0) -> Scene:
    """A scene, white unless told, for radius (B, N)."""
    white = torch.ones(*radius.shape, 1)
    return Scene(radius, white if color is None else color, torch.full((len(radius),), door))


def at(places: Tensor) -> Tensor:
    """States (B, T, 1, 4) of a ball at places (B, T, 2)."""
    return torch.cat([places, torch.zeros_like(places)], -1).unsqueeze(2)


def naive(x: float, y: float, radius: float, antialias: bool, size: int = 64) -> np.ndarray:
    """Coverage of a whole frame (H, W) by one disc, in float64."""
    shift = 0.5 if antialias else 0.0
    yy, xx = np.mgrid[0:size, 0:size] + shift
    if not antialias:
        return ((xx - x) ** 2 + (yy - y) ** 2 <= radius**2).astype(float)
    return np.clip(radius + 0.5 - np.hypot(xx - x, yy - y), 0, 1)


def positions(radius: float) -> Tensor:
    """Places at random, at the walls, in the corners, and partly or wholly out of the frame."""
    edge = [-30.0, -radius, -3.3, 0.0, radius, 31.5, 32.0, 64 - radius, 64.0, 66.7, 90.0]
    grid = torch.cartesian_prod(torch.tensor(edge), torch.tensor(edge))
    return torch.cat([grid, 64 * torch.rand(80, 2, generator=seeded())])


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("radius", [0.5, 3.3, 8.0, 9.7, 31.0])
def test_windows_paint_what_whole_frames_show(
    make_world: MakeWorld, antialias: bool, radius: float
) -> None:
    world = make_world(
        antialias=antialias, radius=(0.5, max(radius, 1.0)), start_margin=0.0, speeds=(0.1,)
    )
    places = positions(radius)
    scene = scene_of(torch.full((1, 1), radius), torch.full((1, 1, 1), 0.8))
    frames = render(world, at(places[None]), scene)
    assert frames.dtype == torch.uint8
    assert frames.shape == (1, len(places), 1, 64, 64)
    whole = disc(torch.cat([places, places], -1), torch.full((len(places),), radius), world)
    level = (
        255
        * 0.8
        * torch.from_numpy(np.stack([naive(x, y, radius, antialias) for x, y in places.tolist()]))
    )
    assert (frames[0, :, 0] - level).abs().max() <= 0.501
    torch.testing.assert_close(whole.double() * 255 * 0.8, level, atol=0.01, rtol=0)


def test_many_frames_are_painted_as_few_are(make_world: MakeWorld) -> None:
    """More frames than are painted at a time, each episode with its own radius and brightness."""
    world = make_world(radius=(3.0, 9.0), antialias=True, brightness=(0.2, 1.0))
    states, scene = simulate(world, 45, seeded())
    together = render(world, states, scene)
    for b in range(0, 45, 11):
        one = torch.tensor([b])
        assert torch.equal(render(world, states[one], scene[one]), together[one])


def test_the_posts_disc(make_world: MakeWorld) -> None:
    states, scene = simulate(make_world(), 5, seeded())
    frames = render(make_world(), states, scene)
    yy, xx = np.mgrid[0:64, 0:64]
    for b in range(5):
        for t in range(24):
            x = states[b, t, 0, 0].item()
            posts = np.where((xx - x) ** 2 + (yy - 32) ** 2 <= 8**2, 255, 0)
            assert np.array_equal(frames[b, t, 0].numpy(), posts)


@pytest.mark.parametrize("radius", [3.0, 5.5, 8.0])
def test_area_and_centre_of_an_antialiased_disc(make_world: MakeWorld, radius: float) -> None:
    world = make_world(antialias=True)
    places = 20 + 20 * torch.rand(300, 2, generator=seeded())
    frames = disc(torch.cat([places, places], -1), torch.full((300,), radius), world).double()
    area = frames.sum((-2, -1))
    assert (area / (math.pi * radius**2) - 1).abs().max() < 0.2 / radius**1.5
    # a rim whose ramp is 1 px wide holds pi / 12 more than the disc, whatever its radius
    assert area.mean().item() == pytest.approx(math.pi * (radius**2 + 1 / 12), abs=0.1)
    pixel = torch.arange(64) + 0.5
    middle = torch.stack([(frames.sum(axis) * pixel).sum(-1) / area for axis in (-2, -1)], -1)
    assert (middle - places).abs().max() < 0.03


def test_antialiased_coverage_is_close_to_the_true_share_of_a_pixel() -> None:
    fine = (np.arange(16 * 32) + 0.5) / 16
    for x, y in ((14.0, 14.0), (14.3, 13.8), (13.52, 14.99)):
        inside = (fine[None] - x) ** 2 + (fine[:, None] - y) ** 2 <= 64
        share = torch.from_numpy(inside.reshape(32, 16, 32, 16).mean((1, 3)))
        given = coverage(
            torch.tensor([[x, y]]), torch.tensor([8.0]), torch.zeros(1, 2), 32, antialias=True
        )[0]
        assert (given - share).abs().max() < 0.12
        assert (given - share).square().mean().sqrt() < 0.015


def test_a_sub_pixel_move_changes_the_frame(make_world: MakeWorld) -> None:
    places = torch.tensor([[[30.0, 31.0], [30.05, 31.0], [30.0, 31.05]]])
    world = make_world(antialias=True)
    frames = render(world, at(places), scene_of(torch.full((1, 1), 8.0)))[0, :, 0].int()
    right, down = frames[1] - frames[0], frames[2] - frames[0]
    assert right[:, 31:].min() >= 0 >= right[:, :29].max()  # brighter ahead, darker behind
    assert (right != 0).sum() > 10
    assert (down != 0).sum() > 10
    assert down[32:].sum() > 0 > down[:30].sum()


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_later_balls_lie_in_front_of_walls_and_background(
    make_world: MakeWorld, antialias: bool, channels: int
) -> None:
    world = make_world(
        axes=2,
        wall="reflect",
        antialias=antialias,
        num_balls=3,
        channels=channels,
        radius=(3.0, 9.0),
        door_width=20.0,
        door_center=(20.0, 20.0),
    )
    places = 64 * torch.rand(6, 4, 3, 2, generator=seeded())
    places[0, :, 1] = places[0, :, 0] + 2  # overlapping balls
    places[1, :, 2] = torch.tensor([32.0, 50.0])  # on the inner wall
    radius = 3 + 6 * torch.rand(6, 3, generator=seeded(1))
    color = torch.rand(6, 3, channels, generator=seeded(2))
    scene = scene_of(radius, color, door=20.0)
    background = torch.randint(256, (6, 4, 64, 64), generator=seeded(3), dtype=torch.uint8)
    frames = render(world, torch.cat([places, places], -1), scene, background)
    assert frames.shape == (6, 4, channels, 64, 64)
    for b in range(6):
        for t in range(4):
            canvas = np.repeat(background[b, t].numpy()[None].astype(float), channels, 0)
            canvas[:, :10, 30:34] = canvas[:, 30:, 30:34] = 128
            for n in range(3):
                x, y = places[b, t, n].tolist()
                share = naive(x, y, radius[b, n].item(), antialias)
                paint = 255 * color[b, n].double().numpy()[:, None, None]
                canvas += share * (paint - canvas)
            assert np.abs(frames[b, t].numpy() - canvas).max() <= 1.51  # rounded thrice
            if not antialias:
                assert np.abs(frames[b, t].numpy() - canvas).max() <= 0.501


def test_balls_on_black_do_not_wipe_each_other_out(make_world: MakeWorld) -> None:
    world = make_world(axes=2, wall="reflect", num_balls=3, radius=(8.0, 8.0))
    places = torch.tensor([[30.0, 30.0], [36.0, 32.0], [50.0, 12.0]])
    color = torch.tensor([0.4, 0.7, 1.0]).view(1, 3, 1)
    states = torch.cat([places, places], -1).view(1, 1, 3, 4)
    frame = render(world, states, scene_of(torch.full((1, 3), 8.0), color))[0, 0, 0].numpy()
    canvas = np.zeros((64, 64))
    for (x, y), level in zip(places.tolist(), (102, 179, 255), strict=True):
        canvas[naive(x, y, 8.0, False) == 1] = level
    assert np.array_equal(frame, canvas)
    assert set(np.unique(frame)) == {0, 102, 179, 255}


def test_a_background_of_one_frame_serves_all(make_world: MakeWorld) -> None:
    world = make_world(episode_length=4)
    states, scene = simulate(world, 2, seeded())
    still = torch.randint(256, (2, 1, 64, 64), generator=seeded(), dtype=torch.uint8)
    copy = still.clone()
    shown = render(world, states, scene, still)
    assert torch.equal(shown, render(world, states, scene, still.expand(2, 4, 64, 64)))
    assert torch.equal(still, copy)
    ball = render(world, states, scene) > 0
    assert torch.equal(shown[~ball], still.unsqueeze(2).expand_as(shown)[~ball])
    assert (shown[ball] == 255).all()


def test_the_inner_wall(make_world: MakeWorld) -> None:
    world = make_world(
        axes=2, wall="reflect", radius=(3.0, 3.0), door_width=16.0, door_center=(10.0, 50.0)
    )
    states = torch.full((2, 1, 1, 4), 8.0)
    scene = Scene(torch.full((2, 1), 3.0), torch.ones(2, 1, 1), torch.tensor([10.0, 50.0]))
    frames = render(world, states, scene)[:, 0, 0]
    solid = torch.zeros(2, 64, 64, dtype=torch.bool)
    solid[0, :2, 30:34] = solid[0, 18:, 30:34] = True
    solid[1, :42, 30:34] = solid[1, 58:, 30:34] = True
    assert (frames[solid] == 128).all()
    rest = frames.masked_fill(solid, 0)
    assert (rest[..., 20:] == 0).all()
    assert (rest[..., :20] == 255).any()


def test_channels_have_their_own_brightness(make_world: MakeWorld) -> None:
    world = make_world(channels=3, brightness=(0.0, 1.0))
    states, scene = simulate(world, 4, seeded())
    frames = render(world, states, scene)
    assert frames.shape == (4, 24, 3, 64, 64)
    peak = frames.amax((1, 3, 4))
    assert torch.equal(peak, (255 * scene.color[:, 0] + 0.5).to(torch.uint8))
    assert len({tuple(color) for color in peak.tolist()}) == 4
    grey = render(make_world(), *simulate(make_world(), 4, seeded()))
    assert set(grey.unique().tolist()) == {0, 255}
