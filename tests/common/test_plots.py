"""Figures: labelled, legible, told apart by every eye, and what they are drawn from kept."""

import itertools
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from common.figures.charts import Bars, Curves, panels
from common.figures.frames import Group, strip, write_gif
from common.figures.panels import points
from common.figures.style import PALETTE, WIDTH, write_png

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB: rows of 3 x 3 matrices.
BLINDNESS = {
    "none": (1, 0, 0, 0, 1, 0, 0, 0, 1),
    "deuteranopia": (0.367, 0.861, -0.228, 0.280, 0.673, 0.047, -0.012, 0.043, 0.969),
    "protanopia": (0.152, 1.053, -0.205, 0.115, 0.786, 0.099, -0.004, -0.048, 1.052),
    "tritanopia": (1.256, -0.077, -0.179, -0.078, 0.931, 0.148, 0.005, 0.691, 0.304),
}


def lab(color: str, blindness: str) -> np.ndarray:
    """CIE L*a*b* of a colour, as seen; a difference of about 2 can just be noticed."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    seen = np.clip(np.reshape(BLINDNESS[blindness], (3, 3)) @ linear, 0, 1)
    x, y, z = np.cbrt(to_xyz @ seen / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def interval(*values: float) -> dict:
    mean = sum(values) / len(values)
    ends = (
        {"low": min(values), "high": max(values)}
        if len(values) > 1
        else {"low": None, "high": None}
    )
    return {"mean": mean, **ends, "n": len(values), "values": list(values)}


def bars() -> list[Bars]:
    score = {"pixels": interval(0.9, 1.0), "a long name, SIGReg": interval(0.2)}
    rows = {name: {name: value} for name, value in score.items()}
    return [Bars(rows, "smear index", {"real": 0.0, "exact blur": 1.0}), Bars(rows, "coverage")]


def curves() -> list[Curves]:
    line = {"x": [1, 2, 1500, 700_000], "mean": [3, 2, 1.5, 1.1]}
    band = {"low": [2, 1, 1, None], "high": [4, 3, 2, None]}
    bounds = {"Bayes floor": 1.0, "mean frame": 2.0, "copy-last": 2.1}
    return [
        Curves({"pixels": line | band}, "steps", "MSE / floor", bounds, log_x=True, log_y=True),
        Curves({"JEPA": line, "pixels": line}, "K", "coverage", title="a world"),
    ]


def frames(num_columns: int = 4) -> Figure:
    row = [np.zeros((8, 8)), None, *[np.ones((8, 8))] * (num_columns - 2)]
    groups = [Group("every real future", 2), Group("pixels\n2 of 16", num_columns - 2, "#D55E00")]
    return strip(
        [row, row], groups, [["p 0.5", "", *["smear 0.93"] * (num_columns - 2)]] * 2, "a note " * 40
    )


def texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_colours_are_told_apart_by_every_eye(blindness: str) -> None:
    seen = [lab(color, blindness) for color in PALETTE.values()]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 10


def many_curves() -> list[Curves]:
    line = {"x": [1, 2], "mean": [3, 2]}
    return [Curves({f"a rather long name, {i}": line for i in range(7)}, "steps", "px")]


@pytest.mark.parametrize(
    "draw",
    [lambda: panels(bars()), lambda: panels(curves()), lambda: panels(many_curves()), frames],
)
def test_text_is_legible_and_inside_the_figure(draw) -> None:
    figure = draw()
    FigureCanvasAgg(figure).draw()
    assert figure.get_size_inches()[0] == WIDTH
    assert min(text.get_fontsize() for text in texts(figure)) >= 9
    (left, low), (right, high) = figure.get_tightbbox().get_points()  # of all that is drawn
    assert min(left, low) > -0.01
    assert right < WIDTH + 0.01
    assert high < figure.get_size_inches()[1] + 0.01


def test_curves_have_labelled_axes_bounds_and_one_legend() -> None:
    figure = panels(curves(), {"JEPA": "#0072B2"}, note="what 1 means")
    left, right = figure.axes
    assert (left.get_xlabel(), left.get_ylabel()) == ("steps", "MSE / floor")
    assert right.get_title(loc="left") == "a world"
    assert [tick.get_text() for tick in left.get_xticklabels()] == ["1", "2", "1.5K", "700K"]
    words = [text.get_text() for text in texts(figure)]
    assert {"Bayes floor", "mean frame", "copy-last", "what 1 means"} <= set(words)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["pixels", "JEPA"]
    assert to_hex(right.lines[0].get_color()) == "#0072b2"
    assert right.lines[1].get_color() == left.lines[0].get_color()  # pixels, in both panels
    assert right.lines[0].get_marker() != right.lines[1].get_marker()


def test_any_two_of_twenty_series_differ_in_colour_or_marker() -> None:
    line = {"x": [1, 2], "mean": [3, 2]}
    figure = panels([Curves({f"series {i}": line for i in range(20)}, "steps", "px")])
    drawn = figure.axes[0].lines
    assert len({(to_hex(one.get_color()), one.get_marker()) for one in drawn}) == 20
    assert [one.get_linestyle() for one in drawn[6:8]] == ["-", "--"]
    assert len({to_hex(one.get_color()) for one in drawn[:7]}) == 7  # as before, up to seven
    bars = Bars({"row": {f"bar {i}": interval(0.5) for i in range(9)}}, "px")
    boxes = panels([bars]).axes[0].patches
    assert len({(to_hex(box.get_facecolor()), box.get_hatch()) for box in boxes}) == 9
    cloud = {f"series {i}": (np.ones(3), np.ones(3)) for i in range(9)}
    assert len(points([(cloud, "x")], "y").axes[0].collections) == 9


def test_a_share_is_drawn_from_0_to_1() -> None:
    line = {"x": [1, 2], "mean": [0.4, 0.6]}
    curves = Curves({"a": line}, "steps", "share", {"chance": 0.5}, limits=(0, 1))
    bars = Bars({"a": {"a": interval(0.4, 0.6)}}, "share", limits=(0, 1))
    left, right = panels([curves, bars]).axes
    low, high = left.get_ylim()
    assert -0.1 < low <= 0
    assert 1 <= high < 1.1
    assert right.get_xlim() == (0, 1)


def test_bars_name_their_rows_once_and_show_single_seeds() -> None:
    figure = panels(bars())
    left, right = figure.axes
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["pixels", "a long name, SIGReg"]
    assert right.yaxis.get_tick_params()["labelleft"] is False
    assert not figure.legends  # each bar stands in a row of its own name
    assert [bar.get_width() for bar in left.patches] == pytest.approx([0.95, 0.2])
    dots = [dot for dots in left.collections for dot in np.asarray(dots.get_offsets())[:, 0]]
    assert dots == pytest.approx([0.9, 1.0, 0.2])


def test_strip_shows_frames_on_one_scale_and_leaves_blanks() -> None:
    images = frames().axes[0].images
    assert len(images) == 2 * 3
    assert {image.get_clim() for image in images} == {(0, 1)}


def test_strip_refuses_a_ragged_row() -> None:
    frame = np.zeros((8, 8))
    with pytest.raises(
        ValueError, match=r"row 1 has 1 frames and 2 captions, expected 2 of each \(1 of 'input'"
    ):
        strip([[frame, frame], [frame]], [Group("input", 1), Group("x", 1)], [["", ""]] * 2)


def test_gif_has_every_frame_and_loops(tmp_path: Path) -> None:
    figures = [panels([Curves({"y": {"x": [0, 1], "mean": [0, i]}}, "x", "y")]) for i in range(3)]
    write_gif(tmp_path / "figures" / "a.gif", figures, fps=4, y=np.arange(3))
    with Image.open(tmp_path / "figures" / "a.gif") as gif:
        assert gif.n_frames == 3
        assert gif.info["loop"] == 0
        assert gif.info["duration"] == 250
        assert gif.convert("RGB").getpixel((1, 1)) == (255, 255, 255)
    assert np.load(tmp_path / "figures" / "a.npz")["y"].tolist() == [0, 1, 2]


def test_gif_refuses_figures_of_two_sizes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one size"):
        write_gif(tmp_path / "a.gif", [frames(4), frames(9)])
    assert not list(tmp_path.iterdir())


def test_png_and_its_arrays(tmp_path: Path) -> None:
    write_png(tmp_path / "bars.png", panels(bars()))
    write_png(tmp_path / "curves.png", panels(curves()), mean=np.ones(4))
    assert {path.name for path in tmp_path.iterdir()} == {"bars.png", "curves.png", "curves.npz"}
    with Image.open(tmp_path / "curves.png") as image:
        assert image.width == 150 * WIDTH


def test_settings_of_the_caller_stay() -> None:
    before = dict(mpl.rcParams)
    frames()
    panels(curves())
    assert dict(mpl.rcParams) == before
