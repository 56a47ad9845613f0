"""Configs: every mistake ends in one line that says what is wrong and what would be right."""

import contextlib
import io
import math
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.harness.config import load_config, parse_config, to_yaml
from common.harness.errors import ConfigError, UserError, run_script
from common.harness.strict_yaml import load_text

BASELINE = """\
steps: 100
rate: 1e-3
arms: [pixels]
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


@dataclass(frozen=True)
class Ball:
    """The ball.

    Args:
        radius: of the ball (px).
    """

    radius: float = field(metadata={"above": 0, "max": 32})
    speeds: tuple[float, ...] = field(metadata={"min": 0})
    span: tuple[float, float]
    axes: Literal[1, 2]

    def __post_init__(self) -> None:
        if not self.speeds:
            raise ValueError("speeds: expected one or more, got none")


@dataclass(frozen=True)
class Config:
    """What is trained.

    Args:
        steps: of the optimizer, 100% of them.
        rate: learning rate.
        world: the world.
    """

    steps: int = field(metadata={"min": 1, "max": 100_000})
    rate: float = field(metadata={"min": 0, "below": 1})
    arms: tuple[Literal["pixels", "embeddings"], ...]
    loss: Literal["vicreg", "sigreg", "off"]
    note: str
    action: bool
    seed: int
    world: Ball

    def __post_init__(self) -> None:
        if self.loss == "off" and "embeddings" in self.arms:
            raise ValueError("loss off collapses the arm embeddings: use vicreg or sigreg")


@pytest.fixture(autouse=True)
def _subnormals_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """run_script would flush subnormal floats for every test after it."""
    monkeypatch.setattr(torch, "set_flush_denormal", lambda _: True)


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
    config = load(baseline, "world: {radius: 6}\nloss: off\nnote: '1e-3'\n")
    assert config.world == Ball(radius=6.0, speeds=(2.0, 6.0), span=(1.0, 2.0), axes=1)
    assert (config.loss, config.note, config.rate, config.steps) == ("off", "1e-3", 1e-3, 100)
    assert isinstance(config.world.radius, float)
    assert load(baseline, to_yaml(config)) == config
    assert load(baseline, "") == load(baseline, "# nothing\n") == load_config(Config, [baseline])
    overrides = {"world.radius": 3, "world": {"axes": 2}, "arms": ["embeddings"]}
    config = load_config(Config, [baseline], overrides)
    assert (config.world.radius, config.world.axes, config.arms) == (3.0, 2, ("embeddings",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepz: 3", "unknown key stepz; did you mean steps?"),
        ("world: {raduis: 3}", "unknown key world.raduis; did you mean world.radius?"),
        ("raduis: 3", "unknown key raduis; did you mean world.radius?"),
        ("wrld: {radius: 3}", "unknown key wrld; did you mean world?"),
        ("zzz: 3", "unknown key zzz"),
        ("steps: many", "steps: expected int, got many"),
        ("steps: 2.0", "steps: expected int, got 2.0"),
        ("steps: '2'", "steps: expected int, got '2'"),
        ("steps: true", "steps: expected int, got True"),
        ("steps: [2]", "steps: expected int, got [2]"),
        ("steps: {a: 2}", "steps: expected int, got {'a': 2}"),
        ("steps: 010", "steps: expected int, got '010'"),
        ("steps: 2020-01-01", "steps: expected int, got 2020-01-01"),
        ("steps:", "steps: expected a value, got null"),
        ("steps: 0", "steps: expected at least 1 and at most 100000, got 0"),
        ("steps: -3", "steps: expected at least 1 and at most 100000, got -3"),
        ("steps: 999999999999999999999", "steps: expected int, got 1e+21"),
        ("rate: 1", "rate: expected at least 0 and below 1, got 1.0"),
        ("rate: .nan", "rate: expected a finite number, got nan"),
        ("rate: 1e999", "rate: expected a finite number, got inf"),
        ("rate: false", "rate: expected float, got False"),
        ("rate: '0.1'", "rate: expected float, got '0.1'"),
        ("action: on", "action: expected bool, got 'on'"),
        ("action: 1", "action: expected bool, got 1"),
        ("note: 3", "note: expected str, got 3"),
        ("loss: vicregg", "loss: expected one of ['vicreg', 'sigreg', 'off'], got vicregg"),
        ("loss: false", "loss: expected one of ['vicreg', 'sigreg', 'off'], got False"),
        ("arms: pixels", "arms: expected a list, got pixels"),
        ("arms: '[pixels]'", "arms: expected a list, got '[pixels]'"),
        ("arms: [pixel]", "arms: expected one of ['pixels', 'embeddings'], got pixel"),
        ("world: {radius: 0}", "world.radius: expected above 0 and at most 32, got 0.0"),
        ("world: {speeds: [1, .inf]}", "world.speeds: expected a finite number, got inf"),
        ("world: {speeds: [1, -1]}", "world.speeds: expected at least 0, got -1.0"),
        ("world: {speeds: []}", "speeds: expected one or more, got none"),
        ("world: {span: [1]}", "world.span: expected a list with 2 elements, got [1]"),
        ("world: {axes: true}", "world.axes: expected int, got True"),
        ("world: {axes: 3}", "world.axes: expected one of [1, 2], got 3"),
        ("world: 3", "world: expected a mapping with world.radius and so on, got 3"),
        ("- steps", "expected a mapping (key: value), got ['steps']"),
        ("steps", "expected a mapping (key: value), got steps"),
        ("steps: 1\nsteps: 2", "line 2: duplicate key 'steps', expected it once"),
        ("world: {axes: 1, axes: 2}", "line 1: duplicate key 'axes', expected it once"),
        ("1: 2", "line 1: expected a name as key"),
        ("? [a]\n: 2", "line 1: expected a name as key"),
        ("rate: &r 1e-3", "line 1: anchors (&), aliases (*) and tags (!) are not used here"),
        ("a: !!python/object/apply:os.abort []", "anchors (&), aliases (*) and tags (!) are not"),
        ("a: " + "[" * 500, "line 1: nested more than 16 deep"),
        ("steps: [1", "line 1: expected ',' or ']', but got '<stream end>'"),
        ("---\nsteps: 1\n---\nsteps: 2", "line 3: but found another document"),
        (b"\xff\xfe\x00steps", "expected YAML text, got bytes that are not UTF-8"),
        (b"steps: \x00", "special characters are not allowed"),
        ("arms: [embeddings]\nloss: off", "loss off collapses the arm embeddings: use vicreg or"),
    ],
)
def test_mistake_in_a_file(baseline: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(baseline, text)
    assert message in str(caught.value)
    assert "ablation.yaml: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(baseline: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file; did you mean .*baseline.yaml\?"):
        load_config(Config, [baseline.with_name("basline.yaml")])
    with pytest.raises(ConfigError, match="Is a directory"):
        load_config(Config, [baseline.parent])
    with pytest.raises(ConfigError, match="File name too long"):
        load_config(Config, [Path("x" * 5000)])
    baseline.write_text("steps: 3")
    with pytest.raises(ConfigError, match=r"baseline.yaml: missing key rate, arms, .*world.axes"):
        load_config(Config, [baseline])


def run(baseline: Path, *argv: str) -> tuple[Config, str]:
    """Returns the config and the run's name; exits as a script does."""
    found: list[tuple[Config, str]] = []

    def main() -> None:
        config, options = parse_config(Config, baseline=baseline, description="d", argv=argv)
        found.append((config, options.name))

    run_script(main)
    return found[0]


