"""Every part on a device that this machine need not have.

``Elsewhere`` pretends that there is an MPS: what is made or moved there is computed on the CPU, and
known to be there. A call that mixes tensors of both places, makes float64 there, draws there with a
generator of the CPU, or turns what is there into an array, fails as it would on an MPS.
"""

import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from common.episodes import draw_batch, make_clips
from common.harness.config import REPOSITORY, RunOptions, load_config, options_of, to_yaml
from common.harness.errors import UserError
from common.harness.launcher import gpu_of
from common.harness.machine import pick_device
from common.harness.processes import Processes
from common.harness.runs import Run
from common.schedules import stream
from common.sweep import read_sweep
from part2_pixel_vs_jepa.config import BASELINE, Config, Stream, generator
from part2_pixel_vs_jepa.scoring.heldout import make_heldout
from part5_action_planning.config import PlannerConfig
from part5_action_planning.planning.discrete import DiscreteConfig, plan_discrete
from part5_action_planning.planning.planners import plan
from part5_action_planning.planning.search_state import Bounds

PARTS = sorted(path.name for path in REPOSITORY.glob("part*_*"))
MPS, CPU = torch.device("mps"), torch.device("cpu")
SET_DATA = Tensor.data.__set__
MIXED = {Tensor.copy_, SET_DATA, torch._has_compatible_shallow_copy_type}  # may mix both places


class Elsewhere(TorchFunctionMode):
    """See the module; calls counts what was computed there."""

    calls = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = list(tensors((args, kwargs)))
        there = [x for x in given if is_there(x)]
        if func == Tensor.device.__get__:
            return MPS if there else CPU
        if func in (Tensor.__reduce_ex__, Tensor.__array__, Tensor.numpy) and there:
            assert func is not Tensor.__array__, "an array of what is on the device"
            assert func is not Tensor.numpy or kwargs.get("force"), "numpy() of what is there"
            return func(at_home(args[0]), *args[1:], **kwargs)
        if func is Tensor.cpu and there:
            return args[0].clone()
        wanted, args, kwargs = place_wanted(func, args, kwargs)
        result = func(*args, **kwargs)
        if func in (Tensor.copy_, SET_DATA):
            if func == SET_DATA:
                args[0].on_mps = is_there(args[1])
            return result
        if func is Tensor.to and wanted is not None:
            result = result.clone() if result is args[0] else result
        self.check(func, given, there, wanted, kwargs)
        goes = bool(there) if wanted is None else wanted == MPS
        for made in tensors(result) if goes else ():
            assert made.dtype not in (torch.float64, torch.complex128), f"{name(func)}: float64"
            mark(made)
        Elsewhere.calls += goes
        return result

    def check(self, func: Any, given: list, there: list, wanted: Any, kwargs: Any) -> None:
        if there and wanted is None and func not in MIXED:
            apart = [tuple(x.shape) for x in given if not is_there(x) and x.dim()]
            assert not apart, f"{name(func)} mixes the device with {apart} of the CPU"
        draws = kwargs.get("generator")
        if draws is not None:
            place = MPS if wanted == MPS or (there and wanted is None) else CPU
            assert draws.device == place, f"{name(func)} draws with a generator of {draws.device}"


class Generator(torch.Generator):
    """One of the CPU's, which says where it was asked to be."""

    def __new__(cls, device: Any = "cpu") -> "Generator":
        made = super().__new__(cls)
        made.place = torch.device(device)
        return made

    @property
    def device(self) -> torch.device:
        return self.place


def name(func: Any) -> str:
    return getattr(func, "__qualname__", str(func))


def tensors(node: Any) -> Iterator[Tensor]:
    if isinstance(node, Tensor):
        yield node
    elif isinstance(node, tuple | list):
        for inner in node:
            yield from tensors(inner)
    elif isinstance(node, dict):
        yield from tensors(list(node.values()))


def is_there(x: Tensor) -> bool:
    return getattr(x, "on_mps", False)


def mark(x: Tensor) -> None:
    x.on_mps = True


def at_home(x: Tensor) -> Tensor:
    """The same numbers, on the CPU."""
    return x.detach().clone()


