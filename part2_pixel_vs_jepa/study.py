"""Every side experiment of part 2: ``study.py`` lists them, ``study.py NAME`` runs one.

    python part2_pixel_vs_jepa/study.py
    python part2_pixel_vs_jepa/study.py width --jobs 2
    python part2_pixel_vs_jepa/study.py publish runs/part2/four_arms-seed0

Each writes results/NAME.json, but for publish. --help after a NAME says what it does.
"""

from common.harness.errors import run_script
from common.harness.study import Study, study_main
from part2_pixel_vs_jepa.config import PART

ROOM = "part2_pixel_vs_jepa.studies"
DOTS = "what do dots cost the ball's own prediction? (after dots and hypotheses)"
Z = "does z read the bit that is worth more? (after squares_why)"
STUDIES = {
    "noise": Study(DOTS, f"{ROOM}.analyses:noise"),
    "z_account": Study(Z, f"{ROOM}.analyses:z_account"),
    "frame_time": Study("what does a predicted frame cost?", f"{ROOM}.frame_time:frame_time"),
    "publish": Study("copies a run's figures and weights into results/", f"{ROOM}.publish:main"),
}


def main() -> None:
    study_main(PART, STUDIES, __doc__)


if __name__ == "__main__":
    run_script(main)
