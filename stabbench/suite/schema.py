"""The suite file as frozen, typed values (pydantic); unknown keys are errors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from stabbench.suite.compressions import as_text
from stabbench.suite.strict import Strict as Strict
from stabbench.suite.train_options import TrainOptions as TrainOptions

Options = dict[str, Any]
Stage = str | dict[str, Options]
"""A compressor's name, alone or with options, as a suite file writes it."""
Chain = Stage | list[Stage]
TINY = "builtin:tiny"
"""Made on the spot, never fetched: the tiny random model, and the generated sentences."""
BUILTIN_MODELS = ("builtin:minilm-l6", TINY)
BUILTIN_DATA = ("builtin:rotten-tomatoes", TINY)
MOST_SEEDS = 1000
RULE_TESTS = ("not_worse_by", "max_increase", "at_most", "at_least")
"""The tests that a gate rule can make, of which it makes one."""


class Task(Strict):
    """What is learned, and the metric that says whether a run failed."""

    type: Literal["sequence-classification"] = "sequence-classification"
    metric: Literal["accuracy", "mcc"] = Field(
        "accuracy", description="metric of the failed-run rule: accuracy (≤ majority share + 1/N) or mcc (≤ 0.05)"
    )


class SplitFile(Strict):
    """One split in a file: csv, tsv (no quoting), jsonl or parquet, by the file name's ending."""

    path: str
    text: str = Field("text", description="column of the text, or of the first of a pair")
    text_pair: str | None = Field(None, description="column of the second text of a pair")
    label: str = Field("label", description="column of the label")
    limit: int | None = Field(None, ge=1, description="first N of a fixed shuffle")


class Fraction(Strict):
    """Validation split off the training data by a fixed hash of each example."""

    fraction: float = Field(gt=0, lt=1)


class Data(Strict):
    """Where the labelled texts come from.

    `source` names a built-in or hub data set; then `train` and `test` are numbers of examples. With paths, `train` and
    `test` are files. With both, the paths are used where `root` is set, else the source. A suite of finished
    checkpoints trains nothing and may leave `train` out.
    """

    source: str | None = Field(None, description="builtin:NAME, hub:OWNER/NAME or hub:OWNER/NAME:CONFIG")
    revision: str | None = Field(None, description="commit of a hub data set")
    root: str | None = Field(None, description="folder that paths are relative to; '.' is the suite file's folder")
    text: str = Field("text", description="hub: column of the text")
    text_pair: str | None = Field(None, description="hub: column of the second text")
    label: str = Field("label", description="hub: column of the label")
    classes: list[str] | None = Field(
        None, min_length=2, description="labels in the order of the classes; null: those of train (else test), sorted"
    )
    train: int | SplitFile | None = None
    validation: Fraction | SplitFile | int | None = None
    test: int | SplitFile
    measure_on: Literal["test", "validation"] = Field(
        "test", description="split that is measured; with validation the test split is not read at all (`tune` sets it)"
    )

    @model_validator(mode="after")
    def _has_origin(self) -> Data:
        files = [isinstance(part, SplitFile) for part in (self.train, self.test) if part is not None]
        if any(files) and not all(files):
            raise ValueError("train and test must both be files ({path: …}) or both be numbers of examples of `source`")
        if not any(files) and self.source is None:
            raise ValueError("numbers of examples need `source` (builtin:NAME or hub:OWNER/NAME)")
        if self.train is None and (self.validation is not None or self.measure_on == "validation"):
            raise ValueError("validation is for training, and there is no `train`; leave it out, or give train")
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            raise ValueError("classes: a label stands twice; each class has one label")
        if self.measure_on == "validation" and self.validation is None:
            raise ValueError("measure_on: validation needs `validation`, such as {fraction: 0.1}")
        for name, part in (("train", self.train), ("test", self.test), ("validation", self.validation)):
            if isinstance(part, int) and part < 1:
                raise ValueError(f"{name}: {part} examples; at least 1 is needed")
        return self


class Model(Strict):
    """The pretrained model: ``builtin:NAME``, a folder, or a hub id."""

    name: str
    revision: str | None = Field(None, description="commit of a hub model")


class Variant(Strict):
    """Overrides of `train`, and stabilizers; with `preset`, laid over that recipe's; or a finished checkpoint."""

    preset: str | None = Field(None, description="a published recipe: see `stabbench list presets`")
    train: Options = Field(default_factory=dict, description="overrides of `train`")
    stabilizers: list[dict[str, Options]] = Field(default_factory=list)
    checkpoint: str | None = Field(
        None, description="a finished classifier, measured as it is and not trained: a folder, or a hub id"
    )
    revision: str | None = Field(None, description="commit of a checkpoint that is a hub id")
    classes: list[str] | None = Field(
        None, min_length=2, description="label of the data that each output of the checkpoint stands for; null: by name"
    )


class CrossedSeeds(Strict):
    """Seeds of the head's initialisation crossed with seeds of the example order."""

    init: int = Field(ge=1)
    order: int = Field(ge=1)


class AdaptiveSeeds(Strict):
    """As many seeds as one primary claim needs to be decided, looked at several times from `min` to `max`."""

    min: int = Field(6, ge=3, description="seeds at the first look")
    max: int = Field(25, description="most seeds")
    until: str = Field(description="metric of the primary claim that decides when to stop")