def place_wanted(func: Any, args: tuple, kwargs: dict) -> tuple[Any, tuple, dict]:
    """The device that a call names, None for none; and the call, with the CPU in its place."""
    wanted = None
    if kwargs.get("device") is not None:
        wanted = torch.device(kwargs["device"])
        kwargs = kwargs | {"device": CPU}
    elif func is Tensor.to:
        for at, word in enumerate(args[1:], 1):
            if isinstance(word, torch.device | str):
                wanted = torch.device(word)
                args = (*args[:at], CPU, *args[at + 1 :])
            elif isinstance(word, Tensor):
                wanted = MPS if is_there(word) else CPU
    elif not list(tensors((args, kwargs))) and kwargs.get("generator") is not None:
        wanted = CPU  # a factory that names none
    return wanted, args, kwargs


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An MPS, as far as one can be pretended."""
    copied = nn.Parameter.__deepcopy__

    def copy(parameter: nn.Parameter, memo: dict) -> nn.Parameter:
        made = copied(parameter, memo)
        if is_there(parameter):
            mark(made)
        return made

    monkeypatch.setattr(torch, "Generator", Generator)
    monkeypatch.setattr(nn.Parameter, "__deepcopy__", copy)
    with Elsewhere():
        yield


def train_there(part: str, names: list[str], changes: dict[str, Any], folder: Path) -> None:
    """Trains and scores a part's config, on the device."""
    package = next(path.name for path in REPOSITORY.glob(f"{part}_*"))
    config, script = (import_module(f"{package}.{module}") for module in ("config", "train"))
    files = [config.BASELINE.with_name(f"{name}.yaml") for name in ("baseline", *names, "smoke")]
    known = options_of(config.Config)
    few = {"figures": False} if "figures" in known else {}
    cfg = load_config(config.Config, files, few | {"steps": 2} | changes)
    with Run.open(part, RunOptions("there", folder), to_yaml(cfg), seed=0, device="mps") as run:
        place = MPS if part == "part2" else Processes(0, 1, MPS)
        script.train(cfg, run, place)
    assert (folder / "summary.json").exists()


class Stopped(Exception):
    """After the last step, before anything is scored."""


FOUR = {"methods": ["pixels", "pixels_z", "jepa", "jepa_z"]}
METHODS = [
    *(("part2", name, FOUR) for name in ("baseline", "sigreg", "dots", "squares")),
    ("part2", "two_frames", {"world.wall": "stochastic"}),
    ("part2", "tokens", {"tokens.num_words": 16}),
    ("part2", "likelihood", {}),
    *(("part3", name, {}) for name in ("none", "vicreg", "barlow", "sigreg", "dino", "byol")),
    *(("part3", name, {}) for name in ("simsiam", "stopgrad", "supervised", "next_frame")),
    *(("part4", name, {}) for name in ("ijepa", "vjepa", "vjepa21", "dino", "dino_gram", "lejepa")),
    *(("part4", name, {}) for name in ("vjepa_causal", "pixels", "supervised")),
    *(("part5", name, {}) for name in ("lewm", "lewm_adaln", "lewm_vit", "pldm", "pixel")),
    *(("part5", name, {}) for name in ("cloning", "left_right", "dino_mlp", "vjepa_mlp")),
    ("part5", "words", {"words.num_words": 16}),
    ("part5", "cloning_gpt", {}),
    *(("part5", name, {}) for name in ("dino_wm", "vjepa2_ac", "lewm_published")),
]


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(("part", "name", "changes"), METHODS)
def test_every_method_is_trained_on_the_device(part, name, changes, tmp_path, monkeypatch):
    saved = Run.save

    def save(self: Run, step: int, state: Any) -> None:
        saved(self, step, state)
        if step == 2:
            raise Stopped

    monkeypatch.setattr(Run, "save", save)
    with pytest.raises(Stopped):
        train_there(part, [name], changes, tmp_path / "run")


