"""The page in a real browser: pointer, keys and fingers change the map as the numbers say."""

import base64
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from common.frozen import VIT_SIZES, save_vit
from common.harness.config import REPOSITORY
from common.vit import ViT

selenium = pytest.importorskip("selenium", reason="the browser test needs selenium")
from selenium import webdriver  # noqa: E402
from selenium.webdriver.chrome.options import Options  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium and chromedriver here"),
]
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SETTLED = "return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));"


def made(folder: Path, *options: object) -> Path:
    """The page of the photograph that ships, made by the documented command."""
    command = [sys.executable, "part4_dinov3_encoder/hover.py", "--out", folder / "page.html"]
    subprocess.run([*command, *options], cwd=REPOSITORY, check=True, timeout=120)
    return folder / "page.html"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("hover"))


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two encoders, the second of coarser patches."""
    folder = tmp_path_factory.mktemp("comparison")
    sizes = VIT_SIZES | {"patch_size": 16}
    save_vit(folder / "encoder.pt", ViT(**sizes), "ijepa", sizes)
    chosen = ["--encoder", "lejepa", "--encoder", "ijepa", "--weights", folder, "--size", "240"]
    return made(folder, *chosen)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    options = Options()
    options.binary_location = str(CHROMIUM)
    for flag in [*QUIET, f"--user-data-dir={tmp_path / 'profile'}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield driver
    driver.quit()


def opened(browser: webdriver.Chrome, page: Path, width: int = 1280, height: int = 1000) -> dict:
    """Opens the page at a size; returns the data it holds, the first encoder's on top."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": width < 500})
    browser.get(page.as_uri())
    browser.execute_script(SETTLED)
    found = re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.S)
    assert found is not None
    data = json.loads(found[1])
    return data | data["views"][0]


def matrix(data: dict, name: str) -> np.ndarray:
    """Similarities (N, N) as the page should have unpacked them."""
    count = data["rows"] * data["columns"]
    packed = np.frombuffer(base64.b64decode(data[name]), np.int8)
    whole = np.zeros((count, count))
    whole[np.triu_indices(count)] = packed / 127
    return whole + whole.T - np.diag(whole.diagonal())


def painted(browser: webdriver.Chrome, data: dict, canvas: str = "map") -> np.ndarray:
    """What a canvas shows, (N, 3) in uint8."""
    browser.execute_script(SETTLED)
    pixels = browser.execute_script(
        "const c = document.getElementById(arguments[0]);"
        "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data];",
        canvas,
    )
    return np.array(pixels, np.uint8).reshape(data["rows"] * data["columns"], 4)[:, :3]


def expected(data: dict, query: int) -> np.ndarray:
    """The palette's colours of the similarities to a patch, (N, 3)."""
    palette = np.frombuffer(base64.b64decode(data["palette"]), np.uint8).reshape(256, 3)
    values = matrix(data, "centred" if matrix(data, "raw").mean() > 0.5 else "raw")[query]
    return palette[np.floor(255 * values.clip(0, 1) + 0.5).astype(int)]


def differs(one: np.ndarray, other: np.ndarray) -> int:
    """Patches painted more than one step of the scale apart: single precision may round over."""
    return int((np.abs(one.astype(int) - other.astype(int)).max(1) > 12).sum())


def query(browser: webdriver.Chrome) -> int:
    browser.execute_script(SETTLED)
    return int(browser.find_element(By.ID, "stage").get_attribute("data-query") or -1)


def middle_of(browser: webdriver.Chrome, data: dict, row: int, column: int) -> tuple[float, float]:
    """Where in the window the middle of a patch is."""
    box = browser.execute_script(
        "const s = document.getElementById('stage'); s.scrollIntoView({block: 'center'});"
        "const b = s.getBoundingClientRect(); return [b.left, b.top, b.width, b.height];"
    )
    x = box[0] + (column + 0.5) / data["columns"] * box[2]
    y = box[1] + (row + 0.5) / data["rows"] * box[3]
    return x, y


def move_to(browser: webdriver.Chrome, data: dict, row: int, column: int, kind: str) -> None:
    """A pointer (mouse or touch) to the middle of a patch, by the browser's own input."""
    x, y = middle_of(browser, data, row, column)
    if kind == "mouse":
        event = {"type": "mouseMoved", "x": x, "y": y}
        browser.execute_cdp_cmd("Input.dispatchMouseEvent", event)
        return
    for step, points in (("touchStart", [{"x": x, "y": y}]), ("touchEnd", [])):
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": step, "touchPoints": points})


def press(browser: webdriver.Chrome, *keys: str) -> None:
    """Keys to whatever has the focus."""
    webdriver.ActionChains(browser).send_keys(*keys).perform()


def click(browser: webdriver.Chrome, x: float, y: float) -> None:
    for kind in ("mousePressed", "mouseReleased"):
        event = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
        browser.execute_cdp_cmd("Input.dispatchMouseEvent", event)
    browser.execute_script(SETTLED)


