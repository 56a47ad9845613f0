"""What ``import part5_action_planning.train`` costs a reader: how many files, how deep."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

from common.harness.config import REPOSITORY

SCRIPT = """
import sys
import part5_action_planning.train
print(*(name for name in sys.modules if name.split(".")[0] in ("common", "part5_action_planning")))
"""


@functools.cache
def loaded() -> frozenset[str]:
    """The project's modules, packages too, that importing train.py loads."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return frozenset(done.stdout.split())


def imported_by(module: str) -> set[str]:
    """The loaded modules that a module imports as it is loaded itself."""
    path = REPOSITORY / Path(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    named: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            named |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return named & loaded()


@functools.cache
def depth(module: str) -> int:
    """Modules in the longest chain of imports that begins with this one."""
    return 1 + max((depth(other) for other in imported_by(module)), default=0)


def test_training_loads_at_most_forty_files():
    assert len(loaded()) <= 40, sorted(loaded())


def test_no_chain_of_imports_is_longer_than_ten():
    assert depth("part5_action_planning.train") <= 10


def test_figures_tables_and_environments_are_imported_where_they_are_used():
    rooms = {name.split(".")[1] for name in loaded() if name.startswith("part5_action_planning.")}
    assert not rooms & {"figures", "report", "studies", "gymnasium_env", "plot"}
    assert not {name for name in loaded() if name.startswith("common.figures")}
