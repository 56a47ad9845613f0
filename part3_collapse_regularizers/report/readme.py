"""Writes the tables of this part's READMEs from results/*.json; a test fails when they differ.

python part3_collapse_regularizers/readme.py
"""

from common.harness.errors import no_options, run_script
from common.harness.results import named_tables, update_pages
from part3_collapse_regularizers.config import PART
from part3_collapse_regularizers.report.ablations import (
    batch_table,
    dimension_table,
    lejepa_parts_table,
)
from part3_collapse_regularizers.report.sources import sources_table
from part3_collapse_regularizers.report.tables import (
    inside_table,
    main_table,
    next_frame_table,
    stability_table,
    weights_table,
)
from part3_collapse_regularizers.report.verdicts import verdicts_table
from part3_collapse_regularizers.studies.loss_vs_quality import judge_table


def update(check: bool = False) -> bool:
    """Rewrites the tables of this part's pages; whether any differed."""
    pages = {
        PART / "README.md": named_tables(main_table, verdicts_table, judge_table),
        PART / "results" / "README.md": named_tables(
            sources_table,
            next_frame_table,
            inside_table,
            stability_table,
            weights_table,
            lejepa_parts_table,
            batch_table,
            dimension_table,
        ),
    }
    return update_pages(pages, check=check)


def main() -> None:
    no_options(__doc__)
    update()


if __name__ == "__main__":
    run_script(main)
