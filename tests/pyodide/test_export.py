"""export_to_wasm in Pyodide, where there is no torch: the file runs there and on the desktop."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy
import torch
from session import PyodideSession

import wasm_torch

MODELS = (Path(__file__).resolve().parent.parent / "traced_models.py").read_text()

INSTALL = """
    import sys, pathlib
    pathlib.Path("/tmp/traced_models.py").write_text({models!r})
    sys.path.insert(0, "/tmp")
    from traced_models import differences
"""


def test_models(pyodide: PyodideSession) -> None:
    code = INSTALL.format(models=MODELS)
    found = pyodide.run(code + '    return differences("/tmp")', timeout=300)
    assert len(found) == 5 and max(found.values()) <= 1e-5, found
    narrow = pyodide.run(
        code + '    return differences("/tmp", weights_dtype="float16", optimization_level="O1")',
        timeout=300,
    )
    assert 1e-7 < narrow["perceptron"] < 1e-2, narrow


def test_a_file_from_pyodide_runs_on_the_desktop(pyodide: PyodideSession, tmp_path: Path) -> None:
    data, x, wanted = pyodide.run(
        """
        import base64
        import wasm_torch as torch
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
        x = torch.randn(4, 6)
        batch = torch.export.Dim("batch", max=32)
        torch.export_to_wasm(model, "/tmp/m.wasm", x, dynamic_shapes={"input": {0: batch}})
        with open("/tmp/m.wasm", "rb") as file:
            data = base64.b64encode(file.read()).decode()
        return [data, x.tolist(), model(x).tolist()]
        """,
        timeout=300,
    )
    with wasm_torch.load_model(base64.b64decode(data)) as model:
        got = model(torch.tensor(x)).numpy()
        assert model.inputs[0].shape == ("batch", 6)
    numpy.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_what_is_no_model_is_refused(pyodide: PyodideSession) -> None:
    said = pyodide.run(
        """
        import wasm_torch as torch
        try:
            torch.export_to_wasm(abs, "/tmp/no.wasm", torch.ones(2))
        except TypeError as error:
            return str(error)
        """
    )
    assert "must be a torch.nn.Module, of torch or of wasm_torch" in said
