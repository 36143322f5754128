"""Loads the subjects of a panel inside a timing process."""

from __future__ import annotations

from pathlib import Path

from stabbench.compression.base import load_compressed
from stabbench.models.loading import load_subject
from stabbench.models.subject import Subject
from stabbench.probes._latency.protocol import Protocol, Timed
from stabbench.records import DENSE


def load_all(protocol: Protocol, process: int) -> tuple[Subject, ...]:
    """Load each member; a compressed one takes tokenizer and architecture from a dense model that is loaded already."""
    loaded: dict[int, Subject] = {}
    parents: dict[str, Subject] = {}
    for index in protocol.load_order(process):
        member = protocol.subjects[index]
        if member.compression == DENSE or member.folder not in parents:
            dense = load_subject(member.folder)
            parents.setdefault(member.folder, dense)
        loaded[index] = dense if member.compression == DENSE else load_artifact(member, parents[member.folder])
    return tuple(loaded[index] for index in range(len(protocol.subjects)))


def load_one(member: Timed) -> Subject:
    """Load one member alone; of a compressed one, the dense parent is loaded first and not kept."""
    dense = load_subject(member.folder)
    return dense if member.compression == DENSE else load_artifact(member, dense)


def load_artifact(member: Timed, parent: Subject) -> Subject:
    """Load the compressed artifact of a member."""
    assert member.artifact is not None, f"{member.compression}: a compressed member needs its artifact"
    return load_compressed(member.compression, Path(member.artifact), parent)
