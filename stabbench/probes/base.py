"""What a probe is: it measures a subject and changes nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from stabbench.data.example import Dataset
from stabbench.models.subject import Subject
from stabbench.records import Measurement, Row
from stabbench.registry import Plugin

Applies = Literal["dense", "compressed", "both"]


@dataclass(frozen=True)
class Context:
    """What a probe is given beside the subject.

    Attributes:
        dataset: the task's splits; probes measure on `dataset.test`.
        folder: an empty folder of the cell; files put there are stored with it (formats: the probe's docstring).
        dense: the uncompressed parent of a compressed subject, else None.
        assets: folders of fetched assets by name.
        suite_folder: folder that paths in a probe's options are relative to.
    """

    dataset: Dataset
    folder: Path
    dense: Subject | None = None
    assets: Mapping[str, Path] = field(default_factory=dict)
    suite_folder: Path = field(default_factory=Path)


class Probe(Plugin, ABC):
    """Measures one subject at a time.

    A subclass is a frozen dataclass whose fields are its options.

    Attributes:
        worker: kind of process it runs in.
        applies: to which subjects it applies; a probe for ``compressed`` ones alone runs on each of them unasked.
        uses: option that names plug-ins → kind of those plug-ins; their versions become part of the key.
        reads: option that names files → form of those files (see `data.probe_files`); hashes of their content become
            part of the key, in place of the paths.
    """

    worker: ClassVar[Literal["torch", "attack", "exclusive"]] = "torch"
    applies: ClassVar[Applies] = "both"
    panel: ClassVar[bool] = False
    uses: ClassVar[Mapping[str, str]] = {}
    reads: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def traits(cls) -> dict[str, Any]:
        """Return where and on what it runs."""
        named = {"uses": dict(cls.uses), "reads": dict(cls.reads)}
        return {"worker": cls.worker, "applies": cls.applies, "panel": cls.panel, **named}

    @abstractmethod
    def measure(self, subject: Subject, context: Context) -> list[Measurement]:
        """Return the measurements; write per-example results into `context.folder`."""


@dataclass(frozen=True)
class Member:
    """One subject of a panel.

    Attributes:
        variant: its variant.
        seed: its seed's label.
        compression: ``dense`` or a chain.
        folder: the trained model's folder.
        artifact: folder of the compressed artifact, or None for ``dense``.
    """

    variant: str
    seed: str
    compression: str
    folder: Path
    artifact: Path | None = None


class PanelProbe(Probe):
    """Measures an ordered list of subjects together, such as latency."""

    panel: ClassVar[bool] = True

    def measure(self, subject: Subject, context: Context) -> list[Measurement]:
        """Refuse: a panel has several subjects.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"{type(self).__name__} measures panels only")

    @abstractmethod
    def measure_panel(self, members: Sequence[Member], context: Context) -> list[Row]:
        """Return the measurements of all members; write samples into `context.folder`."""
