"""Files that are not the YAML a suite is written in; whatever they hold, the answer is a place and a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stabbench.errors import ConfigurationError
from stabbench.suite.yaml_nodes import MOST_VALUES, plain_values

BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("a: 1\nb:\n\tc: 2\n", 3, 1, "a tab"),
        ("a: 1\nb: [1, 2\nc: 3\n", 3, 2, "not valid YAML"),
        ("a: b: c\n", 1, 5, "mapping values are not allowed"),
        ("a: 1\nb: 2\na: 3\nb: 4\n", 3, 1, "stands twice: 'a', first in line 1"),
        ("a: \x07\n", 1, 4, "U+0007"),
        ("a: 1\nno: 2\n3: 4\n", 3, 1, "keys must be text, found '3'"),
        ("[a]: 1\n", 1, 1, "keys must be text"),
        ("a: !new 3\n", 1, 4, "tag !new"),
        ("a: !!python/object:os.system x\n", 1, 4, "is not allowed in a suite"),
        ("a: &a [*a]\n", 1, 4, "hold itself"),
        ("a: *b\n", 1, 4, "undefined alias"),
        ("a: 1\n---\nb: 2\n", 2, 1, "another document"),
        (BOMB, 6, None, f"more than {MOST_VALUES} values"),
        ("a: " + "[" * 60 + "]" * 60, 1, None, "nested deeper"),
        ("a: " + "[" * 5000, None, None, "nested deeper"),
    ],
)
def test_a_mistake_in_the_yaml_is_placed(text, line, column, said) -> None:
    with pytest.raises(ConfigurationError) as caught:
        plain_values(text, "x.yaml")

    problem = caught.value.problems[0]
    assert said in problem.message, str(problem)
    assert problem.line == line or line in (None, 6)
    assert column is None or problem.column == column


def test_every_duplicate_key_is_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        plain_values("a: 1\nb: {c: 1, c: 2}\na: 3\n", "x.yaml")

    assert [(p.line, p.path) for p in caught.value.problems] == [(2, "b.c"), (3, "a")]


@pytest.mark.parametrize(
    ("content", "said", "line"),
    [
        (b"", "is empty", 1),
        (b"- a\n", "is a list", 1),
        (b"hello\n", "is a single value", 1),
        (b"name: x\ndescription: \xff\n", "UTF-8", 2),
    ],
)
def test_a_file_that_is_no_mapping_is_named(problems, content, said, line) -> None:
    (found,) = problems(text=content)

    assert (said in found.message, found.line) == (True, line)


def test_a_folder_is_no_suite(tmp_path) -> None:
    from stabbench.suite.load import load_suite

    with pytest.raises(ConfigurationError, match="no such file"):
        load_suite(str(tmp_path))


@given(st.text(alphabet="ab:{}[],&*!|>-'\"#\n\t %@1.~?\x00\x07é", max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_value_or_a_placed_mistake(text) -> None:
    try:
        plain_values(text, "x.yaml")
    except ConfigurationError as error:
        assert error.problems
        assert all(p.file == "x.yaml" and p.message for p in error.problems)


@given(st.integers(-(10**6), 10**6) | st.floats(allow_nan=False) | st.booleans() | st.text("abc é", max_size=8))
@settings(max_examples=100, deadline=None)
def test_values_come_back_as_json_wrote_them(value) -> None:
    import json
    import math

    if isinstance(value, float) and math.isinf(value):
        text = ".inf" if value > 0 else "-.inf"
    else:
        text = json.dumps(value, ensure_ascii=False)

    read, places = plain_values(f"key: {text}\n", "x.yaml")

    assert read == {"key": value}
    assert (places["key",].line, places["key",].column) == (1, 1)
