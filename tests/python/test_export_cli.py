"""The command line, in this process; its server over a socket."""

from __future__ import annotations

import threading
import urllib.request
from pathlib import Path

import numpy
import pytest
import torch
from torch import nn

from wasm_torch.cli import main
from wasm_torch.cli.serve import make_server


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
        (["serve", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_failures_say_why(
    arguments: list[str], message: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(file) if a == "FILE" else a for a in arguments]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["fly"], ["export", "a:b", "c.wasm", "--input", "3by4"]])
def test_arguments_that_make_no_sense_exit_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize("command", ["export", "inspect", "run", "bench", "serve"])
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
