"""``stabbench bench``: a run's subjects timed in fresh processes of pytest-benchmark, and one bench against another."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from stabbench.errors import ConfigurationError, NotComparableError, StabbenchError
from stabbench.execution.bench_decide import Judged
from stabbench.execution.bench_document import KEY, merge
from stabbench.execution.bench_subjects import PREPARED, prepare, write_prepared
from stabbench.execution.export import write_whole
from stabbench.probes._latency.contamination import contaminated
from stabbench.probes._latency.gate import Start, run_gated
from stabbench.probes._latency.processes import fresh_environment, side_by_side
from stabbench.probes._latency.protocol import balanced_orders
from stabbench.registry import PACKAGE
from stabbench.store.run_folder import RunFolder

Item = TypeVar("Item")
FOLDER = "bench"
SHAPES = "STABBENCH_BENCH_SHAPES"
_TAIL = 40


@dataclass(frozen=True)
class BenchOptions:
    """What a bench measures.

    Attributes:
        processes: fresh processes; the unit that intervals are over.
        batch, length: every combination is one benchmark of each subject.
        rounds: timed rounds of each benchmark in a process; None: 20 at batch 1, 4 above.
    """

    processes: int = 12
    batch: tuple[int, ...] = (1,)
    length: tuple[int, ...] = (32,)
    rounds: int | None = None

    def as_text(self) -> str:
        """Return JSON for `shapes_from`."""
        return json.dumps({"batch": self.batch, "length": self.length, "rounds": self.rounds})


def shapes_from(environment: Mapping[str, str]) -> tuple[list[tuple[int, int]], int | None]:
    """Return the (batch, length) pairs and the rounds that the environment asks for; else those of the defaults."""
    given = json.loads(environment.get(SHAPES, BenchOptions().as_text()))
    return [(batch, length) for batch in given["batch"] for length in given["length"]], given["rounds"]


def bench(run: RunFolder, options: BenchOptions) -> tuple[Path, dict[str, Any]]:
    """Time a run's subjects; return where the document was stored, below the run's ``bench/``, and the document.

    Raises:
        ConfigurationError: the run has no trained weights in the store.
        StabbenchError: a process failed; the message carries the end of what it printed.
    """
    documents = []
    with TemporaryDirectory(prefix="stabbench-bench-") as name:
        scratch = Path(name)
        write_prepared(prepare(run, scratch / "artifacts"), scratch / "subjects.json")
        (scratch / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        starts = [_start(run, options, scratch, process) for process in range(options.processes)]
        with closing(run_gated(starts, side_by_side())) as ended:
            for process, done in enumerate(ended):
                documents.append(_document(process, done, scratch))
                print(f"process {process + 1} of {options.processes}", file=sys.stderr)
    document = merge(documents)
    folder = run.path / FOLDER
    number = 1 + max((int(file.stem) for file in folder.glob("*.json") if file.stem.isdigit()), default=0)
    target = folder / f"{number:04d}.json"
    write_whole(target, document_bytes(document))
    return target, document


def document_bytes(document: Mapping[str, Any]) -> bytes:
    """Return a bench's document as it is stored."""
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def suite_file() -> Path:
    """Return ``suites/bench_latency.py``: in a wheel ``stabbench/_suites``, else beside the package."""
    found = [PACKAGE / "_suites" / "bench_latency.py", PACKAGE.parent / "suites" / "bench_latency.py"]
    return next((file for file in found if file.exists()), found[-1])


