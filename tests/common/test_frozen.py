"""Frozen encoders: what was asked for or one clear message, tokens in order, frozen for good."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from common.dinov3 import IMAGENET_MEAN, IMAGENET_STD, SIZES
from common.frozen import (
    METHODS,
    NAMES,
    VIT_SIZES,
    WEIGHTS,
    FrozenEncoder,
    freeze_vit,
    load_conv_jepa,
    load_frozen,
    save_vit,
    untrained_vit,
)
from common.harness.errors import UserError
from common.vit import ViT

SMALL = {"channels": 3, "patch_size": 8, "tubelet": 1, "dim": 8, "depth": 1, "num_heads": 2}


@pytest.fixture(scope="module")
def tiny_dinov3(tmp_path_factory) -> Path:
    """A folder of save_pretrained with a tiny random DINOv3."""
    return save_tiny(tmp_path_factory.mktemp("tiny"))


def save_tiny(folder: Path, **changes: object) -> Path:
    """Writes a tiny random DINOv3, with other sizes where asked, by save_pretrained."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 64, "num_register_tokens": 4,
    }  # fmt: skip
    config = transformers.DINOv3ViTConfig(**(sizes | changes))
    transformers.DINOv3ViTModel(config).save_pretrained(folder)
    return folder


class Recorder(torch.nn.Module):
    """A backbone that keeps what it was given."""

    def forward(self, x):
        self.seen = x
        return x.mean((2, 3)), x.flatten(2).mT


def recording(**settings) -> FrozenEncoder:
    return FrozenEncoder(Recorder(), "recorder", True, patch_size=8, dim=3, **settings)


# The interface.


def test_preprocessing_is_grey_to_rgb_then_mean_and_std():
    encoder = recording(mean=IMAGENET_MEAN, std=IMAGENET_STD)
    x = torch.rand(2, 1, 16, 24)
    encoder.encode(x)
    for c in range(3):
        wanted = (x[:, 0] - IMAGENET_MEAN[c]) / IMAGENET_STD[c]
        torch.testing.assert_close(encoder.backbone.seen[:, c], wanted)


@pytest.mark.parametrize(
    ("height", "width", "resolution", "grid"),
    [(64, 64, None, (8, 8)), (70, 59, None, (9, 7)), (3, 100, None, (1, 12)),
     (64, 128, 224, (28, 56)), (300, 451, 224, (28, 42)), (1, 1, None, (1, 1))],
)  # fmt: skip
def test_sizes_are_rounded_to_patches_never_cropped(height, width, resolution, grid):
    encoder = recording(resolution=resolution)
    assert encoder.grid(height, width) == grid
    encoder.encode(torch.rand(1, 3, height, width))
    assert tuple(encoder.backbone.seen.shape[2:]) == (8 * grid[0], 8 * grid[1])


def test_resizing_keeps_what_is_at_the_edges():
    encoder = recording()
    x = torch.zeros(1, 3, 60, 60)
    x[..., -4:] = 1.0  # a crop to 56 px would lose this
    encoder.encode(x)
    seen = encoder.backbone.seen
    assert seen.shape[-1] == 64
    assert seen[..., -3:].min() > 0.9
    assert 0 <= seen.min() <= seen.max() <= 1


def test_a_frame_of_its_own_size_is_not_touched():
    encoder, x = recording(), torch.rand(1, 3, 64, 32)
    encoder.encode(x)
    assert torch.equal(encoder.backbone.seen, x)


@pytest.mark.parametrize(
    "frames",
    [torch.rand(3, 8, 8), torch.rand(1, 2, 8, 8), torch.zeros(1, 3, 8, 8, dtype=torch.uint8)],
)
def test_frames_of_another_form(frames):
    with pytest.raises(ValueError, match=r"wanted \(B, C, H, W\) in"):
        recording().encode(frames)


def test_no_gradient_and_evaluation_mode():
    encoder = untrained_vit(SMALL)
    x = torch.rand(2, 3, 16, 16, requires_grad=True)
    assert not encoder.encode(x).requires_grad
    assert not encoder.backbone.training
    assert not any(p.requires_grad for p in encoder.backbone.parameters())


def test_a_resolution_below_a_patch():
    with pytest.raises(UserError, match="use 8 or more"):
        recording(resolution=4)


# This repository's encoders.