def test_command_line(baseline: Path) -> None:
    ablation = baseline.with_name("wide.yaml")
    ablation.write_text("steps: 7\nrate: 0.5\n")
    config, name = run(baseline, "--steps=9", "--config", str(ablation), "--world.speeds=[1]")
    assert (config.steps, config.rate, config.world.speeds, name) == (9, 0.5, (1.0,), "wide")
    assert run(baseline, "--note", "on", "--arms=[embeddings]")[0].note == "on"
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
        ("--steps=0", "--steps: expected at least 1 and at most 100000, got 0"),
        ("--steps=two", "steps: expected int, got two"),
        ("--steps=" + "9" * 5000, "steps: Exceeds the limit"),
        ("--rate=nan", "rate: expected float, got nan"),
        ("--rate=.nan", "--rate: expected a finite number, got nan"),
        ("--rate=" + "9" * 400, "too large"),
        ("--world.axes=true", "world.axes: expected int, got True"),
        ("--arms=pixels", "arms: expected a list, got pixels"),
        ("--config=nowhere.yaml", "nowhere.yaml: no such file"),
        ("--config", "expected one argument"),
        ("--name=../x", "--name: expected letters, digits and _ . - only, got '../x'"),
        ("stray", "unrecognized arguments: stray"),
        ("--world.speeds=[]", "speeds: expected one or more, got none"),
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


def test_help_and_print_config(baseline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(baseline, "--help")
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "of the optimizer, 100% of them; at least 1 and at most 100000" in text
    assert "default: 100" in text
    with pytest.raises(SystemExit) as caught:
        run(baseline, "--print_config", "--steps=5")
    assert caught.value.code == 0
    assert load_text(capsys.readouterr().out)["steps"] == 5


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


@pytest.mark.slow
def test_workers_flush_subnormals() -> None:
    code = (
        "import torch\nfrom common.harness.config import run_script\n"
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
    ["steps", "rate", "arms", "loss", "note", "action", "seed", "world", "radius", "speeds", "axes"]
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
        "arms": st.lists(st.sampled_from(["pixels", "embeddings"]), max_size=2),
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
        config = load(baseline, content)
    except ConfigError as error:
        message = str(error)
        assert message
        assert "\n" not in message
        assert len(message) < 600
    else:
        assert 1 <= config.steps <= 100_000
        assert math.isfinite(config.rate)
        assert type(config.action) is bool
        assert load(baseline, to_yaml(config)) == config


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
        "import sys; from common.harness.config import run_script; "
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
