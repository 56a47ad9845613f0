"""World models behind one interface, which is all that planners, agents and scores know of them:

    observe(frames, states) -> z          what the model makes of the present, (B, ...) -> (B, D)
    step(z_past, a_past) -> z_next        (B, n, D), (B, n, A) -> (B, D): n = history of both,
                                          where a_past[i] is the action that leaves z_past[i]
    compared(z) -> features               what a distance to the goal is measured on

The true dynamics are one of them, so a planner cannot tell an oracle from what was learnt.
"""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from common.frozen import FrozenEncoder
from common.heads import MLP
from common.simulator import Scene
from common.world import World
from part5_action_planning.config import Config
from part5_action_planning.model.networks import (
    ACTION_DIM,
    ActionPredictor,
    make_decoder,
    make_encoder,
)
from part5_action_planning.model.token_predictors import TokenAttention, TokenMLP
from part5_action_planning.tasks.rules import Task, advance, largest_action


class WorldModel(Protocol):
    """What planners and agents need; history is the n that ``step`` wants."""

    history: int

    def observe(self, frames: Tensor, states: Tensor) -> Tensor: ...
    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor: ...
    def compared(self, z: Tensor) -> Tensor: ...


class LatentModel(nn.Module):
    """LeWorldModel's and PLDM's kind: an encoder and a predictor of embeddings, trained together.

    inverse reads the action between two neighbouring embeddings; decoder is for looking only, and
    sends no gradient back.
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.history = cfg.model.history
        self.encoder = make_encoder(cfg)
        self.predictor = ActionPredictor(cfg)
        self.inverse = MLP(
            in_dim=2 * cfg.model.embedding_dim,
            hidden_dim=cfg.model.hidden_dim,
            out_dim=ACTION_DIM,
            normalise=False,
        )
        self.decoder = make_decoder(cfg)

    def observe(self, frames: Tensor, states: Tensor | None = None) -> Tensor:
        return self.encoder(frames)

    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        return self.predictor(z_past, a_past)

    def compared(self, z: Tensor) -> Tensor:
        return z

    def show(self, z: Tensor) -> Tensor:
        """Frames (B, C, H, W), of embeddings (B, D)."""
        return self.decoder(z)


class PixelModel(nn.Module):
    """A world model whose state is the frame itself: encoder, predictor, decoder, and again."""

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.history = cfg.model.history
        self.shape = (cfg.world.channels, cfg.world.size, cfg.world.size)
        self.encoder = make_encoder(cfg)
        self.predictor = ActionPredictor(cfg)
        self.decoder = make_decoder(cfg)

    def observe(self, frames: Tensor, states: Tensor | None = None) -> Tensor:
        return frames.flatten(1)

    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        frames = z_past.unflatten(2, self.shape)
        embedded = self.encoder(frames.flatten(0, 1)).unflatten(0, z_past.shape[:2])
        return self.decoder(self.predictor(embedded, a_past)).flatten(1)

    def compared(self, z: Tensor) -> Tensor:
        return z

    def show(self, z: Tensor) -> Tensor:
        return z.unflatten(1, self.shape)


class TokenModel(nn.Module):
    """V-JEPA 2-AC's and DINO-WM's kind: the state is a frozen encoder's patch tokens.

    The encoder is not trained and no part of the weights. mean (N, D) and spread of the tokens that
    it gives to recorded frames are: see ``standardise``.
    """

    def __init__(self, cfg: Config, frozen: FrozenEncoder) -> None:
        super().__init__()
        self.history = cfg.model.history
        self.frozen = frozen
        rows, columns = frozen.grid(cfg.world.size, cfg.world.size)
        self.tokens = (rows * columns, frozen.dim)
        self.scale = largest_action(cfg.task, cfg.world)
        kind = TokenAttention if cfg.model.predictor == "attention" else TokenMLP
        self.predictor = kind(
            num_tokens=rows * columns,
            token_dim=frozen.dim,
            history=cfg.model.history,
            action_dim=ACTION_DIM,
            hidden_dim=cfg.model.hidden_dim,
        )
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", torch.zeros(self.tokens))
        self.register_buffer("spread", torch.ones(()))

    def standardise(self, tokens: Tensor) -> None:
        """Sets mean and spread from tokens (n, N, D), so that a state's variance is 1.

        What all frames share, most of a token where one small ball moves, says nothing about them.
        """
        normed = layer_norm(tokens, tokens.shape[-1:])
        self.mean.copy_(normed.mean(0))
        self.spread.copy_((normed - self.mean).square().mean().sqrt())

    def state(self, tokens: Tensor) -> Tensor:
        """Patch tokens (..., N, D) -> the state (..., N D): layer normalised, as in V-JEPA 2, and
        standardised."""
        normed = layer_norm(tokens, tokens.shape[-1:])
        return ((normed - self.mean) / self.spread).flatten(-2)

    def observe(self, frames: Tensor, states: Tensor | None = None) -> Tensor:
        return self.state(self.frozen.encode(frames))

    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        tokens = z_past.unflatten(2, self.tokens)  # (B, n, N, D)
        return self.predictor(tokens, a_past / self.scale).flatten(1)

    def compared(self, z: Tensor) -> Tensor:
        return z


class Oracle:
    """The true dynamics: its state is the simulator's, and it compares positions in px.

    z is x, y, vx, vy of the ball, its radius and the middle of the door, all of which stay in px.
    """

    history = 1

    def __init__(self, task: Task, world: World, scene: Scene) -> None:
        self.task, self.world, self.scene = task, world, scene

    def observe(self, frames: Tensor | None, states: Tensor) -> Tensor:
        return torch.cat([states[:, 0], self.scene.radius, self.scene.door[:, None]], 1)  # (B, 6)

    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        z = z_past[:, -1]
        scene = Scene(radius=z[:, 4:5], color=z[:, 4:5, None], door=z[:, 5])  # colours do not move
        ahead = advance(self.task, self.world, z[:, None, :4], scene, a_past[:, -1], 0)
        return torch.cat([ahead[:, 0], z[:, 4:]], 1)

    def compared(self, z: Tensor) -> Tensor:
        return z[..., :2]


class Policy(nn.Module):
    """Goal-conditioned behaviour cloning: history and goal -> action, no world model."""

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.history = cfg.model.history
        self.scale = largest_action(cfg.task, cfg.world)
        self.encoder = make_encoder(cfg)
        self.head = MLP(
            in_dim=(cfg.model.history + 1) * cfg.model.embedding_dim,
            hidden_dim=cfg.model.hidden_dim,
            out_dim=ACTION_DIM,
            normalise=False,
        )

    def observe(self, frames: Tensor, states: Tensor | None = None) -> Tensor:
        return self.encoder(frames)

    def forward(self, z_past: Tensor, z_goal: Tensor) -> Tensor:
        """Actions (B, A) within bounds, of embeddings (B, n, D) and the goal's (B, D)."""
        seen = torch.cat([z_past.flatten(1), z_goal], dim=1)
        return self.scale * torch.tanh(self.head(seen))
