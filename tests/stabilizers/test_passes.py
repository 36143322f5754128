"""What a card says of passes per step is what a step does."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor, nn

from stabbench import registry
from stabbench.models.anatomy import anatomy
from stabbench.training import fine_tune as training
from stabbench.training.request import TrainResult

FineTune = Callable[..., TrainResult]
# Options under which every step is what the card describes.
OPTIONS: dict[str, dict[str, Any]] = {
    "r_drop": {}, "fgm": {}, "mixout": {}, "sam": {"start": 0.0}, "r3f": {}, "lnsr": {}, "smart": {}, "pgd": {},
    "freelb": {}, "word_adversarial": {},
}  # fmt: skip


class Counter:
    """Counts passes through the highest block of every model that training loads, in training mode."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.forward = self.backward = 0
        load = training.load_pretrained

        def counted(*given: Any, **options: Any) -> Any:
            model, tokenizer = load(*given, **options)
            anatomy(model).blocks[-1].register_forward_hook(self._count)
            return model, tokenizer

        monkeypatch.setattr(training, "load_pretrained", counted)

    def _count(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if not module.training:
            return
        self.forward += 1
        hidden: Tensor = output[0] if isinstance(output, tuple) else output
        if hidden.requires_grad:
            hidden.register_hook(self._count_backward)  # type: ignore[no-untyped-call]

    def _count_backward(self, gradient: Tensor) -> None:
        self.backward += 1


@pytest.mark.parametrize("name", OPTIONS)
def test_a_step_has_the_passes_that_the_card_says(
    name: str, fine_tune_tiny: FineTune, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = registry.load("stabilizers", name).cost
    said = re.search(r"by default (\d+) and (\d+)|(\d+) forward and (\d+) backward pass", cost)
    assert said is not None
    expected = tuple(int(number) for number in said.groups() if number is not None)
    counter = Counter(monkeypatch)

    steps = fine_tune_tiny([(name, OPTIONS[name])], epochs=1).details["steps"]

    assert (counter.forward / steps, counter.backward / steps) == expected


def test_smart_without_a_teacher_has_one_forward_less(
    fine_tune_tiny: FineTune, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = Counter(monkeypatch)

    steps = fine_tune_tiny([("smart", {"proximal": 0.0})], epochs=1).details["steps"]

    assert (counter.forward / steps, counter.backward / steps) == (3, 3)
