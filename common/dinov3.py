"""DINOv3 (Meta, arXiv 2508.10104) through transformers or timm, both imported only when asked for.

DINOv3's licence covers its weights and Meta's code, neither of which is here: the two packages'
own implementations (Apache-2.0) load weights that the user has accepted the licence for. Of the
tokens [CLS, registers, patches] the first 1 + R are not patches (R = 4 in all published sizes).
"""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from common.harness.checkpoints import load_weights
from common.harness.errors import UserError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TIMM_PREFIX = "timm:"
PATCH_SIZE = 16
HUB = "facebook/dinov3-{}-pretrain-lvd1689m"
LICENCE = "https://ai.meta.com/resources/models-and-libraries/dinov3-license/"
ATTENTION = "sdpa"  # torch's own, whatever a checkpoint was trained with
INSTALL = 'pip install -e ".[dinov3]"'
ODD = (ArithmeticError, AttributeError, ImportError, LookupError)  # transformers', of odd folders
ODD += (OSError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class Size:
    """One published model: its name on the hub, in timm, and its numbers."""

    hub: str
    timm: str  # vit_<this>_patch16_dinov3
    dim: int
    depth: int
    num_heads: int
    mlp_dim: int
    is_gated_mlp: bool = False


SIZES = {
    "dinov3_vits16": Size("vits16", "small", 384, 12, 6, 1536),
    "dinov3_vits16plus": Size("vits16plus", "small_plus", 384, 12, 6, 1536, True),
    "dinov3_vitb16": Size("vitb16", "base", 768, 12, 12, 3072),
    "dinov3_vitl16": Size("vitl16", "large", 1024, 24, 16, 4096),
    "dinov3_vith16plus": Size("vith16plus", "huge_plus", 1280, 32, 20, 5120, True),
    "dinov3_vit7b16": Size("vit7b16", "7b", 4096, 40, 32, 8192, True),
}


@dataclass(frozen=True)
class Parts:
    """What a loader found."""

    backbone: nn.Module
    name: str
    patch_size: int
    dim: int


class Backbone(nn.Module):
    """A model of either package: pictures -> (CLS, patch tokens), both after the last norm.

    In float32: transformers leaves a checkpoint of half precision as it is.
    """

    def __init__(self, model: nn.Module, num_prefix: int) -> None:
        super().__init__()
        self.model, self.num_prefix = model.float(), num_prefix  # 1 + R tokens before the patches

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        model: Any = self.model
        if hasattr(model, "forward_features"):  # timm's
            tokens = model.forward_features(x)
        else:
            tokens = model(pixel_values=x).last_hidden_state  # (B, 1 + R + N, D)
        return tokens[:, 0], tokens[:, self.num_prefix :]


def load_dinov3(name: str, path: Path | None, pretrained: bool) -> Parts:
    """DINOv3 through transformers: from the hub, a folder, or a file of weights; or random.

    The name "dinov3" takes whatever size a folder holds. Raises UserError.
    """
    try:
        from transformers import DINOv3ViTConfig, DINOv3ViTModel
    except ImportError as error:
        raise _failure(name, f"transformers cannot be imported ({_line(error)})") from None
    if path is not None and path.is_dir():
        return _from_folder(DINOv3ViTModel, name, path)
    if name == "dinov3":
        wanted = f"a folder written by save_pretrained; from the hub, one of {', '.join(SIZES)}"
        raise UserError(f"dinov3 needs weights: {wanted}")
    size = SIZES[name]
    if pretrained and path is None:
        return _parts(_from_hub(DINOv3ViTModel, name), name)
    config = DINOv3ViTConfig(
        patch_size=PATCH_SIZE, num_register_tokens=4, hidden_size=size.dim,
        num_hidden_layers=size.depth, num_attention_heads=size.num_heads,
        intermediate_size=size.mlp_dim, use_gated_mlp=size.is_gated_mlp,
        hidden_act="silu" if size.is_gated_mlp else "gelu",
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = DINOv3ViTModel(config)
    if path is not None:
        _load_file(model, name, path)
    return _parts(model, name, path, "" if path else " with random weights")


def load_timm(name: str, path: Path | None, pretrained: bool) -> Parts:
    """DINOv3 through timm, not gated; path is a file, Meta's or its own. Raises UserError."""
    asked = f"{TIMM_PREFIX}{name}"
    try:
        import timm  # pyright: ignore[reportMissingImports]
    except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision of another torch
        raise _failure(asked, f"timm cannot be imported ({_line(error)})") from None
    overlay = {} if path is None else {"pretrained_cfg_overlay": {"file": str(path)}}
    known_as = f"vit_{SIZES[name].timm}_patch16_dinov3.lvd1689m"
    kind, source = "" if pretrained else " with random weights", f", {path.name}" if path else ""
    shown = f"{name}{kind} (timm{source})"
    with _reading(asked, path or known_as):
        model = timm.create_model(known_as, pretrained=pretrained, num_classes=0, **overlay)
        backbone = Backbone(model, model.num_prefix_tokens)
        return _tried(Parts(backbone, shown, PATCH_SIZE, SIZES[name].dim))


@contextmanager
def _reading(name: str, place: str | Path) -> Iterator[None]:
    """Turns whatever a place of odd content makes a package raise into the one message."""
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    try:
        yield
    except (*ODD, SafetensorError, StrictDataclassError) as error:
        raise _failure(name, f"{place} cannot be read ({_line(error)})") from None


def _parts(model: Any, name: str, path: Path | None = None, kind: str = "") -> Parts:
    """A model of transformers, tried; raises UserError."""
    shown = f"{name}{kind} (transformers{f', {path.name}' if path else ''})"
    with _reading(name, path or HUB.format(SIZES[name].hub)):
        config = model.config
        backbone = Backbone(model, 1 + config.num_register_tokens)
        return _tried(Parts(backbone, shown, config.patch_size, config.hidden_size))


@torch.no_grad()
def _tried(parts: Parts) -> Parts:
    """The same, once a picture of 2 x 3 patches has shown that it can be used; else ValueError."""
    patch, dim, backbone = parts.patch_size, parts.dim, parts.backbone.eval()
    if not isinstance(patch, int):
        raise ValueError(f"patch_size is {patch}, expected one number of px")
    tokens = backbone(torch.zeros(1, 3, 2 * patch, 3 * patch))[1]
    if tokens.shape != (1, 6, dim):
        raise ValueError(f"6 patches give tokens {tuple(tokens.shape)}")
    if not all(weight.isfinite().all() for weight in backbone.parameters()):
        raise ValueError("it holds weights that are not finite")
    return parts


def _from_hub(model_class: Any, name: str) -> Any:
    """The model of the hub, from the local cache if it is there; one try, no waiting."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

    place, load = HUB.format(SIZES[name].hub), model_class.from_pretrained
    try:
        return load(place, local_files_only=True, attn_implementation=ATTENTION)
    except OSError:
        pass  # not in the cache: ask the hub, once, before a download that would try for minutes
    # what the client of the hub's package raises without network, whichever client that is
    no_answer: Any = (*HfHubHTTPError.__bases__, OSError)
    try:
        HfApi().auth_check(place)
        return load(place, attn_implementation=ATTENTION)
    except GatedRepoError:
        raise _failure(name, f"{place} is gated, and this machine has no access to it") from None
    except HfHubHTTPError as error:
        raise _failure(name, f"the hub refused {place} ({_line(error)})") from None
    except no_answer as error:
        raise _failure(name, f"{place} cannot be reached ({_line(error)})") from None


def _from_folder(model_class: Any, name: str, path: Path) -> Parts:
    """The model that save_pretrained wrote into a folder; of the size asked for, and whole."""
    if not (path / "config.json").is_file():
        raise _failure(name, f"{path} holds no config.json: not a folder of save_pretrained")
    with _reading(name, path):
        model, found = model_class.from_pretrained(
            path, local_files_only=True, output_loading_info=True, attn_implementation=ATTENTION
        )
    if missing := sorted(found["missing_keys"]):
        raise _failure(name, f"{path} is no whole DINOv3: {missing[0]} is missing")
    if name in SIZES:
        size, c = SIZES[name], model.config
        got = f"{c.hidden_size}, {c.num_hidden_layers} and {c.num_attention_heads}"
        wanted = f"{size.dim}, {size.depth} and {size.num_heads}"
        if got != wanted:
            sizes = f"dimensions, layers and heads are {got}, expected {wanted}"
            raise _failure(name, f"{path} holds another size: {sizes}")
    return _parts(model, name, path)


def _load_file(model: nn.Module, name: str, path: Path) -> None:
    """Reads weights that save_pretrained wrote, .safetensors, into a model of their size.

    Names are compared without a leading "model.", which transformers' files lack and some versions
    of its modules have. Raises UserError.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        reason = f"{path} is not a .safetensors file of transformers ({_line(error)})"
        raise _failure(name, reason) from None
    own = {key.removeprefix("model."): key for key in model.state_dict()}
    named = {key.removeprefix("model."): value for key, value in weights.items()}
    try:
        load_weights(model, {own.get(key, key): value for key, value in named.items()}, path)
    except UserError as error:
        raise _failure(name, str(error)) from None


def _failure(name: str, reason: str) -> UserError:
    """The one message: what failed, and every way on."""
    size = name.removeprefix(TIMM_PREFIX)
    hub = HUB.format(SIZES[size].hub) if size in SIZES else HUB.format("vits16")
    return UserError(
        f"{name} was not loaded: {reason}.\n"
        f"  package   {INSTALL} (or: pip install timm torchvision, and name {TIMM_PREFIX}{size})\n"
        f"  licence   {LICENCE}; accept it at https://huggingface.co/{hub}, then: hf auth login\n"
        "  a copy    --weights FOLDER (part 5: --model.frozen_weights=FOLDER), written by "
        "save_pretrained, or its model.safetensors\n"
        f"{name} was not loaded, and nothing else was taken in its place; offline, name ijepa, "
        "vjepa, dino or lejepa of this repository, or ask for random weights of this size"
    )


def _line(error: Exception) -> str:
    """An error's message on one short line."""
    return textwrap.shorten(str(error).rstrip("."), 160, placeholder="...")
