"""Configs: every mistake ends in one line that says what is wrong and what would be right."""

import contextlib
import io
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field

from common.harness.config import REPOSITORY, config, load_config, option, parse_config, to_yaml
from common.harness.errors import ConfigError, UserError, run_script
from common.harness.strict_yaml import load_text
from part2_pixel_vs_jepa import config as part2

BASELINE = """\
steps: 100
rate: 1e-3
methods: [pixels]
loss: vicreg
note: posts
action: false
seed: 0
world:
  radius: 8
  speeds: [2, 6]
  span: [1, 2]
  axes: 1
"""


@config
class Ball:
    """The ball."""

    radius: float = option(gt=0, le=32)
    """Of the ball (px)."""
    speeds: tuple[Annotated[float, Field(ge=0)], ...]
    """Drawn from (px/frame)."""
    span: tuple[float, float]
    """Two ends."""
    axes: Literal[1, 2]
    """Along which it moves."""
    drag: float = option(1.0, ge=0, le=1, when="axes=2")
    """Share of the velocity that is left."""

    def __post_init__(self) -> None:
        if not self.speeds:
            raise ValueError("speeds: expected one or more, got none")


@config
class Layer:
    """All of it may be left out."""

    kind: Literal["none", "dots"] = "none"
    """Of what is behind the ball."""
    dots: int = option(5, ge=1, when="kind=dots & loss=vicreg|sigreg")
    """How many."""


@config
class Config:
    """What is trained."""

    steps: int = option(ge=1, le=100_000)
    """Of the optimizer, 100% of them."""
    rate: float = option(ge=0, lt=1)
    """Learning rate."""
    methods: tuple[Literal["pixels", "embeddings"], ...]
    """Trained side by side."""
    loss: Literal["vicreg", "sigreg", "off"]
    """Against collapse."""
    slices: int = option(64, ge=1, when="methods=embeddings")
    """Of the loss."""
    note: str
    """For the reader."""
    action: bool
    """Whether it is given."""
    seed: int
    """Of all draws."""
    world: Ball
    layer: Layer

    def __post_init__(self) -> None:
        if self.loss == "off" and "embeddings" in self.methods:
            raise ValueError("loss off collapses the method embeddings: use vicreg or sigreg")


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    path = tmp_path / "baseline.yaml"
    path.write_text(BASELINE)
    return path


def load(baseline: Path, text: str | bytes) -> Config:
    path = baseline.with_name("ablation.yaml")
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_config(Config, [baseline, path])


def test_files_stack_and_round_trip(baseline: Path) -> None:
    cfg = load(baseline, "world: {radius: 6}\nloss: off\nnote: '1e-3'\n")
    assert cfg.world == Ball(radius=6.0, speeds=(2.0, 6.0), span=(1.0, 2.0), axes=1)
    assert (cfg.loss, cfg.note, cfg.rate, cfg.steps) == ("off", "1e-3", 1e-3, 100)
    assert isinstance(cfg.world.radius, float)
    assert load(baseline, to_yaml(cfg)) == cfg
    assert load(baseline, "") == load(baseline, "# nothing\n") == load_config(Config, [baseline])
    overrides = {"world.radius": 3, "world": {"axes": 2}, "methods": ["embeddings"]}
    cfg = load_config(Config, [baseline], overrides)
    assert (cfg.world.radius, cfg.world.axes, cfg.methods) == (3.0, 2, ("embeddings",))


def test_defaults_may_be_left_out_and_whole_groups_with_them(baseline: Path) -> None:
    cfg = load_config(Config, [baseline])
    assert (cfg.slices, cfg.world.drag, cfg.layer) == (64, 1.0, Layer(kind="none", dots=5))
    assert load(baseline, "layer: {dots: 9}").layer == Layer(dots=9)
    assert load(baseline, "layer: {}").layer == Layer()


def test_a_config_checks_itself_wherever_it_is_made() -> None:
    ball = Ball(radius=8.0, speeds=(1.0,), span=(1.0, 2.0), axes=1)
    mistakes: list[tuple[dict[str, Any], str]] = [
        ({"radius": 0.0}, r"radius: .*above 0, got 0\.0"),
        ({"axes": 3}, r"axes: .*1 or 2, got 3"),
        ({"speeds": ()}, "speeds: expected one or more"),
        ({"speeds": (-1.0,)}, r"speeds: .*at least 0, got -1\.0"),
        ({"radius": float("nan")}, "radius: .*finite"),
        ({"radios": 3.0}, "unknown key radios|unexpected keyword"),
        ({"span": (1.0, 2.0, 3.0)}, "span: expected a list of at most 2 items"),
        ({"span": (1.0,)}, "span: expected a longer list"),
    ]
    for changes, message in mistakes:
        for make in (lambda c: replace(ball, **c), lambda c: Ball(**{**vars(ball), **c})):
            with pytest.raises((ValueError, TypeError), match=message) as caught:
                make(changes)
            assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="missing key speeds"):
        Ball(radius=8.0, span=(1.0, 2.0), axes=1)  # type: ignore[call-arg]
    with pytest.raises(FrozenInstanceError):
        ball.radius = 3.0  # type: ignore[misc]


