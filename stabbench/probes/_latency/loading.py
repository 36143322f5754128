"""Loads the subjects of a panel inside a timing process."""

from __future__ import annotations

from pathlib import Path

from stabbench.compression.base import stage_of
from stabbench.models.loading import load_subject
from stabbench.models.subject import Subject
from stabbench.probes._latency.protocol import Protocol, Timed
from stabbench.records import DENSE
from stabbench.suite.compressions import stages


def load_all(protocol: Protocol, process: int) -> tuple[Subject, ...]:
    """Load every member, in the order that the protocol gives this process."""
    loaded = {index: load_one(protocol.subjects[index]) for index in protocol.load_order(process)}
    return tuple(loaded[index] for index in range(len(protocol.subjects)))


def load_one(member: Timed) -> Subject:
    """Load one member alone; a compressed one from its artifact, without the model that it was made from."""
    if member.compression == DENSE:
        return load_subject(member.folder)
    assert member.artifact is not None, f"{member.compression}: a compressed member needs its artifact"
    return stage_of(stages(member.compression)[-1]).load(Path(member.artifact))