SCORED = [
    ("part2", ["four_arms"], {"figures": True}),
    ("part2", ["two_frames"], {"methods": ["jepa_z"], "distractor.kind": "squares"}),
    ("part2", ["tokens"], {"figures": True, "tokens.num_words": 16}),
    ("part2", ["likelihood"], {"figures": True}),
    ("part3", ["vicreg"], {"figures": True}),
    ("part4", ["lejepa"], {}),
    ("part4", ["vjepa"], {}),
    ("part5", ["lewm"], {"figures": True, "evaluation.num_surprise_clips": 4}),
    ("part5", ["cloning"], {"figures": True}),
    ("part5", ["cloning_gpt"], {"figures": True}),
    ("part5", ["words"], {"figures": True, "words.num_words": 16, "words.say": "sample"}),
    ("part5", ["left_right"], {"figures": True}),
    ("part5", ["bank_shot"], {}),
    ("part5", ["dino_mlp"], {}),
]


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(("part", "names", "changes"), SCORED)
def test_runs_are_scored_and_drawn_on_the_device(part, names, changes, tmp_path):
    train_there(part, names, changes, tmp_path / "run")


def quadratic(actions: Tensor) -> Tensor:
    return (actions.float() - 0.3).square().sum((-2, -1)) if actions.ndim == 4 else actions.sum(-1)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("kind", ["random", "cem", "icem", "mppi", "gradient"])
def test_every_planner_searches_on_the_device(kind):
    cfg = PlannerConfig(kind=kind, horizon=3, num_samples=8, num_iterations=2, num_elites=2)
    bounds = Bounds(-torch.ones(2, device=MPS), torch.ones(2, device=MPS))
    start = torch.zeros(4, 3, 2, device=MPS)
    assert plan(cfg, quadratic, bounds, start, torch.Generator(MPS)).actions.device == MPS


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("kind", ["enumerate", "random", "cem", "icem", "mppi"])
def test_every_planner_of_choices_searches_on_the_device(kind):
    sizes = {"num_samples": 8, "num_iterations": 2, "num_elites": 2, "keep_share": 0.5}
    cfg = DiscreteConfig(kind=kind, horizon=3, **sizes)
    found = plan_discrete(cfg, lambda x: quadratic(x).float(), 2, 4, torch.Generator(MPS))
    assert found.actions.device == MPS


@pytest.mark.usefixtures("elsewhere")
def test_data_are_drawn_on_the_device_and_held_out_data_are_not():
    cfg = load_config(Config, [BASELINE], {"data.num_train_episodes": 2})
    draws = generator(cfg, Stream.TRAIN_DATA, MPS)
    clips = make_clips(cfg.world, cfg.distractor, 2, draws)
    assert draw_batch(clips, 4, 1, 1.0, draws).x_next.device == clips.frames.device == MPS
    assert make_heldout(cfg).best.device == CPU


MISTAKES = {
    "mixes": lambda a, b: a + b,
    "mixes ": lambda a, b: torch.where(a > 0, a, b),
    "mixes  ": lambda a, b: b[a.long()],
    "float64": lambda a, b: a.double(),
    "float64 ": lambda a, b: torch.zeros(2, dtype=torch.float64, device=MPS),
    "numpy": lambda a, b: a.numpy(),
    "array": lambda a, b: np.asarray(a),
    "generator of cpu": lambda a, b: torch.rand(2, device=a.device, generator=torch.Generator()),
    "generator of mps": lambda a, b: torch.rand(2, generator=torch.Generator(MPS)),
}


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("word", MISTAKES)
def test_the_pretence_refuses_what_an_mps_would(word):
    with pytest.raises(AssertionError, match=word.strip()):
        MISTAKES[word](torch.zeros(3, device="mps"), torch.zeros(3))


FLOAT64 = {  # files that may name it: what they compute with is on the CPU
    "common/distributed.py", "common/probes.py", "common/intervals.py",
    "part3_collapse_regularizers/scoring/dashboard.py", "part3_collapse_regularizers/plot.py",
    "part4_dinov3_encoder/demo/similarity.py", "part5_action_planning/scoring/surprise.py",
}  # fmt: skip


