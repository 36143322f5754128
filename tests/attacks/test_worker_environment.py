"""An attack worker has no network, needs nothing in its home, and is otherwise as it was."""

from __future__ import annotations

from typing import Any

import pytest

Session = dict[str, Any]


def test_without_preparation_attacks_are_refused(session: Session) -> None:
    assert "prepare()" in session["unprepared"]


@pytest.mark.parametrize("kind", ["tcp", "udp", "dns"])
def test_the_network_is_refused_with_a_clear_error(session: Session, kind: str) -> None:
    assert session["network"][kind].startswith("StabbenchError: the attack process has no network")


def test_sockets_of_the_file_system_stay(session: Session) -> None:
    assert session["network"]["unix"] == "nothing"


def test_only_two_variables_change(session: Session) -> None:
    assert session["environment"] == ["HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM"]


def test_loggers_and_random_states_are_as_before(session: Session) -> None:
    assert not session["logger_disabled"]
    assert session["random_kept"]


def test_nothing_of_textattack_is_written_into_an_empty_home(session: Session) -> None:
    assert not [name for name in session["home"] if "textattack" in name or "nltk" in name]


def test_flair_is_left_out(session: Session) -> None:
    assert session["flair"] == ["flair.data"]


def test_the_worker_prints_nothing(session: Session) -> None:
    assert session["stdout"] == []
    assert "textattack" not in session["stderr"]
