"""``python partN_*/study.py``: every side experiment of a part, by name, each with its minutes.

    STUDIES = {"stability": Study("when is collapse unstable?", "partN.studies.stability:main")}
    run_script(lambda: study_main(PART, STUDIES, __doc__))        the last line of a study.py

``study.py NAME`` runs one; every sweep in configs/partN/sweeps is a study too, with the options of
``python -m common.sweep``.
"""

import argparse
import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common import sweep
from common.harness.config import REPOSITORY
from common.harness.errors import UserError, nearest
from common.harness.files import read_json


@dataclass(frozen=True)
class Study:
    """A question, and the function "package.module:function" that answers it.

    The function takes no arguments and writes results/<name>.json, but for one that says otherwise.
    """

    question: str
    function: str


def study_main(part: Path, studies: Mapping[str, Study], description: str | None) -> None:
    """Lists the studies of a part, or runs the one that is named; raises UserError."""
    folder = REPOSITORY / "configs" / part.name.partition("_")[0] / "sweeps"
    sweeps = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", help="which study; without it, all are listed")
    arguments, rest = parser.parse_known_args()
    name = arguments.name
    if name is None:
        if rest:
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        told = {listed: study.question for listed, study in studies.items()}
        for listed, path in sweeps.items():
            told[listed] = path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        for listed, question in told.items():
            print(f"{listed:20} {_minutes(part, listed):>8}  {question}")
    elif name in studies:
        module, _, function = studies[name].function.partition(":")
        sys.argv = [f"{sys.argv[0]} {name}", *rest]
        getattr(importlib.import_module(module), function)()
    elif name in sweeps:
        sweep.main([str(sweeps[name].relative_to(REPOSITORY)), *rest])
    else:
        known = [*studies, *sweeps]
        raise UserError(f"no study {name}{nearest(name, known)}; use one of {', '.join(known)}")


def _minutes(part: Path, name: str) -> str:
    """What it took last, of one core, from its results file."""
    path = part / "results" / f"{name}.json"
    return f"{max(1, round(read_json(path)['seconds'] / 60))} min" if path.exists() else ""
