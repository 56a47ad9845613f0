"""The documented main job, as its user runs it: seconds of wall clock, and peak memory."""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run() -> dict[str, float]:
    """One run of train.py with its defaults, figures and table included."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, ROOT / "part2_pixel_vs_jepa/train.py", "--run_dir", f"{folder}/run"],
            check=True,
            capture_output=True,
        )
        seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    return {"seconds": seconds, "seconds_allowed": 150, "peak_gib": peak, "peak_gib_allowed": 1.5}


if __name__ == "__main__":
    print(run())