MISTAKES = [  # in a file, and what the message must hold beside the file's name
    ("stepz: 3", "unknown key stepz", "did you mean steps?"),
    ("world: {raduis: 3}", "unknown key world.raduis", "did you mean world.radius?"),
    ("raduis: 3", "unknown key raduis", "did you mean world.radius?"),
    ("wrld: {radius: 3}", "unknown key wrld.radius", "did you mean world.radius?"),
    ("zzz: 3", "unknown key zzz", ""),
    ("steps: many", "steps: expected", "integer, got 'many'"),
    ("steps: 2.5", "steps: expected", "2.5"),
    ("steps: '2'", "steps: expected", "integer, got '2'"),
    ("steps: true", "steps: expected", "got True"),
    ("steps: [2]", "steps: expected", "got [2]"),
    ("steps: {a: 2}", "steps", "a"),
    ("steps: 010", "steps: expected", "got '010'"),
    ("steps: 2020-01-01", "steps: expected", "2020-01-01"),
    ("steps:", "steps: expected", "got None"),
    ("steps: 0", "steps: expected at least 1", "got 0"),
    ("steps: 200000", "steps: expected at most 100000", "got 200000"),
    ("steps: 999999999999999999999", "steps: expected", "1e+21"),
    ("rate: 1", "rate: expected below 1", "got 1"),
    ("rate: .nan", "rate: expected", "finite number, got nan"),
    ("rate: 1e999", "rate: expected", "finite number, got inf"),
    ("rate: false", "rate: expected", "number, got False"),
    ("rate: '0.1'", "rate: expected", "number, got '0.1'"),
    ("action: on", "action: expected", "boolean, got 'on'"),
    ("action: 1", "action: expected", "boolean, got 1"),
    ("note: 3", "note: expected", "string, got 3"),
    ("loss: vicregg", "loss: expected 'vicreg', 'sigreg' or 'off'", "got 'vicregg'"),
    ("loss: false", "loss: expected 'vicreg', 'sigreg' or 'off'", "got False"),
    ("methods: pixels", "methods: expected a list", "got 'pixels'"),
    ("methods: '[pixels]'", "methods: expected a list", "got '[pixels]'"),
    ("methods: [pixel]", "methods: expected 'pixels' or 'embeddings'", "got 'pixel'"),
    ("world: {radius: 0}", "world.radius: expected above 0", "got 0"),
    ("world: {speeds: [1, .inf]}", "world.speeds: expected", "finite number, got inf"),
    ("world: {speeds: [1, -1]}", "world.speeds: expected at least 0", "got -1"),
    ("world: {speeds: []}", "speeds: expected one or more", "got none"),
    ("world: {span: [1]}", "world.span: expected", "longer list, got [1]"),
    ("world: {span: [1, 2, 3]}", "world.span: expected", "2 items"),
    ("world: {axes: 3}", "world.axes: expected 1 or 2", "got 3"),
    ("world: 3", "world", ""),
    ("- steps", "expected a mapping (key: value)", "got ['steps']"),
    ("steps", "expected a mapping (key: value)", "got steps"),
    ("'\n\n'", "expected a mapping (key: value)", ""),
    ("? 'a\n\n'\n: 1", "unknown key a", ""),
    ("steps: 1\nsteps: 2", "line 1: duplicate key 'steps'", "expected it once"),
    ("world: {axes: 1, axes: 2}", "line 1: duplicate key 'axes'", "expected it once"),
    ("1: 2", "line 1: expected a name as key", ""),
    ("? [a]\n: 2", "line 1: expected a name as key", ""),
    ("rate: &r 1e-3", "line 1: anchors (&), aliases (*) and tags (!)", ""),
    ("a: !!python/object/apply:os.abort []", "anchors (&), aliases (*) and tags (!)", ""),
    ("a: " + "[" * 2000, "", ""),
    ("steps: [1", "line 1: expected ',' or ']'", ""),
    ("---\nsteps: 1\n---\nsteps: 2", "line 3: ", "another document"),
    (b"\xff\xfe\x00steps", "utf", ""),
    (b"steps: \x00", "special characters are not allowed", ""),
    ("methods: [embeddings]\nloss: off", "loss off collapses the method embeddings", "use vicreg"),
]