def test_the_untrained_one_is_the_same_each_time_and_says_what_it_is():
    state = torch.get_rng_state()
    one, two = load_frozen("vit_random"), load_frozen("lejepa", pretrained=False)
    assert torch.equal(state, torch.get_rng_state())
    x = torch.rand(1, 1, 64, 64)
    assert torch.equal(one.encode(x), two.encode(x))
    assert one.fingerprint() == two.fingerprint()
    assert one.dim == VIT_SIZES["dim"]
    assert not one.is_pretrained
    assert "untrained" in one.name


def test_saved_weights_come_back(tmp_path):
    torch.manual_seed(1)
    vit = ViT(**SMALL)
    path = tmp_path / "encoder.pt"
    save_vit(path, vit, "ijepa", SMALL)
    encoder = load_frozen("ijepa", path)
    assert encoder.is_pretrained
    assert encoder.name.startswith("ijepa")
    x = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(encoder.encode(x), vit(x), atol=1e-2, rtol=1e-2)  # half precision
    cls, patches = encoder.encode_all(x)
    torch.testing.assert_close(cls, patches.mean(1))
    assert torch.equal(load_frozen("ijepa", tmp_path).encode(x), encoder.encode(x))
    with pytest.raises(UserError, match="was trained by ijepa"):
        load_frozen("dino", path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match="not a checkpoint, or cut off"):
        load_frozen("ijepa", path)


def test_the_fingerprint_follows_weights_and_preprocessing():
    vit = ViT(**SMALL)
    prints = {
        freeze_vit(vit, "one", True).fingerprint(),
        freeze_vit(vit, "one", True, 32).fingerprint(),
        freeze_vit(ViT(**SMALL), "one", True).fingerprint(),
    }
    assert len(prints) == 3
    assert freeze_vit(vit, "one", True).fingerprint() in prints


@pytest.mark.parametrize("name", METHODS)
def test_the_published_weights_load_and_are_small(name):
    path = WEIGHTS / f"{name}.pt"
    assert path.stat().st_size <= 3 * 2**20
    encoder = load_frozen(name)
    tokens = encoder.encode(torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert tokens.shape == (2, 64, encoder.dim)
    assert tokens.isfinite().all()
    assert load_frozen(name, resolution=128).grid(64, 64) == (16, 16)


# DINOv3 through transformers, with a tiny random one.


def test_five_tokens_are_dropped_and_patches_are_row_by_row(tiny_dinov3):
    encoder = load_frozen("dinov3", tiny_dinov3, resolution=48)
    cls, patches = encoder.encode_all(torch.rand(2, 3, 48, 64))
    assert encoder.grid(48, 64) == (3, 4)
    assert cls.shape == (2, 32)
    assert patches.shape == (2, 12, 32)
    model = encoder.backbone.model
    x = torch.rand(1, 3, 48, 64)
    tokens = model(pixel_values=encoder.preprocess(x)).last_hidden_state
    assert tokens.shape[1] == 1 + 4 + 12
    assert torch.equal(tokens[:, 5:], encoder.encode(x))
    assert torch.equal(tokens[:, 0], encoder.encode_all(x)[0])
    # what enters the patch embedding at row 1, column 2 comes out as token 1 * 4 + 2
    changed = x.clone()
    changed[..., 16:32, 32:48] = 1 - changed[..., 16:32, 32:48]
    embed = model.embeddings
    before, after = (embed(encoder.preprocess(v))[0, 5:] for v in (x, changed))
    assert (before - after).abs().sum(1).nonzero().flatten().tolist() == [6]


def test_dinov3_is_deterministic_frozen_and_named(tiny_dinov3):
    x = torch.rand(2, 1, 50, 70)
    one, two = (load_frozen("dinov3", tiny_dinov3) for _ in range(2))
    assert torch.equal(one.encode(x), one.encode(x))
    assert torch.equal(one.encode(x), two.encode(x))
    assert one.fingerprint() == two.fingerprint()
    assert one.resolution == 224
    assert one.encode(x).shape == (2, 14 * 20, 32)
    assert one.name == f"dinov3 (transformers, {tiny_dinov3.name})"
    assert one.is_pretrained
    assert next(one.backbone.parameters()).dtype == torch.float32


@pytest.fixture
def tiny_vits16(monkeypatch):
    """The name dinov3_vits16 means the tiny model's size, so that a file of it can be asked for."""
    tiny = replace(SIZES["dinov3_vits16"], dim=32, depth=2, num_heads=2, mlp_dim=64)
    monkeypatch.setitem(SIZES, "dinov3_vits16", tiny)


def test_a_file_of_weights_is_what_the_folder_is(tiny_dinov3, tiny_vits16):
    file = load_frozen("dinov3_vits16", tiny_dinov3 / "model.safetensors")
    folder = load_frozen("dinov3_vits16", tiny_dinov3)
    x = torch.rand(2, 3, 48, 64)
    assert torch.equal(file.encode(x), folder.encode(x))
    assert file.name == "dinov3_vits16 (transformers, model.safetensors)"
    assert file.is_pretrained


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hidden_size": 64}, r"embeddings\.cls_token is \(1, 1, 64\), expected \(1, 1, 32\)"),
        ({"num_hidden_layers": 1}, r"layer\.1\.\S+ is absent, expected \("),
        ({"num_hidden_layers": 3}, r"layer\.2\.\S+ is \(.*\), expected absent"),
        ({"use_gated_mlp": True}, r"layer\.0\.mlp\.gate_proj\S+ is \(.*\), expected absent"),
    ],
)
def test_a_file_of_another_model_or_size(tmp_path, tiny_vits16, changes, words):
    file = save_tiny(tmp_path, **changes) / "model.safetensors"
    with pytest.raises(UserError, match=rf"was made by another architecture: (model\.)?{words}"):
        load_frozen("dinov3_vits16", file)


