"""What serving a graph needs and no more: the artifact's tokenizer file and its runtime. No torch, no transformers."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

GRAPH = "model.onnx"
OPENVINO = "model.xml"
SUBJECT = "stabbench.json"
Inputs = Mapping[str, np.ndarray]
"""Name of an input → its values: (B, T) int64."""


@dataclass(frozen=True)
class Runner:
    """A loaded graph.

    Attributes:
        inputs: names of its inputs.
        run: inputs → (B, C) float32 logits.
    """

    inputs: tuple[str, ...]
    run: Callable[[Inputs], np.ndarray]


def onnxruntime_runner(path: Path) -> Runner:
    """Load an ONNX graph on one thread that does not spin while it waits."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(inputs: Inputs) -> np.ndarray:
        logits: np.ndarray = session.run(["logits"], dict(inputs))[0]
        return logits

    return Runner(tuple(item.name for item in session.get_inputs()), run)


def openvino_runner(path: Path) -> Runner:
    """Load an OpenVINO model on one thread, what is not int8 in float32."""
    openvino = importlib.import_module("openvino")
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1}
    compiled: Any = openvino.Core().compile_model(str(path), "CPU", settings)
    request = compiled.create_infer_request()

    def run(inputs: Inputs) -> np.ndarray:
        # Copied: the request gives the same memory at every call.
        logits: np.ndarray = request.infer(dict(inputs))[compiled.output(0)].copy()
        return logits

    return Runner(tuple(item.any_name for item in compiled.inputs), run)


RUNNERS: Mapping[str, tuple[str, Callable[[Path], Runner]]] = {
    "onnxruntime": (GRAPH, onnxruntime_runner),
    "openvino": (OPENVINO, openvino_runner),
}
"""Name of a runtime → file of its graph in an artifact, and what loads it."""


@dataclass(frozen=True)
class Deployed:
    """An artifact of a graph compressor as a deployment serves it, with the numbers of its `Subject`.

    Texts beyond the artifact's length are cut on the right, whatever side the tokenizer's own settings name.

    Attributes:
        tokenizer: of the library ``tokenizers``; cuts texts at the artifact's length, of a pair the longer one first.
        runner: the graph.
        padding: id of the padding token.
    """

    tokenizer: Any
    runner: Runner
    padding: int

    def encode(self, texts: Sequence[Any]) -> dict[str, np.ndarray]:
        """Return texts, or pairs of texts, as one batch padded on the right to the longest of them."""
        found = self.tokenizer.encode_batch(list(texts))
        width = max((len(item.ids) for item in found), default=0)
        parts = {
            "input_ids": [(item.ids, self.padding) for item in found],
            "attention_mask": [([1] * len(item.ids), 0) for item in found],
            "token_type_ids": [(item.type_ids, 0) for item in found],
        }
        return {
            name: np.array([[*row, *[fill] * (width - len(row))] for row, fill in rows], dtype=np.int64)
            for name, rows in parts.items()
            if name in self.runner.inputs
        }

    def logits(self, inputs: Inputs) -> np.ndarray:
        """Return (B, C) float32 logits."""
        return self.runner.run(inputs)


def deployed(folder: Path, runtime: str) -> Deployed:
    """Load an artifact whose compressor's trait `runtime` names one of `RUNNERS`."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(_json(folder / SUBJECT)["max_length"])
    tokenizer.no_padding()
    told = _json(folder / "tokenizer_config.json")["pad_token"]
    padding = tokenizer.token_to_id(told["content"] if isinstance(told, dict) else told)
    file, load = RUNNERS[runtime]
    return Deployed(tokenizer, load(folder / file), padding)


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
