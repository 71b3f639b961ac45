"""The command line, in this process; its server over a socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import numpy
import pytest
import torch
from torch import nn

import wasm_torch
from wasm_torch.cli import main
from wasm_torch.cli.serve import make_server
from wasm_torch.compiler.expressions import evaluate
from wasm_torch.export import export_to_wasm

LINEAR = ["export", "torch.nn:Identity"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    path = folder / "linear.wasm"
    state = nn.Linear(4, 3).state_dict()
    torch.save(state, folder / "linear.pth")
    (folder / "models_for_cli.py").write_text(
        "from torch import nn\n\n\ndef linear():\n    return nn.Linear(4, 3)\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        arguments = ["export", "models_for_cli:linear", str(path), "--input", "2x4"]
        assert main([*arguments, "--weights", "linear.pth", "-O", "O1"]) == 0
    numpy.save(folder / "x.npy", numpy.ones((2, 4), numpy.float32))
    numpy.save(folder / "wanted.npy", (state["weight"].sum(1) + state["bias"]).expand(2, 3).numpy())
    return path


def test_inspect(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(file), "--nodes"]) == 0
    shown = capsys.readouterr().out
    for part in ("input: float32[2, 4]", "aten.linear", "gemm@1", "float32[3, 4]  parameter"):
        assert part in shown


class Normalized(torch.nn.Module):
    """A batch norm that the passes fold away, and two buffers that live one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 8, 3, bias=False)
        self.norm = torch.nn.BatchNorm2d(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.max_pool2d(self.norm(self.convolution(x)), 2).flatten(1).exp()


@pytest.mark.parametrize("varying", [False, True])
def test_inspect_compares_graphs_and_shows_the_plan(
    varying: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, x = tmp_path / "m.wasm", torch.randn(2, 3, 10, 10)
    batch = {"x": {0: torch.export.Dim("batch", min=1, max=8)}}
    export_to_wasm(Normalized(), path, x, dynamic_shapes=batch if varying else None)
    assert main(["inspect", str(path), "--nodes"]) == 0
    shown = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "1 -> 0 aten.native_batch_norm" in lines and "1 -> 1 aten.convolution" in lines
    before, after = shown.split("graph before the passes")[1].split("graph after the passes")
    assert "aten.native_batch_norm(" in before and "%norm.running_mean" in before
    assert "aten.native_batch_norm(" not in after and "aten.convolution(" in after
    assert "# convolution" in after

    assert main(["inspect", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["bytes"] == path.stat().st_size
    report, method = found["report"]["forward"], found["manifest"]["methods"]["forward"]
    assert [n["op"] for n in report["after"]["nodes"]] == [n["op"] for n in method["nodes"]]
    assert report["kernels"].keys() <= set(found["manifest"]["kernels"])
    assert sum(report["kernels"].values()) >= len(report["kernels"]) > 1
    ops = [node["op"] for node in method["nodes"]]
    at = ops.index("aten.convolution")
    made = [b for b in report["memory"] if b["first"] == at]
    convolved = max(made, key=lambda b: evaluate(b["bytes"], {"batch": 2}))
    assert convolved["bytes"] == (["*", 2048, "batch"] if varying else 2 * 2048)
    assert evaluate(convolved["offset"], {"batch": 2}) % 64 == 0 and convolved["last"] > at
    size = "2048 * batch bytes" if varying else "4.1 kB"
    assert any(line.startswith(size) and "aten.convolution .." in line for line in lines)


def test_inspect_takes_files_without_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("wasm_torch.compiler.section", lambda reports: b"")
    export_to_wasm(nn.Linear(4, 3), tmp_path / "m.wasm", torch.ones(2, 4))
    assert main(["inspect", str(tmp_path / "m.wasm"), "--nodes"]) == 0
    shown = capsys.readouterr().out
    assert "aten.linear" in shown and "kernel calls" not in shown


def test_run(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out.npz"
    folder = file.parent
    assert main(["run", str(file), f"input={folder / 'x.npy'}", "--output", str(output)]) == 0
    assert "output  float32[2, 3]" in capsys.readouterr().out
    wanted = numpy.load(folder / "wanted.npy")
    numpy.testing.assert_allclose(numpy.load(output)["output"], wanted, rtol=1e-5)


def test_bench(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(file), "--iterations", "3", "--warm-up", "0"]) == 0
    assert "over 3 calls" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "FILE"], "input 'input' is missing"),
        (["run", "FILE", "nowhere.npy"], "there is no file nowhere.npy"),
        (["inspect", "nowhere.wasm"], "No such file"),
        (["export", "no_such_module:x", "x.wasm", "--input", "3"], "No module named"),
        (["export", "torch.nn:Nothing", "x.wasm", "--input", "3"], "has no attribute Nothing"),
        (["export", "torch:__version__", "x.wasm", "--input", "3"], "gave a TorchVersion, not a"),
        (["serve", "nowhere"], "there is no folder nowhere"),
        (["run", "FILE", "input=X", "input=X"], "input 'input' was given twice"),
        ([*LINEAR, "no_folder/x.wasm", "--input", "2x4"], "there is no folder no_folder to write"),
        ([*LINEAR, ".", "--input", "2x4"], ". is a folder; give the name of a file"),
        ([*LINEAR, "x.wasm", "--input", "a=2x4", "--input", "a=2x4"], "'a' was given twice"),
        ([*LINEAR, "x.wasm", "--input", "2x4", "--weights", "JUNK"], "that torch.load reads: "),
        ([*LINEAR, "x.wasm", "--input", "2x4", "--weights", "nowhere"], "there is no file nowhere"),
    ],
)
def test_failures_say_why(
    arguments: list[str], message: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    junk = file.parent / "junk.bin"
    junk.write_bytes(b"ejunk")
    names = {"FILE": file, "JUNK": junk, "input=X": f"input={file.parent / 'x.npy'}"}
    assert main([str(names.get(a, a)) for a in arguments]) == 1
    shown = capsys.readouterr().err
    assert message in shown
    assert ".partial" not in shown


def test_a_wrong_shape_is_told_without_torchs_log(file: Path) -> None:
    command = [sys.executable, "-m", "wasm_torch.cli", "export", "models_for_cli:linear", "x.wasm"]
    command += ["--input", "1x5"]
    paths = os.pathsep.join([str(Path(wasm_torch.__file__).parents[1]), str(file.parent)])
    result = subprocess.run(
        command,
        check=False,
        cwd=file.parent,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
    )
    assert result.returncode == 1
    assert result.stderr.decode().startswith("wasm-torch export: torch.export could not follow")


def test_dtypes_of_inputs(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numpy.save(tmp_path / "wide.npy", numpy.ones((2, 4)))
    numpy.save(tmp_path / "whole.npy", numpy.ones((2, 4), numpy.int64))
    assert main(["run", str(file), str(tmp_path / "wide.npy")]) == 0
    assert "input 'input': converting float64 to float32" in capsys.readouterr().err
    assert main(["run", str(file), f"input={tmp_path / 'wide.npy'}"]) == 0
    assert "input 'input': converting float64 to float32" in capsys.readouterr().err
    assert main(["run", str(file), str(tmp_path / "whole.npy")]) == 1
    assert "has dtype int64; the model takes float32" in capsys.readouterr().err


WITHOUT = """
import sys
for name in ("numpy", "torch", "wasmtime"):
    sys.modules[name] = None
from wasm_torch.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--help"], 0, "PyTorch models as single WebAssembly files"),
        (["export", "--help"], 0, "once for each"),
        (["export", "a:b", "x.wasm", "--input", "3"], 1, "needs torch: pip install"),
        (["run", "x.wasm"], 1, "pip install 'wasm-shim-torch[export]'"),
        (["bench", "x.wasm"], 1, "pip install 'wasm-shim-torch[export]'"),
        (["inspect", "x.wasm"], 1, "No such file or directory: 'x.wasm'"),
    ],
)
def test_without_the_packages_that_commands_need(
    arguments: list[str], status: int, message: str
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(wasm_torch.__file__).parents[1])}
    command = [sys.executable, "-c", WITHOUT, *arguments]
    result = subprocess.run(command, check=False, env=environment, capture_output=True)
    assert result.returncode == status
    assert message in (result.stdout + result.stderr).decode()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["export", "a:b", "c.wasm", "--input", "3by4"],
        ["inspect", "c.wasm", "--tensors", "-1"],
    ],
)
def test_arguments_that_make_no_sense_exit_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    "command", ["export", "inspect", "run", "bench", "serve", "download-runtime"]
)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"wasm-torch {command}" in capsys.readouterr().out


def test_serve_isolates_pages(file: Path) -> None:
    with make_server(file.parent, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/{file.name}"
            with urllib.request.urlopen(url) as response:
                headers = response.headers
                assert response.read() == file.read_bytes()
        finally:
            server.shutdown()
            thread.join()
    assert headers["Content-Type"] == "application/wasm"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
