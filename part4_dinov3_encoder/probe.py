"""What a frozen encoder knows of the hard ball world: a row of the table, for any encoder.

    python part4_dinov3_encoder/probe.py                              this repository's default
    python part4_dinov3_encoder/probe.py --encoder dinov3_vits16      DINOv3, from the hub
    python part4_dinov3_encoder/probe.py --encoder dinov3_vits16 --weights FOLDER
    python part4_dinov3_encoder/probe.py --encoder dinov3_vits16 --random_weights
    python part4_dinov3_encoder/probe.py --references                 -> results/references.json

Noisy linear probes on patch tokens, foreground without labels, and how much of a token tells its
place. --seeds N scores N worlds, --out FILE keeps the numbers as a results file. --references are
what the recipes have to beat: raw pixels, an untrained ViT, and part 2's encoder, which has seen
one ball on black. Config: configs/part4/baseline.yaml.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from common.checkpoints import load_checkpoint, load_weights
from common.config import REPOSITORY, command_line, load_config, run_script
from common.encoders import ConvEncoder
from common.frozen import FrozenEncoder, load_frozen
from common.intervals import mean_interval
from common.results import write_results
from common.vit import ViT, patchify
from part4_dinov3_encoder.experiment import BASELINE, PART, Config, protocol
from part4_dinov3_encoder.options import add_encoder_options
from part4_dinov3_encoder.scoring import (
    POOLINGS,
    Encode,
    Subject,
    evaluate,
    make_heldout,
    subject_of,
)
from part4_dinov3_encoder.table import run_table

PART2 = REPOSITORY / "part2_pixel_vs_jepa" / "results" / "weights" / "jepa.pt"


def frozen_subject(encoder: FrozenEncoder, cfg: Config) -> Subject:
    """A frozen encoder as what is scored; with its CLS token where that is not the mean."""
    size = cfg.world.size
    cls, patches = encoder.encode_all(torch.zeros(1, 1, size, size))
    has_cls = not torch.allclose(cls, patches.mean(1))
    poolings = (*POOLINGS, "cls") if has_cls else POOLINGS
    return Subject(encoder.encode_all, encoder.grid(size, size), poolings)


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
    parser.add_argument("--resolution", type=int, help="frames are resized to it (px)")
    parser.add_argument("--references", action="store_true", help="the rows to beat, 5 seeds")
    parser.add_argument("--config", type=Path, action="append", default=[], help="on the baseline")
    parser.add_argument("--seeds", type=int, default=1, help="worlds to score in")
    parser.add_argument("--out", type=Path, help="results file to write")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error(f"--seeds: expected at least 1, got {arguments.seeds}")
    if arguments.references and (arguments.weights or arguments.random_weights):
        parser.error("--references are raw pixels, an untrained ViT and part 2's: leave --weights")
    if arguments.references and (arguments.resolution or arguments.seeds > 1):
        parser.error("--references are scored at their own resolution on 5 seeds: leave these out")
    if arguments.out is not None and arguments.out.suffix != ".json":
        parser.error(f"--out {arguments.out}: expected a name that ends in .json")
    return arguments


def main() -> None:
    arguments = parse()
    begin = time.monotonic()
    seeds = list(range(5 if arguments.references else arguments.seeds))
    cfgs = [load_config(Config, [BASELINE, *arguments.config], {"seed": seed}) for seed in seeds]
    torch.set_num_threads(1 if arguments.references else cfgs[0].threads)  # as a sweep's runs
    if arguments.references:
        arms, out = score_seeds(references, cfgs), arguments.out
        out = out or PART / "results" / "references.json"
    else:
        encoder = load_frozen(
            arguments.encoder,
            arguments.weights,
            resolution=arguments.resolution,
            pretrained=not arguments.random_weights,
        )
        arms = score_seeds(lambda cfg: iter([(encoder.name, frozen_subject(encoder, cfg))]), cfgs)
        out = arguments.out
    for name, metrics in arms.items():
        print(run_table({key: cell["mean"] for key, cell in metrics.items()}, name))  # pyright: ignore
    if out is not None:
        write_results(
            out,
            "python part4_dinov3_encoder/probe.py --references"
            if arguments.references
            else command_line(),
            protocol=protocol(cfgs[0]),
            seconds=time.monotonic() - begin,
            seeds=seeds,
            arms=arms,
        )
        print(f"wrote {out}")


if __name__ == "__main__":
    run_script(main)
