"""Rewrites the tables of this part's READMEs from results/*.json.

python part5_action_planning/readme.py
"""

from common.harness.errors import no_options, run_script
from common.harness.results import named_tables, update_pages
from part5_action_planning.config import PART
from part5_action_planning.report.bench import (
    planner_bench_table,
    planner_timing_table,
    planning_time_table,
)
from part5_action_planning.report.critical import alive_table, critical_table, threshold_table
from part5_action_planning.report.success import (
    ablations_table,
    data_table,
    reach_table,
    slow_table,
    tasks_table,
)
from part5_action_planning.report.tables import (
    equal_seconds_table,
    inside_table,
    precision_table,
    search_table,
    surprise_table,
)
from part5_action_planning.report.verdicts import verdicts_table


def update(check: bool = False) -> bool:
    """Rewrites the tables of this part's pages; whether any differed."""
    pages = {
        PART / "README.md": named_tables(reach_table, slow_table, verdicts_table),
        PART / "results" / "README.md": named_tables(
            tasks_table,
            data_table,
            inside_table,
            precision_table,
            planner_bench_table,
            planner_timing_table,
            search_table,
            planning_time_table,
            equal_seconds_table,
            ablations_table,
            critical_table,
            alive_table,
            threshold_table,
            surprise_table,
        ),
    }
    return update_pages(pages, check=check)


def main() -> None:
    no_options(__doc__)
    print("tables rewritten" if update() else "tables were up to date")


if __name__ == "__main__":
    run_script(main)
