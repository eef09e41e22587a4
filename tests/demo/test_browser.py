"""The page in headless Chromium: each tab is used once, and a screenshot of it is kept."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
# CI keeps the files in this folder.
SCREENSHOTS = Path(os.environ.get("SCREENSHOTS", "build/screenshots"))


@pytest.fixture(scope="module")
def address(published):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dlrecipes", "demo", "--models", str(published)]
    process = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("Loading the models")
    assert f"http://127.0.0.1:{port}" in process.stdout.readline()
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    assert process.wait(30) == 0


@pytest.fixture(scope="module")
def page(address):
    """The page, which all tests share because loading it takes a second."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 900})
        page.goto(address)
        yield page
        browser.close()


@pytest.fixture
def open_tab(page):
    """Opens a tab; after the test, takes a screenshot and checks that no script failed."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    errors, names = [], []

    def record(error):
        errors.append(str(error))

    def open_tab(name):
        names.append(name)
        page.get_by_role("tab", name=name, exact=True).click()
        return page, page.get_by_role("tabpanel").filter(visible=True)

    page.on("pageerror", record)
    yield open_tab
    page.screenshot(path=SCREENSHOTS / f"{names[0]}.png")
    page.remove_listener("pageerror", record)
    assert errors == []


def test_a_drawn_digit_is_recognized(open_tab):
    page, panel = open_tab("digits")
    canvas = panel.locator("canvas").first
    canvas.wait_for()
    # The brush is selected from the start.
    undo = panel.get_by_role("button", name="Undo")
    # The canvas accepts strokes only some time after they were made.
    for _ in range(100):
        page.wait_for_timeout(100)
        box = canvas.bounding_box()
        middle = box["x"] + box["width"] / 2
        page.mouse.move(middle, box["y"] + 0.2 * box["height"])
        page.mouse.down()
        page.mouse.move(middle, box["y"] + 0.8 * box["height"], steps=20)
        page.mouse.up()
        if undo.is_enabled():
            break
    sync_api.expect(page.get_by_test_id("label-output-value")).to_have_text("1", timeout=20_000)


def test_a_photo_of_a_digit_is_recognized(open_tab, tmp_path, stroke):
    from PIL import Image

    Image.fromarray(stroke).save(tmp_path / "digit.png")
    page, panel = open_tab("digits")
    panel.locator("input[type=file]").last.set_input_files(tmp_path / "digit.png")
    sync_api.expect(page.get_by_test_id("label-output-value")).to_have_text("1", timeout=20_000)


def test_slots_are_highlighted(open_tab):
    page, panel = open_tab("slots")
    panel.get_by_label("Sentence").fill("leave Beijing now")
    panel.get_by_role("button", name="Tag").click()
    sync_api.expect(page.get_by_text("city", exact=True).first).to_be_visible(timeout=20_000)


def test_a_poem_is_written_with_its_tones(open_tab):
    page, panel = open_tab("poems")
    panel.get_by_role("button", name="Write").click()
    sync_api.expect(page.locator("td", has_text="日").first).to_be_visible(timeout=20_000)
    panel.get_by_label("Theme").fill("xyzzy")
    panel.get_by_role("button", name="Write").click()
    message = page.get_by_text("none of its characters are in the vocabulary")
    sync_api.expect(message).to_be_visible(timeout=20_000)


def test_two_faces_are_compared(open_tab, tmp_path):
    from PIL import Image

    page, panel = open_tab("faces")
    for position, colour in (("first", "black"), ("second", "white")):
        path = tmp_path / f"{colour}.png"
        Image.new("RGB", (20, 30), colour).save(path)
        block = panel.locator(f"#faces-{position}")
        block.locator("input[type=file]").set_input_files(path)
        sync_api.expect(block.locator("img[src*='/file=']")).to_be_visible(timeout=20_000)
    sync_api.expect(page.get_by_text("Different people")).to_be_visible(timeout=20_000)


def test_a_photograph_is_classified_and_explained(open_tab, tmp_path):
    from PIL import Image

    _, panel = open_tab("photos-of-mine")
    Image.new("RGB", (20, 30), "white").save(tmp_path / "white.png")
    block = panel.locator("#photos-of-mine-image")
    block.locator("input[type=file]").set_input_files(tmp_path / "white.png")
    sync_api.expect(panel.get_by_test_id("label-output-value")).to_have_text("1", timeout=20_000)
    sync_api.expect(panel.locator("img[src*='/file=']")).to_have_count(2, timeout=20_000)


def test_a_label_map_is_translated_into_a_photograph(open_tab):
    _, panel = open_tab("facades")
    panel.locator("canvas").first.wait_for()
    panel.get_by_role("button", name="Generate the photograph").click()
    image = panel.locator("img").last
    sync_api.expect(image).to_be_visible(timeout=20_000)


def test_samples_are_generated_from_a_seed(open_tab):
    page, panel = open_tab("samples")
    panel.get_by_role("button", name="Generate").click()
    sync_api.expect(page.locator(".grid-container img")).to_have_count(16, timeout=20_000)


def test_other_models_have_a_tab_for_requests(open_tab):
    page, panel = open_tab("halves")
    panel.get_by_role("button", name="Send").click()
    sync_api.expect(page.get_by_text("No values in 'instances' array")).to_be_visible(
        timeout=20_000
    )
