"""``ov-int8``: OpenVINO's int8 with ranges found by NNCF on training texts. Needs ``openvino`` and ``nncf``."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from stabbench.compression._artifact import companions, save_companions
from stabbench.compression._deployed import OPENVINO, openvino_runner
from stabbench.compression._onnx import export_checked
from stabbench.compression.base import Compressor, Material, Runtime, torch_model
from stabbench.errors import StabbenchError
from stabbench.models.batch import Batch
from stabbench.models.subject import Logits, Subject


@dataclass(frozen=True)
class OvInt8(Compressor):
    """An OpenVINO model in int8 whose ranges of activations were found on training texts; one thread.

    The artifact is ``model.xml`` with ``model.bin``, made from the float32 ONNX graph, which must agree with torch.
    """

    version: ClassVar[int] = 2
    instruction_set: ClassVar[bool] = True
    runtime: ClassVar[Runtime] = "openvino"
    packages: ClassVar[tuple[str, ...]] = ("openvino", "nncf")
    calibrates: ClassVar[str] = "texts"
    paper: ClassVar[str] = "Kozlov et al. 2021, NNCF, arXiv:2002.08679; Jacob et al. 2018, arXiv:1712.05877"
    equation: ClassVar[str] = """
        y = s_x s_w,i (q(x) − z_x) · q(w_i) + b_i with s_x and z_x fixed beforehand from statistics of x over the
        calibration texts; nncf.quantize with model_type TRANSFORMER
    """
    changes: ClassVar[str] = """
        Matrix products and embedding tables are int8; the runtime is OpenVINO, not torch.
        After the last attention only the first token's row is computed, where the head reads no other.
    """
    cost: ClassVar[str] = "One forward pass of each calibration text, one at a time, unpadded; no training."
    departures: ClassVar[str] = "none: the library's post-training quantisation; the rest is asked for in float32."
    pitfalls: ClassVar[str] = """
        OpenVINO's default computes the rest in bfloat16 where the processor can; here float32 is asked for. The first
        call is slow, since kernels are built.
    """

    texts: Annotated[int, Field(ge=1, description="training texts that the ranges are taken from, the first ones")] = (
        300
    )

    def compress(self, subject: Subject, material: Material, folder: Path) -> None:
        """Export, check against torch, find ranges, quantise.

        Raises:
            ConfigurationError: the subject has no torch model.
            StabbenchError: there is no training text, or the exported graph does not agree with the model.
        """
        model = torch_model(subject, "ov-int8")
        texts = material.texts(self.texts)
        if not texts:
            raise StabbenchError("ov-int8: there is no training text to find the ranges of activations on")
        openvino, nncf = importlib.import_module("openvino"), importlib.import_module("nncf")
        with TemporaryDirectory(prefix="stabbench-") as scratch, _quiet():
            exported = Path(scratch, "float32.onnx")
            export_checked(subject, model, exported, texts, "ov-int8")
            data = nncf.Dataset([_feed(subject.encode([text])) for text in texts])
            quantised = nncf.quantize(
                openvino.convert_model(str(exported)),
                data,
                model_type=nncf.ModelType.TRANSFORMER,
                subset_size=len(texts),
            )
            # Left alone it would write float16 for what is not int8.
            openvino.save_model(quantised, str(folder / OPENVINO), compress_to_fp16=False)
        save_companions(subject, folder)

    def load(self, folder: Path) -> Subject:
        """Return a subject on a compiled OpenVINO model of the artifact; there is no torch model."""
        tokenizer, classes, longest = companions(folder)
        return Subject(tokenizer, _logits(folder / OPENVINO), classes, longest, None, folder)


def _logits(path: Path) -> Logits:
    runner = openvino_runner(path)

    def score(batch: Batch) -> Tensor:
        return torch.from_numpy(runner.run(_feed(batch)))

    return score


def _feed(batch: Batch) -> dict[str, Any]:
    return {name: tensor.cpu().numpy() for name, tensor in batch.inputs().items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's progress off standard output, and leave the loggers as they were."""
    loggers: Sequence[logging.Logger] = [logging.getLogger("nncf")]
    levels, handlers = [logger.level for logger in loggers], list(logging.root.handlers)
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        logging.root.handlers[:] = handlers
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
