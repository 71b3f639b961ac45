"""Tests run side by side, so each process computes on one thread; some tests choose more."""

import torch

import wasm_torch

torch.set_num_threads(1)
wasm_torch.set_num_threads(1)
