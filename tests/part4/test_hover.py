"""What the page is made of: similarities, their bytes, names that do not escape."""

import base64
import json
import re
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from common.frozen import WEIGHTS
from common.harness.config import REPOSITORY
from common.harness.errors import UserError, run_script
from part4_dinov3_encoder import hover
from part4_dinov3_encoder.config import PART
from part4_dinov3_encoder.demo import similarity
from part4_dinov3_encoder.demo.page import View, render


def view(**changes: object) -> View:
    draw = torch.Generator().manual_seed(0)
    found = {
        "encoder_name": "an encoder",
        "is_pretrained": True,
        "patch_size": 8,
        "grid": (4, 6),
        "frames": torch.rand(1, 3, 32, 48, generator=draw),
        "tokens": torch.randn(24, 16, generator=draw),
    }
    return View(**{**found, **changes})  # type: ignore[arg-type]


def rendered(*views: View, photo: Image.Image | None = None, name: str = "photo.jpg") -> str:
    return render(photo or Image.new("RGB", (60, 40), "teal"), name, views or [view()])


def data_of(page: str) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])  # type: ignore[index]


def test_cosines_by_hand():
    tokens = torch.tensor([[1.0, 0], [2, 0], [0, 3], [-1, 0], [0, 0]])
    wanted = [[1, 1, 0, -1, 0], [1, 1, 0, -1, 0], [0, 0, 1, 0, 0], [-1, -1, 0, 1, 0], [0] * 5]
    assert similarity.cosines(tokens).tolist() == wanted
    centred = similarity.cosines(tokens + 100, centred=True)
    torch.testing.assert_close(centred, similarity.cosines(tokens, centred=True), atol=1e-5, rtol=0)


def test_a_packed_matrix_is_its_upper_triangle_in_steps_of_a_127th():
    cosine = similarity.cosines(view().tokens)
    packed = np.frombuffer(base64.b64decode(similarity.pack(cosine)), np.int8)
    assert len(packed) == 24 * 25 // 2
    rows, columns = np.triu_indices(24)
    assert np.abs(packed / 127 - cosine.numpy()[rows, columns]).max() <= 0.5 / 127 + 1e-9


def test_the_foreground_is_what_keeps_from_the_border():
    tokens = torch.tensor([1.0, 0.0]).repeat(5, 7, 1)
    tokens[1:4, 2:5] = torch.tensor([0.0, 1.0])
    wanted = torch.zeros(5, 7, dtype=torch.bool)
    wanted[1:4, 2:5] = True
    assert torch.equal(similarity.foreground(tokens.flatten(0, 1), (5, 7)), wanted.flatten())


def test_colour_likeness_is_one_for_a_colour_and_zero_on_average():
    colors = torch.rand(40, 3, generator=torch.Generator().manual_seed(1))
    likeness = similarity.color_likeness(colors)
    assert torch.equal(likeness.diagonal(), torch.ones(40, dtype=torch.double))
    assert torch.equal(likeness, likeness.T)
    assert likeness.mean().abs() < 1e-5
    two = similarity.color_likeness(torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    assert two.tolist() == [[1, -1], [-1, 1]]  # apart by 1, spread 1 / 4


def test_pca_colours_follow_the_largest_spread_and_bear_few_directions():
    tokens = torch.linspace(-1, 1, 9)[:, None] * torch.tensor([[3.0, 0.0]])
    colors = similarity.pca_colors(tokens)
    assert colors.shape == (9, 3)
    assert (colors[1:, 0] > colors[:-1, 0]).all() or (colors[1:, 0] < colors[:-1, 0]).all()
    assert (colors[:, 2] == 0.5).all()


def test_the_page_holds_what_was_computed_and_nothing_from_outside():
    shown = view()
    page = rendered(shown, view(encoder_name="another"))
    data, other = data_of(page)["views"]
    assert other["encoder"] == "another"
    assert (data["rows"], data["columns"], data["encoder"]) == (4, 6, "an encoder")
    assert data["raw"] == similarity.pack(similarity.cosines(shown.tokens))
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", page)
    assert "{{" not in page


@pytest.mark.parametrize("name", ["</script><script>alert(1)</script>.jpg", "\"><img src=x>'.png"])
def test_a_name_cannot_break_out(name):
    page = rendered(view(encoder_name=name), name=name)
    assert data_of(page)["photo"] == name
    assert "<script>alert" not in page
    assert "<img src=x>" not in page


def test_a_28_by_28_grid_stays_below_a_megabyte_and_a_half():
    noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)
    shown = view(
        grid=(28, 28), frames=torch.rand(1, 3, 224, 224), tokens=torch.randn(784, 32)
    )  # fmt: skip
    assert len(rendered(shown, photo=Image.fromarray(noise)).encode()) < 1_500_000


