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
QUESTIONS = {  # name: module:function in ROOM, and what is asked
    "baselines": ("baselines:main", "what do plans and probes score without learning?"),
    "precision": ("precision:main", "how precise must a world model be?"),
    "spaces": ("spaces:main", "what is a distance worth to true dynamics, space by space?"),
    "distances": ("distances:main", "what is a model's distance worth to true dynamics?"),
    "sizes": ("sizes:main", "how large are the models that are compared?"),
    "threshold": ("threshold:main", "from which weight should SIGReg prevent collapse?"),
    "planner_ablation": (
        "planner_ablation:planner_ablation", "what do other planners do with the model of reach?"
    ),
    "equal_seconds": (
        "planner_ablation:equal_seconds",
        "what do LeWorldModel style and DINO tokens do with each other's seconds?",
    ),
    "planner_bench": ("planner_bench:planner_bench", "do planners find optima that are known?"),
    "planner_timing": ("planner_bench:planner_timing", "which planner is best at equal seconds?"),
    "planning_time": ("planning_time:main", 'where does "48x faster" come from?'),
    "whole_plan": ("whole_plan:main", "how long does a whole plan take, on this device?"),
    "critical_agreement": (
        "critical_agreement:main",
        "do runs collapse on the side of the threshold that theory names?",
    ),
    "publish": ("publish:main", "copies a run's figures and weights to results/"),
}  # fmt: skip
STUDIES = {name: Study(asked, f"{ROOM}.{at}") for name, (at, asked) in QUESTIONS.items()}


def main() -> None:
    study_main(PART, STUDIES, __doc__)


if __name__ == "__main__":
    run_script(main)