def test_a_folder_of_another_size(tiny_dinov3):
    with pytest.raises(UserError, match="heads are 32, 2 and 2, expected 384"):
        load_frozen("dinov3_vits16", tiny_dinov3)


def test_files_that_are_no_weights(tmp_path, tiny_dinov3):
    (tmp_path / "weights.pth").write_bytes(b"no weights at all")
    with pytest.raises(UserError, match=r"not a \.safetensors file"):
        load_frozen("dinov3_vits16", tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"holds no config\.json"):
        load_frozen("dinov3_vits16", tmp_path)
    (tmp_path / "config.json").write_text((tiny_dinov3 / "config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes(
        (tiny_dinov3 / "model.safetensors").read_bytes()[:1000]
    )
    with pytest.raises(UserError, match="cannot be read"):
        load_frozen("dinov3", tmp_path)
    with pytest.raises(UserError, match="no such file or folder"):
        load_frozen("dinov3", tmp_path / "nowhere")


def test_a_folder_with_a_tensor_missing(tmp_path, tiny_dinov3):
    from safetensors.torch import load_file, save_file

    weights = load_file(tiny_dinov3 / "model.safetensors")
    gone = sorted(weights)[-1]
    del weights[gone]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_text((tiny_dinov3 / "config.json").read_text())
    with pytest.raises(UserError, match="is missing"):
        load_frozen("dinov3", tmp_path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("source", ["folder", "file", "hub"])
def test_half_precision_is_made_float32(
    tmp_path, monkeypatch, tiny_dinov3, tiny_vits16, dtype, source
):
    transformers = pytest.importorskip("transformers")
    whole = transformers.DINOv3ViTModel.from_pretrained(tiny_dinov3)
    whole.to(dtype).save_pretrained(tmp_path)
    if source == "hub":
        load = transformers.DINOv3ViTModel.from_pretrained
        cached = lambda place, **options: load(tmp_path, **options)  # noqa: E731
        monkeypatch.setattr(transformers.DINOv3ViTModel, "from_pretrained", cached)
    place = {"folder": tmp_path, "file": tmp_path / "model.safetensors", "hub": None}[source]
    encoder = load_frozen("dinov3_vits16", place, resolution=48)
    assert {p.dtype for p in encoder.backbone.parameters()} == {torch.float32}
    x = torch.rand(1, 3, 48, 48)
    wanted = load_frozen("dinov3", tiny_dinov3, resolution=48).encode(x)
    assert encoder.encode(x).dtype == torch.float32
    torch.testing.assert_close(encoder.encode(x), wanted, atol=0.05, rtol=0.05)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"patch_size": [16, 16]}, r"patch_size is \[16, 16\], expected one number"),
        ({"patch_size": 16.5}, "patch_size"),
        ({"num_attention_heads": 5}, "cannot be read"),
        ({"num_attention_heads": 0}, "cannot be read"),
        ({"hidden_act": "nope"}, "nope"),
        ({"dtype": "float99"}, "float99"),
        ({"quantization_config": 5}, "cannot be read"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "cannot be read"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": 1}}, "cannot be"),
        ({"_attn_implementation": "flash_attention_2"}, None),
        ({"attn_implementation": "flash_attention_2"}, None),
    ],
)
def test_folders_of_odd_configs_load_or_end_in_the_one_message(
    tmp_path, tiny_dinov3, change, words
):
    odd = json.loads((tiny_dinov3 / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps(odd))
    (tmp_path / "model.safetensors").symlink_to(tiny_dinov3 / "model.safetensors")
    if words is None:  # torch's own attention is used whatever is named
        assert load_frozen("dinov3", tmp_path).is_pretrained
        return
    with pytest.raises(UserError, match=words) as caught:
        load_frozen("dinov3", tmp_path)
    check_message(str(caught.value), "dinov3")


def test_weights_that_are_not_finite_are_refused(tmp_path, tiny_dinov3):
    from safetensors.torch import load_file, save_file

    weights = load_file(tiny_dinov3 / "model.safetensors")
    weights[sorted(weights)[-1]].fill_(torch.nan)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_text((tiny_dinov3 / "config.json").read_text())
    with pytest.raises(UserError, match="not finite"):
        load_frozen("dinov3", tmp_path)


def test_the_heads_of_a_named_size_are_compared(tmp_path, tiny_vits16):
    with pytest.raises(UserError, match="heads are 32, 2 and 4, expected 32, 2 and 2"):
        load_frozen("dinov3_vits16", save_tiny(tmp_path, num_attention_heads=4))


def test_tokens_averaged_to_a_coarser_grid():
    encoder = untrained_vit(SMALL, resolution=32)  # 4 x 4 patches of 8 px
    coarse = encoder.averaged(2)
    x = torch.rand(3, 1, 32, 32)
    fine = encoder.encode(x).unflatten(1, (4, 4))
    assert coarse.grid(32, 32) == (2, 2)
    torch.testing.assert_close(coarse.encode(x)[:, 1], fine[:, :2, 2:].mean((1, 2)))
    assert coarse.fingerprint() != encoder.fingerprint()
    with pytest.raises(UserError, match="at most 4, got 5"):
        encoder.averaged(5).grid(32, 32)


def test_random_weights_are_said_to_be_random():
    pytest.importorskip("transformers")
    encoder = load_frozen("dinov3_vits16", pretrained=False)
    assert encoder.name == "dinov3_vits16 with random weights (transformers)"
    assert not encoder.is_pretrained
    assert sum(p.numel() for p in encoder.backbone.parameters()) == pytest.approx(21.6e6, rel=0.01)
    assert encoder.encode(torch.rand(1, 3, 64, 64)).shape == (1, 196, 384)


# When it cannot be loaded.


def check_message(message: str, name: str) -> None:
    for words in (
        'pip install -e ".[dinov3]"', "dinov3-license", "huggingface.co/facebook/dinov3-",
        "--weights FOLDER", "save_pretrained", "ijepa", "random weights", f"{name} was not loaded",
    ):  # fmt: skip
        assert words in message, words


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match="transformers cannot be imported") as caught:
        load_frozen("dinov3_vits16")
    check_message(str(caught.value), "dinov3_vits16")


