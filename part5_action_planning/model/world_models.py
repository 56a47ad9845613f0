"""World models behind one interface (``jepa.WorldModel``), all that planners, agents, scores know:

    encode(frames, states) -> z           what the model makes of the present, (B, ...) -> (B, D)
    step(z_past, a_past) -> z_next        (B, n, D), (B, n, A) -> (B, D): a_past[i] is the action
                                          that leaves z_past[i], or the k of a frame skip
    goal_features(z) -> features          what a distance to the goal is measured on
    decode(z) -> frames                   of those that can show what they predict

The true dynamics are one of them, so a planner cannot tell an oracle from what was learnt.

To add one: its name in ``Config.method`` and ``WORLD_MODELS`` of ``config.py`` (a model of tokens
also in ``config_checks.check_model``), a line of ``make_model`` (and, if none here will do, a class
with this interface), its loss beside the others in ``train.py``, and a YAML file.
"""

from typing import TYPE_CHECKING, Any, Self, assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.simulator import Scene
from common.world import World
from part5_action_planning.config import ACTION_DIM, Config, Task
from part5_action_planning.model.encoders import make_decoder
from part5_action_planning.model.jepa import ActionPredictor, LatentModel, Seeing
from part5_action_planning.tasks.rules import advance, largest_action

if TYPE_CHECKING:
    from common.frozen import FrozenEncoder
    from part5_action_planning.model.policies import AnyPolicy
    from part5_action_planning.model.words import WordModel


class PixelModel(Seeing):
    """A world model whose state is the frame itself: encoder, predictor, decoder, and again."""

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.shape = (cfg.world.channels, cfg.world.size, cfg.world.size)
        self.predictor = ActionPredictor(cfg)
        self.decoder = make_decoder(cfg)

    def encode(self, frames: Tensor, states: Tensor | None = None) -> Tensor:
        return frames.flatten(1)

    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        frames = z_past.unflatten(2, self.shape)
        embedded = self.encoder(frames.flatten(0, 1)).unflatten(0, z_past.shape[:2])
        return self.decoder(self.predictor(embedded, a_past)).flatten(1)

    def decode(self, z: Tensor) -> Tensor:
        return z.unflatten(1, self.shape)


