"""Photographs that come inside an installed package, and clips of a window that drifts over them.

scikit-image's wheel holds those trained on, ``TRAINED``; matplotlib's holds grace_hopper.jpg.
``HELD_OUT`` are shown on pages and figures, and no method has seen them.
"""

import importlib.util
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from common.distributed import exact
from common.harness.errors import UserError

TRAINED = (
    "astronaut.png", "brick.png", "camera.png", "coffee.png", "coins.png", "grass.png",
    "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png",
    "rocket.jpg",
)  # fmt: skip
HELD_OUT = ("chelsea.png", "grace_hopper.jpg")
ZOOMS = (1.0, 0.5, 0.25)  # each photograph is trained on at these sizes, where a clip fits
DRIFT = 3  # largest movement of the window (px per frame)


def photo_path(name: str) -> Path:
    """The file of a photograph of TRAINED or HELD_OUT; raises UserError where it is not there."""
    if name == "grace_hopper.jpg":
        return Path(matplotlib.get_data_path()) / "sample_data" / name
    found = importlib.util.find_spec("skimage")
    path = Path(found.origin).parent / "data" / name if found and found.origin else None
    if path is None or not path.exists():
        raise UserError(
            f'{name} comes with scikit-image, which is not installed: pip install -e ".[photos]", '
            "or train on balls alone with --data.photo_share=0"
        )
    return path


def load_photo(name: str) -> Tensor:
    """A photograph as (3, H, W) in uint8."""
    with Image.open(photo_path(name)) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()


def photo_clips(num_clips: int, length: int, size: int, generator: torch.Generator) -> Tensor:
    """Clips (E, T, 3, size, size) in uint8 of a window that drifts over a photograph.

    Photograph, zoom, place and drift (up to DRIFT px a frame on either axis) are uniform. Raises
    ValueError when no photograph is large enough.
    """
    reach = DRIFT * (length - 1)
    pictures = []
    for name in TRAINED:
        photo = load_photo(name)
        for zoom in ZOOMS:
            height, width = (round(side * zoom) for side in photo.shape[1:])
            if min(height, width) >= size + 2 * reach:
                pictures.append(_resize(photo, height, width))
    if not pictures:
        raise ValueError(
            f"no photograph is large enough for clips of {length} frames of {size} px: use a "
            "smaller data.canvas or data.clip_length, or data.photo_share 0"
        )
    clips = torch.empty(num_clips, length, 3, size, size, dtype=torch.uint8)
    draw = {"generator": generator, "device": generator.device}
    which = torch.randint(len(pictures), (num_clips,), **draw).cpu()
    drift = torch.randint(-DRIFT, DRIFT + 1, (num_clips, 1, 2), **draw).cpu()
    place = exact(torch.rand(num_clips, 1, 2, **draw))
    for i, picture in enumerate(pictures):
        mine = which == i
        room = torch.tensor(picture.shape[1:]) - size - 2 * reach
        first = reach + (place[mine] * (room + 1)).long()  # (n, 1, 2), y and x
        y, x = (first + torch.arange(length)[:, None] * drift[mine]).unbind(-1)  # (n, T)
        windows = picture.unfold(1, size, 1).unfold(2, size, 1)  # views into the picture
        clips[mine] = windows[:, y, x].movedim(0, 2)
    return clips.to(generator.device)


def _resize(photo: Tensor, height: int, width: int) -> Tensor:
    if photo.shape[1:] == (height, width):
        return photo
    small = torch.nn.functional.interpolate(
        photo[None].float(), (height, width), mode="bicubic", antialias=True
    )
    return small[0].round().clamp(0, 255).to(torch.uint8)
