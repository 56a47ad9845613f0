"""Rewrites the tables and claims on all pages from results/*.json; a test fails when they differ.

    python -m common.readme            rewrites
    python -m common.readme --check    exit code 2 where a page differs

A part's ``report/tables.py`` holds PAGES, {page: {block: table or claims}}, as data.
"""

import argparse
import importlib

from common.harness.config import REPOSITORY
from common.harness.errors import UserError, run_script
from common.harness.tables import update_page


def update(*, check: bool) -> list[str]:
    """The pages that differed; rewritten unless ``check``."""
    differed = []
    for tables in sorted(REPOSITORY.glob("part*/report/tables.py")):
        part = tables.parents[1]
        pages = importlib.import_module(f"{part.name}.report.tables").PAGES
        for page, blocks in pages.items():
            if update_page(part / page, blocks, part / "results", check=check):
                differed.append(f"{part.name}/{page}")
    return differed


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m common.readme", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args().check
    differed = update(check=check)
    if check and differed:
        pages = ", ".join(differed)
        raise UserError(f"{pages}: not as the results are; run python -m common.readme")
    print("\n".join(differed) or "all pages were up to date")


if __name__ == "__main__":
    run_script(main)
