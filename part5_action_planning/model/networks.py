"""The networks that world models and policies are made of, as a config sizes them."""

from torch import Tensor, nn

from common.encoders import ConvDecoder, ConvEncoder
from common.predictors import Predictor
from part5_action_planning.config import Config
from part5_action_planning.model.attention import CausalPredictor, VitEncoder
from part5_action_planning.tasks.rules import largest_action

ACTION_DIM = 2


def make_encoder(cfg: Config) -> nn.Module:
    """A trainable encoder of one frame, (B, C, H, W) -> (B, D)."""
    if cfg.model.encoder == "vit":
        return VitEncoder(
            in_channels=cfg.world.channels, size=cfg.world.size,
            embedding_dim=cfg.model.embedding_dim,
        )  # fmt: skip
    return ConvEncoder(
        in_channels=cfg.world.channels,
        channels=_channels(cfg),
        size=cfg.world.size,
        embedding_dim=cfg.model.embedding_dim,
    )


def make_decoder(cfg: Config) -> nn.Module:
    """Its mirror image, (B, D) -> (B, C, H, W)."""
    return ConvDecoder(
        out_channels=cfg.world.channels,
        channels=_channels(cfg),
        size=cfg.world.size,
        embedding_dim=cfg.model.embedding_dim,
    )


def _channels(cfg: Config) -> tuple[int, int]:
    return max(1, round(32 * cfg.model.width)), max(1, round(64 * cfg.model.width))


class ActionPredictor(nn.Module):
    """z_next from n embeddings and the n actions that leave them; actions are scaled to +-1."""

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        sizes = {"embedding_dim": cfg.model.embedding_dim, "hidden_dim": cfg.model.hidden_dim}
        self.scale = largest_action(cfg.task, cfg.world)
        if cfg.model.predictor == "adaln":
            self.network: nn.Module = CausalPredictor(
                history=cfg.model.history, action_dim=ACTION_DIM, **sizes
            )
        else:
            self.network = Predictor(
                num_past=cfg.model.history,
                action_dim=ACTION_DIM * cfg.model.history,
                num_hypotheses=1,
                **sizes,
            )

    def forward(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        actions = a_past / self.scale
        if isinstance(self.network, Predictor):
            z_pred, _ = self.network(z_past, actions.flatten(1))
            return z_pred[:, 0]
        return self.network(z_past, actions)
