"""Every speed and memory figure the project promises, against a reference timed in the same run.

    python tests/benchmarks/run.py              all of them
    python tests/benchmarks/run.py sigreg       one: sigreg, losses, rendering, training,
                                                processes, default_job, features, planning

Prints what it measured and keeps it in tests/benchmarks/results.json, one entry a benchmark.
"""

import json
import os
import platform
import sys
from pathlib import Path

import default_job
import features
import losses
import planning
import processes
import rendering
import sigreg
import torch
import training

BENCHMARKS = {
    "sigreg": sigreg.run,
    "losses": losses.run,
    "rendering": rendering.run,
    "default_job": default_job.run,
    "training": training.run,
    "processes": processes.run,
    "features": features.run,
    "planning": planning.run,
}
RESULTS = Path(__file__).with_name("results.json")


def main() -> None:
    wanted = sys.argv[1:] or list(BENCHMARKS)
    if unknown := [name for name in wanted if name not in BENCHMARKS]:
        print(f"error: unknown benchmark {unknown[0]}: use any of {', '.join(BENCHMARKS)}")
        raise SystemExit(2)
    torch.set_flush_denormal(True)
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in wanted:
        machine = {
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "torch": torch.__version__,
        }
        kept[name] = machine | BENCHMARKS[name]()
        print(name, json.dumps(kept[name], indent=2), flush=True)
        RESULTS.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
