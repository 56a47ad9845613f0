"""Every side experiment of part 2: ``study.py`` lists them, ``study.py NAME`` runs one.

    python part2_pixel_vs_jepa/study.py
    python part2_pixel_vs_jepa/study.py width --jobs 2
    python part2_pixel_vs_jepa/study.py publish runs/part2/four_arms-seed0

Each writes results/NAME.json, but for publish. --help after a NAME says what it does.
"""

from common.harness.errors import run_script
from common.harness.study import Study, study_main
from part2_pixel_vs_jepa.config import PART

STUDIES = {
    "noise": Study(
        "what do dots cost the ball's own prediction? (after dots and hypotheses)",
        "part2_pixel_vs_jepa.studies.analyses:noise",
    ),
    "z_account": Study(
        "does z read the bit that is worth more? (after squares_why)",
        "part2_pixel_vs_jepa.studies.analyses:z_account",
    ),
    "publish": Study(
        "copies a run's figures and weights into results/",
        "part2_pixel_vs_jepa.studies.publish:main",
    ),
}


def main() -> None:
    study_main(PART, STUDIES, __doc__)


if __name__ == "__main__":
    run_script(main)
