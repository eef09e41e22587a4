"""The page in headless Chromium: each tab is used as a person would, and kept as a screenshot."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
# CI keeps what lies there.
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
def browser():
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def tab(browser, address):
    """Opens the page at a tab; at the end takes its screenshot, and looks for errors."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    errors, names = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def opened(name):
        names.append(name)
        page.goto(address)
        page.get_by_role("tab", name=name).click()
        return page, page.get_by_role("tabpanel").filter(visible=True)

    yield opened
    page.screenshot(path=SCREENSHOTS / f"{names[0]}.png")
    page.close()
    assert errors == []


def test_a_digit_is_drawn_and_told(tab):
    page, here = tab("digits")
    canvas = here.locator("canvas").first
    canvas.wait_for()
    here.get_by_role("button", name="Brush").click()
    undo = here.get_by_role("button", name="Undo")
    # The canvas takes strokes a while after it has taken the brush.
    for _ in range(20):
        page.wait_for_timeout(500)
        box = canvas.bounding_box()
        middle = box["x"] + box["width"] / 2
        page.mouse.move(middle, box["y"] + 0.2 * box["height"])
        page.mouse.down()
        page.mouse.move(middle, box["y"] + 0.8 * box["height"], steps=20)
        page.mouse.up()
        if undo.is_enabled():
            break
    sync_api.expect(page.get_by_test_id("label-output-value")).to_have_text("1", timeout=20_000)


def test_slots_are_highlighted(tab):
    page, here = tab("slots")
    here.get_by_label("Sentence").fill("leave Beijing now")
    here.get_by_role("button", name="Tag").click()
    sync_api.expect(page.get_by_text("city", exact=True).first).to_be_visible(timeout=20_000)


def test_a_poem_is_written_with_its_tones(tab):
    page, here = tab("poems")
    here.get_by_role("button", name="Write").click()
    sync_api.expect(page.locator("td", has_text="日").first).to_be_visible(timeout=20_000)
    here.get_by_label("Theme").fill("xyzzy")
    here.get_by_role("button", name="Write").click()
    sync_api.expect(page.get_by_text("no character of it is known")).to_be_visible(timeout=20_000)


def test_two_faces_are_compared(tab, tmp_path):
    from PIL import Image

    page, here = tab("faces")
    for place, colour in (("one", "black"), ("another", "white")):
        path = tmp_path / f"{colour}.png"
        Image.new("RGB", (20, 30), colour).save(path)
        block = here.locator(f"#faces-{place}")
        block.locator("input[type=file]").set_input_files(path)
        sync_api.expect(block.locator("img[src*='/file=']")).to_be_visible(timeout=20_000)
    sync_api.expect(page.get_by_text("Two people")).to_be_visible(timeout=20_000)


def test_a_design_becomes_a_photograph(tab):
    _, here = tab("facades")
    here.locator("canvas").first.wait_for()
    here.get_by_role("button", name="Draw the photograph").click()
    image = here.locator("img").last
    sync_api.expect(image).to_be_visible(timeout=20_000)


def test_a_seed_draws_samples(tab):
    page, here = tab("samples")
    here.get_by_role("button", name="Draw").click()
    sync_api.expect(page.locator(".grid-container img")).to_have_count(16, timeout=20_000)


def test_any_model_answers_a_request(tab):
    page, here = tab("halves")
    here.get_by_role("button", name="Send").click()
    sync_api.expect(page.get_by_text("No values in 'instances' array")).to_be_visible(
        timeout=20_000
    )