def test_float64_stays_where_there_is_one():
    word = re.compile(r"\.double\(|torch\.double|(?<!stays )float64\b(?! stays)|complex128")
    folders = [REPOSITORY / "common", *REPOSITORY.glob("part*")]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    found = {str(path.relative_to(REPOSITORY)) for path in files if word.search(path.read_text())}
    assert {path for path in found if "/studies/" not in path} == FLOAT64


@pytest.mark.parametrize(
    ("cuda", "mps", "named"), [(1, 1, "cuda"), (1, 0, "cuda"), (0, 1, "mps"), (0, 0, "cpu")]
)
def test_auto_takes_the_best_that_is_there_and_says_which(cuda, mps, named, monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: bool(cuda))
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: bool(mps))
    monkeypatch.setattr("torch.cuda.get_device_name", lambda _: "a GPU")
    assert pick_device("auto").type == named
    shown = "cuda (a GPU)" if named == "cuda" else named
    assert capsys.readouterr().out == f"device: {shown}\n"
    assert pick_device("cpu") == CPU
    assert capsys.readouterr().out == ""


SCRIPTS = [
    *((f"{part}/train.py", ()) for part in PARTS),
    *((f"{part}/evaluate.py", ("runs/none",)) for part in PARTS[:2]),
    *((f"{PARTS[2]}/{name}.py", ()) for name in ("probe", "track", "hover")),
    *((f"{PARTS[3]}/{name}.py", ()) for name in ("evaluate", "plan")),
]


@pytest.mark.parametrize(("script", "given"), SCRIPTS)
def test_a_device_that_is_not_there_ends_in_one_line(script, given, refusal, monkeypatch, tmp_path):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    main = import_module(script.removesuffix(".py").replace("/", ".")).main
    last = refusal(main, *given, "--device=cuda")
    assert last.startswith("error: device cuda: PyTorch")
    assert last.endswith("use --device=cpu")
    assert not list(tmp_path.iterdir())


def test_bf16_is_refused_where_there_is_none(monkeypatch):
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX2")
    with pytest.raises(UserError, match=r"no AVX-512: use precision fp32$"):
        pick_device("cpu", "bf16")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: False)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda _: "a GPU")
    with pytest.raises(UserError, match=r"bf16: cuda \(a GPU\) has none: use precision fp32$"):
        pick_device("cuda", "bf16")


def test_a_run_goes_on_where_another_device_left_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch, "Generator", Generator)
    places, drawn = ("cpu", "cpu", "mps", "mps", "cpu"), []
    for step, place in enumerate(places):
        draws, config = stream(0, 1, place), f"device: {place}\nseed: 0\n"
        with Run.open("p", RunOptions("n", tmp_path), config, seed=0, device=place) as run:
            assert run.restore({"draws": draws}) == step
            drawn.append(torch.rand(3, generator=draws).tolist())
            run.save(step + 1, {"draws": draws})
    whole = stream(0, 1)
    assert drawn[:2] == [torch.rand(3, generator=whole).tolist() for _ in range(2)]
    assert len({tuple(numbers) for numbers in drawn}) == len(places)
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note")]
    assert [line.split(":")[1] for line in notes] == [
        " begun with device cpu, goes on with mps",
        " begun with device mps, goes on with cpu",
    ]
    assert json.loads((tmp_path / "run.json").read_text())["device"] == "cpu"


@pytest.mark.parametrize(
    ("count", "visible", "given"),
    [(0, None, [None] * 3), (1, None, [None] * 3), (2, None, ["0", "1", "0"]),
     (2, "3,5", ["3", "5", "3"])],
)  # fmt: skip
def test_jobs_of_a_sweep_share_out_the_gpus(count, visible, given, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [gpu_of(number).get("CUDA_VISIBLE_DEVICES") for number in range(3)] == given


def test_a_sweep_tells_its_runs_the_device():
    path = REPOSITORY / "configs" / "part2" / "sweeps" / "main.yaml"
    _, jobs = read_sweep(path, REPOSITORY / "runs", "mps")
    assert all("--device=mps" in job.arguments and job.config["device"] == "mps" for job in jobs)
