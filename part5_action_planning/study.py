"""Every side experiment of this part, by name; without a name, a list of them.

    python part5_action_planning/study.py
    python part5_action_planning/study.py planner_bench
    python part5_action_planning/study.py reach --jobs 2          a sweep

Each writes results/<name>.json, but for publish.
"""

from common.harness.errors import run_script
from common.harness.study import Study, study_main
from part5_action_planning.config import PART

ROOM = "part5_action_planning.studies"
STUDIES = {
    "baselines": Study(
        "what do plans and probes score without learning?", f"{ROOM}.baselines:main"
    ),
    "precision": Study("how precise must a world model be?", f"{ROOM}.precision:main"),
    "sizes": Study("how large are the models that are compared?", f"{ROOM}.sizes:main"),
    "threshold": Study(
        "from which weight should SIGReg prevent collapse?", f"{ROOM}.threshold:main"
    ),
    "planner_ablation": Study(
        "what do other planners do with the model of reach?",
        f"{ROOM}.planner_ablation:planner_ablation",
    ),
    "equal_seconds": Study(
        "what do LeWorldModel and DINO-WM styles do with each other's seconds?",
        f"{ROOM}.planner_ablation:equal_seconds",
    ),
    "planner_bench": Study(
        "do planners find optima that are known?", f"{ROOM}.planner_bench:planner_bench"
    ),
    "planner_timing": Study(
        "which planner is best at equal seconds?", f"{ROOM}.planner_bench:planner_timing"
    ),
    "planning_time": Study('where does "48x faster" come from?', f"{ROOM}.planning_time:main"),
    "critical_agreement": Study(
        "do runs collapse on the side of the threshold that theory names?",
        f"{ROOM}.critical_agreement:main",
    ),
    "publish": Study("copies a run's figures and weights to results/", f"{ROOM}.publish:main"),
}


def main() -> None:
    study_main(PART, STUDIES, __doc__)


if __name__ == "__main__":
    run_script(main)