def find_baseline(name: str) -> tuple[Path, dict[str, Any]]:
    """Return a bench to compare with: a file, or the newest bench of a run.

    Raises:
        ConfigurationError: there is none, or the file is no bench of ours.
    """
    file = Path(name)
    if not file.is_file():
        files = sorted((RunFolder.find(name).path / FOLDER).glob("*.json"))
        if not files:
            raise ConfigurationError(
                [f"--against: run '{name}' has no bench; measure it with `stabbench bench {name}`"]
            )
        file = files[-1]
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        told = [item["extra_info"][KEY]["processes"] for item in document["benchmarks"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = (
            f"--against {file}: is no bench of stabbench ({type(error).__name__}: {error}); give what `--save` wrote"
        )
        raise ConfigurationError([message]) from error
    if not told:
        raise ConfigurationError([f"--against {file}: holds no benchmark"])
    return file, document


def check_machine(baseline: Mapping[str, Any]) -> None:
    """Refuse a baseline of another machine before an hour is spent on measuring.

    Raises:
        NotComparableError: its hardware class is another.
    """
    from stabbench.store.environment import hardware_class

    then = baseline["machine_info"].get(KEY, {}).get("hardware_class")
    if then != hardware_class():
        raise NotComparableError(
            f"another class of machine: the baseline has {then}, this is {hardware_class()}. Latency is compared "
            "within one class; measure a baseline here with `stabbench bench RUN --save FILE`"
        )


def versions_changed(baseline: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return in words which packages differ between two benches."""
    then, here = (document["machine_info"][KEY]["packages"] for document in (baseline, now))
    return [f"{name} {then.get(name)} → {here.get(name)}" for name in here if then.get(name) != here.get(name)]


def _target(scratch: Path, process: int) -> Path:
    return scratch / f"process-{process}.json"


def _start(run: RunFolder, options: BenchOptions, scratch: Path, process: int) -> Start:
    command = [
        *(sys.executable, "-m", "pytest", str(suite_file()), "-c", str(scratch / "pytest.ini")),
        *("-q", "--no-header", "--assert=plain", "--tb=short", "--noconftest", "-p", "no:cacheprovider"),
        *("-p", "pytest_benchmark.plugin", "-p", "stabbench.probes._latency.machine"),
        *("-p", "stabbench.pytest_plugin", f"--stabbench-run={run.path.resolve()}"),
        *("--benchmark-only", "--benchmark-disable-gc", f"--benchmark-json={_target(scratch, process)}"),
    ]
    environment = fresh_environment(
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
        STABBENCH_BENCH_PROCESS=str(process),
        **{PREPARED: str(scratch / "subjects.json"), SHAPES: options.as_text()},
    )
    return Start(command, environment, Path.cwd())


def _document(process: int, done: CompletedProcess[str], scratch: Path) -> dict[str, Any]:
    target = _target(scratch, process)
    if done.returncode != 0 or not target.exists():
        printed = [*done.stdout.splitlines()[-_TAIL:], *done.stderr.splitlines()[-_TAIL:]]
        raise StabbenchError(
            f"bench: process {process} ended with exit code {done.returncode}. The end of what it printed:\n"
            + "\n".join(printed)
        )
    document: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    stolen = contaminated(1.0, None, document.pop(KEY, {}).get("steal")) is True
    for item in document["benchmarks"]:
        item["name"] = plain_name(item["name"])
        if stolen:
            item["extra_info"][KEY]["process"]["contaminated"] = 1.0
    return document


def plain_name(name: str) -> str:
    """Return ``baseline@dense 1x32`` for ``test_latency[baseline@dense-1x32]``."""
    match = re.fullmatch(r"test_latency\[(.*)-(\d+x\d+)\]", name)
    return f"{match[1]} {match[2]}" if match else name


def judged_text(judged: Sequence[Judged]) -> str:
    """Return the result in words, one line per benchmark."""
    width = max((len(item.name) for item in judged), default=0)
    lines = []
    for item in judged:
        ratio = "–" if item.ratio is None else f"{item.ratio:.3f}×"
        span = "" if item.interval is None else f" [{item.interval[0]:.3f}, {item.interval[1]:.3f}]"
        lines.append(f"{item.outcome:<10} {item.name:<{width}}  {ratio}{span}  {item.reason}")
    return "\n".join(lines)


def ordered(items: Sequence[Item], process: int) -> list[Item]:
    """Return benchmarks in the order of a row of a Williams design: balanced over processes, nobody always first."""
    rows = balanced_orders(len(items)) if items else [[]]
    return [items[index] for index in rows[process % len(rows)]]


def process_number() -> int:
    """Return the number of this timing process; 0 where pytest was started by hand."""
    return int(os.environ.get("STABBENCH_BENCH_PROCESS", "0"))
