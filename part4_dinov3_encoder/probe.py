"""What a frozen encoder knows of the textured world: a row of the table, for any encoder.

    python part4_dinov3_encoder/probe.py                              this repository's default
    python part4_dinov3_encoder/probe.py --encoder dinov3_vits16      DINOv3, from the hub
    python part4_dinov3_encoder/probe.py --encoder dinov3_vits16 --weights FOLDER
    python part4_dinov3_encoder/probe.py --encoder dinov3_vits16 --random_weights

Noisy linear probes on patch tokens, foreground without labels, and how much of a token tells its
place. Frames are seen at 8 x 8 tokens unless --resolution says otherwise (DINOv3: at 128 px), so
that IoU and the phase in a patch compare with the other rows. --seeds N scores N of the worlds that
the methods are scored in, --out FILE keeps the numbers as a results file. What they have to beat is
in results/references.json.
"""

import argparse
import time

import torch

from common.frozen import DEFAULT
from common.harness.config import load_config
from common.harness.errors import command_line, run_script, typed_path
from common.harness.machine import device_name
from common.harness.results import write_results
from part4_dinov3_encoder.config import BASELINE, Config, protocol
from part4_dinov3_encoder.report.tables import RUN, RUN_NOTE
from part4_dinov3_encoder.scoring.encoders import asked_for, encoder_parser, load_chosen
from part4_dinov3_encoder.scoring.scores import FIRST_SEED, score_seeds


def parse() -> argparse.Namespace:
    parser = encoder_parser(__doc__)
    shown = "frames are resized to it (px); default: what gives 8 x 8 tokens"
    parser.add_argument("--resolution", type=int, help=shown)
    parser.add_argument(
        "--config", type=typed_path, action="append", default=[], help="on the baseline"
    )
    parser.add_argument("--seeds", type=int, default=1, help="worlds to score in")
    parser.add_argument("--out", type=typed_path, help="results file to write")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error(f"--seeds: expected at least 1, got {arguments.seeds}")
    if arguments.out is not None and arguments.out.suffix != ".json":
        parser.error(f"--out {arguments.out}: expected a name that ends in .json")
    return arguments


def main() -> None:
    arguments, begin = parse(), time.monotonic()
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
    cfgs = [load_config(Config, [BASELINE, *arguments.config], {"seed": seed}) for seed in seeds]
    torch.set_num_threads(cfgs[0].threads)
    encoder = load_chosen(arguments, cfgs[0], arguments.resolution)
    rows = score_seeds(lambda cfg: {encoder.name: encoder}, cfgs)
    means = {name: {key: cell["mean"] for key, cell in row.items()} for name, row in rows.items()}
    print(f"{RUN.text(means, {})}\n{RUN_NOTE}")
    if arguments.out is not None:
        params = {"encoder": asked_for(arguments)[0].get("name", DEFAULT)}
        params |= {"is_pretrained": encoder.is_pretrained}
        write_results(
            arguments.out,
            command_line(),
            protocol=protocol(cfgs[0]),
            seconds=time.monotonic() - begin,
            seeds=seeds,
            device=device_name(encoder.device),
            variants={name: {"params": params, "metrics": row} for name, row in rows.items()},
        )


if __name__ == "__main__":
    run_script(main)
