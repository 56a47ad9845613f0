"""What train.py says of an encoder: whether it collapses on the way; at the end everything."""

from common.ema import initial_share
from common.frozen import save_vit
from common.harness.machine import device_of
from common.harness.runs import Run
from part4_dinov3_encoder.config import Config, protocol
from part4_dinov3_encoder.data.scenes import Scenes
from part4_dinov3_encoder.model import Model
from part4_dinov3_encoder.report.tables import RUN, RUN_NOTE
from part4_dinov3_encoder.scoring.context import context_scores, test_windows
from part4_dinov3_encoder.scoring.encoders import frozen_copy
from part4_dinov3_encoder.scoring.features import features
from part4_dinov3_encoder.scoring.scores import (
    collapse_scores,
    evaluate,
    limits,
    make_heldout,
    position_scores,
)  # fmt: skip


def collapse(model: Model, test: Scenes) -> dict[str, float]:
    """The collapse measures on held-out frames."""
    return collapse_scores(features(frozen_copy(model.kept), test))


def finish(cfg: Config, run: Run, model: Model) -> None:
    """Writes and scores a trained encoder, and prints its table."""
    save_vit(run.folder / "encoder.pt", model.kept, cfg.method, cfg.vit_sizes)
    held = make_heldout(cfg)
    scores = evaluate(frozen_copy(model.kept), held, cfg)
    if cfg.method in ("ijepa", "vjepa", "pixels"):
        scores |= context_scores(model, test_windows(cfg, device_of(model)))
    if cfg.method in ("ijepa", "vjepa"):
        scores["initial_share"] = initial_share(cfg.steps, cfg.loss_weights.ema_rate)
        found = position_scores(frozen_copy(model.teacher), held, cfg)
        scores |= {f"teacher_{name}": value for name, value in found.items()}
    variants = {cfg.method: scores}
    run.finish({"variants": variants, "protocol": protocol(cfg), "limits": limits(scores)})
    print(f"{RUN.text(variants, {})}\n{RUN_NOTE}")
