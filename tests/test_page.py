"""The page on which networks run as WebAssembly, in headless Chromium."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toolkit.ccode import SPARSE, to_c
from toolkit.page import to_wasm, write_page
from toolkit.tflite import run_micro

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "studies" / "models"
FILES = [MODELS / f"size_race_clustered{end}.tflite" for end in ("", "_accurate")]
LETTERS = "ABCDEFGHIKLMNOPQRSTUVWXY"
HANDS = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    if not (shutil.which("clang") and shutil.which("wasm-ld")):
        pytest.skip("clang and lld are not installed")
    folder = tmp_path_factory.mktemp("page")
    codes = [to_c(file.read_bytes(), SPARSE) for file in FILES]
    modules = [to_wasm(code, ROOT / "firmware", folder / "built") for code in codes]
    networks = list(zip(("small", "accurate"), codes, modules, strict=True))
    shown = list(zip("ABC", HANDS, strict=True))
    write_page(folder / "demo.html", ROOT / "firmware" / "page.html", networks, shown, LETTERS)
    return folder / "demo.html"


@pytest.fixture
def page(browser, path):
    """The page, narrow as a telephone; fails if it reports an error or asks for anything."""
    tab = browser.new_page(viewport={"width": 320, "height": 640})
    errors, asked = [], []
    tab.on("pageerror", lambda error: errors.append(error.message))
    tab.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(path.as_uri())
    tab.wait_for_selector("#best:not(:empty)")
    yield tab
    tab.close()
    assert not errors and all(url.startswith(("file:", "data:", "blob:")) for url in asked)


def scores(page):
    return page.eval_on_selector_all("#scores li", "rows => rows.map(row => +row.dataset.score)")


def test_all_scores_are_those_of_tflite_micro(page):
    for number, file in enumerate(FILES):
        page.get_by_role("radio").nth(number).check()
        run = run_micro(file, HANDS[..., None] / np.float32(255))
        if run.scores is None:
            pytest.skip(run.reason)
        steps = to_c(file.read_bytes()).ends[1]
        for hand, expected in enumerate(run.scores):
            page.get_by_role("button", name="Test image").nth(hand).click()
            shown = np.array(scores(page))
            if expected.dtype != np.int8:
                shown = (shown - np.float32(steps[1])) * np.float32(steps[0])
            np.testing.assert_array_equal(shown, expected)


def test_it_is_used_by_the_keyboard_alone(page):
    before = scores(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    second = scores(page)
    page.focus("#turn")
    page.keyboard.press("ArrowRight")
    turned = scores(page)
    assert page.locator("output").first.inner_text() == "1°"
    page.focus("#reset")
    page.keyboard.press("Space")
    assert before != second != turned and scores(page) == second


def test_nothing_sticks_out_of_a_narrow_screen(page):
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_without_a_camera_it_says_so(page):
    before = scores(page)
    page.get_by_role("button", name="Use the camera").click()
    page.wait_for_selector("#said:has-text('no camera')")
    assert scores(page) == before and page.locator("#video").is_hidden()


def test_a_file_that_is_no_image_is_told_and_an_image_is_read_in_its_middle_square(page, tmp_path):
    before = scores(page)
    (tmp_path / "notes.txt").write_text("no image")
    page.set_input_files("#file", tmp_path / "notes.txt")
    page.wait_for_selector("#said:has-text('notes.txt is no image')")
    assert scores(page) == before
    wide = np.zeros((28, 60), np.uint8)
    wide[:, 16:44] = HANDS[1]
    Image.fromarray(wide).save(tmp_path / "hand.png")
    page.set_input_files("#file", tmp_path / "hand.png")
    page.wait_for_selector("#said", state="hidden")
    read = scores(page)
    page.get_by_role("button", name="Test image").nth(1).click()
    assert read == scores(page)


def test_the_committed_page_is_small_and_asks_for_nothing(browser):
    page = ROOT / "studies" / "demo.html"
    if not page.is_file():
        pytest.skip("the page is not published yet")
    assert page.stat().st_size < 80_000 and "http" not in page.read_text().replace("http-equiv", "")
