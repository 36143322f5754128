"""What one panel times, and in which order: a value that the probe writes and each timing process reads. No torch."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stabbench.records import DENSE

PROTOCOL_FILE = "STABBENCH_LATENCY_PROTOCOL"
PROCESS = "STABBENCH_LATENCY_PROCESS"
FACTS = "STABBENCH_LATENCY_FACTS"
MIXED = 0
"""Length of a round that takes a text as it is: the mix of lengths of the data, without padding."""

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
}
"""Set before anything is imported: waiting threads that spin are the largest error of all on a shared machine."""


@dataclass(frozen=True)
class Timed:
    """One subject of the panel.

    Attributes:
        variant: its variant.
        seed: its seed's label.
        compression: ``dense`` or a chain.
        folder: the trained model's folder.
        artifact: folder of the compressed artifact, or None for ``dense``.
        replicate: 1 for the second copy of the reference's dense model (the A/A replicate), else 0.
        runtime: what runs it: ``torch``, ``onnxruntime`` or ``openvino``.
    """

    variant: str
    seed: str
    compression: str
    folder: str
    artifact: str | None
    replicate: int = 0
    runtime: str = "torch"


@dataclass(frozen=True)
class Turn:
    """One subject's rounds of one block, timed without a pause between them.

    Attributes:
        subject: index into the panel's subjects.
        batch: texts per round.
        length: tokens per text, padding included; `MIXED` for the text's own.
        block: number of the block.
    """

    subject: int
    batch: int
    length: int
    block: int

    def __str__(self) -> str:
        return f"s{self.subject}-b{self.batch}-l{self.length}-k{self.block}"


@dataclass(frozen=True)
class ServerPlan:
    """The server scenario: an open loop of requests against each subject behind a bounded queue.

    Attributes:
        loads: request rates, as shares of the texts per second that the reference answers in a closed loop.
        requests: requests per load and process.
        bound: seconds that 90 % of all requests must be answered in, for the throughput at a latency bound.
        queue: requests that may wait; further ones are refused.
        batch: waiting texts that are scored at once, at most.
    """

    loads: tuple[float, ...] = (0.5, 0.8)
    requests: int = 100
    bound: float = 0.1
    queue: int = 64
    batch: int = 1


@dataclass(frozen=True)
class Protocol:
    """One panel.

    Attributes:
        subjects: the reference's dense model first, its A/A replicate last.
        batch: batch sizes.
        length: lengths in tokens.
        processes: number of fresh processes.
        rounds_single: timed rounds per subject and length in a process at batch 1.
        rounds_batched: timed rounds per subject and shape in a process at larger batches.
        warmup: untimed rounds per subject and shape at the start of a process.
        texts: the texts, in the order in which they are used; a pair is a list of two.
        scenarios: what is measured: ``single`` is batch 1 and ``offline`` the larger batches, both at fixed lengths;
            ``mixed`` batch 1 at the texts' own lengths; ``cold`` and ``server`` in processes of their own.
        server: the server scenario's numbers.
    """

    subjects: tuple[Timed, ...]
    batch: tuple[int, ...]
    length: tuple[int, ...]
    processes: int
    rounds_single: int
    rounds_batched: int
    warmup: int
    texts: tuple[str | tuple[str, str], ...]
    scenarios: tuple[str, ...] = ("single", "offline")
    server: ServerPlan = field(default_factory=ServerPlan)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Every (batch, length) that is timed; length `MIXED` is that of each text."""
        asked = [batch for batch in self.batch if ("single" if batch == 1 else "offline") in self.scenarios]
        mixed = [(1, MIXED)] if "mixed" in self.scenarios else []
        return [(batch, length) for batch in asked for length in self.length] + mixed

    def rounds(self, batch: int) -> int:
        """Return the rounds of one turn: few, so that a drift of the machine hits all subjects alike."""
        return 1 if batch > 1 else min(2, self.rounds_single)

    def blocks(self, batch: int) -> int:
        """Return the number of turns of each subject and length in a process."""
        return math.ceil((self.rounds_batched if batch > 1 else self.rounds_single) / self.rounds(batch))

    def turns(self, process: int) -> Iterator[Turn]:
        """Return the turns of a process: blocks in which each subject has one turn, in balanced order.

        Shapes with fewer blocks are spread evenly among those with more.
        """
        rows = balanced_orders(len(self.subjects))
        every = [(block / self.blocks(batch), batch, length, block) for batch, length in self.shapes
                 for block in range(self.blocks(batch))]  # fmt: skip
        for _, batch, length, block in sorted(every):
            order = rows[(process * self.blocks(batch) + block) % len(rows)]
            yield from (Turn(subject, batch, length, block) for subject in order)

    def load_order(self, process: int) -> list[int]:
        """Return the order in which subjects are loaded: dense ones first, reversed in every second process.

        Where a model lies in memory decides a few percent of its latency, so that nobody may always come first.
        """
        row = balanced_orders(len(self.subjects))[process // 2 % len(self.subjects)]
        return sorted(row[::-1] if process % 2 else row, key=lambda index: self.subjects[index].compression != DENSE)

    def write(self, path: Path) -> None:
        """Write the protocol as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")


def balanced_orders(n: int) -> list[list[int]]:
    """Return the rows of a Williams design for n treatments: n rows where n is even, 2n where it is odd.

    Over the rows every treatment stands in every position equally often, and directly after every other one equally
    often, so that neither a drift of the machine nor what a neighbour left in the caches favours anyone.
    Source: Williams 1949, Australian Journal of Scientific Research A 2, 149-168.
    """
    zigzag = [(step + 1) // 2 if step % 2 else -(step // 2) for step in range(n)]
    rows = [[(shift + offset) % n for offset in zigzag] for shift in range(n)]
    return rows if n % 2 == 0 else rows + [row[::-1] for row in rows]


def read_protocol(path: Path) -> Protocol:
    """Read what `Protocol.write` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    subjects = tuple(Timed(**item) for item in content.pop("subjects"))
    texts = tuple(text if isinstance(text, str) else (text[0], text[1]) for text in content.pop("texts"))
    server = content.pop("server")
    lists = {name: tuple(content[name]) for name in ("batch", "length", "scenarios")}
    return Protocol(
        **{**content, **lists},
        subjects=subjects,
        texts=texts,
        server=ServerPlan(**{**server, "loads": tuple(server["loads"])}),
    )


def current() -> tuple[Protocol, int]:
    """Return, inside a timing process, its protocol and its number."""
    return read_protocol(Path(os.environ[PROTOCOL_FILE])), int(os.environ[PROCESS])
