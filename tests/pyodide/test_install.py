"""The one wheel installs through each Pyodide's micropip, and trains there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from session import PYODIDE_VERSIONS, ROOT, PyodideSession

sys.path.insert(0, str(ROOT / "tools"))

from registry import TOOLCHAIN, wheels

TRAIN = """
import wasm_torch as torch
from wasm_torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
x = torch.rand(64, 2)
y = (x[:, :1] * x[:, 1:]).detach()
losses = []
for _ in range(200):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
return [losses[0], losses[-1]]
"""


def micropip_wheels(version: str) -> list[Path]:
    """The wheels of the micropip that this Pyodide is released with, and of packaging."""
    if version.startswith("0.27"):
        requirements = ROOT / "tests" / "pyodide" / "micropip-0.27.txt"
        found = wheels(requirements, TOOLCHAIN / "micropip-0.27")
    else:
        found = wheels(ROOT / "tools" / "lite-wheels.txt", TOOLCHAIN / "lite-wheels")
    return [wheel for wheel in found if wheel.name.startswith(("micropip-", "packaging-"))]


@pytest.fixture(scope="module", params=PYODIDE_VERSIONS)
def bare_pyodide(request: pytest.FixtureRequest) -> Iterator[PyodideSession]:
    """A Pyodide with micropip and without the wheel."""
    with PyodideSession(request.param, micropip_wheels(request.param)) as session:
        yield session


def test_micropip_installs_the_wheel_and_it_trains(
    bare_pyodide: PyodideSession, pyodide_wheel: Path
) -> None:
    bare_pyodide.run(
        f"""
        import micropip
        import pyodide_js
        pyodide_js.mountNodeFS("/dist", {str(pyodide_wheel.parent)!r})
        await micropip.install("emfs:/dist/{pyodide_wheel.name}")
        """
    )
    first, last = bare_pyodide.run(TRAIN)
    assert last < first / 20
