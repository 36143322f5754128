"""``onnx``: the float32 graph in ONNX Runtime; the same numbers up to rounding, from another runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from stabbench.compression._artifact import companions, save_companions
from stabbench.compression._deployed import GRAPH
from stabbench.compression._onnx import export_checked, session_logits
from stabbench.compression.base import Compressor, Material, Runtime, torch_model
from stabbench.models.subject import Subject


@dataclass(frozen=True)
class Onnx(Compressor):
    """The model as a float32 ONNX graph, run by ONNX Runtime on one thread.

    The artifact is ``model.onnx``. It must agree with torch: the largest difference of a logit must be below 1e-3.
    """

    version: ClassVar[int] = 2
    instruction_set: ClassVar[bool] = True
    runtime: ClassVar[Runtime] = "onnxruntime"
    smaller: ClassVar[bool] = False
    paper: ClassVar[str] = "ONNX Runtime (documentation); the graph is that of torch.onnx, opset 17"
    equation: ClassVar[str] = "f_onnx(x) = f(x) up to rounding: max |Δlogit| < 1e-3 is checked when it is made"
    changes: ClassVar[str] = """
        The runtime is ONNX Runtime, not torch; the weights are the same float32 numbers. After the last attention only
        the first token's row is computed, where the head reads no other.
    """
    cost: ClassVar[str] = "No training and no calibration; exports in a few seconds."
    pitfalls: ClassVar[str] = """
        Not smaller. Its fused kernels round otherwise than torch's, so an answer on the boundary may flip.
    """

    def compress(self, subject: Subject, material: Material, folder: Path) -> None:
        """Export in evaluation mode and check against torch.

        Raises:
            ConfigurationError: the subject has no torch model.
            StabbenchError: the exported graph does not agree with the model.
        """
        export_checked(subject, torch_model(subject, "onnx"), folder / GRAPH, material.texts(6), "onnx")
        save_companions(subject, folder)

    def load(self, folder: Path) -> Subject:
        """Return a subject on an ONNX Runtime session of the artifact; there is no torch model."""
        tokenizer, classes, longest = companions(folder)
        return Subject(tokenizer, session_logits(folder / GRAPH), classes, longest, None, folder)
