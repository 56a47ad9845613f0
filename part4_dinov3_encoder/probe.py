"""What a frozen encoder knows of the hard ball world: a row of the table, for any encoder.

    python part4_dinov3_encoder/probe.py                              this repository's default
    python part4_dinov3_encoder/probe.py --encoder dinov3_vits16      DINOv3, from the hub
    python part4_dinov3_encoder/probe.py --encoder dinov3_vits16 --weights FOLDER
    python part4_dinov3_encoder/probe.py --encoder dinov3_vits16 --random_weights
    python part4_dinov3_encoder/probe.py --references                 -> results/references.json

Noisy linear probes on patch tokens, foreground without labels, and how much of a token tells its
place. Frames are seen at 8 x 8 tokens unless --resolution says otherwise (DINOv3: at 128 px), so
that IoU and the phase in a patch compare with the other rows. --seeds N scores N of the worlds that
the recipes are scored in, --out FILE keeps the numbers as a results file. --references are what the
recipes have to beat: raw pixels, an untrained ViT, and part 2's encoder, which has seen one ball on
black; into results/ they go with the baseline's config alone.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from common.encoders import ConvEncoder
from common.frozen import FrozenEncoder, OwnBackbone
from common.harness.checkpoints import load_checkpoint, load_weights
from common.harness.config import REPOSITORY, load_config
from common.harness.errors import command_line, run_script
from common.harness.results import write_results
from common.intervals import mean_interval
from common.vit import ViT, patchify
from part4_dinov3_encoder.config import BASELINE, PART, Config, protocol
from part4_dinov3_encoder.options import add_encoder_options, is_default, load_chosen
from part4_dinov3_encoder.report.run_table import run_table
from part4_dinov3_encoder.scoring.features import POOLINGS, Encode, Subject, subject_of
from part4_dinov3_encoder.scoring.scores import evaluate, make_heldout

FIRST_SEED = 5  # of the worlds scored in, as in the recipes' sweep; 0 served to choose settings
PART2 = REPOSITORY / "part2_pixel_vs_jepa" / "results" / "weights" / "jepa.pt"


def frozen_subject(encoder: FrozenEncoder, cfg: Config) -> Subject:
    """A frozen encoder as what is scored; with its CLS token where that is not the mean.

    One of tubelets of two frames (V-JEPA of this repository) reads clips as well.
    """
    size = cfg.world.size
    cls, patches = encoder.encode_all(torch.zeros(1, 1, size, size))
    has_cls = not torch.allclose(cls, patches.mean(1))
    poolings = (*POOLINGS, "cls") if has_cls else POOLINGS
    vit = encoder.backbone.vit if isinstance(encoder.backbone, OwnBackbone) else None

    @torch.no_grad()
    def encode_clip(clips: Tensor) -> Tensor:
        assert vit is not None
        return vit(torch.stack([encoder.preprocess(clips[:, t]) for t in range(2)], dim=1))

    reads_clips = vit is not None and vit.tubelet == 2
    grid = encoder.grid(size, size)
    return Subject(encoder.encode_all, grid, poolings, encode_clip if reads_clips else None)


def raw_pixels(cfg: Config) -> Subject:
    """Patches of raw pixels as tokens: the row without an encoder."""
    patch = cfg.model.patch_size

    def encode(frames: Tensor) -> tuple[Tensor, Tensor]:
        tokens = patchify(frames.unsqueeze(1), patch).flatten(1, 3)
        return tokens.mean(1), tokens

    return Subject(encode, (cfg.world.size // patch, cfg.world.size // patch))


def part2_encoder() -> Encode:
    """Part 2's encoder, one vector for a frame of 64 px; its published weights, read as data."""
    saved = load_checkpoint(PART2, "python part2_pixel_vs_jepa/publish.py")
    weights = {
        name.removeprefix("encoder."): value.float()
        for name, value in saved.items()
        if name.startswith("encoder.")
    }
    encoder = ConvEncoder(
        in_channels=1,
        channels=(len(weights["patch.bias"]), len(weights["merge.bias"])),
        size=64,
        embedding_dim=len(weights["head.bias"]),
    )
    load_weights(encoder, weights, PART2)

    def encode(frames: Tensor) -> tuple[Tensor, Tensor]:
        z = encoder(frames)
        return z, z.unsqueeze(1)

    return encode


def references(cfg: Config) -> Iterator[tuple[str, Subject]]:
    """What the recipes have to beat, at one seed."""
    yield "raw_pixels", raw_pixels(cfg)
    torch.manual_seed(cfg.seed)
    yield "untrained", subject_of(ViT(**cfg.vit_sizes), cfg)
    yield "part2_jepa", Subject(part2_encoder(), (1, 1), ("all",))


def score_seeds(
    subjects: Callable[[Config], Iterator[tuple[str, Subject]]], cfgs: list[Config]
) -> dict[str, dict[str, Mapping[str, object]]]:
    """{arm: {metric: interval over the configs' seeds}}."""
    found: dict[str, list[dict[str, float]]] = {}
    for cfg in cfgs:
        held = make_heldout(cfg)
        for name, subject in subjects(cfg):
            found.setdefault(name, []).append(evaluate(subject, held, cfg))
    return {
        name: {metric: mean_interval([run[metric] for run in runs]) for metric in runs[0]}
        for name, runs in found.items()
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_encoder_options(parser)
    shown = "frames are resized to it (px); default: what gives 8 x 8 tokens"
    parser.add_argument("--resolution", type=int, help=shown)
    parser.add_argument("--references", action="store_true", help="the rows to beat, 5 seeds")
    parser.add_argument("--config", type=Path, action="append", default=[], help="on the baseline")
    parser.add_argument("--seeds", type=int, default=1, help="worlds to score in")
    parser.add_argument("--out", type=Path, help="results file to write")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error(f"--seeds: expected at least 1, got {arguments.seeds}")
    if arguments.references and not is_default(arguments):
        parser.error("--references are raw pixels, an untrained ViT and part 2's: leave --encoder")
    if arguments.references and (arguments.resolution or arguments.seeds > 1):
        parser.error("--references are scored at their own resolution on 5 seeds: leave these out")
    if arguments.references and arguments.config and arguments.out is None:
        parser.error("--references of another --config are not those in results/: give --out")
    if arguments.out is not None and arguments.out.suffix != ".json":
        parser.error(f"--out {arguments.out}: expected a name that ends in .json")
    return arguments


def main() -> None:
    arguments = parse()
    begin = time.monotonic()
    seeds = list(range(FIRST_SEED, FIRST_SEED + (5 if arguments.references else arguments.seeds)))
    cfgs = [load_config(Config, [BASELINE, *arguments.config], {"seed": seed}) for seed in seeds]
    torch.set_num_threads(1 if arguments.references else cfgs[0].threads)  # as a sweep's runs
    if arguments.references:
        arms, out = score_seeds(references, cfgs), arguments.out
        out = out or PART / "results" / "references.json"
    else:
        encoder = load_chosen(arguments, cfgs[0], arguments.resolution)
        arms = score_seeds(lambda cfg: iter([(encoder.name, frozen_subject(encoder, cfg))]), cfgs)
        out = arguments.out
    for name, metrics in arms.items():
        print(run_table({key: cell["mean"] for key, cell in metrics.items()}, name))  # pyright: ignore
    if out is not None:
        write_results(
            out,
            command_line(),
            protocol=protocol(cfgs[0]),
            seconds=time.monotonic() - begin,
            seeds=seeds,
            arms=arms,
        )
        print(f"wrote {out}")


if __name__ == "__main__":
    run_script(main)