class TokenModel(nn.Module):
    """DINO-WM's and V-JEPA 2-AC's kind: the state is a frozen encoder's patch tokens.

    frozen (``common.frozen.FrozenEncoder``) is not trained and no part of the weights. mean (N, D)
    and spread of the tokens that it gives to recorded frames are: see ``standardise``. What V-JEPA
    2-AC's transformer predicts is layer-normed, as the states are that it is compared with.
    """

    def __init__(self, cfg: Config, frozen: "FrozenEncoder") -> None:
        from part5_action_planning.model.token_predictors import (  # needed by no other model
            BlockCausalPredictor,
            TokenMLP,
        )

        super().__init__()
        self.history_length, self.frame_skip = cfg.model.span, cfg.model.frame_skip
        self.frozen = frozen
        grid = rows, columns = frozen.grid(cfg.world.size, cfg.world.size)
        self.tokens = (rows * columns, frozen.dim)
        self.scale = largest_action(cfg.task, cfg.world)
        sizes = {
            "token_dim": frozen.dim, "action_dim": cfg.model.frame_skip * ACTION_DIM,
            "history_length": cfg.model.history_length, "hidden_dim": cfg.model.hidden_dim,
        }  # fmt: skip
        match cfg.model.predictor:
            case "mlp":
                self.predictor = TokenMLP(num_tokens=rows * columns, **sizes)
            case "block_causal":
                token = cfg.method == "vjepa2_ac"
                self.predictor = BlockCausalPredictor(
                    grid=grid, depth=cfg.model.depth, action_token=token, **sizes
                )
            case "adaln":
                raise ValueError("model.predictor adaln is for embeddings of whole frames")
            case _:
                assert_never(cfg.model.predictor)
        self.is_causal = cfg.model.predictor == "block_causal"
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", torch.zeros(self.tokens))
        self.register_buffer("spread", torch.ones(()))

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        """Moves the frozen encoder with the model."""
        self.frozen.backbone._apply(fn)
        return super()._apply(fn, recurse)

    def standardise(self, tokens: Tensor) -> None:
        """Sets mean and spread from tokens (n, N, D), so that a state's variance is 1.

        What all frames share, most of a token where one small ball moves, says nothing about them.
        """
        normed = F.layer_norm(tokens, tokens.shape[-1:])
        self.mean.copy_(normed.mean(0))
        self.spread.copy_((normed - self.mean).square().mean().sqrt())

    def state(self, tokens: Tensor) -> Tensor:
        """Patch tokens (..., N, D) -> the state (..., N D): layer normalised, as in V-JEPA 2, and
        standardised."""
        normed = F.layer_norm(tokens, tokens.shape[-1:])
        return ((normed - self.mean) / self.spread).flatten(-2)

    def encode(self, frames: Tensor, states: Tensor | None = None) -> Tensor:
        return self.state(self.frozen.encode(frames))

    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        if self.is_causal:
            return self.forced(z_past, a_past)[:, -1]
        tokens = z_past.unflatten(2, self.tokens)  # (B, n, N, D)
        return self.predictor(tokens, a_past / self.scale).flatten(1)

    def forced(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        """What follows each of n states: (B, n, N D)."""
        predicted = self.predictor(z_past.unflatten(2, self.tokens), a_past / self.scale)
        if self.predictor.action is None:  # DINO-WM
            return predicted.flatten(2)
        return self.state(self.mean + self.spread * predicted)

    def goal_features(self, z: Tensor) -> Tensor:
        return z


class Oracle:
    """The true dynamics: its state is the simulator's, and it compares positions in px.

    z is x, y, vx, vy of the ball, its radius and the middle of the door, all of which stay in px.
    """

    history_length = frame_skip = 1

    def __init__(self, task: Task, world: World, scene: Scene) -> None:
        self.task, self.world, self.scene = task, world, scene

    def encode(self, frames: Tensor | None, states: Tensor) -> Tensor:
        return torch.cat([states[:, 0], self.scene.radius, self.scene.door[:, None]], 1)  # (B, 6)

    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        z = z_past[:, -1]
        scene = Scene(radius=z[:, 4:5], color=z[:, 4:5, None], door=z[:, 5])  # colours do not move
        ahead = advance(self.task, self.world, z[:, None, :4], scene, a_past[:, -1], 0)
        return torch.cat([ahead[:, 0], z[:, 4:]], 1)

    def goal_features(self, z: Tensor) -> Tensor:
        return z[..., :2]


if TYPE_CHECKING:
    Model = LatentModel | PixelModel | TokenModel | WordModel | AnyPolicy
else:
    Model = nn.Module  # those that not every run needs are imported where they are made


def make_model(cfg: Config) -> Model:
    """The untrained model of a config; its weights come from the seed."""
    torch.manual_seed(cfg.seed)
    match cfg.method:
        case "lewm" | "pldm":
            return LatentModel(cfg)
        case "dino_wm" | "vjepa2_ac":
            from common.frozen import load_frozen  # needed by no other method

            frozen = load_frozen(cfg.model.frozen_encoder, cfg.model.frozen_weights or None)
            return TokenModel(cfg, frozen.averaged(cfg.model.token_grid))
        case "pixel":
            return PixelModel(cfg)
        case "words":
            from part5_action_planning.model.words import WordModel

            return WordModel(cfg)
        case "cloning" | "cloning_gpt":
            from part5_action_planning.model.policies import Policy, SequencePolicy

            return Policy(cfg) if cfg.method == "cloning" else SequencePolicy(cfg)
        case "oracle":
            raise ValueError("method oracle has no weights: nothing is trained")
        case _:
            assert_never(cfg.method)
