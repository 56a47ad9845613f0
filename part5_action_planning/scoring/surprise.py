"""Violation of expectation: how a model's prediction error tells an impossible clip from its twin.

Every event has a matched control: the same start, actions and chance, without the event. Surprise
at a frame is |z_pred - z|^2 of the one-step prediction; a clip's is the largest of its frames from
the event on.

    teleport    the ball is somewhere else, at least 10 px away
    flip        its velocity is reversed (at 2 px/frame or more)
    wall        it flies through the inner wall that its twin bounces off
    colour      each of its colour's channels changes by at least 0.3
"""

from dataclasses import dataclass, fields, replace
from typing import Literal, assert_never, get_args

import torch
from torch import Tensor

from common.harness.machine import to_device
from common.rendering import render
from common.simulator import Scene, sample_scene, sample_start
from part5_action_planning.config import Config
from part5_action_planning.data import Recording, encode_all, random_actions
from part5_action_planning.model.jepa import WorldModel, rollout
from part5_action_planning.tasks.rules import advance, advance_all

BEFORE, AFTER = 8, 6  # frames until the event, frames after it
JUMP, SPEED, SHADE = 10.0, 2.0, 0.3  # px, px/frame, brightness: least size of an event
DETECTION = 0.95
Event = Literal["teleport", "flip", "wall", "colour"]
EVENTS: tuple[Event, ...] = get_args(Event)
ROUNDS = 100  # draws of starts, before an event counts as impossible in a world


@dataclass(frozen=True)
class Pair:
    """Clips (S, T, ...) with an event from frame BEFORE on, and their twins without."""

    event: Recording
    control: Recording


@dataclass(frozen=True)
class Drawn:
    """States (S, T, 1, 4) with and without an event, actions, the scenes before and after it."""

    event: Tensor
    control: Tensor
    actions: Tensor
    scene: Scene
    late: Scene

    def take(self, which: Tensor) -> "Drawn":
        return Drawn(*(getattr(self, part.name)[which] for part in fields(self)))


def make_pair(
    cfg: Config, kind: Event, count: int, generator: torch.Generator, at_once: int = 1024
) -> Pair:
    """So many clips of one kind of event; raises ValueError where the world cannot have it.

    Starts are drawn, so many at once, until the event is one: the ball fast enough to flip, on its
    way to the wall; at most ROUNDS times.
    """
    if kind == "wall" and not cfg.world.door_width:
        raise ValueError("event wall needs an inner wall: set world.door_width above 0")
    pairs: list[Pair] = []
    missing = count
    for _ in range(ROUNDS):
        drawn = _draw(cfg, kind, at_once, generator)
        found = _happens(cfg, kind, drawn).nonzero()[:missing, 0]
        pairs.append(_render(cfg, drawn.take(found)))
        missing -= len(found)
        if not missing:
            return Pair(
                Recording.cat([p.event for p in pairs]), Recording.cat([p.control for p in pairs])
            )
    raise ValueError(
        f"event {kind} hardly ever happens in this world: {count - missing} of {count} clips found "
        f"in {ROUNDS * at_once} (a teleport is {JUMP:g} px or more, a flip happens at {SPEED:g} "
        f"px/frame or more, a change of colour is {SHADE:g} of full brightness or more); set "
        "evaluation.num_surprise_clips to 0, or change the world"
    )


def _draw(cfg: Config, kind: Event, count: int, generator: torch.Generator) -> Drawn:
    """Events, whether or not they amount to anything."""
    world, length = cfg.world, BEFORE + AFTER
    scene = sample_scene(world, count, generator)
    start = sample_start(world, scene, generator)
    actions = random_actions(cfg, count, length - 1, generator)
    other = sample_start(world, scene, generator)  # where a teleport leads
    repainted = replace(scene, color=sample_scene(world, count, generator).color)
    control = advance_all(cfg.task, world, start, scene, actions)

    task, now = cfg.task, control[:, BEFORE - 1]
    if kind == "flip":
        now = torch.cat([now[..., :2], -now[..., 2:]], -1)
    elif kind == "wall":  # the same physics without the inner wall, which is still seen
        world, task = replace(world, door_width=0.0), replace(task, kind="reach")
    event = control.clone()
    for t in range(BEFORE, length):
        now = advance(task, world, now, scene, actions[:, t - 1], t - 1)
        if kind == "teleport" and t == BEFORE:
            now = torch.cat([other[..., :2], now[..., 2:]], -1)
        event[:, t] = now
    return Drawn(event, control, actions, scene, repainted if kind == "colour" else scene)


