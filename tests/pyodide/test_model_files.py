"""Model files in Pyodide: small models give torch's results on the eager engine."""

from __future__ import annotations

import base64
import json
import textwrap
from pathlib import Path
from typing import Any

import numpy
from session import PyodideSession
from small_models import TOLERANCE, Case

PREPARE = """
    import base64, json
    import wasm_torch as torch
    def tensor(entry):
        data = bytearray(base64.b64decode(entry["data"]))
        return torch.frombuffer(data, dtype=getattr(torch, entry["dtype"])).reshape(entry["shape"])
"""


def entry(array: numpy.ndarray) -> dict[str, Any]:
    data = base64.b64encode(numpy.ascontiguousarray(array).tobytes()).decode()
    return {"data": data, "dtype": str(array.dtype), "shape": list(array.shape)}


def text(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_small_models(pyodide: PyodideSession, exported: tuple[Path, list[Case]]) -> None:
    folder, cases = exported
    for case in cases:
        file = text(folder / f"{case.model}.wasm")
        inputs = json.dumps([entry(x) for x in case.inputs])
        code = f"""
            used = torch.memory_stats()["current"]
            with torch.load_model(base64.b64decode({file!r})) as model:
                given = [tensor(e) for e in json.loads({inputs!r})]
                got = list(model.call_flat({case.method!r}, *given).values())
                answer = [[list(t.shape), t.dtype.name, t.flatten().tolist()] for t in got]
            del given, got
            return [answer, torch.memory_stats()["current"] - used]
        """
        answer, leaked = pyodide.run(textwrap.dedent(PREPARE) + textwrap.dedent(code))
        assert leaked == 0, case.model
        for (shape, dtype, values), theirs in zip(answer, case.outputs, strict=True):
            assert (tuple(shape), dtype) == (theirs.shape, str(theirs.dtype))
            scale = max(float(numpy.abs(theirs).max()), 1e-30)
            difference = numpy.abs(numpy.array(values) - theirs.reshape(-1).astype(float)).max()
            assert difference / scale <= TOLERANCE, case.model


def test_files_and_refusals(pyodide: PyodideSession, exported: tuple[Path, list[Case]]) -> None:
    file = text(exported[0] / "sentence.wasm")
    code = f"""
        data = base64.b64decode({file!r})
        with open("/tmp/sentence.wasm", "wb") as out:
            out.write(data)
        model = torch.load("/tmp/sentence.wasm")
        ids = torch.arange(14).reshape(2, 7)
        wanted = model(ids).tolist()
        seen = []
        def attempt(function, *arguments):
            try:
                function(*arguments)
                seen.append("nothing")
            except Exception as error:
                seen.append(type(error).__name__)
            assert model(ids).tolist() == wanted
        attempt(torch.load_model, b"")
        attempt(torch.load_model, data[:-1])
        attempt(torch.load_model, data[:500])
        attempt(torch.load_model, data[:-5] + b"?" + data[-4:])
        attempt(torch.load_model, data.replace(b"layer_norm@1", b"xayer_norm@1"))
        attempt(model, torch.arange(13))
        attempt(model, ids * 50)
        attempt(model, ids.float())
        model.dispose()
        return seen
    """
    seen = pyodide.run(textwrap.dedent(PREPARE) + textwrap.dedent(code))
    refusals = ["NotWasm", "Truncated", "Truncated", "Damaged", "Damaged"]
    assert seen == [*refusals, "ModelInputError", "IndexError", "ModelInputError"]
