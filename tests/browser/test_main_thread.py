"""The package in Pyodide on a page's main thread, where nothing may block."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from python_page import PythonPage
from serve import SiteServer

TRAIN = """
    import wasm_torch as torch
    from wasm_torch import nn

    THREADS
    torch.manual_seed(0)
    x = torch.rand(512, 64)
    y = (x[:, :32].sum(1) > x[:, 32:].sum(1)).long()
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    right = (model(x).argmax(1) == y).float().mean().item()
    return [losses[0], losses[-1], right, torch.get_num_threads()]
"""


@pytest.fixture(scope="module")
def page(browser: Browser, servers: dict[bool, SiteServer], isolated: bool) -> Iterator[PythonPage]:
    started = PythonPage(browser, f"{servers[isolated].url}page.html", isolated)
    yield started
    started.close()


def test_a_network_trains_at_once_on_one_thread(page: PythonPage) -> None:
    first, last, right, threads = page.run(TRAIN.replace("THREADS", ""))
    assert first == pytest.approx(0.69, abs=0.1)
    assert last < 0.2
    assert right > 0.95
    # Workers join when Python yields, which it has not.
    assert threads >= 1


def test_a_network_trains_on_the_threads_that_have_joined(page: PythonPage) -> None:
    code = TRAIN.replace("THREADS", "await torch.threads_ready()")
    _, last, right, threads = page.run(code)
    assert last < 0.2
    assert right > 0.95
    assert threads == page.expected_threads


def test_an_exception_leaves_the_page_in_working_order(page: PythonPage) -> None:
    code = """
        import wasm_torch as torch
        try:
            torch.ones(2, 3) @ torch.ones(2, 3)
        except RuntimeError as error:
            text = str(error)
        return [text, (torch.ones(2, 3) @ torch.ones(3, 2)).tolist()]
    """
    text, product = page.run(code)
    assert text == "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)"
    assert product == [[3, 3], [3, 3]]
