"""Dependencies run one way, and importing a module does nothing."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.harness.errors import run_script

REPOSITORY = Path(__file__).resolve().parents[2]
COMMON = sorted((REPOSITORY / "common").glob("*.py"))
PARTS = sorted(path for path in REPOSITORY.glob("part*") if (path / "__init__.py").exists())
PART_FILES = sorted(path for part in PARTS for path in part.rglob("*.py"))

WORLD = {"world", "simulator", "contacts", "rendering", "distractors", "futures", "data"}
MODELS = {"encoders", "decoders", "predictors", "heads", "teacher", "vit"}
MATHS = {"losses", "sigreg", "dino", "metrics", "probes", "intervals", "schedules"}
BOOKKEEPING = {
    "config", "knobs", "strict_yaml", "files", "checkpoints", "guards", "runs", "provenance",
}  # fmt: skip
RESULTS = {"sweep", "jobs", "collect", "results", "plots", "strips", "grids"}

# What a module of common may import of common; one that is not listed, nothing of other groups.
ALLOWED = {
    "world": set(),
    "contacts": set(),
    "simulator": {"world", "contacts"},
    "rendering": {"world", "simulator"},
    "distractors": set(),
    "futures": {"world", "simulator", "rendering", "distractors"},
    "data": {"world", "simulator", "rendering", "distractors"},
    "distributed": set(),
    "losses": {"distributed"},
    "sigreg": {"distributed"},
    "dino": {"distributed"},
    "heads": {"distributed"},
    "teacher": set(),
    "schedules": set(),
    "metrics": set(),
    "probes": set(),
    "intervals": set(),
    "knobs": set(),
    "strict_yaml": set(),
    "config": {"knobs", "strict_yaml"},
    "dinov3": {"config"},
    "frozen": {"vit", "dinov3", "config", "checkpoints", "knobs"},
    "feature_cache": {"frozen", "data", "files"},
    "gram": {"distributed"},
    "masking": set(),
    "clusters": set(),
}
FORBIDDEN = {
    **dict.fromkeys(BOOKKEEPING | RESULTS, WORLD | MODELS | {"losses", "sigreg", "metrics"}),
    **dict.fromkeys(MODELS, WORLD | MATHS | BOOKKEEPING | RESULTS),
    **dict.fromkeys(BOOKKEEPING, WORLD | MODELS | MATHS | RESULTS),
}


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file, as a dotted name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def of_common(path: Path) -> set[str]:
    """The modules of common that a file imports."""
    names = {name.split(".")[1] for name in imports(path) if name.startswith("common.")}
    return names & {file.stem for file in COMMON}


def test_there_is_something_to_check() -> None:
    assert len(COMMON) > 20
    assert len(PART_FILES) > 5
    assert of_common(REPOSITORY / "common" / "futures.py") == ALLOWED["futures"]


@pytest.mark.parametrize("path", PART_FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_part_imports_no_other_part(path: Path) -> None:
    (own,) = (part.name for part in PARTS if part in path.parents)
    for name in imports(path):
        root = name.split(".")[0]
        assert not root.startswith("part") or root == own, f"{path} imports {name}"
        assert not (path.parent / f"{root}.py").exists(), f"{path} imports {name}: a bare sibling"


@pytest.mark.parametrize("path", COMMON, ids=lambda p: p.name)
def test_common_imports_no_part(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    assert not {root for root in roots if root.startswith("part")}
    assert not roots & {"tests", "configs"}
    assert not roots & {file.stem for file in COMMON}, "a bare sibling"


@pytest.mark.parametrize("path", COMMON, ids=lambda p: p.name)
def test_inside_common_dependencies_run_one_way(path: Path) -> None:
    used = of_common(path)
    if path.stem in ALLOWED:
        assert used <= ALLOWED[path.stem]
    assert not used & FORBIDDEN.get(path.stem, set())
    if path.stem == "__init__":
        assert not list(imports(path))


def test_inside_common_nothing_goes_round() -> None:
    left = {path.stem: of_common(path) - {path.stem} for path in COMMON}
    while left:
        ready = {name for name, needs in left.items() if not needs & left.keys()}
        assert ready, f"these import each other: {sorted(left)}"
        left = {name: needs for name, needs in left.items() if name not in ready}


@pytest.mark.parametrize("path", [*COMMON, *PART_FILES], ids=lambda p: f"{p.parent.name}/{p.name}")
def test_no_file_bends_the_import_path(path: Path) -> None:
    text = path.read_text()
    assert "sys.path." not in text
    assert "PYTHONPATH" not in text
    assert path.stem == "__init__" or path.stem not in sys.stdlib_module_names


CHECK = """
import importlib, os, random, signal, sys, warnings
import jsonargparse, joblib, matplotlib.figure, matplotlib.backends.backend_agg, numpy, torch, tqdm
import PIL.Image, filelock, gymnasium, yaml

def state():
    return {
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "import path": list(sys.path),
        "python's random stream": random.getstate(),
        "numpy's random stream": numpy.random.get_state()[1].tolist(),
        "torch's random stream": torch.get_rng_state().tolist(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "subnormals": (torch.tensor(1e-38) * torch.tensor(0.1)).item(),
        "ctrl-c": signal.getsignal(signal.SIGINT),
        "terminate": signal.getsignal(signal.SIGTERM),
        "warnings": list(warnings.filters),
        "figures": dict(matplotlib.rcParams),
        "files": sorted(os.listdir(".")),
    }

before = state()
for name in sys.argv[1:]:
    importlib.import_module(name)
after = state()
for key in before:
    assert str(before[key]) == str(after[key]), key
"""


def test_importing_every_module_does_nothing(tmp_path: Path) -> None:
    names = [f"common.{path.stem}" for path in COMMON if path.stem != "__init__"]
    names += [
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        for path in PART_FILES
        if path.stem != "__init__"
    ]
    done = subprocess.run(
        [sys.executable, "-c", CHECK, *names], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""
    assert not list(tmp_path.iterdir())


SCRIPTS = sorted(
    str(path.relative_to(REPOSITORY))
    for path in REPOSITORY.glob("part*/*.py")
    if "__main__" in path.read_text()
)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_refuses_an_option_that_it_does_not_know(script, monkeypatch, capsys):
    module = importlib.import_module(script.removesuffix(".py").replace("/", "."))
    monkeypatch.setattr(sys, "argv", [script, "--no_such_option=1"])
    with pytest.raises(SystemExit) as ended:
        run_script(module.main)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err.splitlines()[-1]
