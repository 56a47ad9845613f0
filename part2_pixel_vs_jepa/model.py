"""The predictors: {pixels, pixels by likelihood, embeddings} x {deterministic, latent z}."""

import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

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
        self.in_pixels = method.startswith("pixels")
        self.has_z = method.endswith("_z")
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


class LikelihoodModel(Model):
    """A pixel model that says of each pixel how likely it is white, in place of its mean.

    With K = 1 all pixels are independent given the past; with z it is a mixture of K such frames
    (Bishop 1994, "Mixture density networks"). Frames must be black and white.
    """

    def bits(self, batch: Batch) -> Tensor:
        """-log2 p(x_next | x_t), (B,), where p = sum_z p(z | x_t) prod_i p(pixel_i | z, x_t)."""
        _, z_pred, log_odds = self.predict(batch)
        white = super().decode(z_pred)  # (B, K, C, H, W), log-odds
        x = batch.x_next.unsqueeze(1).expand_as(white)
        log_p = -binary_cross_entropy_with_logits(white, x, reduction="none").sum((2, 3, 4))
        return -(log_odds.log_softmax(1) + log_p).logsumexp(1) / math.log(2)

    def decode(self, z: Tensor) -> Tensor:
        """Embeddings (B, K, D) -> how likely each pixel is white, (B, K, C, H, W)."""
        return super().decode(z).sigmoid()

    def sample(self, batch: Batch, times: int, generator: torch.Generator) -> Tensor:
        """Next frames (B, times, H, W), drawn: z, then each pixel for itself."""
        white, log_odds = self.hypotheses(batch)
        z = torch.multinomial(log_odds.softmax(1), times, True, generator=generator)
        return torch.bernoulli(white.take_along_dim(z[:, :, None, None], 1), generator=generator)


Sampler = LikelihoodModel | TokenModel
Arm = Model | TokenModel


def make_models(cfg: Config) -> dict[str, Arm]:
    """A model of each method; its first weights do not depend on which others are trained."""
    models: dict[str, Arm] = {}
    for method in cfg.methods:
        torch.manual_seed(cfg.seed)
        match method:
            case "tokens":
                models[method] = TokenModel(cfg)
            case "pixels_nll" | "pixels_nll_z":
                models[method] = LikelihoodModel(method, cfg)
            case _:
                models[method] = Model(method, cfg)
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
