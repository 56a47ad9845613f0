"""The knobs of a world, and which of them contradict each other."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class World:
    """The physics of one world.

    Args:
        size: side of the square box (px).
        axes: 1 moves along x only, with y in the middle; 2 moves in the plane.
        num_balls: balls in the box, colliding elastically, with mass proportional to area.
        radius: least and largest radius, drawn per episode (px).
        brightness: least and largest brightness, drawn per episode (0 to 1).
        channels: 1 for grey frames, 3 for RGB (each channel's brightness is then drawn apart).
        antialias: paint a ball by coverage; false paints the binary discs of the posts.
        speeds: the speeds an episode draws from (px/frame); a list, so that futures can be listed.
        num_headings: equally spaced starting directions in two axes (one axis always has two).
        wall: reflect bounces exactly; turn_back reverses before a step that would leave the box
            (the posts' rule, no partial step); stochastic draws one of num_outgoing new headings
            before a step that would leave the box.
        num_outgoing: headings of the stochastic wall, spread over +-60 degrees about its normal.
        start_margin: least gap between the ball and a wall at the start of an episode (px).
        drag: share of the velocity that is left after one frame (1 is none lost).
        gravity: acceleration along +y, downwards (px/frame^2).
        max_thrust: bound of each component of the action, an acceleration (px/frame^2); 0 has none.
        door_width: opening in an inner wall at x = size / 2 (px); 0 builds no inner wall.
        door_center: least and largest y of the door's middle, drawn per episode (px).
        episode_length: frames in an episode.
    """

    size: int = field(metadata={"min": 8, "max": 512})
    axes: Literal[1, 2]
    num_balls: int = field(metadata={"min": 1, "max": 16})
    radius: tuple[float, float] = field(metadata={"min": 0.5, "max": 256})
    brightness: tuple[float, float] = field(metadata={"min": 0.0, "max": 1.0})
    channels: Literal[1, 3]
    antialias: bool
    speeds: tuple[float, ...] = field(metadata={"min": 0.0, "max": 64})
    num_headings: int = field(metadata={"min": 2, "max": 64})
    wall: Literal["reflect", "turn_back", "stochastic"]
    num_outgoing: int = field(metadata={"min": 2, "max": 16})
    start_margin: float = field(metadata={"min": 0.0, "max": 256})
    drag: float = field(metadata={"min": 0.0, "max": 1.0})
    gravity: float = field(metadata={"min": -4.0, "max": 4.0})
    max_thrust: float = field(metadata={"min": 0.0, "max": 16})
    door_width: float = field(metadata={"min": 0.0, "max": 512})
    door_center: tuple[float, float] = field(metadata={"min": 0.0, "max": 512})
    episode_length: int = field(metadata={"min": 2, "max": 10_000})

    def __post_init__(self) -> None:
        room = self.size / 2 - self.radius[1]
        if self.radius[0] > self.radius[1] or self.brightness[0] > self.brightness[1]:
            raise ValueError("radius and brightness are [least, largest]: put the smaller first")
        if self.start_margin >= room:
            raise ValueError(
                f"radius {self.radius[1]:g} with start_margin {self.start_margin:g} leaves no room "
                f"in a box of {self.size} px: their sum must be below {self.size / 2:g}"
            )
        if not self.speeds or max(self.speeds) >= 2 * room:
            raise ValueError(
                f"speeds must be one or more numbers below the {2 * room:g} px that the ball has "
                f"to move in, got {list(self.speeds)}"
            )
        if self.wall != "reflect" and max(self.speeds) > room:
            raise ValueError(
                f"wall {self.wall} turns a ball round before the wall: speeds must be at most "
                f"{room:g} px/frame, or it leaves on the other side, got {list(self.speeds)}"
            )
        if self.axes == 1 and (self.door_width or self.gravity):
            raise ValueError(
                "door_width and gravity need axes 2: on one axis nothing moves along y"
            )
        if self.door_width:
            self._check_door()
        if self.wall != "reflect" and self.is_substepped:
            raise ValueError(
                f"wall {self.wall} needs one ball and no drag, gravity, thrust or inner wall: "
                "use wall reflect with those"
            )
        if self.wall == "stochastic" and self.axes == 1:
            raise ValueError("wall stochastic draws among headings: it needs axes 2, got 1")

    def _check_door(self) -> None:
        half = self.door_width / 2
        if self.door_center[0] > self.door_center[1]:
            raise ValueError("door_center is [least, largest]: put the smaller first")
        if self.door_center[0] - half < 0 or self.door_center[1] + half > self.size:
            raise ValueError(
                f"a door {self.door_width:g} px wide with its middle in {list(self.door_center)} "
                f"is wider than its wall: it must stay within 0 and {self.size} px"
            )
        if self.door_width <= 2 * self.radius[1]:
            raise ValueError(
                f"door_width {self.door_width:g} lets no ball of radius {self.radius[1]:g} through"
                f": it must be above {2 * self.radius[1]:g}"
            )

    @property
    def is_substepped(self) -> bool:
        """True where motion is not one exact reflection."""
        forces = self.drag < 1 or self.gravity != 0 or self.max_thrust > 0
        return forces or self.num_balls > 1 or self.door_width > 0
