"""Training options: what every arm has, and a variant may override."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from stabbench.suite.strict import Strict

Precision = Literal["auto", "fp32", "bf16"]


class EarlyStopping(Strict):
    """Stopping on the validation split, looked at after each epoch; the test split is never looked at."""

    patience: int = Field(2, ge=1, description="evaluations in a row without a new best after which training stops")
    metric: Literal["loss", "accuracy"] = Field("loss", description="which validation figure must improve")
    checkpoint: Literal["last", "best"] = Field(
        "last", description="weights that are kept: those at the stop, or those of the best evaluation"
    )


class Plateau(Strict):
    """When ``schedule: plateau`` lowers the learning rate; looked at after each epoch."""

    watch: Literal["training", "validation"] = Field("training", description="whose mean loss must fall")
    factor: float = Field(0.5, gt=0, lt=1, description="the rate is multiplied by it")
    patience: int = Field(1, ge=1, description="evaluations in a row without a new lowest loss before that")
    threshold: float = Field(1e-4, ge=0, lt=1, description="a loss is lower when it is below (1 − threshold) · lowest")


OptimizerName = Literal["adamw", "bertadam", "stable_adamw", "sgd", "adafactor", "lion", "schedule_free"]
ScheduleName = Literal["linear", "cosine", "constant", "plateau"]
WITHOUT_BETA2 = ("sgd", "adafactor")


class TrainOptions(Strict):
    """Training options: what every arm has; not stabilizers."""

    epochs: int = Field(3, ge=1)
    max_steps: int | None = Field(
        None, ge=1, description="optimizer steps, in place of `epochs`: as many epochs as they need, the last cut short"
    )
    match_compute: bool = Field(
        False,
        description="in place of `epochs`: as many steps as cost the forward and backward passes of the reference",
    )
    batch_size: int = Field(16, ge=1, description="examples per optimizer step")
    accumulation: int = Field(
        1, ge=1, description="micro-batches that a batch is cut into: less memory, the same gradient up to rounding"
    )
    learning_rate: float = Field(2e-5, gt=0, description="peak learning rate")
    optimizer: OptimizerName = Field(
        "adamw",
        description="bertadam: Adam without bias correction, as in the first BERT release; stable_adamw: with update "
        "clipping; sgd: momentum 0.9; schedule_free: averages its weights itself, meant for schedule: constant",
    )
    beta2: float | None = Field(
        None, gt=0, lt=1, description="decay rate of the second moment (lion: of the momentum); null: the optimizer's"
    )
    schedule: ScheduleName = Field(
        "linear", description="linear and cosine fall to 0 at the last step; plateau: falls when the loss does not"
    )
    plateau: Plateau = Field(default_factory=Plateau, description="for schedule: plateau")
    early_stopping: EarlyStopping | None = Field(None, description="needs data.validation; null: none")
    weight_decay: float = Field(0.01, ge=0, description="decoupled; not on biases and layer norms")
    max_length: int = Field(128, ge=4, description="tokens; longer texts are cut")
    precision: Precision = Field("auto", description="auto: bf16 where the processor has it, else fp32")
    threads: int = Field(1, ge=1, description="processor threads of one trial; part of the key")

    @model_validator(mode="after")
    def _beta2_has_a_use(self) -> TrainOptions:
        if self.beta2 is not None and self.optimizer in WITHOUT_BETA2:
            raise ValueError(f"beta2: optimizer '{self.optimizer}' has none; leave it out, or set it to null here")
        return self

    @property
    def looks_at_validation(self) -> str | None:
        """The option that needs a validation split, or None."""
        if self.early_stopping is not None:
            return "early_stopping"
        return "plateau" if self.schedule == "plateau" and self.plateau.watch == "validation" else None
