"""Every side experiment of this part, by name; without a name, all are listed with their minutes.

python part3_collapse_regularizers/study.py
python part3_collapse_regularizers/study.py stability
"""

from common.harness.errors import run_script
from common.harness.study import Study, study_main
from part3_collapse_regularizers.config import PART

ROOM = "part3_collapse_regularizers.studies"
STUDIES = {
    "stability": Study("When is collapse unstable?", f"{ROOM}.stability:main"),
    "collapse_predicted": Study(
        "What does theory say of runs not yet trained?", f"{ROOM}.collapse_predicted:main"
    ),
    "collapse_line": Study(
        "Does the local theory tell where training collapses?", f"{ROOM}.collapse_line:main"
    ),
    "weight_tolerance": Study("By how much may a weight be off?", f"{ROOM}.weight_tolerance:main"),
    "loss_quality_correlation": Study(
        "Does the loss tell how good an embedding is?", f"{ROOM}.loss_quality_correlation:main"
    ),
    "publish": Study("Copies four runs' figures and weights to results/", f"{ROOM}.publish:main"),
}


def main() -> None:
    study_main(PART, STUDIES, __doc__)


if __name__ == "__main__":
    run_script(main)
