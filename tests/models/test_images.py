"""Pictures as inputs: imageTensor against PIL and torch, and networks that take pictures."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy
import picture_files
import pytest
import torch
from conftest import PAGES
from picture_models import built
from PIL import Image
from playwright.sync_api import Browser, Page
from preprocessing import STD, preprocessed
from serve import SiteServer

from wasm_torch.export import export_to_wasm

DRIVER = Path(__file__).resolve().parent / "node_images.mjs"
#: What a timer on the page's thread may be late, in milliseconds.
LATENESS_MS = 16.0


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, numpy.ndarray]]:
    """The folder with the pictures, and the tensors that are wanted of them."""
    folder = tmp_path_factory.mktemp("pictures")
    wanted = picture_files.write(folder)
    rng = numpy.random.default_rng(0)
    large = rng.integers(0, 256, (30, 40, 3), dtype=numpy.uint8)
    Image.fromarray(large).resize((4000, 3000), Image.Resampling.BICUBIC).save(
        folder / "large.jpg", quality=90
    )
    return folder, wanted


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """resnet18.wasm, which is small, and large.wasm."""
    folder = tmp_path_factory.mktemp("networks")
    export_to_wasm(built(8), folder / "resnet18.wasm", torch.randn(1, 3, 64, 64))
    export_to_wasm(built(96, 3), folder / "large.wasm", torch.randn(1, 3, 320, 320))
    return folder


@pytest.fixture(scope="module")
def server(package: Path, pictures: tuple[Path, object], networks: Path) -> Iterator[SiteServer]:
    mounts = {"dist": package, "pictures": pictures[0], "models": networks}
    started = SiteServer(PAGES, isolated=True, mounts=mounts).start()
    yield started
    started.stop()


def opened(browser: Browser, server: SiteServer, query: str = "") -> Page:
    page = browser.new_page()
    page.goto(f"{server.url}images.html{query}")
    page.wait_for_function("window.ready")
    return page


OPTIONS = (
    {},
    {"size": 64},
    {"size": (40, 72)},
    {"size": 64, "resize": 64},
    {"size": 63, "resize": 90},
    {"size": (48, 33), "crop": False},
    {"size": 32, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.25, 1.0)},
)
SIZES = ((300, 200), (201, 303), (37, 512), (64, 64), (5, 7), (1, 1), (640, 481))
#: More than twice as high as wide: Pillow 13 resizes along the columns first.
TALL = "37x512"


def test_node_gives_what_pil_and_torch_give(package: Path, tmp_path: Path) -> None:
    rng = numpy.random.default_rng(1)
    wanted, steps_of, cases = {}, {}, []
    for width, height in SIZES:
        rgba = rng.integers(0, 256, (height, width, 4), dtype=numpy.uint8)
        for i, options in enumerate(OPTIONS):
            name = f"{width}x{height}-{i}"
            (tmp_path / f"{name}.rgba").write_bytes(rgba.tobytes())
            steps_of[name] = options.get("std", STD)
            wanted[name] = preprocessed(Image.fromarray(rgba[:, :, :3].copy()), **_sized(options))
            cases.append({"name": name, "width": width, "height": height, "options": options})
    (tmp_path / "images.json").write_text(json.dumps(cases))
    command = ["node", str(DRIVER), str(package), str(tmp_path)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    answer = json.loads(ran.stdout)
    for name, tensor in wanted.items():
        assert answer["shapes"][name] == list(tensor.shape), name
        got = numpy.fromfile(tmp_path / f"{name}.out", numpy.float32).reshape(tensor.shape)
        steps = numpy.abs(got - tensor.numpy()).max(axis=(0, 2, 3)) * 255 * steps_of[name]
        assert steps.max() <= (1.001 if name.startswith(TALL) else 0), name
    error, message = answer["refusal"]
    assert error == "ImageError"
    assert "give { data, width, height } here" in message


def _sized(options: dict) -> dict:
    size = options.get("size", 224)
    return {**options, "size": size if isinstance(size, tuple) else (size, size)}


@pytest.mark.parametrize("query", ["", "?main"], ids=["worker", "main thread"])
def test_files_are_read_as_pil_reads_them(
    browser: Browser,
    server: SiteServer,
    pictures: tuple[Path, dict[str, numpy.ndarray]],
    query: str,
) -> None:
    page = opened(browser, server, query)
    try:
        run = """async (names) => {
            const runtime = await WASMTorch.init({ threads: 1 });
            const found = await fileDifferences(runtime, names);
            runtime.dispose();
            return found;
        }"""
        found = page.evaluate(run, list(pictures[1]))
        if query:  # a canvas of the page gives transparent pixels no colour in Firefox
            found.pop("transparent.png")
        # PNG and WebP are exact; JPEG decoders may differ by a rounding.
        assert {name: d for name, d in found.items() if d > (2.5 if "jpg" in name else 1e-3)} == {}
    finally:
        page.close()


@pytest.mark.parametrize("name", ["plain.jpg", "turned.jpg"])
def test_every_kind_of_source_gives_the_same(
    browser: Browser, server: SiteServer, name: str
) -> None:
    page = opened(browser, server)
    try:
        run = """async (name) => {
            const runtime = await WASMTorch.init({ threads: 1 });
            const found = await sourceDifferences(runtime, name);
            runtime.dispose();
            return found;
        }"""
        found = page.evaluate(run, name)
        print(found)
        assert set(found) >= {"File", "HTMLVideoElement", "ImageData", "OffscreenCanvas"}
        # A video's frames may be YUV on the way.
        exact = {"File", "HTMLCanvasElement", "OffscreenCanvas", "ImageData", "pixels"}
        for kind, difference in found.items():
            assert difference <= (2.5 if kind in exact else 12), found
    finally:
        page.close()


def test_what_is_no_picture_is_refused(browser: Browser, server: SiteServer) -> None:
    page = opened(browser, server)
    try:
        run = """async () => {
            const runtime = await WASMTorch.init({ threads: 1 });
            const found = await imageRefusals(runtime);
            runtime.dispose();
            return found;
        }"""
        found = page.evaluate(run)
        assert found.pop("still works") == "nothing was thrown"
        parts = {
            "text": "is no picture that this browser can decode",
            "named": 'the file "text.png", of type image/png, is no picture',
            "cut": "is no picture",
            "empty": "is no picture",
            "broken": "could not be loaded",
            "closed": "ImageBitmap",
            "video": 'wait for its event "loadeddata"',
            "canvas": "the HTMLCanvasElement has no pixels",
            "offscreen": "the OffscreenCanvas has no pixels",
            "address": "a String is no picture: give a file",
            "nothing": "a null is no picture",
            "size": "size must be a number of pixels",
            "mean": "mean must be one number or three",
            "std": "std must not be zero",
        }
        assert set(found) == set(parts)
        if browser.browser_type.name == "firefox":  # which shows what there is of a picture
            del parts["cut"]
        for name, part in parts.items():
            assert found[name].startswith("ImageError: "), (name, found[name])
            assert part in found[name]
    finally:
        page.close()


FORWARD = """async () => {
    const runtime = await WASMTorch.init({ threads: 1 });
    const model = await runtime.loadModel("models/resnet18.wasm");
    const blob = await blobOf("plain.jpg");
    const image = await runtime.imageTensor(blob, { size: 64 });
    const wanted = await model.forward(image);
    const canvas = canvasOf(await imageElement("plain.jpg"));
    const overwritten = model.forward(canvas.getContext("2d").getImageData(0, 0, 400, 300));
    const got = await Promise.all([model.forward(blob), model.forward(canvas), overwritten]);
    const failed = await model.forward(await blobOf("text.png")).catch((error) => error.name);
    const two = await model.forward(blob, blob).catch((error) => error.message);
    runtime.dispose();
    return { wanted: [...wanted.data], got: got.map(({ data }) => [...data]), failed, two };
}"""


def test_a_network_for_pictures_takes_pictures(browser: Browser, server: SiteServer) -> None:
    page = opened(browser, server)
    try:
        answer = page.evaluate(FORWARD)
        for scores in answer["got"]:
            assert scores == pytest.approx(answer["wanted"], abs=1e-6)
        assert answer["failed"] == "ImageError"
        assert answer["two"].startswith("2 inputs were given; forward takes 1 (")
    finally:
        page.close()


LATE = """async ([threads, allowed]) => {
    const runtime = await WASMTorch.init({ threads });
    const model = await runtime.loadModel("models/large.wasm");
    const zeros = new Float32Array(3 * 320 * 320);
    await model.forward(zeros);
    const begun = performance.now();
    await model.forward(zeros);
    const forward = performance.now() - begun;
    const duringForward = await lateness(() => model.forward(zeros), allowed);
    const blob = await blobOf("large.jpg");
    const image = await imageElement("large.jpg");
    const bitmap = await createImageBitmap(blob);
    await runtime.imageTensor(blob);
    const again = performance.now();
    await runtime.imageTensor(blob);
    const prepare = performance.now() - again;
    const duringFile = await lateness(() => runtime.imageTensor(blob), allowed);
    const duringImage = await lateness(() => runtime.imageTensor(image), allowed);
    const duringBitmap = await lateness(() => runtime.imageTensor(bitmap), allowed);
    runtime.dispose();
    return { forward, duringForward, prepare, duringFile, duringImage, duringBitmap };
}"""


def test_the_page_stays_responsive(
    browser: Browser, server: SiteServer, capsys: pytest.CaptureFixture[str]
) -> None:
    page = opened(browser, server)
    try:
        found = {threads: page.evaluate(LATE, [threads, LATENESS_MS]) for threads in (1, 2)}
    finally:
        page.close()
    with capsys.disabled():
        for threads, times in found.items():
            listed = ", ".join(f"{name} {ms:.1f} ms" for name, ms in times.items())
            print(f"\n{browser.browser_type.name}, {threads} threads: {listed}")
    assert found[1]["duringForward"] <= LATENESS_MS
    assert found[1]["duringFile"] <= LATENESS_MS
    assert found[1]["duringImage"] <= LATENESS_MS
    assert found[1]["duringBitmap"] <= LATENESS_MS


SNIPPET = """<!doctype html>
<title>A page</title>
<script src="dist/wasm-torch.min.js"></script>
<input type="file" id="imageInput">
<div id="result"></div>
<script type="module">
const mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225];
const runtime = await WASMTorch.init({simd: true, threads: navigator.hardwareConcurrency || 4});
const model = await runtime.loadModel('./resnet18.wasm');
imageInput.onchange = async e => {
  const x = await runtime.imageTensor(e.target.files[0], {size: 64, mean, std});
  const y = await model.forward(x);
  result.textContent = JSON.stringify([...y.data]);
};
document.body.dataset.ready = runtime.threads;
</script>
"""


def test_the_snippet_works_in_an_empty_page(
    browser: Browser,
    package: Path,
    networks: Path,
    pictures: tuple[Path, dict[str, numpy.ndarray]],
    tmp_path: Path,
) -> None:
    (tmp_path / "index.html").write_text(SNIPPET)
    (tmp_path / "resnet18.wasm").write_bytes((networks / "resnet18.wasm").read_bytes())
    server = SiteServer(tmp_path, isolated=True, mounts={"dist": package}).start()
    page = browser.new_page()
    try:
        page.goto(server.url)
        page.wait_for_selector("body[data-ready]")
        picture = pictures[0] / "plain.png"
        page.set_input_files("#imageInput", picture)
        page.wait_for_function("result.textContent !== ''")
        got = json.loads(page.inner_text("#result"))
    finally:
        page.close()
        server.stop()
    with torch.no_grad():
        wanted = built(8)(preprocessed(Image.open(picture), size=(64, 64)))[0]
    assert got == pytest.approx(wanted.tolist(), abs=1e-4)
