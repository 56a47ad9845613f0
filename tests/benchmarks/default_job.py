"""The documented main jobs, as their users run them: seconds of wall clock, and peak memory."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from part4_dinov3_encoder.data.photos import photo_path

ROOT = Path(__file__).resolve().parents[2]
JOBS = {
    "part2": (["part2_pixel_vs_jepa/train.py"], {"seconds": 150, "peak_gib": 1.5}),
    "part3": (
        ["part3_collapse_regularizers/train.py", "--config", "configs/part3/sigreg.yaml"],
        {"seconds": 90},
    ),
    **{
        f"part4_{method}": (
            ["part4_dinov3_encoder/train.py", "--config", f"configs/part4/{method}.yaml"],
            {"seconds": 240},
        )
        for method in ("ijepa", "vjepa", "dino", "lejepa")
    },
}


PHOTOS = {2000: {"seconds": 10, "peak_gib": 1.5}, 10_000: {"peak_gib": 1.5}}  # side in px


def time_job(*command: str) -> dict[str, float]:
    """Seconds and peak memory (GiB) of a Python script; raises RuntimeError when it fails."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)  # of this process alone
    seconds = time.perf_counter() - begin
    if status:
        raise RuntimeError(f"{' '.join(command)} failed")
    return {"seconds": seconds, "peak_gib": used.ru_maxrss / 1024**2}


def run() -> dict[str, object]:
    """One run of each train.py with its defaults, figures and table included; pages of photos."""
    rows: dict[str, object] = {}
    for name, (command, allowed) in JOBS.items():
        with tempfile.TemporaryDirectory() as folder:
            measured = time_job(*command, "--run_dir", f"{folder}/run")
        rows[name] = measured | {f"{key}_allowed": value for key, value in allowed.items()}
    for side, allowed in PHOTOS.items():
        with tempfile.TemporaryDirectory() as folder:
            photo = Path(folder) / "photo.jpg"
            with Image.open(photo_path("grace_hopper.jpg")) as image:
                image.resize((side, side)).save(photo)
            page = f"{folder}/page.html"
            measured = time_job("part4_dinov3_encoder/hover.py", str(photo), "--out", page)
        name = f"part4_hover_{side**2 // 1_000_000}_megapixels"
        rows[name] = measured | {f"{key}_allowed": value for key, value in allowed.items()}
    return rows


if __name__ == "__main__":
    print(run())
