"""What the pages say exists, their numbers are those of results files, and they stay readable."""

import importlib
import json
import keyword
import re
import shutil
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from common import readme
from common.harness.claims import Claim, Claims, Results
from common.harness.config import REPOSITORY
from common.harness.results import read_results

PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "common" / "README.md",
    *sorted(REPOSITORY.glob("part*/**/README.md")),
]
FRONT = [REPOSITORY / "README.md", *sorted(REPOSITORY.glob("part*/README.md"))]
RESULTS = sorted(REPOSITORY.glob("part*/results/*.json"))
PARTS = sorted(path.parents[1] for path in REPOSITORY.glob("part*/report/tables.py"))
MOST_BYTES = {REPOSITORY / "README.md": 5_000}  # a part's: 8,000
SHARES = (  # metrics whose values and intervals lie in [0, 1]
    "coverage", "precision", "last", "held", "ever", "at_start", "greedy_last", "greedy_held",
    "greedy_ever", "*_auroc", "lost",
    "*collapse_ratio", "foreground*", "leakage*", "initial_share", "crossing_share", "sign_right",
    "grey_mass", "weight_error", "*_false_alarms", "*_calm_share", "worth_*", "sharpness_*",
)  # fmt: skip


def name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


pages = pytest.mark.parametrize("path", PAGES, ids=name)
front = pytest.mark.parametrize("path", FRONT, ids=name)
results = pytest.mark.parametrize("path", RESULTS, ids=name)
parts = pytest.mark.parametrize("part", PARTS, ids=name)


def blocks_of(part: Path) -> Iterator[Any]:
    """Every table and list of claims of a part's pages."""
    module = importlib.import_module(f"{part.name}.report.tables")
    for blocks in module.PAGES.values():
        yield from blocks.values()


@pages
def test_every_linked_file_exists(path):
    for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if "://" not in link:
            assert (path.parent / link).exists(), link


@pages
def test_every_quoted_path_of_a_command_exists(path):
    text = path.read_text(encoding="utf-8")
    quoted = re.findall(r"`((?:common|configs|tests|part\d_\w+)/[\w./-]+\.(?:py|yaml|json))", text)
    commands = re.findall(
        r"(?:python|torchrun --nproc_per_node 2|--config) ((?:[\w.-]+/)+[\w.-]+\.(?:py|yaml))", text
    )
    assert quoted or commands
    for file in [*quoted, *commands]:
        assert (REPOSITORY / file).exists(), file


@pages
def test_every_study_that_a_page_names_is_one(path):
    for part, study in re.findall(r"python (part\w+)/study\.py (\w+)", path.read_text("utf-8")):
        sweeps = REPOSITORY / "configs" / part.split("_")[0] / "sweeps"
        studies = importlib.import_module(f"{part}.study").STUDIES
        assert study in studies or (sweeps / f"{study}.yaml").exists(), study


@pages
def test_every_quoted_function_is_where_it_is_said_to_be(path):
    text = path.read_text(encoding="utf-8")
    quoted = re.findall(r"`([\w/]+\.py)`: ((?:`\w+`(?: \([^)]*\))?(?:, )?)+)", text)
    named = re.findall(r"((?:`\w+`(?:,\s|\sand\s|\s))+)in\s`([\w/]+\.py)`", text)
    quoted += [(file, functions) for functions, file in named]
    if path.match("part*/README.md"):
        assert quoted, "no function is said to be in a file"
    for file, functions in quoted:
        folders = [folder for folder in path.parents if folder.is_relative_to(REPOSITORY)]
        (code, *_) = [folder / file for folder in folders if (folder / file).exists()]
        for function in {*re.findall(r"`(\w+)`", functions)} - {*keyword.softkwlist}:
            defined = rf"^(?:def|class) {function}\b"
            assert re.search(defined, code.read_text(encoding="utf-8"), re.MULTILINE), function


def test_the_blocks_of_all_pages_are_those_of_the_results():
    assert not readme.update(check=True), "run: python -m common.readme"
    assert len(PARTS) == 4


