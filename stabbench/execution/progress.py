"""How a run is shown while it goes on: a live bar on a terminal, one line per finished cell elsewhere; on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class RunProgress:
    """Shows the events of a run; a failed run is a result and is named as one."""

    def __init__(self, planned: int, cached: int) -> None:
        self.planned = planned
        self.finished = cached
        self.console = Console(stderr=True, highlight=False)
        self.live = self.console.is_terminal and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"
        self.running: list[str] = []
        self.bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[running]}"),
            console=self.console,
            disable=not self.live,
        )
        self.task = self.bar.add_task("cells", total=planned, completed=cached, running="")

    def __enter__(self) -> RunProgress:
        if self.live:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.bar.stop()

    def show(self, event: Mapping[str, Any], note: str = "") -> None:
        """Show one event: started, done or error."""
        cell = event["cell"]
        if event["event"] == "started":
            self.running.append(cell)
        else:
            self.running = [other for other in self.running if other != cell]
            self.finished += event["event"] == "done"
            self._line(event, note)
        if self.live:
            self.bar.update(self.task, completed=self.finished, running=", ".join(self.running))

    def _line(self, event: Mapping[str, Any], note: str) -> None:
        width = len(str(self.planned))
        if event["event"] == "error":
            text = f"error  {event['cell']}: {event['error']['message'].splitlines()[0]}"
        else:
            text = f"[{self.finished:>{width}}/{self.planned}]  {event['cell']}  {event['seconds']:.1f} s{note}"
        if self.live:
            if note or event["event"] == "error":
                self.bar.console.print(text, markup=False)
        else:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
