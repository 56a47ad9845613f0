"""What is known after how many pictures: which encoders are scored, once each, and how clips are
read."""

import pytest
import torch

from common.frozen import save_vit, untrained_vit
from common.harness.config import load_config, to_yaml
from common.vit import ViT
from part4_dinov3_encoder.config import BASELINE, Config
from part4_dinov3_encoder.scoring.growth import clip_tokens
from part4_dinov3_encoder.studies.growth import scored


@pytest.mark.parametrize(
    ("method", "pictures"), [("dino", [40, 160]), ("ijepa", [16, 64]), ("vjepa", [64, 256])]
)
def test_a_runs_encoders_are_scored_once_and_by_the_pictures_they_have_seen(
    method, pictures, tmp_path
):
    files = [BASELINE.with_name(f"{name}.yaml") for name in ("baseline", method, "smoke")]
    cfg = load_config(Config, files, {"snapshots": [2], "steps": 8})
    (tmp_path / "config.yaml").write_text(to_yaml(cfg))
    for name in ("encoder-2.pt", "encoder.pt"):
        save_vit(tmp_path / name, ViT(**cfg.vit_sizes), method, cfg.vit_sizes)
    asked = []

    def score(encoder, is_end):
        asked.append((encoder.name.split()[0], is_end))
        return {"position_all_1000": float(len(asked))}

    found = scored(tmp_path, score)
    assert list(found) == pictures
    assert asked == [(method, False), (method, True)]
    assert scored(tmp_path, score) == found
    assert len(asked) == 2


@pytest.mark.parametrize(("tubelet", "tokens"), [(1, 4 * 4), (2, 2 * 4)])
def test_a_clip_is_read_by_tubelets_where_an_encoder_has_them(tubelet, tokens):
    sizes = {"channels": 3, "patch_size": 8, "tubelet": tubelet, "dim": 12, "depth": 1}
    encoder = untrained_vit(sizes | {"num_heads": 3})
    frames = torch.randint(0, 256, (3, 4, 1, 16, 16), dtype=torch.uint8)
    found = clip_tokens(encoder, frames)
    assert found.shape == (3, tokens, 12)
    other = frames.clone()
    other[:, 3] = 0  # the last frame is in the last tokens alone
    differs = (clip_tokens(encoder, other) - found).abs().amax((0, 2)) > 1e-6
    assert differs[-4:].all()
    assert tubelet == 2 or not differs[:-4].any()
