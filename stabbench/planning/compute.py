"""How many passes a step of an arm takes, by declaration, and how many steps cost what the reference costs."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from stabbench import registry
from stabbench.suite.schema import TrainOptions

OPERATIONS: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Gt: operator.gt, ast.Lt: operator.lt, ast.Eq: operator.eq,
}  # fmt: skip
PLAIN = ("1", "1")


@dataclass(frozen=True)
class Compute:
    """What an arm may spend: the passes of the reference's training.

    Attributes:
        epochs, max_steps, batch_size: the reference's.
        passes: forward and backward passes per step of the reference.
        own_batch_size, own_passes: the arm's.
    """

    epochs: int
    max_steps: int | None
    batch_size: int
    passes: float
    own_batch_size: int
    own_passes: float

    def steps(self, examples: int) -> int:
        """Return ⌊T₀ p₀ b₀/(p b)⌋, at least 1: T₀ steps of p₀ passes over b₀ examples (a mean batch) buy T of ours."""
        batches, own = (math.ceil(examples / size) for size in (self.batch_size, self.own_batch_size))
        steps = self.max_steps or self.epochs * batches
        # Batches are short at the end of an epoch: examples per step are examples/batches.
        bought = steps * self.passes * own / (self.own_passes * batches)
        return max(1, math.floor(bought + 1e-9))

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON of the fields."""
        return asdict(self)


def compute_for(train: TrainOptions, passes: float, reference: TrainOptions, reference_passes: float) -> Compute | None:
    """Return what an arm may spend, or None where it does not ask to be matched."""
    if not train.match_compute:
        return None
    given = (reference.epochs, reference.max_steps, reference.batch_size, reference_passes)
    return Compute(*given, train.batch_size, passes)


def declared_passes(stabilizers: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[float, float]:
    """Return (forward, backward) passes per step of an arm, from (name, all options) of its stabilizers.

    Exact for one stabilizer. Of several the product is taken, as where one repeats what the other does; where they only
    add passes beside each other, this is more than they make. What was made is measured (`train.forward_passes`).
    """
    forward = backward = 1.0
    for name, options in stabilizers:
        formulas = registry.card("stabilizers", name).traits.get("passes", PLAIN)
        forward *= evaluate(formulas[0], options)
        backward *= evaluate(formulas[1], options)
    return forward, backward


def evaluate(formula: str, options: Mapping[str, Any]) -> float:
    """Return the value of an arithmetic formula over a stabilizer's options, such as ``steps + 1 if epsilon else 1``.

    Allowed: numbers, names of options (numbers or booleans), + − * /, one comparison by < > ==, and A if B else C.

    Raises:
        ValueError: the formula holds anything else.
    """

    def value(node: ast.AST) -> Any:
        match node:
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.Name(id=name) if isinstance(options.get(name), int | float):
                return options[name]
            case ast.BinOp(left, operation, right) if type(operation) in OPERATIONS:
                return OPERATIONS[type(operation)](value(left), value(right))
            case ast.Compare(left, [operation], [right]) if type(operation) in OPERATIONS:
                return OPERATIONS[type(operation)](value(left), value(right))
            case ast.IfExp(test, yes, no):
                return value(yes) if value(test) else value(no)
        raise ValueError(f"passes '{formula}': {ast.unparse(node)} is not allowed; options are {', '.join(options)}")

    return float(value(ast.parse(formula, mode="eval").body))
