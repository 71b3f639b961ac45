"""The demo page in Chromium and Firefox, with and without isolation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import SITE
from demo_page import DemoPage, Strokes
from playwright.sync_api import Browser
from python_page import CORES
from serve import SiteServer

ONE: Strokes = [[(0.5, 0.15), (0.5, 0.85)]]
SEVEN: Strokes = [[(0.28, 0.2), (0.72, 0.2), (0.42, 0.85)]]


@pytest.fixture(scope="module")
def demo(browser: Browser, sites: dict[bool, SiteServer], isolated: bool) -> Iterator[DemoPage]:
    """A page on which the program, as it is, has trained on 2,000 images."""
    page = DemoPage(browser, sites[isolated].url)
    page.train()
    yield page
    page.close()


def figure(demo: DemoPage, name: str) -> float:
    """The number at the start of an element's text."""
    found = re.match(r"[\d,.]+", demo.text(name))
    assert found, f"#{name} shows {demo.text(name)!r}"
    return float(found[0].replace(",", ""))


def test_it_trains_and_shows_how(demo: DemoPage) -> None:
    found = re.match(r"Trained: it reads ([\d.]+) % of the test images right", demo.text("status"))
    assert found, f"{demo.text('status')} {demo.text('failure')}"
    assert 85 < float(found[1]) < 100
    assert demo.text("count") == "2,000 of 2,000 images"
    assert figure(demo, "throughput") > 50
    assert figure(demo, "memory") > 5
    assert figure(demo, "time") > 0
    assert demo.element("progress").evaluate("bar => bar.value") == 1
    for plot, lowest, highest in (("loss-plot", 0.0, 1.2), ("accuracy-plot", 60, 100)):
        assert demo.element(plot).locator("path.mean").get_attribute("d").count("L") > 3
        now = demo.element(plot).locator("svg").get_attribute("aria-label")
        assert lowest <= float(re.search(r"now ([\d.]+)", now)[1]) <= highest
    assert "% of the test images" in demo.element("accuracy-plot").inner_text()


def test_it_says_what_is_missing_for_threads(demo: DemoPage, isolated: bool) -> None:
    notice = demo.element("isolation")
    if isolated:
        assert not notice.is_visible()
        assert figure(demo, "threads") == min(4, CORES)
    else:
        assert "Cross-Origin-Opener-Policy: same-origin" in notice.inner_text()
        assert "Cross-Origin-Embedder-Policy: require-corp" in notice.inner_text()
        assert figure(demo, "threads") == 1


@pytest.mark.parametrize(("strokes", "digit"), [(ONE, 1), (SEVEN, 7)], ids=["one", "seven"])
def test_it_reads_a_drawn_digit(demo: DemoPage, strokes: Strokes, digit: int) -> None:
    demo.draw(strokes)
    demo.wait_for_answer(f"It reads a {digit}, ")
    bars = demo.page.locator("#bars li")
    assert bars.count() == 10
    values = [float(text.rstrip(" %")) for text in bars.locator(".value").all_inner_texts()]
    assert sum(values) == pytest.approx(100, abs=0.6)
    assert values.index(max(values)) == digit
    assert "best" in bars.nth(digit).get_attribute("class")


def test_it_reads_what_the_keyboard_draws(demo: DemoPage) -> None:
    demo.element("clear").click()
    demo.element("pad").focus()
    for key, times in (("ArrowUp", 6), ("Space", 1), ("ArrowDown", 12), ("Space", 1)):
        for _ in range(times):
            demo.page.keyboard.press(key)
    demo.wait_for_answer("It reads a 1, ")
    demo.page.keyboard.press("Delete")
    demo.wait_for_answer("Draw a digit.")


def test_it_reads_test_images(demo: DemoPage) -> None:
    right = 0
    for _ in range(8):
        demo.element("clear").click()
        demo.element("sample").click()
        demo.wait_for_answer("It reads a ")
        found = re.match(r"It reads a (\d), .* The label says (\d)", demo.text("answer"))
        assert found, demo.text("answer")
        right += found[1] == found[2]
    assert right >= 4


def test_an_exception_is_shown_and_nothing_is_lost(demo: DemoPage) -> None:
    lines = ["import page", "print('before')", "images = page.mnist()[0]", "", "images.view(7)"]
    demo.write_program(*lines)
    demo.train()
    assert demo.text("failure-title") == (
        f"RuntimeError: shape '[7]' is invalid for input of size {2_000 * 28 * 28}"
    )
    assert 'File "train.py", line 5' in demo.text("failure-text")
    assert demo.page.locator(".cm-failing").inner_text() == "images.view(7)"
    assert demo.text("output") == "before"
    assert demo.program == "\n".join(lines)

    demo.write_program("for")
    demo.train()
    assert demo.text("failure-title").startswith("SyntaxError: ")
    assert demo.page.locator(".cm-failing").inner_text() == "for"

    demo.write_program("print(6 * 7)")
    demo.page.keyboard.press("ControlOrMeta+Enter")
    demo.page.wait_for_function("document.getElementById('output').textContent == '42\\n'")
    demo.wait_for("ready")
    assert not demo.element("failure").is_visible()
    demo.page.reload()
    assert demo.program == "print(6 * 7)"
    demo.element("reset").click()
    assert demo.program.startswith("import wasm_torch as torch")


def test_stop_ends_a_program_that_listens(fresh: DemoPage) -> None:
    fresh.write_program("import page", "while True: await page.report(1, 9, 1.0, 0.5)")
    fresh.element("train").click()
    fresh.page.wait_for_function("document.getElementById('count').textContent != ''")
    fresh.element("stop").click()
    fresh.wait_for("ready")
    assert fresh.text("status") == "Stopped."


def test_a_program_that_does_not_listen_is_ended_with_its_python(fresh: DemoPage) -> None:
    fresh.write_program("while True: pass")
    fresh.element("train").click()
    stop = fresh.element("stop")
    stop.click()
    fresh.page.wait_for_selector("#stop:has-text('End Python'):enabled")
    stop.click()
    fresh.wait_for("ready")
    assert fresh.program == "while True: pass"
    fresh.write_program("print('alive')")
    fresh.train()
    assert fresh.text("output") == "alive"


def test_missing_and_damaged_data_are_named_and_can_be_tried_again(
    browser: Browser, tmp_path: Path
) -> None:
    server = SiteServer(SITE, isolated=True, mounts={"data": tmp_path}).start()
    demo = DemoPage(browser, server.url)
    try:
        assert demo.text("failure-title") == "The digits could not be downloaded"
        assert re.fullmatch(r"/data/\S+\.gz: HTTP status 404", demo.text("failure-text"))
        assert demo.element("train").is_disabled()

        for file in (SITE / "data").iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes()[:100_000])
        demo.element("retry").click()
        demo.wait_for("failed")
        assert "damaged or was cut short" in demo.text("failure-text")

        del server.mounts["data"]
        demo.element("retry").click()
        demo.wait_for("ready")
        assert not demo.element("failure").is_visible()
    finally:
        demo.close()
        server.stop()