def test_without_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match="timm cannot be imported") as caught:
        load_frozen("timm:dinov3_vits16")
    check_message(str(caught.value), "timm:dinov3_vits16")


class FakeTimm(torch.nn.Module):
    """What timm's create_model gives: 1 + 4 tokens, then a mean colour for each patch of 16 px."""

    num_prefix_tokens = 5

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.embed = torch.nn.Conv2d(3, dim, 16, 16)

    def forward_features(self, x):
        patches = self.embed(x).flatten(2).mT
        return torch.cat([torch.zeros_like(patches[:, :1]).expand(-1, 5, -1), patches], 1)


@pytest.fixture
def timm_gives(monkeypatch, tiny_vits16):
    """Makes timm.create_model give a model, or raise an error; returns what it was asked for."""
    asked = []

    def give(outcome):
        def create_model(name, **options):
            asked.append((name, options))
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
        return asked

    return give


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_timms_model_is_used_in_float32_without_its_prefix(tmp_path, timm_gives, dtype):
    model = FakeTimm(32).to(dtype)
    asked = timm_gives(model)
    encoder = load_frozen("timm:dinov3_vits16", resolution=32)
    x = torch.rand(2, 3, 32, 48)
    patches = model.forward_features(encoder.preprocess(x))[:, 5:]
    assert encoder.grid(32, 48) == (2, 3)
    assert encoder.encode(x).dtype == torch.float32
    torch.testing.assert_close(encoder.encode(x), patches)
    assert (encoder.name, encoder.is_pretrained) == ("dinov3_vits16 (timm)", True)
    file = tmp_path / "weights.pth"
    file.write_bytes(b"")
    assert load_frozen("timm:dinov3_vits16", file).name == "dinov3_vits16 (timm, weights.pth)"
    assert "random weights" in load_frozen("timm:dinov3_vits16", pretrained=False).name
    names, options = zip(*asked, strict=True)
    assert {*names} == {"vit_small_patch16_dinov3.lvd1689m"}
    assert [o["pretrained"] for o in options] == [True, True, False]
    assert options[1]["pretrained_cfg_overlay"] == {"file": str(file)}


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (RuntimeError("Unknown model"), "Unknown model"),
        (KeyError("blocks.0"), "blocks.0"),
        (FakeTimm(64), r"6 patches give tokens \(1, 6, 64\)"),
        (torch.nn.Linear(3, 3), "num_prefix_tokens"),
    ],
)
def test_a_timm_that_gives_something_else_ends_in_the_one_message(timm_gives, outcome, words):
    timm_gives(outcome)
    with pytest.raises(UserError, match=words) as caught:
        load_frozen("timm:dinov3_vits16")
    check_message(str(caught.value), "timm:dinov3_vits16")


