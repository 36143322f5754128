"""What a plug-in must override, its base class demands before anything runs, and no hook is left that only raises."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

import stabbench
from stabbench import registry
from stabbench.compression._rebuild import Rebuild
from stabbench.compression.base import Compressor
from stabbench.models.subject import Subject
from stabbench.perturbations._places import CharacterEdits, WordEdits
from stabbench.perturbations.base import Perturbation
from stabbench.probes.base import Context, PanelProbe, Probe
from stabbench.records import Row
from stabbench.registry import Plugin

HOOKS = {
    Perturbation: {"edit"},
    CharacterEdits: {"replacement"},
    WordEdits: {"replacement"},
    Probe: {"measure"},
    PanelProbe: {"measure_panel"},
    Compressor: {"compress", "load"},
    Rebuild: {"change"},
}


@pytest.mark.parametrize("base", HOOKS, ids=lambda base: base.__name__)
def test_a_plugin_without_its_hook_cannot_be_made(base: type[Plugin]) -> None:
    @dataclass(frozen=True)
    class Unfinished(base):  # type: ignore[misc, valid-type]
        """Lacks its hook."""

    for cls in (base, Unfinished):
        with pytest.raises(TypeError, match="abstract"):
            cls()
    assert set(base.__abstractmethods__) == HOOKS[base]  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_registered_plugin_has_its_hooks(kind: str) -> None:
    for name in registry.names(kind):
        assert not getattr(registry.load(kind, name), "__abstractmethods__", None), name


def test_a_panel_refuses_a_single_subject() -> None:
    class Panel(PanelProbe):
        def measure_panel(self, members: object, context: Context) -> list[Row]:
            return []

    subject = Subject(None, lambda batch: batch, (), 8)  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match="Panel measures panels only"):
        Panel().measure(subject, None)  # type: ignore[arg-type]


def test_no_method_only_raises_that_it_is_not_implemented() -> None:
    found = [
        path for path in Path(stabbench.__file__).parent.rglob("*.py") if "NotImplementedError" in path.read_text()
    ]

    assert found == []
