"""Writes the tables of this part's READMEs from results/*.json; a test fails when they differ.

python part3_collapse_regularizers/readme.py
"""

from collections.abc import Callable

from common.config import run_script
from common.results import markdown_table, update_tables
from part3_collapse_regularizers.experiment import PART
from part3_collapse_regularizers.judge import judge_table
from part3_collapse_regularizers.readme_tables import (
    Table,
    batch_table,
    dimension_table,
    inside_table,
    lejepa_parts_table,
    main_table,
    next_frame_table,
    stability_table,
    weights_table,
)
from part3_collapse_regularizers.readme_verdicts import verdicts_table


def made(*makers: Callable[[], Table]) -> dict[str, str]:
    """Tables by the name in their markers."""
    return {m.__name__.removesuffix("_table"): markdown_table(*m()) for m in makers}


def update(check: bool = False) -> bool:
    """Rewrites the tables of this part's pages; whether any differed."""
    pages = {
        PART / "README.md": made(main_table, verdicts_table, judge_table),
        PART / "results" / "README.md": made(
            next_frame_table,
            inside_table,
            stability_table,
            weights_table,
            lejepa_parts_table,
            batch_table,
            dimension_table,
        ),
    }
    differed = [update_tables(page, tables, check=check) for page, tables in pages.items()]
    return any(differed)


def main() -> None:
    update()


if __name__ == "__main__":
    run_script(main)
