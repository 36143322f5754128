"""``ort-int8-static``: ONNX Runtime's int8 with ranges of activations fixed beforehand on training texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from stabbench.compression._artifact import companions, save_companions
from stabbench.compression._deployed import GRAPH
from stabbench.compression._onnx import export_checked, inferred, root_logger_untouched, session_logits
from stabbench.compression.base import Compressor, Material, Runtime, torch_model
from stabbench.data.example import Text
from stabbench.errors import StabbenchError
from stabbench.models.subject import Subject
from stabbench.store.environment import processor_flags


@dataclass(frozen=True)
class OrtInt8Static(Compressor):
    """An ONNX graph whose matrix products take int8 activations with ranges found on training texts.

    The artifact is ``model.onnx`` with pairs of quantise and dequantise nodes around every matrix product.
    """

    version: ClassVar[int] = 2
    instruction_set: ClassVar[bool] = True
    runtime: ClassVar[Runtime] = "onnxruntime"
    calibrates: ClassVar[str] = "texts"
    paper: ClassVar[str] = "ONNX Runtime, Quantize ONNX Models (documentation); Jacob et al. 2018, arXiv:1712.05877"
    equation: ClassVar[str] = """
        y = s_x s_w,i (q(x) − z_x) · q(w_i) + b_i with s_x and z_x fixed: minmax takes the extremes of x over the
        calibration texts, percentile leaves out the outermost 0.001 % of its histogram.
    """
    changes: ClassVar[str] = """
        Matrix products are int8; embeddings and layer norms stay in float32.
        After the last attention only the first token's row is computed, where the head reads no other.
    """
    cost: ClassVar[str] = "One forward pass of each calibration text, one at a time, unpadded; no training."
    departures: ClassVar[str] = "none: the library's quantize_static in QDQ form, MatMul and Gemm, per channel."
    pitfalls: ClassVar[str] = """
        An answer does not depend on the other texts of its batch, unlike that of dynamic int8; but BERT's activations
        have outliers, and a fixed range that holds them is coarse: more answers flip. Texts unlike the calibration
        texts are clipped.
    """

    texts: Annotated[int, Field(ge=1, description="training texts that the ranges are taken from, the first ones")] = (
        100
    )
    ranges: Annotated[
        Literal["minmax", "percentile"], Field(description="how a range is taken from the activations seen")
    ] = "minmax"

    def compress(self, subject: Subject, material: Material, folder: Path) -> None:
        """Export, check against torch, find ranges, quantise.

        Raises:
            ConfigurationError: the subject has no torch model.
            StabbenchError: there is no training text, or the exported graph does not agree with the model.
        """
        model = torch_model(subject, "ort-int8-static")
        texts = material.texts(self.texts)
        if not texts:
            raise StabbenchError("ort-int8-static: there is no training text to find the ranges of activations on")
        with TemporaryDirectory(prefix="stabbench-") as scratch:
            exported = Path(scratch, "float32.onnx")
            export_checked(subject, model, exported, texts, "ort-int8-static")
            self._quantise(exported, folder / GRAPH, subject, texts)
        save_companions(subject, folder)

    def load(self, folder: Path) -> Subject:
        """Return a subject on an ONNX Runtime session of the artifact; there is no torch model."""
        tokenizer, classes, longest = companions(folder)
        return Subject(tokenizer, session_logits(folder / GRAPH), classes, longest, None, folder)

    def _quantise(self, source: Path, target: Path, subject: Subject, texts: Sequence[Text]) -> None:
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

        methods = {"minmax": CalibrationMethod.MinMax, "percentile": CalibrationMethod.Percentile}
        with root_logger_untouched():
            quantize_static(
                str(inferred(source)),
                str(target),
                _reader(subject, texts),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["MatMul", "Gemm"],
                per_channel=True,
                reduce_range=not ({"avx512_vnni", "avx_vnni"} & processor_flags()),
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=methods[self.ranges],
            )


def _reader(subject: Subject, texts: Sequence[Text]) -> Any:
    """Return the library's reader over the texts, one at a time so that no padding widens a range."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(texts)

        def get_next(self) -> dict[str, Any] | None:
            text = next(self.left, None)
            if text is None:
                return None
            return {name: tensor.numpy() for name, tensor in subject.encode([text]).inputs().items()}

    return Reader()