@pytest.mark.parametrize(
    ("size", "words"),
    [(8, "at least 2 on either side .* use --size 16$"), (4000, "use --size"), (512, None)],
)
def test_sizes_that_make_no_page_are_refused(size, words):
    if words is None:
        assert hover.grid_of(640, 480, size, 16) == (24, 32)
        return
    with pytest.raises(UserError, match=words):
        hover.grid_of(640, 480, size, 8)


@pytest.mark.parametrize("patch", [8, 16])
@pytest.mark.parametrize(("width", "height"), [(640, 480), (451, 300), (512, 600), (200, 2048)])
def test_the_size_that_is_advised_makes_a_page(width, height, patch):
    with pytest.raises(UserError, match=r"use --size \d+$") as refused:
        hover.grid_of(width, height, 4096, patch)
    size = int(str(refused.value).split()[-1])
    assert hover.grid_of(width, height, size, patch)
    with pytest.raises(UserError):
        hover.grid_of(width, height, size + patch, patch)


def test_a_photo_of_which_no_size_makes_a_page():
    with pytest.raises(UserError, match="crop the photo"):
        hover.grid_of(40_000, 16, 40_000, 8)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--encoder", "lejpa"], "lejepa"),
        (["--size", "0"], "expected 1 to"),
        (["--out", "page.jpg"], "ends in .html"),
        (["--encoder", "dinov3_vits16", "--weights", "nowhere"], "nowhere"),
    ],
)
def test_wrong_arguments_end_in_a_clear_last_line(monkeypatch, capsys, arguments, words):
    monkeypatch.setattr(sys, "argv", ["hover.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        run_script(hover.main)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_page_names_the_encoder_that_was_asked_for(tmp_path, monkeypatch, capsys):
    out = tmp_path / "page.html"
    monkeypatch.setattr(sys, "argv", ["hover.py", "--encoder", "vit_random", "--out", str(out)])
    hover.main()
    (data,) = data_of(out.read_text(encoding="utf-8"))["views"]
    assert data["pretrained"] is False
    assert data["encoder"] in (said := capsys.readouterr().out)
    assert "replaces" not in said
    hover.main()
    assert "replaces the page that was there" in capsys.readouterr().out


def test_no_page_takes_the_place_of_another(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(hover, "OUT", tmp_path / "pages")
    Image.new("RGB", (64, 48), "teal").save(tmp_path / "photo.jpg")
    Image.new("RGB", (64, 48), "red").save(tmp_path / "photo.png")
    made = []
    for name, *options in (
        ["photo.jpg"], ["photo.png"], ["photo.jpg", "--encoder", "dino"], ["photo.jpg"]
    ):  # fmt: skip
        monkeypatch.setattr(sys, "argv", ["hover.py", str(tmp_path / name), *options])
        hover.main()
        made.append(capsys.readouterr().out.splitlines()[-1].split("  (")[0].rpartition("/")[2])
    assert made == ["photo.html", "photo-2.html", "photo-3.html", "photo.html"]


def test_several_encoders_each_with_what_stands_beside_it(tmp_path, monkeypatch):
    out = tmp_path / "page.html"
    asked = "--encoder lejepa --random_weights --encoder dino --encoder ijepa --weights"
    weights = str(WEIGHTS / "ijepa.pt")
    monkeypatch.setattr(sys, "argv", ["hover.py", *asked.split(), weights, "--out", str(out)])
    hover.main()
    views = data_of(out.read_text(encoding="utf-8"))["views"]
    found = [(view["encoder"].split()[0], view["pretrained"]) for view in views]
    assert found == [("untrained", False), ("dino", True), ("ijepa", True)]


def test_the_printed_commands_name_no_photo_that_is_not_there():
    pages = [REPOSITORY / "README.md", PART / "README.md"]
    text = "\n".join([hover.__doc__ or "", *(page.read_text(encoding="utf-8") for page in pages)])
    assert "hover.py" in text
    assert not re.findall(r"hover\.py [^-`\s]+\.\w+", text)
