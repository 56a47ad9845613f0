"""The entropy of the next frame, against playing every episode there is."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import cache

import pytest
import torch

from common.futures import entropy, possible_next, render_futures
from common.simulator import Scene
from common.world import World


@cache
def disc(x: float, y: float = 32.0) -> bytes:
    """The frame of a ball of radius 8 at a place, as the posts draw it."""
    lit = [(i - x) ** 2 + (j - y) ** 2 <= 64 for j in range(64) for i in range(64)]
    return bytes(lit)


def play(x: float, v: float, wall: str) -> tuple[float, float]:
    """One frame later, by the rule as it is told."""
    ahead = x + v
    if 8 <= ahead <= 56:
        return ahead, v
    if wall == "turn_back":
        return x - v, -v
    return (16 - ahead if ahead < 8 else 112 - ahead), -v


@pytest.mark.parametrize(
    ("wall", "speeds"), [("turn_back", (6.0,)), ("reflect", (3.0, 6.0)), ("turn_back", (6.0, 9.0))]
)
def test_the_entropy_of_the_next_frame_is_that_of_every_episode_there_is(
    make_world: Callable[..., World], wall: str, speeds: tuple[float, ...]
) -> None:
    """Starts half a pixel apart, in both directions, at every speed; all moments count alike."""
    margin = 1.0 if wall == "turn_back" else 0.0
    world = make_world(wall=wall, speeds=speeds, start_margin=margin, episode_length=8)
    starts = [x / 2 + 0.25 for x in range(16, 112) if 8 + margin < x / 2 + 0.25 < 56 - margin]
    came: dict[float, Counter[bytes]] = defaultdict(Counter)
    for x, v in ((x, s * speed) for x in starts for speed in speeds for s in (-1, 1)):
        for _ in range(world.episode_length - 1):
            now, (x, v) = x, play(x, v, wall)
            came[now][disc(x)] += 1
    shares = {x: [n / seen.total() for n in seen.values()] for x, seen in came.items()}
    expected = torch.tensor([-sum(p * math.log2(p) for p in shares[x]) for x in sorted(came)])

    observed = torch.tensor([[[x, 32.0, 0.0, 0.0]] for x in sorted(came)])
    scene = Scene(
        torch.full((len(came), 1), 8.0), torch.ones(len(came), 1, 1), torch.zeros(len(came))
    )
    states, p = possible_next(world, observed, scene, velocity_is_seen=False)
    bits = entropy(p, render_futures(world, states, scene))
    torch.testing.assert_close(bits, expected, atol=1e-4, rtol=1e-4)
    if wall == "turn_back":  # there are places that tell, and places that do not
        assert bits.std() > 0.3


def test_one_future_has_no_bits_and_equal_futures_are_one() -> None:
    x = torch.zeros(2, 1, 3)
    assert entropy(torch.ones(2, 1), x).tolist() == [0.0, 0.0]
    p = torch.tensor([[0.5, 0.25, 0.25, 0.0]])
    assert entropy(p, torch.zeros(1, 4, 2)).item() == 0.0
    assert entropy(p, torch.tensor([[[1.0], [2.0], [2.0], [3.0]]])).item() == pytest.approx(1.0)
    assert entropy(p, torch.arange(4.0).view(1, 4, 1)).item() == pytest.approx(1.5)
