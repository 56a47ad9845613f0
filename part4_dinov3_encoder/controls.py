"""The losses of two controls: masked pixels in place of a teacher's tokens; and labels."""

from torch import Tensor
from torch.nn import functional as F

from common.distributed import all_reduce_sum, world_size
from common.losses import squared_error
from part4_dinov3_encoder.config import Config
from part4_dinov3_encoder.data.batches import Batch, Labelled, Windows
from part4_dinov3_encoder.model import Model, wanted_of


def pixels_loss(model: Model, batch: Batch, cfg: Config) -> tuple[Tensor, dict[str, Tensor]]:
    """|| P(E(x_seen)) - LN(x)_block ||^2: ijepa with pixels for targets, and so no teacher.

    The control that masked autoencoders are (MAE, arXiv 2111.06377), at I-JEPA's masks.
    """
    assert isinstance(batch, Windows)
    (mask,) = batch.masks
    _, _, predicted = model.predict(batch, mask)
    target = wanted_of(model.targets(batch.x), mask)
    error = squared_error(predicted.flatten(0, 1), target.flatten(0, 1))
    return error, {"prediction": error}


def supervised_loss(model: Model, batch: Batch, cfg: Config) -> tuple[Tensor, dict[str, Tensor]]:
    """|| W E(x) - place ||^2 + H(cover, w E(x)_patch): the upper bound, which is given labels.

    The place of the larger ball, where it is in the window, from all tokens side by side; the share
    of each patch that a ball covers from that patch's token.
    """
    assert isinstance(batch, Labelled)
    tokens = model.encoder(batch.x)
    is_inside = (batch.place.abs() < 1).all(1)
    error = (model.place_head(tokens.flatten(1)) - batch.place).square().mean(1)
    num_inside = all_reduce_sum(is_inside.float().sum()).clamp(min=1)
    place = world_size() * (error * is_inside).sum() / num_inside  # averaged over ranks
    logits = model.cover_head(tokens).squeeze(-1)
    cover = F.binary_cross_entropy_with_logits(logits, batch.cover)
    return place + cover, {"place": place, "cover": cover}