def _happens(cfg: Config, kind: Event, drawn: Drawn) -> Tensor:
    """Which clips (S,) have an event of the least size."""
    event, control = drawn.event[:, :, 0], drawn.control[:, :, 0]
    match kind:
        case "teleport":
            return (event - control)[:, BEFORE, :2].norm(dim=-1) >= JUMP
        case "flip":
            return control[:, BEFORE - 1, 2:].norm(dim=-1) >= SPEED
        case "colour":
            return ((drawn.late.color - drawn.scene.color).abs() >= SHADE)[:, 0].all(-1)
        case "wall":  # through the wall within two frames, its twin still on this side
            left, stays = (x[..., 0] < cfg.world.size / 2 for x in (event, control))
            here = left[:, BEFORE - 1]
            return (left[:, BEFORE + 1] != here) & (stays[:, BEFORE + 1] == here)
        case _:
            assert_never(kind)


def _render(cfg: Config, drawn: Drawn) -> Pair:
    early, late = drawn.event[:, :BEFORE], drawn.event[:, BEFORE:]
    frames = [render(cfg.world, early, drawn.scene), render(cfg.world, late, drawn.late)]
    twin = render(cfg.world, drawn.control, drawn.scene)
    return Pair(
        Recording(torch.cat(frames, 1), drawn.event, drawn.actions, drawn.late),
        Recording(twin, drawn.control, drawn.actions, drawn.scene),
    )


@torch.no_grad()
def surprise(model: WorldModel, clips: Recording) -> Tensor:
    """|z_pred - z|^2 of every frame that has a full history before it, (S, T - n)."""
    z = encode_all(model, clips).float()
    n, errors = model.history_length, []
    for t in range(n, z.shape[1]):
        action = clips.actions[:, t - 1 : t].unsqueeze(1)
        z_pred = rollout(model, z[:, t - n : t], clips.actions[:, t - n : t - 1], action)
        errors.append((z_pred[:, 0, 0] - z[:, t]).square().sum(-1))
    return torch.stack(errors, 1)


def bounces(cfg: Config, clips: Recording) -> Tensor:
    """Whether the ball bounces off a wall between a frame and the next, (S, T - 1).

    In the open, the velocity after a frame is drag times that before it plus the thrust.
    """
    velocity = clips.states[:, :, 0, 2:]
    free = cfg.world.drag * velocity[:, :-1] + clips.actions
    return (velocity[:, 1:] - free).abs().amax(-1) > 1e-3


def auroc(event: Tensor, control: Tensor) -> float:
    """Chance that an event's score is above a control's, ties counting half."""
    above = (event[:, None] > control).double() + 0.5 * (event[:, None] == control).double()
    return above.mean().item()


def events(cfg: Config) -> list[Event]:
    """The kinds of event that a config's world is scored on."""
    there = {
        "teleport": True,
        "flip": True,
        "wall": cfg.world.door_width > 0,
        "colour": cfg.world.channels == 3,
    }
    return [kind for kind in EVENTS if there[kind]]


def check_events(cfg: Config) -> None:
    """Raises ValueError where an event that the config asks for hardly ever happens, and for a
    history that is longer than what is seen before it."""
    if cfg.evaluation.num_surprise_clips:
        if cfg.model.history_length > BEFORE:
            raise ValueError(
                f"events come after {BEFORE} frames, fewer than model.history_length "
                f"{cfg.model.history_length}: use at most {BEFORE}, or "
                "evaluation.num_surprise_clips 0"
            )
        for kind in events(cfg):
            make_pair(cfg, kind, 1, torch.Generator().manual_seed(0))


def score_surprise(
    model: WorldModel, cfg: Config, generator: torch.Generator,
    device: torch.device | str = "cpu",
) -> dict[str, float]:  # fmt: skip
    """AUROC, false alarms at 95% detection, and the delay of detection (frames), of each event.

    The delay is counted from the event's first frame to the first above the threshold that 95% of
    the events reach, mean over the clips that reach it. calm_auroc is the AUROC over the pairs
    whose twin bounces off nothing from the event on, calm_share how many these are.
    """
    scores, first = {}, BEFORE - model.history_length
    for kind in events(cfg):
        pair = make_pair(cfg, kind, cfg.evaluation.num_surprise_clips, generator)
        event, control = (
            surprise(model, to_device(clips, device))[:, first:].cpu()
            for clips in (pair.event, pair.control)
        )
        most, twin = event.amax(1), control.amax(1)
        threshold = most.quantile(1 - DETECTION)
        seen = event >= threshold
        calm = ~bounces(cfg, pair.control)[:, BEFORE - 1 :].any(1)
        found = {
            "auroc": auroc(most, twin),
            "false_alarms": (twin >= threshold).double().mean().item(),
            "delay": seen.int().argmax(1)[seen.any(1)].double().mean().item(),
            "calm_share": calm.double().mean().item(),
            "ratio": (most.median() / twin.median().clamp(min=1e-12)).item(),
        }
        if calm.any():
            found["calm_auroc"] = auroc(most[calm], twin[calm])
        scores |= {f"{kind}_{name}": value for name, value in found.items()}
    return scores
