"""``ort-int8``: ONNX Runtime's dynamic int8 on the whole graph, word embeddings included."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from stabbench.compression._artifact import companions, save_companions
from stabbench.compression._deployed import GRAPH
from stabbench.compression._onnx import export_checked, inferred, root_logger_untouched, session_logits
from stabbench.compression.base import Compressor, Material, Runtime, torch_model
from stabbench.models.subject import Subject
from stabbench.store.environment import processor_flags


@dataclass(frozen=True)
class OrtInt8(Compressor):
    """An ONNX graph with int8 weights, one scale per output channel, run by ONNX Runtime on one thread.

    The artifact is ``model.onnx``. Before it is quantised the float32 graph must agree with torch: the largest
    difference of a logit must be below 1e-3.
    """

    version: ClassVar[int] = 2
    instruction_set: ClassVar[bool] = True
    runtime: ClassVar[Runtime] = "onnxruntime"
    paper: ClassVar[str] = "ONNX Runtime, Quantize ONNX Models (documentation); Jacob et al. 2018, arXiv:1712.05877"
    equation: ClassVar[str] = """
        y = s_x s_w,i (q(x) − z_x) · q(w_i) + b_i with weights q(w_i) in [−128, 127] ([−64, 64] without VNNI), and
        activations in uint8 with s_x and z_x from the extremes of the whole batch of activations x.
    """
    changes: ClassVar[str] = """
        Matrix products and embedding tables are int8; the runtime is ONNX Runtime, not torch.
        After the last attention only the first token's row is computed, where the head reads no other.
    """
    cost: ClassVar[str] = "No training and no calibration; exports and quantises in a few seconds."
    departures: ClassVar[str] = "none: the library's quantize_dynamic with QInt8 and per_channel."
    pitfalls: ClassVar[str] = """
        s_x is taken over the whole batch, padding included, so an answer depends on the other texts of its batch:
        read compression.batch_flip_rate. Without VNNI weights have 7 bits (reduce_range), else sums saturate; results
        therefore belong to an instruction set.
    """

    def compress(self, subject: Subject, material: Material, folder: Path) -> None:
        """Export in evaluation mode, check against torch, quantise; no text is used for ranges.

        Raises:
            ConfigurationError: the subject has no torch model.
            StabbenchError: the exported graph does not agree with the model.
        """
        model = torch_model(subject, "ort-int8")
        with TemporaryDirectory(prefix="stabbench-") as scratch:
            exported = Path(scratch, "float32.onnx")
            export_checked(subject, model, exported, material.texts(6), "ort-int8")
            _quantise(exported, folder / GRAPH)
        save_companions(subject, folder)

    def load(self, folder: Path) -> Subject:
        """Return a subject on an ONNX Runtime session of the artifact; there is no torch model."""
        tokenizer, classes, longest = companions(folder)
        return Subject(tokenizer, session_logits(folder / GRAPH), classes, longest, None, folder)


def _quantise(source: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with root_logger_untouched():
        quantize_dynamic(
            str(inferred(source)),
            str(target),
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=not ({"avx512_vnni", "avx_vnni"} & processor_flags()),
        )
