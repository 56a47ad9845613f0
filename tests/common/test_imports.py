"""Dependencies run one way, and importing a module does nothing."""

import ast
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
COMMON = sorted((REPOSITORY / "common").rglob("*.py"))
PARTS = sorted(path for path in REPOSITORY.glob("part*") if (path / "__init__.py").exists())
FILES = [*COMMON, *sorted(path for part in PARTS for path in part.rglob("*.py"))]

# Who may import what of common; a part imports common and itself, its report/ the harness and
# itself, common imports no part.
WORLD = "world collisions simulator rendering distractors futures episodes"
TENSORS = (
    "encoders predictors heads ema vit losses sigreg dino masking schedules distributed metrics "
    "probes intervals"
)
MAY_IMPORT = {
    **dict.fromkeys(WORLD.split(), f"{WORLD} harness.config harness.errors harness.machine"),
    **dict.fromkeys(TENSORS.split(), TENSORS),
    "dinov3": "harness.errors harness.checkpoints",
    "frozen": "dinov3 vit encoders harness.errors harness.checkpoints",
    "feature_cache": "frozen episodes harness.files harness.errors",
    "harness": "harness intervals sweep",
    "figures": "figures harness",
    "language": "language vit probes",
    "sweep": "harness",
    "readme": "harness",
}


def name(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


MODULES = {name(path): path for path in FILES}
everything = pytest.mark.parametrize("path", FILES, ids=name)


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file, as a dotted name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else str(node.module)


def test_there_is_something_to_check() -> None:
    assert len(COMMON) > 30
    assert len(PARTS) == 4
    of_futures = set(imports(REPOSITORY / "common" / "futures.py"))
    assert {"common.world", "common.simulator", "common.rendering"} <= of_futures


@everything
def test_dependencies_run_one_way(path: Path) -> None:
    own = name(path).split(".")
    used = {module for module in imports(path) if module.startswith(("common", "part"))}
    assert used <= MODULES.keys(), "an import that is no file of this repository"
    if own[0] != "common":
        allowed = ["common", own[0]]
        if own[1:2] == ["report"]:
            allowed = ["common.harness", f"{own[0]}.report"]
    else:
        allowed = [f"common.{n}" for n in MAY_IMPORT.get([*own, ""][1], "").split()]
    for module in used:
        assert any(within(module, package) for package in allowed), f"imports {module}"
    assert not {module for module in imports(path) if (path.parent / f"{module}.py").exists()}


@everything
def test_no_file_knows_another_parts_path(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    told = {ast.get_docstring(n, clean=False) for n in ast.walk(tree) if isinstance(n, documented)}
    words = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
    own = path.relative_to(REPOSITORY).parts[0]
    for other in (part.name for part in PARTS if part.name != own):
        paths = re.compile(rf"{other}|\b(configs|runs|tests)/{other.split('_')[0]}")
        for word in words:
            assert not isinstance(word, str) or word in told or not paths.search(word), word


def test_nothing_goes_round() -> None:
    left = {module: set(imports(path)) & MODULES.keys() for module, path in MODULES.items()}
    while left:
        ready = {module for module, needs in left.items() if not needs & left.keys() - {module}}
        assert ready, f"these import each other: {sorted(left)}"
        left = {module: needs for module, needs in left.items() if module not in ready}


@everything
def test_no_file_bends_the_import_path(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "sys.path." not in text
    assert "PYTHONPATH" not in text
    assert path.stem == "__init__" or path.stem not in sys.stdlib_module_names


@pytest.mark.parametrize(("folder", "most"), [("common", 27), *((part, 12) for part in PARTS)])
def test_a_top_floor_is_seen_at_a_glance(folder: Path | str, most: int) -> None:
    files = list((REPOSITORY / folder).glob("*.py"))
    assert len(files) <= most, sorted(path.name for path in files)


READS = """
import sys

from common import readme

readme.update(check=True)
print(*sys.modules)
"""


def test_writing_pages_loads_no_network_and_not_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", READS], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    assert not {"torch", "scipy", "matplotlib"} & set(loaded)
    ours = [module for module in loaded if module.startswith(("common.", "part"))]
    assert any(within(module, f"{PARTS[0].name}.report.tables") for module in ours)
    for module in ours:
        assert re.fullmatch(r"common\.(readme|harness)\b.*|part\w+(\.report\b.*)?", module), module


CHECK = """
import importlib, os, random, signal, sys, warnings
import joblib, matplotlib.figure, matplotlib.backends.backend_agg, numpy, pydantic, scipy.stats
import PIL.Image, filelock, gymnasium, torch, tqdm, yaml

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
    done = subprocess.run(
        [sys.executable, "-c", CHECK, *MODULES], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""
    assert not list(tmp_path.iterdir())


SCRIPTS = [
    str(path.relative_to(REPOSITORY))
    for path in FILES
    if "__main__" in path.read_text(encoding="utf-8") and path.parent.parent == REPOSITORY
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_refuses_an_option_that_it_does_not_know(script, monkeypatch, capsys):
    monkeypatch.setattr("signal.signal", lambda *_: None)  # a sweep's, for this process alone
    monkeypatch.setattr(sys, "argv", [script, "--no_such_option=1"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(REPOSITORY / script), run_name="__main__")
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err.splitlines()[-1]
