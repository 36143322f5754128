"""The architecture as a law: who may import whom, what stays light, and which names are banned."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "stabbench"
ROWS = [
    ["errors", "records", "registry", "seeding"],
    ["suite", "store", "statistics", "claims", "diagnosis"],
    ["planning", "report"],
    ["assets", "data", "models"],
    ["perturbations", "attacks"],
    ["stabilizers", "monitors"],
    ["training"],
    ["compression", "probes"],
    ["execution", "runner", "auditing", "search"],
    ["cli_audit", "cli_diagnosis", "cli_gate", "cli_bench", "cli_runs", "cli_training", "cli", "pytest_plugin"],
]
PLACE = {name: (row, column) for row, names in enumerate(ROWS) for column, name in enumerate(names)}
FILES = sorted(PACKAGE.rglob("*.py"))
LIGHT = {name for names in ROWS[:3] for name in names}
HEAVY = {"torch", "transformers", "textattack", "accelerate", "flair", "datasets", "onnxruntime"}
DEFERRED = {"pandas", "scipy", "matplotlib"}


def part_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file: Path) -> list[tuple[str, bool]]:
    """Return (module, at top level) for every import, those for type checking only left out."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = []

    def visit(node: ast.AST, top: bool) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.Import):
            found.extend((alias.name, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found.append((node.module or "", top))
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, top and not inside)

    visit(tree, True)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_a_module_imports_only_from_its_package_from_the_left_and_from_rows_above(file: Path) -> None:
    me = part_of(file)
    for module, _ in imports(file):
        parts = module.split(".")
        if parts[0] != "stabbench" or len(parts) == 1 or me in ("__init__", "__main__"):
            continue
        other = parts[1]
        (my_row, my_column), (row, column) = PLACE[me], PLACE[other]
        allowed = other == me or row < my_row or (row == my_row and column < my_column)
        assert allowed, f"{file.relative_to(PACKAGE)} (row {my_row}) must not import {module} (row {row})"


@pytest.mark.parametrize("file", [f for f in FILES if part_of(f) in LIGHT], ids=lambda f: str(f.relative_to(PACKAGE)))
def test_rows_0_to_2_never_import_torch_and_defer_the_slow_libraries(file: Path) -> None:
    for module, top in imports(file):
        root = module.split(".")[0]
        assert root not in HEAVY, f"{module} must not be imported here at all"
        assert not (top and root in DEFERRED), f"{module} must be imported inside the function that needs it"


def test_every_package_has_a_place() -> None:
    found = {part_of(file) for file in FILES} - {"__init__", "__main__"}

    assert found <= set(PLACE), f"give these a row: {sorted(found - set(PLACE))}"


def test_no_module_is_named_for_nothing() -> None:
    assert not {file.stem for file in FILES} & {"utils", "util", "helpers", "helper", "common", "misc"}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_files_are_at_most_300_lines(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["list"],
        ["show", "r_drop"],
        ["validate", "quick"],
        ["plan", "quick"],
        ["schema"],
        ["doctor"],
        ["ls"],
        ["init"],
    ],
)
def test_light_commands_import_no_torch(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys, json\n"
        "from stabbench.cli import app\n"
        f"sys.argv = ['stabbench', *{arguments!r}]\n"
        "try:\n    app()\nexcept SystemExit:\n    pass\n"
        f"print(json.dumps([m for m in {sorted(HEAVY)!r} if m in sys.modules]), file=sys.stderr)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)

    assert json.loads(done.stderr.strip().splitlines()[-1]) == [], done.stderr
