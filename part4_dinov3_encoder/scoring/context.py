"""Whether a masked method's task asks for the context: its error beside that of place alone."""

from dataclasses import replace

import torch

from common.harness.machine import to_device
from part4_dinov3_encoder.config import Config, Stream, generator
from part4_dinov3_encoder.data.batches import Windows
from part4_dinov3_encoder.data.views import draw_windows, make_pool
from part4_dinov3_encoder.model import Model, wanted_of

WINDOWS = 256  # of clips that no method was trained on


def test_windows(cfg: Config, device: torch.device) -> Windows:
    """Windows and masks as in training, of clips of their own: the same on every device."""
    data = replace(cfg.data, num_ball_clips=WINDOWS, num_photo_clips=WINDOWS)
    cfg, draw = replace(cfg, data=data, batch_size=WINDOWS), generator(cfg, Stream.TEST_DATA)
    drawn = draw_windows(cfg, make_pool(cfg, draw), draw)
    masks = [to_device(mask, device) for mask in drawn.masks]
    return replace(drawn, x=drawn.x.to(device), masks=masks)


@torch.no_grad()
def context_scores(model: Model, batch: Windows) -> dict[str, float]:
    """context_explains: 1 - error / error of the best prediction that is given the place alone.

    By the method's own measure, squares or (V-JEPA) absolute differences; the best prediction from
    the place is then the targets' mean or median there. At 0, a task that needs no context.
    """
    target = model.targets(batch.x)
    is_absolute = model.method == "vjepa"
    middle = target.median(0).values if is_absolute else target.mean(0)
    power, error, of_place = 1 if is_absolute else 2, 0.0, 0.0
    for mask in batch.masks:
        wanted = wanted_of(target, mask)
        predicted = model.predict(batch, mask)[2]
        error += (predicted - wanted).abs().pow(power).mean().item()
        place = wanted_of(middle.expand_as(target), mask)
        of_place += (place - wanted).abs().pow(power).mean().item()
    return {"context_explains": 1 - error / of_place}
