"""The fields of genes and scale in both kinds of model files, checked when read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from tamannot.scoring._features import Scale


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        msg = "should be printable, without spaces at either end"
        raise ValueError(msg)
    return text


def _once(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        msg = "has a duplicate entry"
        raise ValueError(msg)
    return values


Text = Annotated[str, Field(max_length=1000), AfterValidator(_printable)]
Names = Annotated[tuple[Text, ...], Field(max_length=100_000, strict=False), AfterValidator(_once)]
Share = Annotated[float, Field(ge=0, le=1)]
EnsemblId = Annotated[str, Field(pattern="^(ENS(MUS)?G[0-9]{11})?$")]


class ModelFields(BaseModel):
    """The fields that both kinds of models have."""

    model_config = ConfigDict(strict=True)
    symbols: Names
    ensembl: Annotated[tuple[EnsemblId, ...], Field(strict=False)]
    scale: Scale
    training: dict[str, Any]
    metrics: dict[str, Any]

    @model_validator(mode="after")
    def _genes_have_names(self) -> ModelFields:
        known = [e for e in self.ensembl if e]
        if not all(self.symbols) or len(self.ensembl) != len(self.symbols) or len(set(known)) < len(known):
            msg = "each gene needs a symbol and one entry in 'ensembl', and ids must be unique"
            raise ValueError(msg)
        return self
