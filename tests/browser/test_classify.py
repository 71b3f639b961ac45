"""The image classification page in Chromium and Firefox."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from browsers import launch
from conftest import ROOT, SITE
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Playwright
from preprocessing import cropped, preprocessed
from python_page import CORES
from serve import SiteServer

sys.path.insert(0, str(ROOT / "tools"))

import fetch_images
from mobilenet_v2 import classifier

LOAD_MS = 60_000
#: Largest mean difference of what the network sees to PIL's pixels, of 255.
SEEN_TOLERANCE = 2.0
#: Largest difference of log-probabilities to torch's.
TOLERANCE = 1e-4


class ClassifyPage:
    """A new page, loaded until the network is ready, or could not be loaded."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.page: Page = browser.new_page()
        self.page.goto(f"{url}classify.html")
        self.wait_for("ready", "failed")

    def wait_for(self, *states: str) -> None:
        selector = ", ".join(f"body[data-state={state}]" for state in states)
        self.page.wait_for_selector(selector, timeout=LOAD_MS)

    def element(self, name: str) -> Locator:
        return self.page.locator(f"#{name}")

    def text(self, name: str) -> str:
        return self.element(name).inner_text().strip()

    def names(self) -> list[str]:
        return self.page.locator("#ranking .name").all_inner_texts()

    def choose(self, *file: Path | dict) -> None:
        """Gives a file to the dialog's element, and waits until it has been looked at."""
        self.page.evaluate("document.body.dataset.state = 'asked'")
        self.element("file").set_input_files(file[0])
        self.wait_for("ready")

    def seen(self) -> torch.Tensor:
        """What the page says that the network sees: [224, 224, 3] of bytes."""
        read = """() => {
            const canvas = document.getElementById("input");
            const { data } = canvas.getContext("2d").getImageData(0, 0, 224, 224);
            return btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""));
        }"""
        data = bytearray(base64.b64decode(self.page.evaluate(read)))
        return torch.frombuffer(data, dtype=torch.uint8).view(224, 224, 4)[:, :, :3]

    def close(self) -> None:
        self.page.close()


@pytest.fixture(scope="module")
def pictures() -> list[tuple[Path, int]]:
    return fetch_images.labelled_pictures()


@pytest.fixture(scope="module")
def page(browser: Browser, sites: dict[bool, SiteServer], isolated: bool) -> Iterator[ClassifyPage]:
    started = ClassifyPage(browser, sites[isolated].url)
    yield started
    started.close()


@pytest.fixture
def fresh(browser: Browser, sites: dict[bool, SiteServer]) -> Iterator[ClassifyPage]:
    started = ClassifyPage(browser, sites[True].url)
    yield started
    started.close()


