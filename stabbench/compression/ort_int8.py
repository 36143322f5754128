"""``ort-int8``: ONNX Runtime's dynamic int8 on the whole graph, word embeddings included."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from stabbench.compression.base import Compressor, save_companions, torch_model
from stabbench.data.example import Text
from stabbench.errors import StabbenchError
from stabbench.models.batch import Batch
from stabbench.models.subject import Logits, Subject
from stabbench.store.environment import processor_flags

_GRAPH = "model.onnx"
_OPSET = 17
_PARITY = 1e-3
_PARITY_TEXTS = ("a film", "an exporter that froze the shape of this short example would fail on a longer sentence")


@dataclass(frozen=True)
class OrtInt8(Compressor):
    """An ONNX graph with int8 weights, one scale per output channel, run by ONNX Runtime on one thread.

    The artifact is ``model.onnx``. Before it is quantised the float32 graph must agree with torch: the largest
    difference of a logit must be below 1e-3.
    """

    version: ClassVar[int] = 1
    instruction_set: ClassVar[bool] = True
    paper: ClassVar[str] = "ONNX Runtime, Quantize ONNX Models (documentation); Jacob et al. 2018, arXiv:1712.05877"
    equation: ClassVar[str] = """
        y = s_x s_w,i (q(x) − z_x) · q(w_i) + b_i with weights q(w_i) in [−128, 127] ([−64, 64] without VNNI), and
        activations in uint8 with s_x and z_x from the extremes of the whole batch of activations x.
    """
    changes: ClassVar[str] = "Matrix products and embedding tables are int8; the runtime is ONNX Runtime, not torch."
    cost: ClassVar[str] = "No training and no calibration; exports and quantises in a few seconds."
    departures: ClassVar[str] = "none: the library's quantize_dynamic with QInt8 and per_channel."
    pitfalls: ClassVar[str] = """
        s_x is taken over the whole batch, padding included, so an answer depends on the other texts of its batch:
        read compression.batch_flip_rate. Without VNNI weights have 7 bits (reduce_range), else sums saturate; results
        therefore belong to an instruction set.
    """

    def compress(self, subject: Subject, calibration: Sequence[Text], folder: Path) -> None:
        """Export in evaluation mode, check against torch, quantise; `calibration` is not used for ranges.

        Raises:
            ConfigurationError: the subject has no torch model.
            StabbenchError: the exported graph does not agree with the model.
        """
        model = torch_model(subject, "ort-int8")
        with TemporaryDirectory(prefix="stabbench-") as scratch:
            exported = Path(scratch, "float32.onnx")
            _export(model, subject.encode(_PARITY_TEXTS), exported)
            _check_parity(subject, _logits(exported), [*_PARITY_TEXTS, *calibration[:6]])
            _quantise(exported, folder / _GRAPH)
        save_companions(subject, folder)

    def load(self, folder: Path, parent: Subject) -> Subject:
        """Return a subject on an ONNX Runtime session of the artifact; there is no torch model."""
        return Subject(parent.tokenizer, _logits(folder / _GRAPH), parent.classes, parent.max_length, None, folder)


class _Positional(nn.Module):
    """The model with its inputs by position, as the exporter wants them, and logits alone as output."""

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.names = tuple(names)

    def forward(self, *tensors: Tensor) -> Tensor:
        logits: Tensor = self.model(**dict(zip(self.names, tensors, strict=True))).logits
        return logits


def _export(model: nn.Module, batch: Batch, path: Path) -> None:
    inputs = batch.inputs()
    # A wrapper in training mode makes the exporter put the inner model there too, dropout included.
    wrapper = _Positional(model, tuple(inputs)).eval()
    axes = {name: {0: "batch", 1: "tokens"} for name in inputs}
    with _without_notices(), torch.no_grad():
        torch.onnx.export(
            wrapper,
            tuple(inputs.values()),
            str(path),
            dynamo=False,
            opset_version=_OPSET,
            input_names=list(inputs),
            output_names=["logits"],
            dynamic_axes={**axes, "logits": {0: "batch"}},
        )
    assert not any(module.training for module in model.modules()), "the export left the model in training mode"


def _check_parity(subject: Subject, exported: Logits, texts: Sequence[Text]) -> None:
    """Raise unless max |Δlogit| < 1e-3 over `texts` as one padded batch; NaN equals NaN (a diverged model is data)."""
    batch = subject.encode(texts)
    expected, found = subject.logits(batch), exported(batch)
    if not torch.allclose(found, expected, rtol=0.0, atol=_PARITY, equal_nan=True):
        largest = float((found - expected).abs().max())
        raise StabbenchError(
            f"ort-int8: the exported float32 graph differs from the model by {largest:.2g} in a logit; allowed: below "
            f"{_PARITY:g}. Nothing was quantised. Try another version of torch, transformers or onnxruntime."
        )


def _quantise(source: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    inferred = source.with_name("inferred.onnx")
    # No graph optimisation here: fused nodes would not be quantised; the session fuses what it can when it loads.
    with _root_logger_untouched():
        quant_pre_process(str(source), str(inferred), skip_optimization=True, skip_symbolic_shape=True)
        quantize_dynamic(
            str(inferred),
            str(target),
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=not ({"avx512_vnni", "avx_vnni"} & processor_flags()),
        )


def _logits(path: Path) -> Logits:
    """Return `Logits` of an ONNX graph on one thread that does not spin while it waits."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def score(batch: Batch) -> Tensor:
        feed = {name: tensor.cpu().numpy() for name, tensor in batch.inputs().items()}
        return torch.from_numpy(session.run(["logits"], feed)[0])

    return score


@contextmanager
def _root_logger_untouched() -> Iterator[None]:
    """Take away the handler that the quantiser's first message installs on the root logger."""
    handlers = list(logging.root.handlers)
    try:
        yield
    finally:
        logging.root.handlers[:] = handlers


@contextmanager
def _without_notices() -> Iterator[None]:
    """Leave out the exporter's notices of its own age and of constants in the trace, and no other warning."""
    notices: tuple[tuple[type[Warning], str], ...] = (
        (DeprecationWarning, r"You are using the legacy TorchScript-based ONNX export"),
        (DeprecationWarning, r"The feature will be removed\. Please remove usage of this function"),
        (Warning, r"torch\.tensor results are registered as constants in the trace"),
    )
    with warnings.catch_warnings():
        for category, message in notices:
            warnings.filterwarnings("ignore", message=message, category=category)
        yield
