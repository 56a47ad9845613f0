"""One HTML file that needs no network and no server: a photograph and what is alike in it.

The template is page.html, beside this file and in an installed copy: {{TITLE}}, {{PHOTO}},
{{ALT}}, {{ASPECT}} and {{DATA}} are filled in, all of them escaped.
"""

import base64
import html
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from part4_dinov3_encoder.demo import similarity

SHOWN_SIDE = 1200  # of the photograph in the page (px, longer side)
SHOWN_BYTES = 330_000  # of the photograph's JPEG
COLOR_MAP = "magma"


@dataclass(frozen=True)
class View:
    """What one encoder made of a photograph: frames (1, 3, H, W), encoded to tokens (N, D)."""

    encoder_name: str
    is_pretrained: bool
    patch_size: int
    grid: tuple[int, int]
    frames: Tensor
    tokens: Tensor


def render(photo: Image.Image, file_name: str, views: Sequence[View]) -> str:
    """The page, as text; nothing in it can leave the file."""
    template = resources.files("part4_dinov3_encoder.demo") / "page.html"
    palette = matplotlib.colormaps[COLOR_MAP](np.arange(256), bytes=True)[:, :3]
    data = {
        "photo": file_name,
        "palette": similarity.encode(palette),
        "views": [payload(view) for view in views],
    }
    parts = {
        "TITLE": html.escape(" · ".join([file_name, *(view.encoder_name for view in views)])),
        "ALT": html.escape(f"The photograph {file_name}", quote=True),
        "PHOTO": "data:image/jpeg;base64," + base64.b64encode(to_jpeg(photo)).decode(),
        "ASPECT": f"{photo.width} / {photo.height}",
        "DATA": json.dumps(data).replace("<", "\\u003c"),
    }
    text = template.read_text(encoding="utf-8")
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda found: parts[found[1]], text)


def payload(view: View) -> dict[str, object]:
    """What the page's script reads of a view: names, sizes, and arrays as base64."""
    tokens = view.tokens
    mask = similarity.foreground(tokens, view.grid)
    inside = similarity.pca_colors(tokens, mask)
    colors = similarity.to_bytes(similarity.mean_colors(view.frames, view.grid))
    return {
        "encoder": view.encoder_name,
        "pretrained": view.is_pretrained,
        "rows": view.grid[0],
        "columns": view.grid[1],
        "patch": view.patch_size,
        "width": view.frames.shape[-1],
        "height": view.frames.shape[-2],
        "raw": similarity.pack(similarity.cosines(tokens)),
        "centred": similarity.pack(similarity.cosines(tokens, centred=True)),
        "colors": similarity.encode(colors),
        "spread": similarity.color_spread(torch.from_numpy(colors) / 255),
        "pca": similarity.encode(similarity.to_bytes(similarity.pca_colors(tokens))),
        "pcaForeground": similarity.encode(similarity.to_bytes(inside)),
        "foreground": similarity.encode(mask.numpy().astype(np.uint8)),
    }


def to_jpeg(photo: Image.Image) -> bytes:
    """The photograph as a JPEG of at most SHOWN_SIDE px and about SHOWN_BYTES bytes."""
    shown = photo.copy()
    shown.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.LANCZOS)
    while True:
        for quality in (88, 78, 66):
            buffer = io.BytesIO()
            shown.save(buffer, "JPEG", quality=quality, optimize=True)
            if buffer.tell() <= SHOWN_BYTES:
                return buffer.getvalue()
        shown = shown.resize((max(1, shown.width * 3 // 4), max(1, shown.height * 3 // 4)))