@pytest.mark.parametrize(("text", "place", "wanted"), MISTAKES)
def test_mistake_in_a_file(baseline: Path, text: str | bytes, place: str, wanted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(baseline, text)
    message = str(caught.value)
    assert place in message
    assert wanted in message
    assert "ablation.yaml: " in message
    assert "\n" not in message


def test_files_that_cannot_be_read(baseline: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file; did you mean .*baseline.yaml\?"):
        load_config(Config, [baseline.with_name("basline.yaml")])
    with pytest.raises(ConfigError, match="Is a directory"):
        load_config(Config, [baseline.parent])
    with pytest.raises(ConfigError, match="File name too long"):
        load_config(Config, [Path("x" * 5000)])
    text = baseline.read_text()
    for key in ("steps", "rate", "seed"):  # an option without a default stands in the baseline
        baseline.write_text("\n".join(t for t in text.splitlines() if not t.startswith(key)))
        with pytest.raises(ConfigError, match=f"baseline.yaml: missing key {key}$"):
            load_config(Config, [baseline])
    baseline.write_text(text.replace("  axes: 1\n", ""))
    with pytest.raises(ConfigError, match=r"baseline.yaml: missing key world\.axes$"):
        load_config(Config, [baseline])


def run(baseline: Path, *argv: str) -> tuple[Config, str]:
    """Returns the config and the run's name; exits as a script does."""
    found: list[tuple[Config, str]] = []

    def main() -> None:
        cfg, options = parse_config(Config, baseline=baseline, description="d", argv=argv)
        found.append((cfg, options.name))

    run_script(main)
    return found[0]


def test_command_line(baseline: Path) -> None:
    ablation = baseline.with_name("wide.yaml")
    ablation.write_text("steps: 7\nrate: 0.5\n")
    cfg, name = run(baseline, "--steps=9", "--config", str(ablation), "--world.speeds=[1]")
    assert (cfg.steps, cfg.rate, cfg.world.speeds, name) == (9, 0.5, (1.0,), "wide")
    assert run(baseline, "--note", "on", "--methods=[embeddings]")[0].note == "on"
    assert run(baseline)[1] == "baseline"
    assert run(baseline, "--name=mine", f"--config={ablation}")[1] == "mine"
    argv = ["--run_dir", "here", "--overwrite"]
    _, options = parse_config(Config, baseline=baseline, description="", argv=argv)
    assert (options.run_dir, options.overwrite) == (Path("here"), True)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--stepz=3", "unknown option --stepz; did you mean --steps?"),
        ("--world.raduis=3", "unknown option --world.raduis; did you mean --world.radius?"),
        ("--world.rad=3", "unknown option --world.rad; did you mean --world.radius?"),
        ("--steps=0", "--steps: expected at least 1, got 0"),
        ("--steps=two", "--steps: expected"),
        ("--steps=" + "9" * 5000, "--steps: expected"),
        ("--rate=nan", "--rate: expected"),
        ("--rate=.nan", "finite number, got nan"),
        ("--rate=[", "--rate: invalid YAML value: '['"),
        ("--rate=" + "9" * 400, "--rate: expected"),
        ("--world.axes=3", "--world.axes: expected 1 or 2, got 3"),
        ("--methods=pixels", "--methods: expected a list such as [a, b], got 'pixels'"),
        ("--run_dir=\udcff", r"--run_dir: expected printable characters, got '\udcff'"),
        ("--config=nowhere.yaml", "nowhere.yaml: no such file"),
        ("--config", "expected one argument"),
        ("--name=../x", "--name: expected letters, digits and _ . - only, got '../x'"),
        ("stray", "unknown option stray"),
        ("--world.speeds=[]", "speeds: expected one or more, got none"),
        # options that nothing reads in this config
        ("--world.drag=0.5", "--world.drag: nothing reads it here, only with axes=2"),
        ("--layer.dots=3", "--layer.dots: nothing reads it here, only with kind=dots"),
        ("--slices=3", "--slices: nothing reads it here, only with methods=embeddings"),
    ],
)
def test_mistake_on_the_command_line(
    baseline: Path, capsys: pytest.CaptureFixture[str], option: str, message: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(baseline, option)
    assert caught.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[-1]


CORES = os.cpu_count() or 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--lr=1"], "unknown option --lr; did you mean --learning_rate?"),
        (["--epochs=1"], "unknown option --epochs; did you mean --steps?"),
        (["--bs=1"], "did you mean --batch_size?"),
        (["--batch=1"], "did you mean --batch_size?"),
        (["--wd", "1"], "did you mean --weight_decay?"),
        (["--model.dim=1"], "did you mean --model.embedding_dim?"),
        (["--K=1"], "did you mean --num_hypotheses?"),
        (["--config=dots"], "dots: no such file; did you mean configs/part2/dots.yaml?"),
        (["--config", "dot.yaml"], "no such file; did you mean configs/part2/dots.yaml?"),
        (["--config=configs/part3/none.yaml"], "expected a config of part2, got one of part3"),
        (["--config=configs/part4/smoke.yaml"], "expected a config of part2, got one of part4"),
        (["--threads=1024"], f"expected at most {4 * CORES} on {CORES} cores, got 1024"),
        (["--learning_rate=10"], "--learning_rate: expected at most 1, got 10"),
    ],
)
def test_what_a_part_says_of_words_and_files_that_are_not_its_own(
    argv: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse_config(part2.Config, baseline=part2.BASELINE, description="", argv=argv)


def test_home_is_written_as_everywhere(baseline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(baseline.parent))
    argv = ["--run_dir=~/x", "--config=~/baseline.yaml"]
    _, options = parse_config(Config, baseline=baseline, description="", argv=argv)
    assert options.run_dir == baseline.parent / "x"


def test_every_script_reads_home_and_odd_names_alike() -> None:
    """A path that is written is read by typed_path: --out=~/x makes no folder named ~."""
    scripts = [path for part in REPOSITORY.glob("part*_*") for path in part.rglob("*.py")]
    plain = r'"(--\w+|run_dirs?|runs)".*\btype"?[=:] ?Path\b'
    found = [path.name for path in scripts if re.search(plain, path.read_text(encoding="utf-8"))]
    assert len(scripts) > 50
    assert not found


def test_help_and_print_config(baseline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(baseline, "--help")
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for told in ("Of the optimizer, 100% of them.", "at least 1", "at most 100000", "default 100"):
        assert told in text
    assert "read with axes=2" in text
    assert "'vicreg', 'sigreg', 'off'" in text
    with pytest.raises(SystemExit) as caught:
        run(baseline, "--print_config", "--steps=5")
    assert caught.value.code == 0
    assert load_text(capsys.readouterr().out)["steps"] == 5


def test_an_option_that_nothing_reads_may_stand_in_a_file(baseline: Path) -> None:
    cfg = load(baseline, "world: {drag: 0.5}\nslices: 3\nlayer: {dots: 3}")
    assert (cfg.world.drag, cfg.slices, cfg.layer.dots) == (0.5, 3, 3)
    read = ("--world.axes=2", "--world.drag=0.5", "--layer.kind=dots", "--layer.dots=3")
    cfg, _ = run(baseline, *read, "--methods=[pixels, embeddings]", "--slices=3")
    assert (cfg.world.drag, cfg.slices, cfg.layer.dots) == (0.5, 3, 3)


def test_endings_of_a_script(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise UserError("no disk; expected one")

    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    monkeypatch.setattr(sys, "argv", ["train.py", "--steps=3", "--overwrite"])
    for main, code, last in [
        (fail, 2, "error: no disk; expected one"),
        (stop, 130, "stopped; to resume: python train.py --steps=3"),
    ]:
        with pytest.raises(SystemExit) as caught:
            run_script(main)
        assert caught.value.code == code
        assert capsys.readouterr().err.strip().splitlines()[-1] == last
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # a second Ctrl-C adds nothing
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_what_memory_cannot_hold_ends_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for make in (lambda: torch.empty(10**15), lambda: np.empty(10**15)):
        with pytest.raises(SystemExit) as caught:
            run_script(make)
        assert caught.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "lower batch_size" in line
        assert "allocate" in line
    with pytest.raises(RuntimeError, match="size"):  # another mistake is one of the code
        run_script(lambda: torch.zeros(2) @ torch.zeros(3))


@pytest.mark.slow
def test_workers_flush_subnormals() -> None:
    code = (
        "import torch\nfrom common.harness.errors import run_script\n"
        "def main():\n"
        "    x = torch.full((1 << 20,), 1e-39) * 0.5\n    assert x.count_nonzero() == 0\n"
        "torch.set_num_threads(2)\nrun_script(main)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 200),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["pixels", "embeddings", "vicreg", "off", "on", "1e-3", "null", "010", "0x1"]),
)
names = st.sampled_from(
    [
        "steps",
        "rate",
        "methods",
        "loss",
        "note",
        "action",
        "seed",
        "world",
        "radius",
        "speeds",
        "axes",
    ]
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
mappings = st.dictionaries(names | st.text(max_size=5), values, max_size=5)
likely = st.fixed_dictionaries(
    {},
    optional={
        "steps": st.integers(-1, 200),
        "rate": st.floats(-0.1, 1.1),
        "methods": st.lists(st.sampled_from(["pixels", "embeddings"]), max_size=2),
        "loss": st.sampled_from(["vicreg", "sigreg", "off", "none"]),
        "note": st.text(max_size=8),
        "world": st.fixed_dictionaries({}, optional={"radius": st.floats(-1, 40)}),
    },
)
files = st.one_of(
    likely.map(yaml.safe_dump),
    mappings.map(lambda node: yaml.safe_dump(node, allow_unicode=True)),
    mappings.map(lambda node: yaml.safe_dump(node, default_flow_style=True)),
    st.text(alphabet="abs: -\n[]{}#&*!|>'\"?%@`,1e.~\t", max_size=60),
).map(str.encode) | st.binary(max_size=40)


unhurried = settings(
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@settings(unhurried, max_examples=500)
@given(content=files)
def test_any_file_is_a_config_or_a_clear_error(baseline: Path, content: bytes) -> None:
    try:
        cfg = load(baseline, content)
    except ConfigError as error:
        message = str(error)
        assert message
        assert "\n" not in message
        assert len(message) < 600
    else:
        assert 1 <= cfg.steps <= 100_000
        assert math.isfinite(cfg.rate)
        assert type(cfg.action) is bool
        assert load(baseline, to_yaml(cfg)) == cfg


@settings(unhurried, max_examples=40)
@given(content=files)
def test_any_file_ends_a_script_well(baseline: Path, content: bytes) -> None:
    path, said = baseline.with_name("ablation.yaml"), io.StringIO()
    try:
        expected = load(baseline, content)
    except ConfigError:
        with contextlib.redirect_stderr(said), pytest.raises(SystemExit) as caught:
            run(baseline, "--config", str(path))
        assert caught.value.code == 2
        assert said.getvalue().startswith("error: ")
        assert len(said.getvalue().splitlines()) == 1
    else:
        assert run(baseline, "--config", str(path))[0] == expected


@pytest.mark.parametrize("lines", [3, 1_000_000])  # less and more than a pipe holds
def test_a_reader_that_stops_early_gets_no_traceback(lines):
    code = (
        "import sys; from common.harness.errors import run_script; "
        f"run_script(lambda: (sys.stdin.read(), print('x\\n' * {lines})))"
    )
    command = [sys.executable, "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.close()  # only now does it print
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize(
    "shown",
    ["2>&-", ">&-", ">&- 2>&-", ">/dev/full", "2>/dev/full", ">/dev/full 2>/dev/full", "cp1251"],
)
def test_a_finished_run_is_finished_whatever_the_terminal_can_show(tmp_path, shown):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom common.harness.errors import run_script\n"
        "def main():\n"
        "    for stream in (sys.stdout, sys.stderr):\n"
        "        print('R\u00b2 of 0.9, a bar of \u2588', file=stream, flush=True)\n"
        "    Path(sys.argv[1]).write_text('done')\n"
        "    print('x' * 100_000)\n"
        "run_script(main)\n",
        encoding="utf-8",
    )
    coded, redirects = (shown, ">/dev/null") if shown == "cp1251" else ("utf-8", shown)
    command = shlex.join([sys.executable, str(script), str(tmp_path / "done")])
    environment = os.environ | {"PYTHONIOENCODING": coded}
    subprocess.run(f"{command} {redirects}", shell=True, check=True, env=environment)
    assert (tmp_path / "done").read_text() == "done"


@pytest.mark.parametrize("configs", [True, False])
def test_the_code_of_another_clone_is_not_run(tmp_path, configs):
    mine, other = tmp_path / "mine", tmp_path / "other"
    shutil.copytree(REPOSITORY / "common" / "harness", other / "common" / "harness")
    (mine / "common" / "harness").mkdir(parents=True)
    if configs:
        (other / "configs").mkdir()
    script = (mine if configs else other) / "part2" / "train.py"  # else as pip install . has it
    script.parent.mkdir()
    script.write_text("from common.harness.errors import run_script\nrun_script(lambda: None)\n")
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(other)},
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert str(script) in line
    assert str(other) in line
    assert "pip install -e ." in line
