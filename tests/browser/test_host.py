"""The host in Chromium and Firefox: on a page's main thread and in workers, isolated and not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser
from python_page import CORES, PythonPage
from serve import SiteServer

PLACES = {"page": "page.html", "worker": "worker.html", "nested worker": "worker.html?nested"}

several_cores = pytest.mark.skipif(CORES < 2, reason="one core: there are no workers")

IMPORTS = "from wasm_torch import _C, _host\n_host.start()\n"

# A float32 exp over n elements from `source` to `out`, addresses that nobody checks.
LAUNCH = """
def exp(out, source, n):
    f32 = _C.dtype_by_name("float32").code
    _C.launch("unary_contiguous", _C.UNARY["exp"], f32, f32, out, source, n, 0.0, 0.0)
"""


class HostPage(PythonPage):
    """Runs code with `_C` and a started `_host`."""

    def run(self, *parts: str) -> Any:
        return super().run(IMPORTS, *parts)


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def python(
    browser: Browser, servers: dict[bool, SiteServer], place: str, isolated: bool
) -> Iterator[HostPage]:
    page = HostPage(browser, servers[isolated].url + PLACES[place], isolated)
    yield page
    page.close()


def test_the_import_and_an_operation_need_no_turn_of_the_event_loop(python: HostPage) -> None:
    assert python.run("a = _C.from_data([1.0, 2.0, 3.5])\nreturn (a + a).tolist()") == [2, 4, 7]
    warnings = [line for line in python.console if "wasm-torch" in line]
    if python.isolated:
        assert warnings == []
    else:
        assert len(warnings) == 1
        assert "Cross-Origin-Opener-Policy: same-origin" in warnings[0]
        assert "Cross-Origin-Embedder-Policy: require-corp" in warnings[0]


def test_workers_join_where_the_page_is_isolated(python: HostPage) -> None:
    code = """
        import dataclasses
        threads = await _host.threads_ready()
        return [threads, dataclasses.asdict(_host.info())]
    """
    threads, info = python.run(code)
    assert threads == python.expected_threads
    assert info["name"] == "pyodide"
    assert info["engine"] == "relaxed"
    assert info["isolated"] is python.isolated
    assert info["threads"] == python.expected_threads
    assert (info["single_threaded_because"] is None) is python.isolated


def test_a_job_of_many_items_is_right(python: HostPage) -> None:
    code = """
        await _host.threads_ready()
        n = 1 << 20
        source, out = _C.empty([n]), _C.empty([n])
        _C.launch("fill", source, 0.0)
        for _ in range(20):
            exp(out.data_ptr(), source.data_ptr(), n)
        return set(out.tolist()) == {1.0}
    """
    assert python.run(LAUNCH, code) is True


def test_a_trap_is_an_exception_and_life_goes_on(python: HostPage) -> None:
    code = """
        n = 1 << 20
        out = _C.empty([n])
        texts = []
        for source in (-4096, -4096 - 2 * n):
            try:
                exp(out.data_ptr(), source, n)
            except RuntimeError as error:
                texts.append(str(error))
        a = _C.from_data([1.0, 2.0])
        return [texts, (a + a).tolist(), await _host.threads_ready()]
    """
    texts, sums, threads = python.run(LAUNCH, code)
    assert len(texts) == 2
    assert all("the engine trapped" in text for text in texts)
    assert sums == [2, 4]
    assert threads == python.expected_threads


def test_exhausted_memory_is_a_memory_error_and_life_goes_on(python: HostPage) -> None:
    code = """
        kept, text = [], None
        try:
            for _ in range(64):
                kept.append(_C.empty([1 << 26]))  # 256 MiB each
        except MemoryError as error:
            text = str(error)
        kept.clear()
        a = _C.from_data([1.0, 2.0])
        return [text, (a + a).tolist()]
    """
    text, sums = python.run(code)
    assert str(1 << 28) in text
    assert "in use" in text
    assert sums == [2, 4]


@several_cores
def test_a_worker_that_fails_leaves_fewer_threads_and_a_warning(python: HostPage) -> None:
    if not python.isolated:
        pytest.skip("there are no workers")
    fail = """
        import js
        from wasm_torch._host import pyodide
        await _host.threads_ready()
        worker = list(pyodide._host.engine.pool.workers.values())[0]
        worker.dispatchEvent(js.eval("new ErrorEvent('error', {message: 'broken'})"))
        n = 1 << 20
        source, out = _C.empty([n]), _C.empty([n])
        _C.launch("fill", source, 0.0)
        exp(out.data_ptr(), source.data_ptr(), n)
        return [_C.get_num_threads(), set(out.tolist()) == {1.0}]
    """
    threads, right = python.run(LAUNCH, fail)
    assert threads == python.expected_threads - 1
    assert right
    assert any("worker 1 is lost (broken)" in line for line in python.console)
    assert python.run("_C.set_num_threads(64)\nreturn await _host.threads_ready()") == CORES