@pytest.fixture
def empty_cache(monkeypatch):
    """transformers finds nothing in its cache."""
    transformers = pytest.importorskip("transformers")

    def nothing(*args, local_files_only=False, **kwargs):
        if local_files_only:
            raise OSError("not in the cache")
        raise AssertionError("a download was begun")

    monkeypatch.setattr(transformers.DINOv3ViTModel, "from_pretrained", nothing)


def test_without_network(monkeypatch, empty_cache):
    import huggingface_hub

    for error in (OSError("no route to host"), no_connection()):

        def refuse(self, place, error=error):
            raise error

        monkeypatch.setattr(huggingface_hub.HfApi, "auth_check", refuse)
        with pytest.raises(UserError, match="cannot be reached") as caught:
            load_frozen("dinov3_vitb16")
        check_message(str(caught.value), "dinov3_vitb16")


def no_connection() -> Exception:
    """What the hub's own client raises without network."""
    from huggingface_hub.errors import HfHubHTTPError

    base = HfHubHTTPError.__bases__[0]
    return base("Name or service not known")


def test_a_gated_model(monkeypatch, empty_cache):
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError

    def refuse(self, place):
        raise GatedRepoError.__new__(GatedRepoError)

    monkeypatch.setattr(huggingface_hub.HfApi, "auth_check", refuse)
    with pytest.raises(UserError, match="is gated") as caught:
        load_frozen("dinov3_vitl16")
    check_message(str(caught.value), "dinov3_vitl16")


def test_names():
    assert len(set(NAMES)) == len(NAMES)
    assert {f"timm:{name}" for name in SIZES} <= set(NAMES)
    with pytest.raises(UserError, match="did you mean dinov3_vits16"):
        load_frozen("dinov3_vits17")
    with pytest.raises(UserError, match="leave one of them"):
        load_frozen("dino", "somewhere", pretrained=False)
    with pytest.raises(UserError, match="dinov3 needs weights"):
        load_frozen("dinov3")


def test_the_shipped_jepa_of_one_ball_is_used_and_not_trained():
    encoder = load_conv_jepa()
    z = encoder(torch.rand(3, 1, 64, 64))
    assert z.shape == (3, encoder.head.out_features)
    assert z.dtype == torch.float32
    assert not z.requires_grad


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 100_000}, "expected numbers up to 4096"),
        ({"depth": 3}, "its weights ask for depth 4, dim 96"),
        ({"dim": 2048}, "its weights ask for depth 4, dim 96"),
        ({"num_heads": 7}, "num_heads that divide dim"),
        ({"patch_size": 4}, "made by another architecture: patch.weight"),
        ({"patch_size": 8.0}, "its sizes are"),
        ({"tubelet": True}, "its sizes are"),
        ({"width": 3}, "its sizes are"),
    ],
)
def test_sizes_are_checked_before_an_encoder_is_built(tmp_path, changes, message):
    saved = torch.load(WEIGHTS / "dino.pt", weights_only=True)
    saved["sizes"] |= changes
    torch.save(saved, tmp_path / "encoder.pt")
    begin = time.monotonic()
    with pytest.raises(UserError, match=message):
        load_frozen("dino", tmp_path)
    assert time.monotonic() - begin < 5
    torch.save(saved | {"sizes": 3}, tmp_path / "encoder.pt")
    with pytest.raises(UserError, match="its sizes are 3"):
        load_frozen("dino", tmp_path)
