"""Two processes on two cores against one on one: samples per second of part 3's training.

One thread each and the same batch per process; through torchrun in both cases. What starting and
scoring cost is taken out by the difference of a long run and a short one. One and two take turns,
and of each the median is kept: how soon the kernel wakes Gloo's threads differs from run to run.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BATCH = 128  # per process
SHORT, LONG = 20, 220  # steps
REPEATS = 5


def seconds(num_processes: int, steps: int) -> float:
    """Wall clock of one training."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
                *("--nproc_per_node", str(num_processes)),
                "part3_collapse_regularizers/train.py",
                *("--config", "configs/part3/sigreg.yaml", f"--steps={steps}"),
                f"--eval_every={LONG}",  # one process alone looks at what it trains
                *(f"--batch_size={num_processes * BATCH}", f"--threads={num_processes}"),
                *("--figures=false", "--run_dir", f"{folder}/run"),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        took = time.perf_counter() - begin
    if done.returncode:
        raise RuntimeError(f"a training on {num_processes} processes failed:\n{done.stderr}")
    return took


def run() -> dict[str, float]:
    """Median samples per second of one and of two processes, and the ratios of all pairs."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(REPEATS):
        for num_processes in rates:
            took = seconds(num_processes, LONG) - seconds(num_processes, SHORT)
            rates[num_processes].append(num_processes * BATCH * (LONG - SHORT) / took)
    ratios = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    return {
        "samples_per_second_1": statistics.median(rates[1]),
        "samples_per_second_2": statistics.median(rates[2]),
        "ratio": statistics.median(ratios),
        "ratio_lowest": min(ratios),
        "ratio_highest": max(ratios),
        "ratio_wanted": 1.6,
    }


if __name__ == "__main__":
    print(run())
