"""Which label an output stands for: told by names or numbers, else refused; never guessed."""

from __future__ import annotations

import pytest

from stabbench.data.labels import read_outputs
from stabbench.errors import ConfigurationError


@pytest.mark.parametrize(
    ("names", "found", "expected"),
    [
        (("negative", "positive"), {"positive", "negative"}, ("negative", "positive")),
        (("positive", "negative"), {"positive", "negative"}, ("positive", "negative")),
        (("NEGATIVE", "POSITIVE"), {"negative", "positive"}, ("negative", "positive")),
        (("LABEL_0", "LABEL_1"), {"0", "1"}, ("0", "1")),
        (("NEGATIVE", "POSITIVE"), {"0", "1"}, ("0", "1")),
        (("1", "0"), {"0", "1"}, ("1", "0")),
        (("entailment", "neutral", "contradiction"), {"entailment", "contradiction"}, None),
        (("LABEL_0", "LABEL_1", "LABEL_2"), {"0", "2"}, ("0", "1", "2")),
    ],
)
def test_outputs_are_told_by_name_then_by_number(
    names: tuple[str, ...], found: set[str], expected: tuple[str, ...] | None
) -> None:
    outputs = read_outputs(names, found, None, "m")

    assert outputs.labels == (names if expected is None else expected)
    assert found <= set(outputs.labels)


def test_a_mapping_by_number_onto_names_is_said_aloud() -> None:
    note = read_outputs(("NEGATIVE", "POSITIVE"), {"0", "1"}, None, "m").note

    assert "0 is read as 'NEGATIVE'" in note
    assert "1 is read as 'POSITIVE'" in note


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("LABEL_0", "LABEL_1"), {"negative", "positive"}),
        (("NEGATIVE", "POSITIVE"), {"good", "bad"}),
        (("LABEL_0", "LABEL_1"), {"1", "2"}),
        (("LABEL_0", "LABEL_1"), {"0", "1", "2"}),
        (("Yes", "yes"), {"yes ", "no"}),
    ],
)
def test_what_cannot_be_told_is_refused_with_both_lists_of_names(names: tuple[str, ...], found: set[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_outputs(names, found, None, "checkpoint 'm'")

    text = str(caught.value)
    assert "checkpoint 'm'" in text
    assert all(name in text for name in (*names, *found))


def test_given_labels_must_be_one_for_each_output_and_hold_every_label_of_the_data() -> None:
    assert read_outputs(("a", "b"), {"no", "yes"}, ["yes", "no"], "m").labels == ("yes", "no")
    with pytest.raises(ConfigurationError, match="3 labels are given, and m has 2 outputs"):
        read_outputs(("a", "b"), {"no", "yes"}, ["yes", "no", "so"], "m")
    with pytest.raises(ConfigurationError, match="the data has the label 'yes', which is not among"):
        read_outputs(("a", "b"), {"no", "yes"}, ["yess", "no"], "m")
