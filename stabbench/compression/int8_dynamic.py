"""``int8-dynamic``: PyTorch's dynamic int8 on every linear layer."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stabbench.compression._artifact import save_companions, skeleton, subject_of
from stabbench.compression.base import Compressor, Material, torch_model
from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import anatomy
from stabbench.models.subject import Subject

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
    With `embeddings` the word table T (V, H) is stored as ``T.int8`` (V, H) uint8, ``T.row_scale`` (V,) and
    ``T.row_minimum`` (V,) float32: each word has its own range.
    """

    version: ClassVar[int] = 1
    instruction_set: ClassVar[bool] = True
    paper: ClassVar[str] = "Zafrir et al. 2019, Q8BERT, arXiv:1910.06188; Jacob et al. 2018, arXiv:1712.05877"
    equation: ClassVar[str] = """
        y = s_x s_w,i (q(x) − z_x) · q(w_i) + b_i, q(w_i) = round(w_i / s_w,i) in [−128, 127] for output channel i,
        q(x) = round(x / s_x) + z_x with s_x and z_x from the extremes of the whole batch of activations x. Embeddings
        of word i: e_i = min_i + (max_i − min_i) / 255 · q_i, q_i in [0, 255].
    """
    changes: ClassVar[str] = "Linear layers compute in int8; layer norms, and unless asked embeddings, stay in float32."
    cost: ClassVar[str] = "No training and no calibration; quantises in under a second."
    departures: ClassVar[str] = (
        "Post-training, without Q8BERT's quantisation-aware fine-tuning; int8 embeddings are an option."
    )
    pitfalls: ClassVar[str] = """
        s_x is taken over the whole batch, padding included, so an answer depends on the other texts of its batch:
        read compression.batch_flip_rate. Integer kernels differ between instruction sets (saturation without VNNI).
    """

    embeddings: Annotated[
        bool, Field(description="word embeddings in 8 bits too, one scale and offset for each word")
    ] = False

    def compress(self, subject: Subject, material: Material, folder: Path) -> None:
        """Write int8 weights, scales and everything else; no text is used."""
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
        if self.embeddings:
            table = anatomy(model).word_embeddings
            (name,) = (name for name, module in model.named_modules() if module is table)
            tensors |= _rows_in_int8(name, tensors.pop(f"{name}.weight"))
        save_file(tensors, folder / _WEIGHTS)
        save_companions(subject, folder)

    def load(self, folder: Path) -> Subject:
        """Rebuild the quantised layers inside a model of the artifact's config."""
        tensors = load_file(folder / _WEIGHTS)
        model = skeleton(folder)
        tables = [key.removesuffix(".row_scale") for key in tensors if key.endswith(".row_scale")]
        names = [n for key in tensors if key.endswith(".int8") and (n := key.removesuffix(".int8")) not in tables]
        layers: dict[str, nn.Module] = {name: _packed_linear(tensors, name) for name in names}
        for name in tables:
            old = model.get_submodule(name)
            layers[name] = _Int8Rows(*(tensors.pop(f"{name}.{part}") for part in ("int8", "row_scale", "row_minimum")))
            # Some families read the padding index of the table where they count positions.
            layers[name].padding_idx = old.padding_idx
        # What is left in `tensors` is float32; only the layers that are replaced next may be missing there.
        model.load_state_dict(tensors, strict=False)
        for name, layer in layers.items():
            model.set_submodule(name, layer)
        return subject_of(model.eval(), folder, None)


class _Int8Rows(nn.Module):
    """A table of embeddings in 8 bits: row i is minimum_i + scale_i · q_i."""

    def __init__(self, integers: Tensor, scale: Tensor, minimum: Tensor) -> None:
        super().__init__()
        self.integers = integers
        self.scale = scale
        self.minimum = minimum
        self.padding_idx: Any = None

    def forward(self, ids: Tensor) -> Tensor:
        rows = self.integers[ids].to(torch.float32)
        return rows * self.scale[ids].unsqueeze(-1) + self.minimum[ids].unsqueeze(-1)


def _rows_in_int8(name: str, table: Tensor) -> dict[str, Tensor]:
    """Return a table in 8 bits: each row from its minimum to its maximum in 255 equal steps."""
    minimum, maximum = table.min(dim=1).values, table.max(dim=1).values
    scale = (maximum - minimum) / 255
    # A row of equal numbers has no step; its integers are 0 and its minimum is the number.
    step = torch.where(scale > 0, scale, torch.ones_like(scale))
    integers = ((table - minimum[:, None]) / step[:, None]).round().clamp(0, 255).to(torch.uint8)
    return {f"{name}.int8": integers, f"{name}.row_scale": scale, f"{name}.row_minimum": minimum}


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
