"""numpy inside Pyodide: arrays are copied both ways, for every dtype that the two share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from session import PyodideSession, PythonError

#: Pyodide -> the Python tag of its numpy wheel.
TAGS = {"0.29.5": "cp313", "314.0.7": "cp314"}
DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")


@pytest.fixture(scope="module", params=TAGS)
def numpy_pyodide(request: pytest.FixtureRequest, pyodide_wheel: Path) -> Iterator[PyodideSession]:
    """A Pyodide with numpy from the folder that WASM_TORCH_PYODIDE_NUMPY names."""
    folder = os.environ.get("WASM_TORCH_PYODIDE_NUMPY")
    if folder is None:
        pytest.skip("WASM_TORCH_PYODIDE_NUMPY names no folder with numpy wheels for Pyodide")
    found = list(Path(folder).glob(f"numpy-*-{TAGS[request.param]}-*wasm32.whl"))
    if not found:
        pytest.skip(f"there is no numpy wheel for Pyodide {request.param} in {folder}")
    with PyodideSession(request.param, [pyodide_wheel, found[0]]) as session:
        session.run("import numpy, wasm_torch")
        yield session


def run(session: PyodideSession, code: str) -> object:
    lines = "import numpy as np\nimport wasm_torch as torch\n" + code
    return session.run(lines)


@pytest.mark.parametrize("dtype", DTYPES)
def test_round_trip(numpy_pyodide: PyodideSession, dtype: str) -> None:
    code = f"""
array = (np.arange(24) - 5).reshape(2, 3, 4).astype({dtype!r})
tensor = torch.from_numpy(array)
back = tensor.numpy()
strided = torch.from_numpy(array[:, ::2].transpose(0, 2, 1))
return [
    str(tensor.dtype), list(tensor.shape), back.dtype.name, bool((back == array).all()),
    bool((strided.numpy() == array[:, ::2].transpose(0, 2, 1)).all()),
    bool((np.asarray(tensor.transpose(0, 2)) == array.transpose(2, 1, 0)).all()),
]
"""
    expected = [f"torch.{dtype}", [2, 3, 4], dtype, True, True, True]
    assert run(numpy_pyodide, code) == expected


def test_arrays_are_copies(numpy_pyodide: PyodideSession) -> None:
    code = """
array = np.zeros(3, dtype=np.float32)
tensor = torch.from_numpy(array)
array[0] = 7
return [tensor.tolist(), tensor.numpy().flags.writeable]
"""
    assert run(numpy_pyodide, code) == [[0.0, 0.0, 0.0], False]


def test_a_write_that_would_be_lost_is_an_error(numpy_pyodide: PyodideSession) -> None:
    with pytest.raises(PythonError, match="read-only"):
        run(numpy_pyodide, "torch.zeros(3).numpy()[0] = 1")


def test_without_numpy_the_error_is_torchs(pyodide: PyodideSession) -> None:
    with pytest.raises(PythonError, match="Numpy is not available"):
        pyodide.run("import wasm_torch as torch\ntorch.zeros(3).numpy()")
