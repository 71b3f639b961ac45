"""What programs of the demo page's editor may do: print, report, ask, leave behind, end."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from demo_page import DemoPage, Strokes
from playwright.sync_api import Browser
from serve import SiteServer

ONE: Strokes = [[(0.5, 0.15), (0.5, 0.85)]]
#: Measures the longest pause between two animation frames from now on.
WATCH_FRAMES = """() => {
  window.longest = 0;
  let before = performance.now();
  const tick = (now) => {
    window.longest = Math.max(window.longest, now - before);
    before = now;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}"""


@pytest.fixture(scope="module")
def shared(browser: Browser, sites: dict[bool, SiteServer]) -> Iterator[DemoPage]:
    """An isolated page for programs that leave nothing behind."""
    page = DemoPage(browser, sites[True].url)
    yield page
    page.close()


def test_many_printed_lines_leave_the_page_responsive(fresh: DemoPage) -> None:
    fresh.page.evaluate(WATCH_FRAMES)
    fresh.run('for i in range(200_000): print("step", i, "loss", 0.123456)')
    assert fresh.printed.endswith("step 199998 loss 0.123456\nstep 199999 loss 0.123456\n")
    assert 40_000 < len(fresh.printed) <= 60_000
    assert re.match(r"step \d+ loss 0.123456\n", fresh.printed)
    # The worker and the page drop text, and together they count all of it.
    total = sum(len(f"step {i} loss 0.123456\n") for i in range(200_000))
    dropped = total - len(fresh.printed)
    assert fresh.text("output-dropped") == f"The first {dropped:,} characters are no longer kept."
    assert fresh.page.evaluate("window.longest") < 2_000


def test_a_program_that_prints_without_end_can_be_ended(fresh: DemoPage) -> None:
    fresh.write_program('while True: print("on and on")')
    fresh.element("train").click()
    stop = fresh.element("stop")
    stop.click()
    fresh.page.wait_for_selector("#stop:has-text('End Python'):enabled", timeout=10_000)
    stop.click()
    fresh.wait_for("ready")
    assert fresh.printed.endswith("on and on\n")


def test_text_without_a_newline_belongs_to_its_run(shared: DemoPage) -> None:
    shared.run(r'print("first\nlast é", end="")')
    assert shared.printed == "first\nlast é"
    shared.run('print("new")')
    assert shared.printed == "new\n"
    shared.run('print("before", end=""); 1 / 0')
    assert shared.printed == "before"
    shared.run(r'for i in range(3): print(f"\rstep {i}", end="")')
    assert shared.printed == "step 2"


def test_values_that_are_not_finite_leave_gaps_and_are_named(shared: DemoPage) -> None:
    plot = shared.element("loss-plot")

    def run(losses: str) -> str:
        """Reports the losses, each in a message of its own; returns what the plot is called."""
        shared.run(
            "import asyncio, page",
            "async def step(i, y): await page.report(i, 9, y, 0.5); await asyncio.sleep(0.11)",
            f"for i, y in enumerate(map(float, {losses!r}.split()), 1): await step(i, y)",
        )
        return plot.locator("svg").get_attribute("aria-label")

    # The first message comes with the second step, and has the mean of both.
    assert run("2 2 1 1 nan 1 1 inf inf").endswith("infinity from 8 images on")
    curve = plot.locator("path.raw").get_attribute("d")
    assert [len(part.split("L")) for part in curve.split("M")[1:]] == [3, 2]
    assert "NaN" not in curve
    assert "infinity from 8 images on" in plot.text_content()

    name = run("2 2 nan 1 1")
    assert "now " in name
    assert name.endswith("; NaN at 3 images")

    run("2 2 1")
    assert "NaN" not in plot.inner_html()


def test_a_run_is_not_changed_by_those_before(fresh: DemoPage) -> None:
    look = (
        "import wasm_torch as torch",
        "import page, sys",
        "data = page.mnist()",
        "print(*(part.float().sum().item() for part in data), torch.is_grad_enabled())",
        "print(torch.get_num_threads(), torch.get_default_dtype())",
        "print(torch.rand(1), torch.initial_seed())",
        "print(sorted(vars(page)), [name for name, value in vars(page).items() if value is None])",
        "await page.report(1, 1, 0.0, 0.0)",
    )
    fresh.run(*look)
    assert not fresh.element("failure").is_visible(), fresh.text("failure")
    before, memory = fresh.printed, fresh.text("memory")
    fresh.run(
        *look[:3],
        "_ = [part.zero_() for part in data]",
        "_ = torch.set_grad_enabled(False)",
        "torch.set_num_threads(1)",
        "torch.set_default_dtype(torch.float64)",
        "torch.set_printoptions(precision=9)",
        "_ = torch.manual_seed(7)",
        "sys.stdout = sys.stdin = None",
        "for name in [*vars(page)]: setattr(page, name, None) if name[0] != '_' else None",
        "page.mine = 1",
    )
    assert not fresh.element("failure").is_visible(), fresh.text("failure")
    fresh.run(*look)
    assert fresh.printed == before
    assert fresh.text("memory") == memory


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (
            "await page.report(1, 2, torch.ones(3), 0.5)",
            "TypeError: page.report: loss must be a number, not a tensor of shape (3,)",
        ),
        (
            "await page.report(1, 2, 0.5, None)",
            "TypeError: page.report: accuracy must be a number, not None",
        ),
        (
            "await page.report(1, 0, 0.5, 0.5)",
            "ValueError: page.report: total must be above 0 and finite, but is 0",
        ),
        (
            "await page.report(float('nan'), 1, 0.5, 0.5)",
            "ValueError: page.report: seen must not be negative or infinite, but is nan",
        ),
        (
            "page.tested('a')",
            "TypeError: page.tested: accuracy must be a number, not of type str",
        ),
        (
            "page.tested(97.5)",
            "ValueError: page.tested: accuracy must be a fraction, from 0 to 1, but is 97.5",
        ),
    ],
)
def test_what_a_program_reports_is_checked(shared: DemoPage, call: str, error: str) -> None:
    shared.run("import wasm_torch as torch", "import page", call)
    assert shared.text("failure-title") == error
    assert 'File "train.py", line 3' in shared.text("failure-text")
    assert "page.py" not in shared.text("failure-text")


def test_tensors_of_one_element_are_numbers(shared: DemoPage) -> None:
    shared.run(
        "import wasm_torch as torch",
        "import page",
        "loss = torch.full((1,), 2.5, requires_grad=True).sum()",
        "await page.report(torch.tensor(3), 3, loss, torch.tensor(0.5))",
        "page.tested(torch.tensor(0.25))",
    )
    assert shared.text("status") == "Trained: it reads 25.0 % of the test images right."
    name = shared.element("loss-plot").locator("svg").get_attribute("aria-label")
    assert name.endswith("now 2.50")


def test_a_drawing_waits_for_a_network(shared: DemoPage) -> None:
    shared.write_program("import page", "while True: await page.report(1, 9, 1.0, 0.5)")
    shared.element("train").click()
    shared.page.wait_for_function("document.getElementById('count').textContent != ''")
    shared.draw(ONE)
    shared.page.wait_for_timeout(800)  # the page asks a network every 500 ms
    assert shared.text("answer") == "Train first; then draw."
    shared.element("stop").click()
    shared.wait_for("ready")
    assert shared.text("answer") == "Train first; then draw."


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("torch.ones(3) / 3", "; what it returned is a tensor of shape (3,)."),
        ("torch.ones(1, 10) / 10", "; what it returned is a tensor of shape (1, 10)."),
        ("None", "; what it returned is None."),
        ("[0.5, 0.5]", "; what it returned is 2 numbers."),
        ("torch.arange(10.0)", ", from 0 to 1; one is 2."),
    ],
)
def test_what_predict_must_return_is_told(shared: DemoPage, value: str, answer: str) -> None:
    shared.run("import wasm_torch as torch", "model = 0", f"def predict(image): return {value}")
    shared.draw(ONE)
    wanted = "predict(image) must return ten probabilities, one for each digit"
    shared.wait_for_answer(f"{wanted}{answer}")


def test_a_failing_or_diverged_predict_is_told(shared: DemoPage) -> None:
    shared.run("model = 0", r"def predict(image): raise ValueError('no\nmore')")
    shared.draw(ONE)
    shared.wait_for_answer("The program's predict(image) failed in line 2: ValueError: no")
    assert shared.text("answer").endswith(": no")
    shared.run("model = 0", "def predict(image): return [float('nan')] * 10")
    shared.draw(ONE)
    shared.wait_for_answer("The network answers NaN or infinity: its training has diverged.")


@pytest.mark.parametrize(
    "call", ["input('name? ')", "import sys; sys.stdin.read()", "import sys; list(sys.stdin)"]
)
def test_a_program_that_asks_is_told_that_there_is_no_input(shared: DemoPage, call: str) -> None:
    shared.run(call)
    assert shared.text("failure-title").startswith("EOFError: there is no input here")
    assert 'File "train.py", line 1' in shared.text("failure-text")
    assert "page.py" not in shared.text("failure-text")


def test_the_heading_of_an_exception_is_its_first_line_and_short(shared: DemoPage) -> None:
    shared.run(r"raise ValueError('first\nsecond\n' + 'x' * 100_000)")
    assert shared.text("failure-title") == "ValueError: first"
    assert "second" in shared.text("failure-text")
    assert len(shared.text("failure-text")) < 30_000
    shared.run("raise KeyError('x' * 100_000)")
    assert re.fullmatch(r"KeyError: 'x{100,200}…", shared.text("failure-title"))


@pytest.mark.parametrize("turn", ["", "import page; await page.turn()"], ids=["first", "later"])
def test_the_end_of_python_is_told_and_it_can_start_again(fresh: DemoPage, turn: str) -> None:
    fresh.run("print('last words')", turn, "import os; os._exit(3)")
    assert fresh.text("status") == "Python has ended."
    assert fresh.text("failure-title") == "Python has ended"
    assert fresh.text("failure-text") == "Program terminated with exit(3)"
    assert fresh.printed == "last words\n"
    assert fresh.element("train").is_disabled()
    fresh.element("retry").click()
    fresh.wait_for("ready")
    fresh.run("print('alive')")
    assert fresh.printed == "alive\n"