class SeedsAtLook(AdaptiveSeeds):
    """Adaptive seeds as of one look; made by a run, never written in a suite file."""

    count: int


class PrimaryClaim(Strict):
    """One declared claim: a metric, where several values exist a coordinate, and which groups."""

    metric: str
    at: dict[str, str | int | float] = Field(default_factory=dict)
    candidate: str | None = None
    compression: str = "dense"


class ContrastClaim(Strict):
    """A secondary claim between any two groups: each is [variant, compression]."""

    metric: str
    at: dict[str, str | int | float] = Field(default_factory=dict)
    reference: list[str] = Field(description="[variant, compression] compared against")
    candidate: list[str] = Field(description="[variant, compression] judged")


class Compare(Strict):
    """What is compared with what, and how surely."""

    reference: str = "baseline"
    primary: list[str | PrimaryClaim] | None = Field(None, max_length=3)
    contrasts: list[ContrastClaim] = Field(
        default_factory=list, description="secondary claims between any two groups, unadjusted"
    )
    margins: dict[str, float] = Field(
        default_factory=dict, description="metric → largest difference that is no difference"
    )
    level: float = Field(0.95, gt=0.5, lt=1)


class GateRule(Strict):
    """One rule of the gate: a metric, which groups, and what must hold; exactly one of the four tests.

    Every test is one-sided at 95 %: it passes where the bound on the bad side respects the limit, fails where the bound
    on the good side does not, and is undecided between. `claims.gate` says how each is decided.
    """

    claim: str = Field(description="metric that the rule is about")
    at: dict[str, str | int | float] = Field(default_factory=dict)
    candidate: str | None = Field(None, description="variant that is judged; default: every candidate")
    compression: str = "dense"
    not_worse_by: float | None = Field(
        None, ge=0, description="largest loss against the reference (latency and other ratios: 0.05 is 5 %)"
    )
    max_increase: float | None = Field(
        None, ge=0, description="largest increase against the reference, whatever is better"
    )
    at_most: float | None = Field(None, description="largest value of the candidate (latency.ratio: of the ratio)")
    at_least: float | None = Field(None, description="smallest value of the candidate")
    known: str | None = Field(
        None, min_length=1, description="why this rule may fail for now: evaluated and shown, never fails the gate"
    )

    @model_validator(mode="after")
    def _has_one_test(self) -> GateRule:
        given = [name for name in RULE_TESTS if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"a rule needs exactly one of {', '.join(RULE_TESTS)}; found {found}")
        return self

    @property
    def test(self) -> str:
        """Name of the rule's test."""
        return next(name for name in RULE_TESTS if getattr(self, name) is not None)

    @property
    def limit(self) -> float:
        """The number that stands behind the test's name."""
        return float(getattr(self, self.test))

    def as_written(self) -> dict[str, Any]:
        """Return the rule without its defaults, for the verdict."""
        return self.model_dump(exclude_defaults=True)


class Budget(Strict):
    """Defaults of ``--max-time`` and ``--jobs``."""

    minutes: float | None = Field(None, gt=0)
    jobs: int = Field(1, ge=1)


def _accuracy() -> dict[str, Options]:
    return {"accuracy": {}}


def _monitors() -> dict[str, Options]:
    """Return the monitors that cost little; `noise_scale` takes extra passes and is asked for."""
    return {name: {} for name in ("trace", "outputs", "activations", "optimizer_state", "drift", "gradient_cosine")}


def _single(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class Suite(Strict):
    """One study: which variants of fine-tuning are compared, on what, by which probes."""

    schema_: Literal[1] = Field(1, alias="schema")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    description: str = ""
    task: Task = Field(default_factory=Task)
    data: Data
    model: Annotated[Model, BeforeValidator(_single, json_schema_input_type=str | Model)]
    seeds: int | list[int] | CrossedSeeds | AdaptiveSeeds = Field(
        5, description="N: 0 … N-1; a list; {init: N, order: M} crossed; or {min: N, max: M, until: CLAIM} adaptive"
    )
    train: TrainOptions = Field(default_factory=TrainOptions)
    variants: dict[str, Variant] = Field(min_length=1)
    probes: dict[str, Options] = Field(default_factory=_accuracy)
    compressions: list[Annotated[str | list[str], BeforeValidator(as_text, json_schema_input_type=Chain)]] = Field(
        default_factory=list, description="compressors: a name, {name: {option: value}}, or a list for a chain"
    )
    compress_probes: list[str] = Field(default_factory=lambda: ["accuracy"])
    monitors: dict[str, Options] = Field(default_factory=_monitors)
    keep_weights: Literal["all", "none", "last"] = "all"
    compare: Compare = Field(default_factory=Compare)
    gate: list[GateRule] = Field(default_factory=list, description="what must hold; decides exit codes 1, 4 and 5")
    budget: Budget = Field(default_factory=Budget)

    @property
    def of_checkpoints(self) -> bool:
        """Whether nothing is trained: every variant is a finished checkpoint, and the unit is the text."""
        return all(variant.checkpoint is not None for variant in self.variants.values())
