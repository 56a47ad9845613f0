"""The four predictors: {pixels, embeddings} x {deterministic, latent z}; a fifth: tokens.py."""

from pathlib import Path

import torch
from torch import Tensor, nn

from common.encoders import ConvDecoder, ConvEncoder
from common.episodes import Batch
from common.harness.trained import load_trained, run_config
from common.predictors import Predictor
from part2_pixel_vs_jepa.config import BASELINE, Config, Method
from part2_pixel_vs_jepa.tokens import TokenModel

CHANNELS = (64, 128)  # of encoder and decoder, at width 1


class Model(nn.Module):
    """What one method trains: encoder, predictor and decoder.

    Of a pixel method the decoder is part of the prediction; of a jepa method it is a readout,
    trained on embeddings of real frames alone, and nothing else learns from it.
    """

    def __init__(self, method: Method, cfg: Config) -> None:
        super().__init__()
        self.method: Method = method
        self.in_pixels = method in ("pixels", "pixels_z")
        self.has_z = method in ("pixels_z", "jepa_z")
        self.sees_action = cfg.give_action
        width = cfg.model.width
        channels = (round(CHANNELS[0] * width), round(CHANNELS[1] * width))
        hidden = cfg.model.pixels_hidden if self.in_pixels else cfg.model.jepa_hidden
        dim, size = cfg.model.embedding_dim, cfg.world.size
        self.encoder = ConvEncoder(in_channels=1, channels=channels, size=size, embedding_dim=dim)
        self.predictor = Predictor(
            embedding_dim=dim,
            history_length=cfg.history_length,
            action_dim=2 if cfg.give_action else 0,
            num_hypotheses=cfg.num_hypotheses if self.has_z else 1,
            hidden_dim=round(hidden * width),
        )
        self.decoder = ConvDecoder(out_channels=1, channels=channels, size=size, embedding_dim=dim)

    def encode(self, x: Tensor) -> Tensor:
        """Frames (B, n, C, H, W) -> embeddings (B, n, D)."""
        return self.encoder(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def decode(self, z: Tensor) -> Tensor:
        """Embeddings (B, K, D) -> frames (B, K, C, H, W)."""
        return self.decoder(z.flatten(0, 1)).unflatten(0, z.shape[:2])

    def predict(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """z_past (B, n, D), z_pred (B, K, D) and the hypotheses' log-odds (B, K)."""
        z_past = self.encode(batch.x_past)
        z_pred, log_odds = self.predictor(z_past, batch.a_t if self.sees_action else None)
        return z_past, z_pred, log_odds

    def hypotheses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The predicted frames (B, K, H, W) and their log-odds (B, K)."""
        _, z_pred, log_odds = self.predict(batch)
        return self.decode(z_pred)[:, :, 0], log_odds

    def num_parameters(self) -> int:
        """How many parameters the method's own loss updates: a readout is not among them."""
        own = [self.encoder, self.predictor, *([self.decoder] if self.in_pixels else [])]
        return sum(p.numel() for module in own for p in module.parameters())


Arm = Model | TokenModel


def make_models(cfg: Config) -> dict[str, Arm]:
    """A model of each method; its first weights do not depend on which others are trained."""
    models: dict[str, Arm] = {}
    for method in cfg.methods:
        torch.manual_seed(cfg.seed)
        models[method] = TokenModel(cfg) if method == "tokens" else Model(method, cfg)
    return models


def load_run(run_dir: Path) -> tuple[Config, dict[str, Arm]]:
    """The config and the trained models of a run, or of published weights; raises UserError.

    Sets the run's number of threads.
    """
    train = "python part2_pixel_vs_jepa/train.py"
    cfg = run_config(run_dir, Config, BASELINE, train)
    models = make_models(cfg)
    load_trained(run_dir, {f"models.{name}": m for name, m in models.items()}, models, train)
    return cfg, models
