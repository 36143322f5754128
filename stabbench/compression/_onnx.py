"""ONNX graphs: export in evaluation mode, agreement with torch, and sessions on one thread that does not spin."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from stabbench.compression._deployed import onnxruntime_runner
from stabbench.compression._first_token import first_token_only
from stabbench.data.example import Text
from stabbench.errors import StabbenchError
from stabbench.models.batch import Batch
from stabbench.models.subject import Logits, Subject

_OPSET = 17
_PARITY = 1e-3
_PARITY_TEXTS: tuple[Text, ...] = (
    "a film", "an exporter that froze the shape of this short example would fail on a longer sentence",
)  # fmt: skip


def export_checked(subject: Subject, model: nn.Module, path: Path, texts: Sequence[Text], who: str) -> None:
    """Write the model's float32 graph, with free batch and length, less what nobody reads, and check it against torch.

    The exporter is the one through TorchScript (``dynamo=False``): its graph quantises
    into the faster model of the two, by a measurement of MiniLM before this code was written; not repeated with it.

    Args:
        subject: encodes the texts of the check and scores them with torch.
        model: the subject's model.
        path: the graph's file.
        texts: some texts more for the check, at most six of which are used.
        who: the compressor's name, for messages.

    Raises:
        StabbenchError: a logit differs by 1e-3 or more.
    """
    export(model, subject.encode(_PARITY_TEXTS), path)
    first_token_only(path)
    check_parity(subject, session_logits(path), [*_PARITY_TEXTS, *texts[:6]], who)


class _Positional(nn.Module):
    """The model with its inputs by position, as the exporter wants them, and logits alone as output."""

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.names = tuple(names)

    def forward(self, *tensors: Tensor) -> Tensor:
        logits: Tensor = self.model(**dict(zip(self.names, tensors, strict=True))).logits
        return logits


def export(model: nn.Module, batch: Batch, path: Path) -> None:
    """Write the model's graph by the TorchScript exporter; `batch` is an example of its inputs."""
    inputs = batch.inputs()
    # A wrapper in training mode makes the exporter put the inner model there too, dropout included.
    wrapper = _Positional(model, tuple(inputs)).eval()
    axes = {name: {0: "batch", 1: "tokens"} for name in inputs}
    with without_export_notices(), torch.no_grad():
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


def check_parity(subject: Subject, exported: Logits, texts: Sequence[Text], who: str) -> None:
    """Raise unless max |Δlogit| < 1e-3 over `texts` as one padded batch; NaN equals NaN (a diverged model is data)."""
    batch = subject.encode(texts)
    expected, found = subject.logits(batch), exported(batch)
    if not torch.allclose(found, expected, rtol=0.0, atol=_PARITY, equal_nan=True):
        largest = float((found - expected).abs().max())
        raise StabbenchError(
            f"{who}: the exported float32 graph differs from the model by {largest:.2g} in a logit; allowed: below "
            f"{_PARITY:g}. Nothing was compressed. Try another version of torch, transformers or onnxruntime."
        )


def inferred(source: Path) -> Path:
    """Return a copy of the graph with the shapes of all tensors, which the quantisers need; not optimised.

    Fused nodes would not be quantised; the session fuses what it can when it loads.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    target = source.with_name("inferred.onnx")
    quant_pre_process(str(source), str(target), skip_optimization=True, skip_symbolic_shape=True)
    return target


def session_logits(path: Path) -> Logits:
    """Return `Logits` of an ONNX graph on one thread that does not spin while it waits."""
    runner = onnxruntime_runner(path)

    def score(batch: Batch) -> Tensor:
        return torch.from_numpy(runner.run({name: tensor.cpu().numpy() for name, tensor in batch.inputs().items()}))

    return score


@contextmanager
def root_logger_untouched() -> Iterator[None]:
    """Take away the handler that the quantiser's first message installs on the root logger."""
    handlers = list(logging.root.handlers)
    try:
        yield
    finally:
        logging.root.handlers[:] = handlers


@contextmanager
def without_export_notices() -> Iterator[None]:
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
