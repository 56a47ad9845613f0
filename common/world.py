"""The options of a world, and which of them contradict each other."""

import math
from typing import Annotated, Literal

from pydantic import Field

from common.harness.config import config, option

SUBSTEPS = 16  # of a frame, where motion is not one exact reflection
DARKEST = 0.02  # brightness of a ball that can be told from black: 5 of 255 greys
INNER_WALL_THICKNESS = 4.0  # px, centred on x = size / 2
Radius = Annotated[float, Field(ge=0.5, le=256)]
Share = Annotated[float, Field(ge=0, le=1)]
Speed = Annotated[float, Field(ge=0, le=64)]
Place = Annotated[float, Field(ge=0, le=512)]


@config
class World:
    """The physics of one world; the defaults are the posts' ball."""

    size: int = option(64, ge=8, le=512)
    """Side of the square box (px)."""
    axes: Literal[1, 2] = 1
    """1 moves along x only, with y in the middle; 2 moves in the plane."""
    num_balls: int = option(1, ge=1, le=16)
    """Balls in the box, colliding elastically, with mass proportional to area."""
    radius: tuple[Radius, Radius] = (8.0, 8.0)
    """Least and largest radius, drawn per episode (px)."""
    brightness: tuple[Share, Share] = (1.0, 1.0)
    """Least and largest brightness, drawn per episode (0 to 1)."""
    channels: Literal[1, 3] = 1
    """1 for grey frames, 3 for RGB (each channel's brightness is then drawn apart)."""
    antialias: bool = True
    """Paint a ball by coverage; false paints the binary discs of the posts."""
    speeds: tuple[Speed, ...] = (6.0,)
    """The speeds an episode draws from (px/frame); a list, so that futures can be listed."""
    num_headings: int = option(8, ge=2, le=64, when="axes=2")
    """Equally spaced starting directions in two axes (one axis always has two)."""
    wall: Literal["reflect", "turn_back", "stochastic"] = "reflect"
    """What a wall does: reflect bounces exactly; turn_back reverses before a step that would leave
    the box (the posts' rule, no partial step); stochastic draws one of num_outgoing new headings
    before such a step."""
    num_outgoing: int = option(3, ge=2, le=16, when="wall=stochastic")
    """Headings of the stochastic wall, spread over +-60 degrees about its normal."""
    start_margin: float = option(0.0, ge=0, le=256)
    """Least gap between the ball and a wall at the start of an episode (px)."""
    drag: float = option(1.0, ge=0, le=1)
    """Share of the velocity that is left after one frame (1: none is lost)."""
    gravity: float = option(0.0, ge=-4, le=4)
    """Acceleration along +y, downwards (px/frame^2)."""
    max_thrust: float = option(0.0, ge=0, le=16)
    """Bound of each component of the action, an acceleration (px/frame^2); 0 has none."""
    door_width: float = option(0.0, ge=0, le=512)
    """Opening in an inner wall at x = size / 2 (px); 0 builds no inner wall."""
    door_center: tuple[Place, Place] = (32.0, 32.0)
    """Least and largest y of the door's middle, drawn per episode (px)."""
    episode_length: int = option(24, ge=2, le=10_000)
    """Frames in an episode."""

    def __post_init__(self) -> None:
        room = self.size / 2 - self.radius[1]
        if self.radius[0] > self.radius[1] or self.brightness[0] > self.brightness[1]:
            raise ValueError("radius and brightness are [least, largest]: put the smaller first")
        seen = self.brightness[0] if self.channels == 1 else self.brightness[1]  # of any channel
        if seen < DARKEST:
            balls = f"a ball of brightness {seen:g} is not seen on black"
            raise ValueError(f"{balls}: brightness must be at least {DARKEST:g}")
        if self.start_margin >= room:
            got = f"radius {self.radius[1]:g} with start_margin {self.start_margin:g}"
            wanted = f"in a box of {self.size} px: their sum must be below {self.size / 2:g}"
            raise ValueError(f"{got} leaves no room {wanted}")
        speeds = list(self.speeds)
        if not speeds or max(speeds) >= 2 * room:
            wanted = f"numbers below the {2 * room:g} px that the ball has to move in"
            raise ValueError(f"speeds must be one or more {wanted}, got {speeds}")
        if self.wall != "reflect" and max(speeds) > room:
            wanted = f"speeds must be at most {room:g} px/frame, or it leaves on the other side"
            raise ValueError(
                f"wall {self.wall} turns a ball round before the wall: {wanted}, got {speeds}"
            )
        if self.axes == 1 and (self.door_width or self.gravity):
            raise ValueError("door_width and gravity need axes 2: on one axis nothing moves in y")
        if self.door_width:
            self._check_door()
        if self.num_balls > 1:
            self._check_contacts()
        if self.wall != "reflect" and self.is_substepped:
            needs = "one ball and no drag, gravity, thrust or inner wall"
            raise ValueError(f"wall {self.wall} needs {needs}: use wall reflect with those")
        if self.wall == "stochastic" and self.axes == 1:
            raise ValueError("wall stochastic draws among headings: it needs axes 2, got 1")

    def _check_door(self) -> None:
        half = self.door_width / 2
        if self.door_center[0] > self.door_center[1]:
            raise ValueError("door_center is [least, largest]: put the smaller first")
        if self.door_center[0] - half < 0 or self.door_center[1] + half > self.size:
            door = f"a door {self.door_width:g} px wide with its middle in {list(self.door_center)}"
            wanted = f"it must stay within 0 and {self.size} px"
            raise ValueError(f"{door} is wider than its wall: {wanted}")
        if self.door_width <= 2 * self.radius[1]:
            ball = f"door_width {self.door_width:g} lets no ball of radius {self.radius[1]:g}"
            raise ValueError(f"{ball} through: it must be above {2 * self.radius[1]:g}")
        room = (self.size - INNER_WALL_THICKNESS) / 2
        if 2 * self.radius[1] > room:
            ball = f"a ball of radius {self.radius[1]:g} does not fit beside the inner wall"
            raise ValueError(f"{ball}, in {room:g} px: radius must be at most {room / 2:g}")

    def _check_contacts(self) -> None:
        """Raises ValueError where two balls can fly through each other between two sub-steps.

        At worst two of the smallest meet head-on with the energy of all, whose mean square speed
        is at most that of the start, plus a fall, plus an episode of thrust.
        """
        least, most = self.radius
        frames = min(self.episode_length, 1 / max(1 - self.drag, 1e-9))
        fall = 2 * abs(self.gravity) * (self.size - 2 * least)
        speed = math.sqrt(max(self.speeds) ** 2 + fall) + math.sqrt(2) * self.max_thrust * frames
        mass = 2 + (self.num_balls - 2) * (most / least) ** 2  # of all, in masses of the smallest
        meeting, limit = math.sqrt(2 * mass) * speed, 2 * least * SUBSTEPS
        if meeting >= limit:
            balls = f"{self.num_balls} balls of radius down to {least:g} can meet at {meeting:.4g}"
            wanted = f"below {limit:g} px/frame, or they pass through each other"
            advice = "use slower, larger or fewer balls, or less thrust or gravity"
            raise ValueError(f"{balls} px/frame: wanted {wanted}; {advice}")

    @property
    def is_substepped(self) -> bool:
        """True where motion is not one exact reflection."""
        forces = self.drag < 1 or self.gravity != 0 or self.max_thrust > 0
        return forces or self.num_balls > 1 or self.door_width > 0
