"""Fixtures that several test files share."""

from collections.abc import Callable
from typing import Any

import pytest

from common.world import World


@pytest.fixture
def make_world() -> Callable[..., World]:
    """A function that returns the posts' world, with some of its knobs turned."""

    def make(**changes: Any) -> World:
        posts: dict[str, Any] = {
            "size": 64,
            "axes": 1,
            "num_balls": 1,
            "radius": (8.0, 8.0),
            "brightness": (1.0, 1.0),
            "channels": 1,
            "antialias": False,
            "speeds": (6.0,),
            "num_headings": 8,
            "wall": "turn_back",
            "num_outgoing": 3,
            "start_margin": 1.0,
            "drag": 1.0,
            "gravity": 0.0,
            "max_thrust": 0.0,
            "door_width": 0.0,
            "door_center": (32.0, 32.0),
            "episode_length": 24,
        }
        return World(**{**posts, **changes})

    return make