def is_pinned(browser: webdriver.Chrome) -> bool:
    browser.execute_script(SETTLED)
    return browser.find_element(By.ID, "stage").get_attribute("data-pinned") == "true"


@pytest.mark.parametrize(("width", "height"), [(1280, 1000), (390, 844)])
def test_it_fits_its_window_and_asks_nothing_of_the_network(browser, page, width, height):
    data = opened(browser, page, width, height)
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width
    text = browser.find_element(By.TAG_NAME, "body").text
    assert data["encoder"] in text
    assert f"seen at {data['width']} × {data['height']} px" in text
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
    events = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    asked = [
        e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"
    ]
    assert page.as_uri() in asked
    assert [url for url in asked if url.startswith(("http", "ws"))] == []


@pytest.mark.parametrize("kind", ["mouse", "touch"])
def test_the_pointer_paints_the_similarities_of_its_patch(browser, page, kind):
    data = opened(browser, page, *((390, 844) if kind == "touch" else (1280, 1000)))
    before = painted(browser, data)
    for row, column in ((2, 3), (data["rows"] - 1, 0), (7, data["columns"] - 1)):
        move_to(browser, data, row, column, kind)
        at = row * data["columns"] + column
        assert query(browser) == at
        assert differs(painted(browser, data), expected(data, at)) == 0
    assert differs(painted(browser, data), before) > 10


def test_the_keyboard_moves_pins_and_resets(browser, page):
    data = opened(browser, page)
    stage = browser.find_element(By.ID, "stage")
    middle = query(browser)
    stage.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    moved = middle + 1 + data["columns"]
    assert query(browser) == moved
    assert differs(painted(browser, data), expected(data, moved)) == 0
    stage.send_keys(Keys.ENTER, Keys.ARROW_LEFT)
    assert query(browser) == moved  # pinned: the arrows read off other patches
    read = matrix(data, "centred" if matrix(data, "raw").mean() > 0.5 else "raw")[moved, moved - 1]
    shown = browser.find_element(By.ID, "here").text.replace("−", "-")
    assert float(shown) == pytest.approx(read, abs=0.006)
    stage.send_keys(Keys.ESCAPE)
    assert query(browser) == middle
    for _ in range(40):
        stage.send_keys(Keys.ARROW_UP)
    assert query(browser) == middle % data["columns"]  # stops at the border


def test_the_switches_paint_what_they_say(browser, page):
    data = opened(browser, page)
    stage = browser.find_element(By.ID, "stage")
    pca = np.frombuffer(base64.b64decode(data["pca"]), np.uint8).reshape(-1, 3)
    stage.send_keys("p")
    assert differs(painted(browser, data), pca) == 0
    stage.send_keys("f")
    inside = np.frombuffer(base64.b64decode(data["foreground"]), np.uint8) > 0
    tint = np.frombuffer(base64.b64decode(data["pcaForeground"]), np.uint8).reshape(-1, 3)
    shown = painted(browser, data)
    assert differs(shown[inside], tint[inside]) == 0
    assert len({tuple(color) for color in shown[~inside].tolist()}) == 1
    stage.send_keys("p", "f", "m")
    other = "raw" if matrix(data, "raw").mean() > 0.5 else "centred"
    palette = np.frombuffer(base64.b64decode(data["palette"]), np.uint8).reshape(256, 3)
    values = matrix(data, other)[query(browser)]
    wanted = palette[np.floor(255 * values.clip(0, 1) + 0.5).astype(int)]
    assert differs(painted(browser, data), wanted) == 0
    browser.execute_script(
        "const o = document.getElementById('opacity'); o.value = 20;"
        "o.dispatchEvent(new Event('input'));"
    )
    browser.execute_script(SETTLED)
    assert browser.execute_script("return document.getElementById('map').style.opacity") == "0.2"


def test_keys_work_at_once_and_after_the_mouse_was_at_a_control(browser, page):
    data = opened(browser, page)
    middle = query(browser)
    press(browser, Keys.ARROW_RIGHT)
    assert query(browser) == middle + 1
    browser.find_element(By.ID, "view-pca").click()
    browser.find_element(By.ID, "foreground").click()
    browser.execute_script(SETTLED)
    press(browser, Keys.ARROW_DOWN)
    assert query(browser) == middle + 1 + data["columns"]
    assert browser.find_element(By.ID, "view-pca").is_selected()
    press(browser, "p", Keys.ENTER)
    assert is_pinned(browser)


def test_controls_keep_their_keys(browser, page):
    opened(browser, page)
    middle = query(browser)
    browser.execute_script("document.getElementById('opacity').focus()")
    press(browser, Keys.ARROW_RIGHT)
    assert query(browser) == middle
    assert browser.find_element(By.ID, "opacity").get_attribute("value") == "76"
    browser.execute_script("document.getElementById('theme').focus()")
    press(browser, Keys.ENTER)
    assert not is_pinned(browser)


