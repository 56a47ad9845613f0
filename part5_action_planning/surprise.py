"""Violation of expectation: how a model's prediction error tells an impossible clip from its twin.

Every event has a matched control: the same start, actions and chance, without the event. Surprise
at a frame is |z_pred - z|^2 of the one-step prediction; a clip's is the largest of its frames from
the event on.

    teleport    the ball is somewhere else, at least 10 px away
    flip        its velocity is reversed (at 2 px/frame or more)
    wall        it flies through the inner wall that its twin bounces off
    colour      each of its colour's channels changes by at least 0.3
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from common.rendering import render
from common.simulator import Scene, sample_scene, sample_start
from part5_action_planning.clips import observe_all
from part5_action_planning.experiment import Config
from part5_action_planning.imagine import rollout
from part5_action_planning.models import WorldModel
from part5_action_planning.tasks import Recording, advance, random_actions

BEFORE, AFTER = 8, 6  # frames until the event, frames after it
JUMP, SPEED, SHADE = 10.0, 2.0, 0.3  # px, px/frame, brightness: least size of an event
DETECTION = 0.95


@dataclass(frozen=True)
class Pair:
    """Clips (S, T, ...) with an event from frame BEFORE on, and their twins without."""

    event: Recording
    control: Recording


def make_pair(cfg: Config, kind: str, count: int, generator: torch.Generator) -> Pair:
    """So many clips of one kind of event; raises ValueError where the world cannot have it.

    Starts are drawn until the event is one: the ball fast enough to flip, on its way to the wall.
    """
    if kind == "wall" and not cfg.world.door_width:
        raise ValueError("event wall needs an inner wall: set world.door_width above 0")
    kept: list[tuple[Recording, Recording]] = []
    while sum(len(event.states) for event, _ in kept) < count:
        pair = _draw(cfg, kind, count, generator)
        fine = _happens(cfg, kind, *pair)
        kept.append((_some(pair[0], fine), _some(pair[1], fine)))
    joined = [_join([both[side] for both in kept], count) for side in (0, 1)]
    return Pair(*joined)


def _draw(
    cfg: Config, kind: str, count: int, generator: torch.Generator
) -> tuple[Recording, Recording]:
    """Event and control clips, whether or not the event amounts to anything."""
    world, length = cfg.world, BEFORE + AFTER
    scene = sample_scene(world, count, generator)
    start = sample_start(world, scene, generator)
    actions = random_actions(cfg.task, world, count, length - 1, cfg.data.smoothness, generator)
    other = sample_start(world, scene, generator)  # where a teleport leads
    repainted = replace(scene, color=sample_scene(world, count, generator).color)
    control = _run(cfg, start, scene, actions)
    state = control[:, BEFORE - 1].clone()
    changed, late, physics = state, scene, cfg
    if kind == "flip":
        changed = torch.cat([state[..., :2], -state[..., 2:]], -1)
    elif kind == "wall":
        physics = replace(cfg, world=replace(world, door_width=0.0), task=_open(cfg))
    elif kind == "colour":
        late = repainted
    states = control.clone()
    for t in range(BEFORE, length):
        changed = advance(physics.task, physics.world, changed, scene, actions[:, t - 1], t - 1)
        if kind == "teleport" and t == BEFORE:
            changed = torch.cat([other[..., :2], changed[..., 2:]], -1)
        states[:, t] = changed
    early = render(world, states[:, :BEFORE], scene)
    frames = torch.cat([early, render(world, states[:, BEFORE:], late)], 1)
    return (
        Recording(frames, states, actions, late),
        Recording(render(world, control, scene), control, actions, scene),
    )


def _open(cfg: Config):
    """The task in a world without its inner wall."""
    return replace(cfg.task, kind="reach")


def _run(cfg: Config, start: Tensor, scene: Scene, actions: Tensor) -> Tensor:
    states = [start]
    for t in range(actions.shape[1]):
        states.append(advance(cfg.task, cfg.world, states[-1], scene, actions[:, t], t))
    return torch.stack(states, 1)


def _happens(cfg: Config, kind: str, event: Recording, control: Recording) -> Tensor:
    """Which clips (S,) have an event of the least size."""
    there, twin = event.states[:, BEFORE, 0], control.states[:, BEFORE, 0]
    if kind == "teleport":
        return (there - twin)[:, :2].norm(dim=-1) >= JUMP
    if kind == "flip":
        return control.states[:, BEFORE - 1, 0, 2:].norm(dim=-1) >= SPEED
    if kind == "colour":
        return ((event.scene.color - control.scene.color).abs() >= SHADE)[:, 0].all(-1)
    side = event.states[:, :, 0, 0] < cfg.world.size / 2
    through = side[:, BEFORE - 1] != side[:, BEFORE + 1]  # at the other side within two frames
    return through & (side[:, BEFORE - 1] == (control.states[:, BEFORE + 1, 0, 0] < 32))


def _some(clips: Recording, which: Tensor) -> Recording:
    return Recording(
        clips.frames[which], clips.states[which], clips.actions[which], clips.scene[which]
    )


def _join(parts: list[Recording], count: int) -> Recording:
    scenes = [part.scene for part in parts]
    return Recording(
        torch.cat([part.frames for part in parts])[:count],
        torch.cat([part.states for part in parts])[:count],
        torch.cat([part.actions for part in parts])[:count],
        Scene(*(torch.cat([getattr(s, name) for s in scenes])[:count]
                for name in ("radius", "color", "door"))),
    )  # fmt: skip


@torch.no_grad()
def surprise(model: WorldModel, clips: Recording) -> Tensor:
    """|z_pred - z|^2 of every frame that has a full history before it, (S, T - n)."""
    z = observe_all(model, clips).float()
    n, errors = model.history, []
    for t in range(n, z.shape[1]):
        action = clips.actions[:, t - 1 : t].unsqueeze(1)
        z_pred = rollout(model, z[:, t - n : t], clips.actions[:, t - n : t - 1], action)
        errors.append((z_pred[:, 0, 0] - z[:, t]).square().sum(-1))
    return torch.stack(errors, 1)


def auroc(event: Tensor, control: Tensor) -> float:
    """Chance that an event's score is above a control's, ties counting half."""
    above = (event[:, None] > control).double() + 0.5 * (event[:, None] == control).double()
    return above.mean().item()


def score_surprise(model: WorldModel, cfg: Config, generator: torch.Generator) -> dict[str, float]:
    """AUROC, false alarms at 95% detection, and the delay of detection (frames), of each event.

    The delay is counted from the event's first frame to the first above the threshold that 95% of
    the events reach, mean over the clips that reach it.
    """
    kinds = ["teleport", "flip", *(["wall"] if cfg.world.door_width else [])]
    kinds += ["colour"] if cfg.world.channels == 3 else []
    scores, first = {}, BEFORE - model.history
    for kind in kinds:
        pair = make_pair(cfg, kind, cfg.evaluation.surprise_clips, generator)
        event, control = (surprise(model, clips)[:, first:] for clips in (pair.event, pair.control))
        most, twin = event.amax(1), control.amax(1)
        threshold = most.quantile(1 - DETECTION)
        seen = event >= threshold
        delay = seen.int().argmax(1)[seen.any(1)].double().mean().item()
        scores[f"{kind}_auroc"] = auroc(most, twin)
        scores[f"{kind}_false_alarms"] = (twin >= threshold).double().mean().item()
        scores[f"{kind}_delay"] = delay
        scores[f"{kind}_ratio"] = (most.median() / twin.median().clamp(min=1e-12)).item()
    return scores
