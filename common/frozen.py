"""Frozen encoders behind one interface: pictures in [0, 1] -> patch tokens.

    encoder = load_frozen("dino")                                 this repository's, offline
    encoder = load_frozen("dinov3_vits16")                        DINOv3, through transformers
    encoder = load_frozen("dinov3_vits16", weights="a/folder")    written by save_pretrained
    encoder = load_frozen("timm:dinov3_vits16")                   DINOv3, through timm
    encoder = load_frozen("dinov3_vits16", pretrained=False)      of that size, random weights
    tokens = encoder.encode(frames)                               (B, C, H, W) -> (B, N, D)

What was asked for, by name, or one message that says why not: never another encoder. DINOv3
(``common/dinov3.py``) is Meta's; neither its code nor its weights are in this repository.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.dinov3 import IMAGENET_MEAN, IMAGENET_STD, SIZES, TIMM_PREFIX, load_dinov3, load_timm
from common.encoders import ConvEncoder
from common.harness.checkpoints import load_checkpoint, load_weights, save_checkpoint
from common.harness.errors import UserError, nearest
from common.vit import ViT

METHODS = ("ijepa", "vjepa", "dino", "lejepa")
CONTROLS = ("pixels", "supervised")  # part 4 trains them too; none ships
UNTRAINED = "vit_random"
DEFAULT = "lejepa"  # whose probes are best
WEIGHTS = Path(__file__).resolve().parent / "weights"  # published: encoders that ship
CONV_JEPA = "conv_jepa.pt"  # in WEIGHTS: a convolutional encoder, which has no patch tokens
VIT_SIZES = {
    "channels": 3, "patch_size": 8, "tubelet": 1, "dim": 96, "depth": 4, "num_heads": 3
}  # fmt: skip
MOST = 4096  # of any of these sizes
NAMES = (*METHODS, UNTRAINED, *SIZES, "dinov3", *(f"{TIMM_PREFIX}{name}" for name in SIZES))


@dataclass(frozen=True)
class FrozenEncoder:
    """An encoder that is used and not trained: evaluation mode, float32, no gradients.

    backbone: preprocessed pictures (B, 3, h, w) -> (cls (B, D), patch tokens (B, N, D)), normed.
    patch_size: of a resized picture (px). dim: D. resolution: the shorter side that pictures are
    resized to (px), None for their own; height and width are then rounded to multiples of the
    patch, never cropped. mean, std: per channel, for the backbone. token_grid: patch tokens are
    averaged to so many rows and columns; None keeps each.
    """

    backbone: nn.Module
    name: str
    is_pretrained: bool
    patch_size: int
    dim: int
    resolution: int | None = None
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    token_grid: int | None = None

    def __post_init__(self) -> None:
        if self.resolution is not None and self.resolution < self.patch_size:
            less = f"a resolution of {self.resolution} px is less than one patch"
            raise UserError(f"{self.name}: {less}: use {self.patch_size} or more")
        self.backbone.eval().requires_grad_(False)

    def encode(self, frames: Tensor) -> Tensor:
        """Frames (B, C, H, W) in [0, 1], C 1 or 3 -> patch tokens (B, N, D), row by row.

        Normed by the encoder's last layer; no CLS token, no registers. Raises ValueError for
        frames of another form.
        """
        return self.encode_all(frames)[1]

    @torch.no_grad()
    def encode_all(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """As encode, with the CLS token (B, D) first; the mean patch where there is none."""
        cls, patches = self.backbone(self.preprocess(frames.to(self.device)))
        if self.token_grid is not None:
            rows, columns = self.grid(*frames.shape[2:])
            patches = patches.unflatten(1, self._patches(*frames.shape[2:])).movedim(-1, 1)
            patches = F.adaptive_avg_pool2d(patches, (rows, columns)).flatten(2).mT
        return cls.to(frames.device), patches.to(frames.device)

    def averaged(self, token_grid: int) -> "FrozenEncoder":
        """This encoder, its patch tokens averaged to token_grid rows and columns."""
        return replace(self, token_grid=token_grid)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of tokens of a frame of height x width px.

        Raises UserError for a token_grid finer than its patches.
        """
        rows, columns = self._patches(height, width)
        if self.token_grid is None:
            return rows, columns
        if self.token_grid > (most := min(rows, columns)):
            patches = f"{rows} x {columns} patches of a frame of {height} x {width} px"
            wanted = f"a token grid must be at most {most}, got {self.token_grid}"
            raise UserError(f"{self.name} has {patches}: {wanted}")
        return self.token_grid, self.token_grid

    def _patches(self, height: int, width: int) -> tuple[int, int]:
        scale = 1.0 if self.resolution is None else self.resolution / min(height, width)
        rows, columns = (max(1, round(side * scale / self.patch_size)) for side in (height, width))
        return rows, columns

    def preprocess(self, frames: Tensor) -> Tensor:
        """Frames (B, C, H, W) -> (B, 3, rows P, columns P): bicubic, antialiased, normalised."""
        if frames.ndim != 4 or frames.shape[1] not in (1, 3) or not frames.is_floating_point():
            got = f"frames {tuple(frames.shape)} of {frames.dtype}"
            raise ValueError(f"got {got}; wanted (B, C, H, W) in [0, 1], C 1 or 3, in float32")
        size = [side * self.patch_size for side in self._patches(*frames.shape[2:])]
        frames = frames.float()
        if list(frames.shape[2:]) != size:
            frames = F.interpolate(frames, size, mode="bicubic", antialias=True).clamp(0, 1)
        mean, std = (frames.new_tensor(v)[:, None, None] for v in (self.mean, self.std))
        return (frames.expand(-1, 3, -1, -1) - mean) / std

    @property
    def device(self) -> torch.device:
        """Where it computes; frames may be elsewhere, and tokens are where the frames are."""
        return next((p.device for p in self.backbone.parameters()), torch.device("cpu"))

    def to(self, device: torch.device | str) -> "FrozenEncoder":
        """This encoder, moved to a device."""
        self.backbone.to(device)
        return self

    def fingerprint(self) -> str:
        """A hash of weights and preprocessing: equal tokens for equal frames, on one machine."""
        setting = [self.name, self.patch_size, self.resolution, self.mean, self.std]
        digest = hashlib.sha256(repr([*setting, self.token_grid]).encode())
        for name, value in self.backbone.state_dict().items():
            digest.update(name.encode())
            digest.update(value.detach().cpu().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()[:16]


class OwnBackbone(nn.Module):
    """This repository's ViT as a frozen encoder's backbone; cls is the mean patch token."""

    def __init__(self, vit: ViT) -> None:
        super().__init__()
        self.vit = vit

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.vit(x)
        return tokens.mean(1), tokens


def load_frozen(
    name: str = DEFAULT, weights: str | Path | None = None, *, resolution: int | None = None,
    pretrained: bool = True,
) -> FrozenEncoder:  # fmt: skip
    """The encoder of that name, one of NAMES.

    weights: read in place of the default: of a method (CONTROLS have none) a run's encoder.pt;
    of DINOv3 a folder written by save_pretrained (any size named "dinov3"), or a weights file.
    resolution: see FrozenEncoder; by default 224 for DINOv3, a picture's own size for others.
    pretrained=False: random weights, said in ``name``. Raises UserError, which says what would do.
    """
    path = None if weights is None else Path(weights).expanduser()
    if not pretrained and path is not None:
        raise UserError(f"{path}: weights were given and pretrained is false: leave one of them")
    if path is not None and not path.exists():
        raise UserError(f"{path}: no such file or folder; expected the weights of {name}")
    if name in SIZES or name == "dinov3":
        parts = load_dinov3(name, path, pretrained)
    elif name.startswith(TIMM_PREFIX) and name.removeprefix(TIMM_PREFIX) in SIZES:
        parts = load_timm(name.removeprefix(TIMM_PREFIX), path, pretrained)
    elif name == UNTRAINED or (name in METHODS and not pretrained):
        if path is not None:
            raise UserError(f"{UNTRAINED} has no weights to read: leave {path}, or name a method")
        return untrained_vit(resolution=resolution)
    elif name in METHODS + CONTROLS and (path is not None or name in METHODS):
        return _load_own(name, path or WEIGHTS / f"{name}.pt", resolution)
    else:
        raise UserError(f"unknown encoder {name!r}{nearest(name, NAMES)}; use {', '.join(NAMES)}")
    return FrozenEncoder(
        parts.backbone, parts.name, pretrained, parts.patch_size, parts.dim,
        resolution=224 if resolution is None else resolution, mean=IMAGENET_MEAN, std=IMAGENET_STD,
    )  # fmt: skip


def untrained_vit(
    sizes: Mapping[str, int] = VIT_SIZES, *, seed: int = 0, resolution: int | None = None
) -> FrozenEncoder:
    """The methods' ViT before any training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vit = ViT(**sizes)
    return freeze_vit(vit, "untrained ViT (this repository)", False, resolution)


def freeze_vit(
    vit: ViT, name: str, is_pretrained: bool, resolution: int | None = None
) -> FrozenEncoder:
    """A ViT of this repository behind the interface; the same weights, not a copy."""
    backbone = OwnBackbone(vit)
    return FrozenEncoder(backbone, name, is_pretrained, vit.patch_size, vit.dim, resolution)


def save_vit(path: Path, vit: ViT, method: str, sizes: Mapping[str, int]) -> None:
    """Writes a trained ViT, in half precision, as load_frozen reads it."""
    weights = {name: value.to(torch.float16) for name, value in vit.state_dict().items()}
    save_checkpoint(path, {"method": method, "sizes": dict(sizes), "weights": weights})


def load_conv_jepa() -> ConvEncoder:
    """The shipped JEPA of one ball: grey frames (B, 1, 64, 64) in [0, 1] -> embeddings (B, D).

    Sizes are read from the weights, which are made float32; for use, not for training.
    """
    path = WEIGHTS / CONV_JEPA
    weights = load_checkpoint(path, f"git checkout common/weights/{CONV_JEPA}")
    first, second, dim = (len(weights[f"{name}.bias"]) for name in ("patch", "merge", "head"))
    encoder = ConvEncoder(in_channels=1, channels=(first, second), size=64, embedding_dim=dim)
    load_weights(encoder, weights, path)
    return encoder.eval().requires_grad_(False)


def _load_own(name: str, path: Path, resolution: int | None) -> FrozenEncoder:
    made_by = f"train.py --method={name}, which writes encoder.pt"
    path = path / "encoder.pt" if path.is_dir() else path
    saved: dict[str, Any] = load_checkpoint(path, made_by)
    if saved.keys() != {"method", "sizes", "weights"}:
        raise UserError(f"{path}: not an encoder of this repository; make one with: {made_by}")
    if saved["method"] != name:
        raise UserError(f"{path} was trained by {saved['method']}: ask for that, or name another")
    _check_sizes(saved["sizes"], saved["weights"], path)
    vit = ViT(**saved["sizes"])
    load_weights(vit, saved["weights"], path)
    return freeze_vit(vit, f"{name} ViT (this repository)", True, resolution)


def _check_sizes(sizes: Any, weights: Any, path: Path) -> None:
    """Raises UserError, before anything is built, for sizes that no ViT has or its weights deny."""
    named = weights if isinstance(weights, dict) else {}
    blocks = {str(name).split(".")[1] for name in named if str(name).startswith("blocks.")}
    dim = getattr(named.get("norm.weight"), "nelement", int)()  # 0 where it is absent
    named_so = isinstance(sizes, dict) and sizes.keys() == VIT_SIZES.keys()
    if not named_so or not all(type(n) is int and 0 < n <= MOST for n in sizes.values()):
        raise UserError(f"{path}: its sizes are {str(sizes)[:150]}, expected numbers up to {MOST}")
    if (sizes["depth"], sizes["dim"]) != (len(blocks), dim) or dim % 4 or dim % sizes["num_heads"]:
        fit = f"its weights ask for depth {len(blocks)}, dim {dim} and num_heads that divide dim"
        raise UserError(f"{path}: its sizes are {sizes}, {fit}")
