"""``int8-dynamic``: PyTorch's dynamic int8 on every linear layer."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stabbench.compression.base import Compressor, save_companions, torch_model
from stabbench.data.example import Text
from stabbench.errors import ConfigurationError
from stabbench.models.subject import Subject, torch_logits

_WEIGHTS = "int8.safetensors"
_NOTICES = (
    (DeprecationWarning, r"torch\.ao\.quantization is deprecated"),
    (UserWarning, r"torch\.quantize_per_tensor, torch\.quantize_per_channel and other quantized tensor creation"),
)


@dataclass(frozen=True)
class Int8Dynamic(Compressor):
    """Linear layers with int8 weights, one scale per output channel, and activations quantised as they come.

    The artifact ``int8.safetensors`` holds, for each linear layer, ``L.int8`` (out, in) int8, ``L.scale`` (out,)
    float64, ``L.zero_point`` (out,) int64 and ``L.bias`` (out,) float32, and every other tensor in float32 under its
    own name. Loading packs them again for the processor at hand. `Subject.model` is None: it has no float32 gradient.
    """

    version: ClassVar[int] = 1
    instruction_set: ClassVar[bool] = True
    paper: ClassVar[str] = "Zafrir et al. 2019, Q8BERT, arXiv:1910.06188; Jacob et al. 2018, arXiv:1712.05877"
    equation: ClassVar[str] = """
        y = s_x s_w,i (q(x) − z_x) · q(w_i) + b_i, q(w_i) = round(w_i / s_w,i) in [−128, 127] for output channel i,
        q(x) = round(x / s_x) + z_x with s_x and z_x from the extremes of the whole batch of activations x.
    """
    changes: ClassVar[str] = "Linear layers compute in int8; embeddings and layer norms stay in float32."
    cost: ClassVar[str] = "No training and no calibration; quantises in under a second."
    departures: ClassVar[str] = (
        "Post-training, without Q8BERT's quantisation-aware fine-tuning; embeddings stay float32."
    )
    pitfalls: ClassVar[str] = """
        s_x is taken over the whole batch, padding included, so an answer depends on the other texts of its batch:
        read compression.batch_flip_rate. Integer kernels differ between instruction sets (saturation without VNNI).
    """

    def compress(self, subject: Subject, calibration: Sequence[Text], folder: Path) -> None:
        """Write int8 weights, scales and everything else; `calibration` is not used."""
        model = torch_model(subject, "int8-dynamic")
        quantised = _quantise(model)
        layers = _linear_layers(quantised)
        tensors = {
            name: tensor.detach().clone().contiguous()
            for name, tensor in model.state_dict().items()
            if name.rpartition(".")[0] not in layers
        }
        for name, layer in layers.items():
            weight = layer.weight()
            tensors[f"{name}.int8"] = weight.int_repr()
            tensors[f"{name}.scale"] = weight.q_per_channel_scales()
            tensors[f"{name}.zero_point"] = weight.q_per_channel_zero_points()
            if layer.bias() is not None:
                tensors[f"{name}.bias"] = layer.bias().detach().clone()
        save_file(tensors, folder / _WEIGHTS)
        save_companions(subject, folder)

    def load(self, folder: Path, parent: Subject) -> Subject:
        """Rebuild the quantised layers inside a copy of the parent's architecture."""
        tensors = load_file(folder / _WEIGHTS)
        model = copy.deepcopy(torch_model(parent, "int8-dynamic"))
        names = [key.removesuffix(".int8") for key in tensors if key.endswith(".int8")]
        packed = {name: _packed_linear(tensors, name) for name in names}
        # What is left in `tensors` is float32; only the layers that are replaced next may be missing there.
        model.load_state_dict(tensors, strict=False)
        for name, layer in packed.items():
            model.set_submodule(name, layer)
        model.eval()
        return Subject(parent.tokenizer, torch_logits(model), parent.classes, parent.max_length, None, folder)


def _quantise(model: nn.Module) -> nn.Module:
    """Return a quantised copy of `model`.

    Raises:
        ConfigurationError: this torch has no eager-mode quantisation any more.
    """
    try:
        from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic
    except ImportError as error:
        raise ConfigurationError(
            [f"compressions: 'int8-dynamic': torch {torch.__version__} has no quantize_dynamic; use 'ort-int8'"]
        ) from error
    with _without_notices():
        qconfigs = {nn.Linear: per_channel_dynamic_qconfig}
        quantised: nn.Module = quantize_dynamic(model, qconfigs)  # type: ignore[no-untyped-call]
    return quantised


def _linear_layers(model: nn.Module) -> dict[str, Any]:
    from torch.ao.nn.quantized.dynamic import Linear

    return {name: module for name, module in model.named_modules() if isinstance(module, Linear)}


def _packed_linear(tensors: dict[str, Tensor], name: str) -> nn.Module:
    """Take one layer's tensors out of `tensors` and return the layer."""
    from torch.ao.nn.quantized.dynamic import Linear

    integers, scale, zero = (tensors.pop(f"{name}.{part}") for part in ("int8", "scale", "zero_point"))
    bias = tensors.pop(f"{name}.bias", None)
    with _without_notices():
        width, height = integers.shape[1], integers.shape[0]
        layer: nn.Module = Linear(width, height, bias is not None)  # type: ignore[no-untyped-call]
        weight = torch._make_per_channel_quantized_tensor(integers, scale, zero, 0)
        layer.set_weight_bias(weight, bias)  # type: ignore[operator]
    return layer


@contextmanager
def _without_notices() -> Iterator[None]:
    """Leave out the two notices about the age of eager-mode quantisation, and no other warning."""
    with warnings.catch_warnings():
        for category, message in _NOTICES:
            warnings.filterwarnings("ignore", message=message, category=category)
        yield
