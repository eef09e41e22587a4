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
    """Opens a tab of the page; at the end takes its screenshot, and looks for errors."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    errors, names = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def opened(name):
        names.append(name)
        page.goto(address)
        page.get_by_role("tab", name=name).click()
        return page

    yield opened
    page.screenshot(path=SCREENSHOTS / f"{names[0]}.png")
    page.close()
    assert errors == []


def test_a_digit_is_drawn_and_told(tab):
    page = tab("digits")
    canvas = page.locator("canvas").first
    canvas.wait_for()
    box = canvas.bounding_box()
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(middle, box["y"] + 0.8 * box["height"], steps=20)
    page.mouse.up()
    sync_api.expect(page.get_by_test_id("label-output-value")).to_have_text("1", timeout=20_000)


def test_slots_are_highlighted(tab):
    page = tab("slots")
    page.get_by_label("Sentence").fill("leave Beijing now")
    page.get_by_role("button", name="Tag").click()
    sync_api.expect(page.get_by_text("city", exact=True).first).to_be_visible(timeout=20_000)


def test_a_poem_is_written_with_its_tones(tab):
    page = tab("poems")
    page.get_by_role("button", name="Write").click()
    sync_api.expect(page.locator("td", has_text="日").first).to_be_visible(timeout=20_000)
    page.get_by_label("Theme").fill("xyzzy")
    page.get_by_role("button", name="Write").click()
    sync_api.expect(page.get_by_text("no character of it is known")).to_be_visible(timeout=20_000)


def test_two_faces_are_compared(tab, tmp_path):
    from PIL import Image

    page = tab("faces")
    for number, colour in enumerate(["black", "white"]):
        path = tmp_path / f"{colour}.png"
        Image.new("RGB", (20, 30), colour).save(path)
        page.locator("#component-0, body").first.wait_for()
        page.locator("input[type=file]:visible, input[type=file]").nth(number).set_input_files(path)
        page.wait_for_timeout(1500)
    sync_api.expect(page.get_by_text("Two people")).to_be_visible(timeout=20_000)


def test_a_design_becomes_a_photograph(tab):
    page = tab("facades")
    page.locator("canvas").first.wait_for()
    page.get_by_role("button", name="Draw the photograph").click()
    picture = page.get_by_test_id("image").locator("img").last
    sync_api.expect(picture).to_be_visible(timeout=20_000)


def test_a_seed_draws_samples(tab):
    page = tab("samples")
    page.get_by_role("button", name="Draw").click()
    sync_api.expect(page.locator(".grid-container img")).to_have_count(16, timeout=20_000)


def test_any_model_answers_a_request(tab):
    page = tab("halves")
    page.get_by_role("button", name="Send").click()
    sync_api.expect(page.get_by_text("No values in 'instances' array")).to_be_visible(
        timeout=20_000
    )