def test_it_names_pictures(
    page: ClassifyPage, pictures: list[tuple[Path, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    classes = fetch_images.class_names()
    right, among_five, difference = 0, 0, 0.0
    for file, label in pictures:
        page.choose(file)
        names = page.names()
        right += names[0] == classes[label]
        among_five += classes[label] in names
        wanted = cropped(Image.open(file))
        data = torch.frombuffer(bytearray(wanted.tobytes()), dtype=torch.uint8).view(224, 224, 3)
        difference = max(difference, (page.seen().float() - data.float()).abs().mean().item())
    with capsys.disabled():
        print(
            f"\n{right} of {len(pictures)} right, {among_five} among five; what the network sees "
            f"is {difference:.4f} of 255 from PIL's; {page.text('forward')} a picture on "
            f"{page.text('threads')} threads"
        )
    assert right >= 18
    assert difference <= SEEN_TOLERANCE


def test_it_tells_threads_memory_and_what_is_missing(page: ClassifyPage, isolated: bool) -> None:
    page.page.locator("#samples button").first.click()
    page.page.wait_for_function("document.querySelector('#answer').innerText.includes('cat')")
    assert int(page.text("threads")) == (min(4, CORES) if isolated else 1)
    assert float(re.match(r"[\d.]+", page.text("memory"))[0]) > 14
    assert re.fullmatch(r"[\d.]+ ms", page.text("forward"))
    assert page.element("isolation").is_visible() != isolated
    if not isolated:
        assert "Cross-Origin-Opener-Policy: same-origin" in page.text("isolation")
    values = page.page.locator("#ranking .value").all_inner_texts()
    percents = [float(value.rstrip(" %")) for value in values]
    assert len(percents) == 5
    assert percents == sorted(percents, reverse=True)
    assert 50 < sum(percents) <= 100.3


RUN = """async (count) => {
    const runtime = await WASMTorch.init();
    const model = await runtime.loadModel("models/mobilenet_v2.wasm");
    const results = [];
    for (let i = 0; i < count; i++) {
        const data = new Float32Array(await (await fetch(`tensors/${i}.bin`)).arrayBuffer());
        results.push([...(await model.forward(data)).data]);
    }
    runtime.dispose();
    return JSON.stringify(results);
}"""


def test_the_same_tensors_give_torchs_answers(
    browser: Browser, pictures: list[tuple[Path, int]], tmp_path: Path
) -> None:
    tensors = [preprocessed(Image.open(file)) for file, _ in pictures]
    for i, tensor in enumerate(tensors):
        (tmp_path / f"{i}.bin").write_bytes(tensor.numpy().tobytes())
    server = SiteServer(SITE, isolated=True, mounts={"tensors": tmp_path}).start()
    page = browser.new_page()
    try:
        page.goto(f"{server.url}classify.html")
        got = torch.tensor(json.loads(page.evaluate(RUN, len(tensors))))
    finally:
        page.close()
        server.stop()
    with torch.no_grad():
        wanted = classifier(fetch_images.weights())(torch.cat(tensors))
    assert (got.argmax(1) == wanted.argmax(1)).all()
    difference = (got - wanted).abs().max().item()
    logarithms = (got.log() - wanted.log()).abs().max().item()
    print(f"probabilities differ by {difference:.1e}, their logarithms by {logarithms:.1e}")
    assert logarithms <= TOLERANCE


GIVE = """([kind, address]) => fetch(address).then((response) => response.blob()).then((blob) => {
    const data = new DataTransfer();
    if (address.startsWith("samples")) {
        data.items.add(new File([blob], "cup.png", { type: "image/png" }));
    } else {
        data.setData("text/plain", "only text");
    }
    const field = kind === "paste" ? "clipboardData" : "dataTransfer";
    const event = new Event(kind, { cancelable: true });
    document.dispatchEvent(Object.assign(event, { [field]: data }));
})"""


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_pictures_are_pasted_and_dropped(fresh: ClassifyPage, kind: str) -> None:
    fresh.page.evaluate(GIVE, [kind, "classify.html"])
    assert fresh.text("failure-title") == "This is no picture"
    fresh.page.evaluate(GIVE, [kind, "samples/coffee.png"])
    fresh.page.wait_for_function("document.querySelector('#answer').innerText.includes('espresso')")
    assert not fresh.element("failure").is_visible()


def test_the_keyboard_suffices(fresh: ClassifyPage) -> None:
    focused = "document.activeElement.id || document.activeElement.className"
    fresh.element("theme").focus()
    order = []
    for _ in range(5):
        fresh.page.keyboard.press("Tab")
        order.append(fresh.page.evaluate(focused))
    assert order == ["choose", "camera", "sample", "sample", "sample"]
    fresh.page.keyboard.press("Enter")
    fresh.page.wait_for_function("document.querySelector('#answer').innerText.includes('tripod')")


def test_a_file_that_is_no_picture_is_told_in_words(fresh: ClassifyPage) -> None:
    fresh.choose({"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"})
    assert fresh.text("failure-title") == "This is no picture"
    assert 'the file "notes.jpg", of type image/jpeg, is no picture' in fresh.text("failure-text")
    fresh.choose(SITE / "samples" / "coffee.png")
    assert not fresh.element("failure").is_visible()
    assert "espresso" in fresh.text("answer")


def test_a_missing_network_is_told_and_can_be_tried_again(browser: Browser, tmp_path: Path) -> None:
    server = SiteServer(SITE, isolated=True, mounts={"models": tmp_path}).start()
    page = ClassifyPage(browser, server.url)
    try:
        assert page.text("failure-title") == "The network could not be loaded"
        assert "mobilenet_v2.wasm could not be fetched" in page.text("failure-text")
        assert "404" in page.text("failure-text")
        assert page.element("choose").is_disabled()
        del server.mounts["models"]
        page.element("retry").click()
        page.wait_for("ready")
        assert not page.element("failure").is_visible()
    finally:
        page.close()
        server.stop()


def test_without_a_webcam_it_says_so(fresh: ClassifyPage) -> None:
    fresh.page.evaluate(
        """() => {
            navigator.mediaDevices.getUserMedia = async () => {
                throw new DOMException("Requested device not found", "NotFoundError");
            };
        }"""
    )
    fresh.element("camera").click()
    fresh.page.wait_for_selector("#failure:not([hidden])")
    assert fresh.text("failure-title") == "There is no webcam"
    assert fresh.element("camera").get_attribute("aria-pressed") == "false"


def test_the_webcam_is_watched(playwright: Playwright, sites: dict[bool, SiteServer]) -> None:
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    browser = launch(playwright, "chromium", *fake)
    page = ClassifyPage(browser, sites[True].url)
    try:
        page.element("camera").click()
        page.page.wait_for_function(
            "document.getElementById('rate').innerText.endsWith('a second')", timeout=LOAD_MS
        )
        assert page.element("video").is_visible()
        assert page.element("camera").get_attribute("aria-pressed") == "true"
        assert page.seen().float().std() > 10
        # A picture takes the webcam's place, and stops it.
        page.page.locator("#samples button").first.click()
        page.wait_for("ready")
        assert "cat" in page.text("answer")
        assert page.page.evaluate("document.getElementById('video').srcObject") is None
        page.element("camera").click()
        page.wait_for("live")
        page.element("camera").click()
        page.wait_for("ready")
        assert page.text("answer") == "Give it a picture."
    finally:
        page.close()
        browser.close()


def test_the_code_that_is_shown_works(
    browser: Browser, fresh: ClassifyPage, tmp_path: Path
) -> None:
    code = fresh.element("code").inner_text()
    assert len(code.splitlines()) <= 10
    script = '<script src="wasm-torch/wasm-torch.min.js"></script>'
    (tmp_path / "page.html").write_text(f"<!doctype html><title>A page</title>{script}")
    mounts = {name: SITE / name for name in ("wasm-torch", "models", "samples")}
    server = SiteServer(tmp_path, isolated=True, mounts=mounts).start()
    page = browser.new_page()
    try:
        page.goto(f"{server.url}page.html")
        run = f"""async () => {{
            {code}
            const cup = await (await fetch("samples/coffee.png")).blob();
            const answer = await classify(cup);
            runtime.dispose();
            return answer;
        }}"""
        answer = page.evaluate(run)
    finally:
        page.close()
        server.stop()
    assert answer[0]["name"] == "espresso"
    assert len(answer) == 5


def test_the_pages_lead_to_each_other(fresh: ClassifyPage) -> None:
    fresh.page.get_by_role("link", name="Training", exact=True).click()
    fresh.page.wait_for_selector("#train")
    fresh.page.get_by_role("link", name="Pictures", exact=True).click()
    fresh.page.wait_for_selector("#choose")
