"""What the READMEs say exists, and their numbers are those of the results files."""

import re
from pathlib import Path

import pytest

from common.harness.config import REPOSITORY
from common.harness.results import read_results, validate_results
from part2_pixel_vs_jepa.report import readme as part2
from part3_collapse_regularizers.report import readme as part3
from part4_dinov3_encoder.report import readme as part4
from part5_action_planning.report import readme as part5

READMES = [REPOSITORY / "README.md", *sorted(REPOSITORY.glob("part*/**/README.md"))]
RESULTS = sorted(REPOSITORY.glob("part*/results/*.json"))


def name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


@pytest.mark.parametrize("path", READMES, ids=name)
def test_every_linked_file_exists(path):
    for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if "://" not in link:
            assert (path.parent / link).exists(), link


@pytest.mark.parametrize("path", READMES, ids=name)
def test_every_quoted_path_of_a_command_exists(path):
    text = path.read_text(encoding="utf-8")
    quoted = re.findall(r"`((?:common|configs|tests|part\d_\w+)/[\w./-]+\.(?:py|yaml|json))", text)
    commands = re.findall(
        r"(?:python|torchrun --nproc_per_node 2|--config) ((?:[\w.-]+/)+[\w.-]+\.(?:py|yaml))", text
    )
    assert quoted or commands
    for file in [*quoted, *commands]:
        assert (REPOSITORY / file).exists(), file


@pytest.mark.parametrize("path", READMES, ids=name)
def test_every_quoted_function_is_where_it_is_said_to_be(path):
    text = path.read_text(encoding="utf-8")
    quoted = re.findall(r"`([\w/]+\.py)`: ((?:`\w+`(?: \([^)]*\))?(?:, )?)+)", text)
    named = re.findall(r"((?:`\w+`(?:,\s|\sand\s|\s))+)in\s`([\w/]+\.py)`", text)
    quoted += [(file, functions) for functions, file in named]
    if path.match("part*/README.md") or path.parent == REPOSITORY:
        assert quoted, "no function is said to be in a file"
    for file, functions in quoted:
        folders = [folder for folder in path.parents if folder.is_relative_to(REPOSITORY)]
        (code, *_) = [folder / file for folder in folders if (folder / file).exists()]
        for function in re.findall(r"`(\w+)`", functions):
            defined = rf"^(?:def|class) {function}\b"
            assert re.search(defined, code.read_text(encoding="utf-8"), re.MULTILINE), function


@pytest.mark.parametrize(
    "part", [part2, part3, part4, part5], ids=["part2", "part3", "part4", "part5"]
)
def test_the_tables_are_those_of_the_results(part):
    assert not part.update(check=True), f"run: python {name(Path(part.__file__))}"


@pytest.mark.parametrize("path", RESULTS, ids=name)
def test_results_have_the_common_form_and_name_their_command(path):
    content = read_results(path)
    validate_results(content)
    assert content["experiment"] == path.stem
    files = [word for word in content["command"].split() if word.endswith((".py", ".yaml"))]
    assert files, content["command"]
    assert all((REPOSITORY / file).exists() for file in files), content["command"]


@pytest.mark.parametrize("path", sorted(REPOSITORY.glob("part*/README.md")), ids=name)
def test_a_part_is_told_in_120_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 120
