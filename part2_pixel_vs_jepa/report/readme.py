"""Writes the tables of the READMEs from results/*.json; a test fails when they differ.

python part2_pixel_vs_jepa/readme.py
"""

from common.harness.errors import no_options, run_script
from common.harness.results import named_tables, update_pages
from part2_pixel_vs_jepa.config import PART
from part2_pixel_vs_jepa.report.tables import (
    account_table,
    action_table,
    distractor_table,
    headline_table,
    horizon_table,
    hypotheses_table,
    inside_table,
    main_table,
    noise_table,
    probes_table,
    squares_table,
    width_table,
)
from part2_pixel_vs_jepa.report.verdicts import verdicts_table
from part2_pixel_vs_jepa.report.worlds import (
    bounds_worlds_table,
    coverage_worlds_table,
    latent_worlds_table,
    precision_worlds_table,
    smear_worlds_table,
)

README = PART / "README.md"
FRONT_PAGE = PART.parent / "README.md"
ALL_TABLES = PART / "results" / "README.md"


def update(check: bool = False) -> bool:
    """Rewrites the tables of this part's pages and of the front page; whether any differed."""
    pages = {
        FRONT_PAGE: named_tables(headline_table),
        README: named_tables(main_table, verdicts_table, account_table),
        ALL_TABLES: named_tables(
            inside_table,
            probes_table,
            smear_worlds_table,
            latent_worlds_table,
            coverage_worlds_table,
            precision_worlds_table,
            bounds_worlds_table,
            noise_table,
            distractor_table,
            squares_table,
            hypotheses_table,
            width_table,
            action_table,
            horizon_table,
        ),
    }
    return update_pages(pages, check=check)


def main() -> None:
    no_options(__doc__)
    update()


if __name__ == "__main__":
    run_script(main)