@parts
def test_every_verdict_is_the_one_that_the_results_give(part):
    module = importlib.import_module(f"{part.name}.report.tables")
    listed = [
        claim for block in blocks_of(part) if isinstance(block, Claims) for claim in block.claims
    ]
    if (part / "report" / "claims.py").exists():
        module = importlib.import_module(f"{part.name}.report.claims")
    more = getattr(module, "CLAIMS", ())
    listed += list(more.claims if isinstance(more, Claims) else more)
    results = Results(part / "results")
    assert listed
    for claim in listed:
        assert isinstance(claim, Claim)
        assert claim.decided(results) == claim.verdict, claim.text


@results
def test_results_have_the_common_form_and_say_where_they_come_from(path):
    content = read_results(path)
    assert content["experiment"] == path.stem
    assert re.match(r"[0-9a-f]{7,}", content["commit"] or ""), "no commit"
    assert content["machine"]
    assert content["device"]
    assert all(variant["params"] is not None for variant in content["variants"].values())
    told = [json.dumps(variant["params"]) for variant in content["variants"].values()]
    assert len(told) == 1 or len(set(told)) > 1, "nothing says how the variants differ"
    sweep = re.fullmatch(r"python -m common\.sweep (configs/\S+\.yaml)", content["command"])
    script = re.fullmatch(r"python (part\S+)/(\w+\.py)( .*)?", content["command"])
    if sweep:
        assert (REPOSITORY / sweep[1]).exists()
        return
    assert script, content["command"]
    assert path.parents[1] == REPOSITORY / script[1]
    assert (REPOSITORY / script[1] / script[2]).exists()
    if script[2] == "study.py":
        assert script[3].strip() in importlib.import_module(f"{script[1]}.study").STUDIES


def intervals(content: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(row, metric, interval) of every variant and bound; differences excepted."""
    rows = {row: variant["metrics"] for row, variant in content["variants"].items()}
    for row, metrics in [*rows.items(), *content["bounds"].items()]:
        for metric, interval in metrics.items():
            yield row, metric, interval


@results
def test_no_interval_of_a_share_leaves_0_to_1(path):
    for row, metric, interval in intervals(read_results(path)):
        if any(fnmatch(metric, pattern) for pattern in SHARES):
            ends = [*interval["values"], interval["low"], interval["high"]]
            assert all(0 <= end <= 1 for end in ends if end is not None), (row, metric, interval)


def printed(text: str) -> set[str]:
    """Every "mean [low, high]" on a page."""
    return set(re.findall(r"[-+]?[\d.,]+ \[[-+]?[\d.,]+, [-+]?[\d.,]+\]", text))


@pages
def test_every_interval_on_a_page_is_one_of_a_results_file(path):
    own = [part for part in PARTS if part in path.parents] or PARTS
    known = [block.markdown(part / "results") for part in own for block in blocks_of(part)]
    assert printed(path.read_text(encoding="utf-8")) <= printed("\n".join(known))


def cells(text: str) -> Iterator[list[str]]:
    """The cells of every line of every table."""
    for line in re.findall(r"^\|(.*)\|$", text, re.MULTILINE):
        yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]


@pytest.mark.slow
@pytest.mark.parametrize("part", ["part2", "part3", "part5"])
def test_published_figures_are_what_the_results_draw(part, tmp_path):
    (results,) = REPOSITORY.glob(f"{part}_*/results")
    for path in (*results.glob("*.json"), *results.glob("*.npz")):
        shutil.copy(path, tmp_path)
    module = importlib.import_module(f"{results.parent.name}.figures.results")
    for path in module.draw_results(tmp_path):
        new, old = Image.open(path), Image.open(results / "figures" / path.name)
        if new.info.get("Software") != old.info.get("Software"):
            pytest.skip(f"drawn by {old.info.get('Software')}, whose letters differ")
        assert np.array_equal(np.asarray(new), np.asarray(old)), path.name


@front
def test_a_front_page_is_read_in_one_sitting(path):
    assert len(path.read_bytes()) <= MOST_BYTES.get(path, 8_000)
    for row in cells(path.read_text(encoding="utf-8")):
        assert len(row) <= 5, row
        for cell in row:
            words = re.sub(r"\]\([^)]*\)", "]", cell).split()
            assert len(words) <= 25, cell
