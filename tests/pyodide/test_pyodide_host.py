"""The host in Pyodide: import, threads, traps, exhausted memory, workers that fail or die."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
from session import PyodideSession

CORES = len(os.sched_getaffinity(0))
START = "from wasm_torch import _C, _host\n_host.start()\n"

several_cores = pytest.mark.skipif(CORES < 2, reason="one core: there are no workers")


def run(session: PyodideSession, *parts: str) -> Any:
    """Runs the parts, one after the other, with `_C` and a started `_host`."""
    return session.run(START + "".join(textwrap.dedent(part) for part in parts))


# A float32 exp over n elements from `source` to `out`, addresses that nobody checks.
LAUNCH = """
def exp(out, source, n):
    f32 = _C.dtype_by_name("float32").code
    _C.launch("unary_contiguous", _C.UNARY["exp"], f32, f32, out, source, n, 0.0, 0.0)
def outcome(call, *args):
    try:
        call(*args)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
"""
WILD = -4096  # the last page below 4 GiB


def test_an_operation_works_right_after_the_import(pyodide: PyodideSession) -> None:
    result = run(pyodide, "a = _C.from_data([1.0, 2.0, 3.5])\nreturn (a + a).tolist()")
    assert result == [2.0, 4.0, 7.0]


def test_starting_again_does_nothing(pyodide: PyodideSession) -> None:
    code = "a = _C.from_data([7.0])\n_host.start()\nreturn (a + a).tolist()"
    assert run(pyodide, code) == [14.0]


def test_info_tells_what_runs(pyodide: PyodideSession) -> None:
    info = run(
        pyodide,
        "import dataclasses\nawait _host.threads_ready()\nreturn dataclasses.asdict(_host.info())",
    )
    assert info == {
        "name": "pyodide",
        "engine": "relaxed",
        "isolated": True,
        "threads": min(4, CORES),
        "single_threaded_because": None,
    }


def test_the_plain_simd_binary_runs_where_relaxed_simd_is_missing(
    new_pyodide: Callable[..., PyodideSession],
) -> None:
    # The project's own Node, which `make test` puts first on PATH, is too new for this.
    folders = os.environ["PATH"].split(os.pathsep)
    elsewhere = os.pathsep.join(folder for folder in folders if ".toolchain" not in folder)
    old_node = shutil.which("node", path=elsewhere)
    if old_node is None:
        pytest.skip("no node on PATH but the project's own")
    session = new_pyodide(node=old_node)
    probe = "import js\nreturn js.eval('process.versions.node')"
    if int(session.run(probe).split(".")[0]) >= 21:
        pytest.skip("the node on PATH has relaxed SIMD")
    code = "a = _C.from_data([1.0] * 9)\nreturn [_host.info().engine, (a + a).tolist()]"
    assert run(session, code) == ["simd", [2.0] * 9]


def test_an_engine_that_runs_no_binary_is_refused_by_what_it_lacks(
    new_pyodide: Callable[..., PyodideSession],
) -> None:
    session = new_pyodide()
    code = """
        import js
        js.eval("WebAssembly.validate = () => false")
        try:
            import wasm_torch
        except ImportError as error:
            return str(error)
    """
    assert "needs WebAssembly with shared memory" in session.run(code)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 63, 1020, 1024, 1025, 1028, 4099])
def test_bytes_go_in_and_out_unchanged(pyodide: PyodideSession, count: int) -> None:
    code = f"""
        data = bytes((i * 37 + 11) % 256 for i in range({count}))
        return _C.to_bytes(_C.from_data(list(data), _C.dtype_by_name("uint8"))) == data
    """
    assert run(pyodide, code)


def test_copies_reach_memory_that_has_just_grown(pyodide: PyodideSession) -> None:
    code = """
        float64 = _C.dtype_by_name("float64")
        before = _C.memory_stat(2)
        kept = [_C.empty([1 << 20], float64) for _ in range(40)]
        values = [float(i) for i in range(1000)]
        last = _C.from_data(values)
        return [_C.memory_stat(2) > before, (last + last).tolist() == [2 * v for v in values]]
    """
    assert run(pyodide, code) == [True, True]


@several_cores
def test_threads_can_be_lowered_and_raised(pyodide: PyodideSession) -> None:
    code = """
        await _host.threads_ready()
        seen = [_C.set_num_threads(1), _C.get_num_threads()]
        _C.set_num_threads(64)
        seen.append(await _host.threads_ready())
        _C.set_num_threads(2)
        seen.append(await _host.threads_ready())
        return seen
    """
    assert run(pyodide, code) == [1, 1, min(64, CORES), 2]


def test_a_trap_is_an_exception_and_life_goes_on(pyodide: PyodideSession) -> None:
    code = f"""
        await _host.threads_ready()
        out = _C.empty([1 << 20])
        seen = [outcome(exp, out.data_ptr(), {WILD}, 4), outcome(exp, {WILD}, out.data_ptr(), 4)]
        a = _C.from_data([1.0, 2.0])
        return seen + [(a + a).tolist()]
    """
    reading, writing, sums = run(pyodide, LAUNCH, code)
    trapped = "RuntimeError: unary_contiguous: the engine trapped while running this kernel"
    assert reading.startswith(trapped)
    assert writing.startswith(trapped)
    assert sums == [2.0, 4.0]


def test_traps_on_every_thread_are_one_exception_and_the_threads_stay(
    new_pyodide: Callable[..., PyodideSession],
) -> None:
    session = new_pyodide()
    code = f"""
        await _host.threads_ready()
        n = 1 << 20
        source, out = _C.empty([n]), _C.empty([n])
        _C.launch("fill", source, 0.0)
        seen = [outcome(exp, out.data_ptr(), {WILD} - 4 * n // 2, n) for _ in range(5)]
        threads = await _host.threads_ready()
        exp(out.data_ptr(), source.data_ptr(), n)
        return [seen, threads, set(out.tolist()) == {{1.0}}]
    """
    seen, threads, right = run(session, LAUNCH, code)
    assert all(text is not None and "the engine trapped" in text for text in seen)
    assert threads == min(4, CORES)
    assert right


def test_exhausted_memory_is_a_memory_error_and_life_goes_on(
    new_pyodide: Callable[..., PyodideSession],
) -> None:
    session = new_pyodide()
    code = """
        kept, text = [], ""
        try:
            for _ in range(64):
                kept.append(_C.empty([1 << 26]))  # 256 MiB each
        except MemoryError as error:
            text = str(error)
        count = len(kept)
        kept.clear()
        again = _C.empty([1 << 26])
        a = _C.from_data([1.0, 2.0])
        return [count, text, (a + a).tolist()]
    """
    count, text, sums = run(session, code)
    assert 1 <= count < 16, "4 GiB hold no sixteen blocks of 256 MiB and the engine"
    assert str(1 << 28) in text
    assert "in use" in text
    assert sums == [2.0, 4.0]


@several_cores
def test_a_killed_worker_leaves_fewer_threads_and_a_warning(
    new_pyodide: Callable[..., PyodideSession],
) -> None:
    session = new_pyodide()
    kill = """
        import asyncio
        from wasm_torch._host import pyodide
        before = await _host.threads_ready()
        workers = list(pyodide._host.engine.pool.workers.values())
        await workers[0].terminate()
        n = 1 << 20
        source, out = _C.empty([n]), _C.empty([n])
        _C.launch("fill", source, 0.0)
        exp(out.data_ptr(), source.data_ptr(), n)
        await asyncio.sleep(0.2)
        exp(out.data_ptr(), source.data_ptr(), n)
        return [before, _C.get_num_threads(), set(out.tolist()) == {1.0}]
    """
    before, after, right = run(session, LAUNCH, kill)
    assert after == before - 1
    assert right
    assert any("worker 1 is lost" in line for line in session.console)

    more = "_C.set_num_threads(64)\nreturn await _host.threads_ready()"
    assert run(session, more) == CORES, "asking for threads again starts another worker"


def test_a_worker_that_cannot_start_leaves_one_thread_and_a_warning(
    new_pyodide: Callable[..., PyodideSession],
) -> None:
    session = new_pyodide()
    session.run("""
        import js
        js.eval('''process.getBuiltinModule("worker_threads").Worker = class {
            constructor() { throw new Error("no workers today"); }
        }''')
    """)
    code = "a = _C.from_data([1.0])\nreturn [await _host.threads_ready(), (a + a).tolist()]"
    assert run(session, code) == [1, [2.0]]
    warnings = [line for line in session.console if line.startswith("warn: wasm-torch")]
    assert len(warnings) == (1 if CORES > 1 else 0)
    assert all("no workers today" in line for line in warnings)