def test_a_click_pins_unless_it_takes_the_focus_from_a_control(browser, page):
    data = opened(browser, page)
    place = middle_of(browser, data, 2, 3)
    browser.execute_script("document.getElementById('opacity').focus()")
    click(browser, *place)
    assert not is_pinned(browser)
    click(browser, *place)
    assert is_pinned(browser)
    click(browser, *place)
    assert not is_pinned(browser)


def test_the_number_at_the_pointer_is_not_its_own(browser, page):
    """Before a patch is pinned: the largest similarity of one that does not touch it."""
    data = opened(browser, page)
    move_to(browser, data, 5, 9, "mouse")
    at = query(browser)
    values = matrix(data, "centred" if matrix(data, "raw").mean() > 0.5 else "raw")[at]
    values = values.reshape(data["rows"], data["columns"]).copy()
    values[4:7, 8:11] = -1
    name, shown = (browser.find_element(By.ID, i).text for i in ("here-name", "here"))
    assert name == "most alike elsewhere"
    assert float(shown.replace("−", "-")) == pytest.approx(values.max(), abs=0.006)
    assert values.max() < 1


def test_on_a_phone_a_swipe_scrolls_a_drag_moves_and_the_pin_is_in_reach(browser, page):
    data = opened(browser, page, 390, 844)
    middle = query(browser)
    gap = browser.execute_script(
        "return document.getElementById('pin').getBoundingClientRect().bottom"
        " - document.getElementById('stage').getBoundingClientRect().bottom"
    )
    assert 0 < gap < 80
    browser.execute_script("scrollTo(0, 0)")
    box = browser.execute_script(
        "const b = document.getElementById('stage').getBoundingClientRect();"
        "return [b.left + b.width / 2, b.top + b.height * 0.8];"
    )

    def swipe(x: float, y: float) -> None:
        way = [{"x": box[0] + x * k / 10, "y": box[1] + y * k / 10} for k in range(11)]
        steps = [("touchStart", [way[0]]), *(("touchMove", [spot]) for spot in way[1:])]
        for step, points in (*steps, ("touchEnd", [])):
            touch = {"type": step, "touchPoints": points}
            browser.execute_cdp_cmd("Input.dispatchTouchEvent", touch)
        browser.execute_script(SETTLED)

    swipe(100, 0)
    assert browser.execute_script("return scrollY") == 0
    column = query(browser) % data["columns"]
    assert column > middle % data["columns"] + 3
    before = query(browser)
    swipe(0, -150)
    assert browser.execute_script("return scrollY") > 50
    assert query(browser) == before


def test_encoders_are_compared_at_one_place(browser, comparison):
    data = opened(browser, comparison)
    first, second = data["views"]
    assert first["rows"] > second["rows"]
    move_to(browser, first, first["rows"] - 1, 3, "mouse")
    query(browser)
    press(browser, "e")
    wanted = (second["rows"] - 1) * second["columns"] + 3 * second["columns"] // first["columns"]
    assert query(browser) == wanted
    palette = {"palette": data["palette"]}
    facts = browser.find_element(By.ID, "facts").text
    assert second["encoder"] in facts
    assert f"seen at {second['width']} × {second['height']} px" in facts
    browser.find_element(By.ID, "encoder-0").click()
    at = query(browser)
    assert abs(at % first["columns"] - 3) <= 1
    assert differs(painted(browser, first), expected(first | palette, at)) == 0
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []


def test_one_encoder_needs_no_choice(browser, page):
    opened(browser, page)
    assert not browser.find_element(By.ID, "encoders").is_displayed()


def test_dark_and_light_differ(browser, page):
    opened(browser, page)
    color = "return getComputedStyle(document.body).backgroundColor"
    light = browser.execute_script(color)
    browser.find_element(By.ID, "theme").click()
    browser.execute_script(SETTLED)
    assert browser.execute_script(color) != light


def test_a_move_repaints_within_a_frame_or_so(browser, page, capsys):
    data = opened(browser, page)
    spent = browser.execute_script(
        """const stage = document.getElementById("stage"), box = stage.getBoundingClientRect();
        const times = [];
        const paintOne = (k) => new Promise((done) => {
          const real = window.requestAnimationFrame;
          window.requestAnimationFrame = (paint) => real((now) => {
            const begin = performance.now(); paint(now); times.push(performance.now() - begin);
            window.requestAnimationFrame = real; done();
          });
          stage.dispatchEvent(new PointerEvent("pointermove", {
            clientX: box.left + (k * 37 % 97) / 97 * box.width,
            clientY: box.top + box.height / 2 }));
        });
        return (async () => { for (let k = 0; k < 40; k++) await paintOne(k);
          return times.sort((a, b) => a - b)[20]; })();"""
    )
    with capsys.disabled():
        print(f"\na pointer move on {data['columns']} x {data['rows']} patches: {spent:.1f} ms")
    assert spent < 160  # ten times what an idle machine is meant to take
