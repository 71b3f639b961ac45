"""The host on the desktop, where the engine is linked and nothing has to be connected."""

from __future__ import annotations

import asyncio

from wasm_torch import _C, _host


def test_info_tells_that_the_engine_is_native() -> None:
    info = _host.info()
    assert (info.name, info.engine, info.isolated) == ("native", "native", True)
    assert info.threads == _C.get_num_threads()
    assert info.single_threaded_because is None


def test_starting_again_does_nothing() -> None:
    _host.start()
    assert _C.from_data([1.0, 2.0]).tolist() == [1.0, 2.0]


def test_threads_ready_can_be_awaited() -> None:
    assert asyncio.run(_host.threads_ready()) == _C.get_num_threads()


def test_threads_can_be_set() -> None:
    before = _C.get_num_threads()
    try:
        assert _C.set_num_threads(1) == 1
        assert _host.info().threads == 1
    finally:
        _C.set_num_threads(before)
