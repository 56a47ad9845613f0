"""Writes the tables of this part's README from results/*.json; a test fails when they differ.

python part4_dinov3_encoder/readme.py
"""

from common.harness.errors import no_options, run_script
from common.harness.results import named_tables, update_pages
from part4_dinov3_encoder.config import PART
from part4_dinov3_encoder.report.tables import (
    collapse_table,
    foreground_table,
    places_table,
    probes_table,
    teacher_table,
    tracking_table,
)
from part4_dinov3_encoder.report.verdicts import verdicts_table


def update(check: bool = False) -> bool:
    """Rewrites the tables of this part's pages; whether any differed."""
    pages = {
        PART / "README.md": named_tables(probes_table, verdicts_table),
        PART / "results" / "README.md": named_tables(
            foreground_table, places_table, tracking_table, collapse_table, teacher_table
        ),
    }
    return update_pages(pages, check=check)


def main() -> None:
    no_options(__doc__)
    update()


if __name__ == "__main__":
    run_script(main)
