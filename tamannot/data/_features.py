"""Which features of a matrix are genes: controls, antibodies, peaks and guides are measured beside them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tamannot.data._slots import texts_of
from tamannot.signature import human_genes

# Columns in which Cell Ranger, Xenium, muon, CosMx and CELLxGENE say what a feature is.
_TYPE_COLUMNS = ("feature_types", "feature_type", "modality", "CodeClass", "feature_biotype")
_NAME_COLUMNS = ("feature_name", "gene_ids", "gene_name", "gene_symbols")
_GENE_EXPRESSION = "gene expression"
_GENE_WORDS = frozenset({_GENE_EXPRESSION, "gene", "genes", "rna", "gex", "mrna", "endogenous", "protein coding"})
_MISSING = frozenset({"", "nan", "none", "na", "<na>"})
# Words for what is not a gene. Of any other word nothing is known, unless the column has "Gene Expression" beside it.
_OTHER_WORDS = re.compile(
    r"(antibody|antigen|crispr guide|(cell )?multiplexing)( capture)?|antibodies|prot(eins?)?|adt|hto|hashtags?|cmo"
    r"|crispr|guides?|s?grna|custom|peaks?|atac|chromatin accessibility|spike[- ]?in|ercc|false ?code|blank"
    r"|((negative|genomic|system) ?)?controls?( probe| codeword)?|negative( probe)?"
    r"|(unassigned|deprecated|blank) codeword"
)
# Names that no gene has, in lower case. Seurat writes "-" for "_", R's data.frame ".".
_NAMES = {
    "Negative Control": r"neg(ative)?[_.\- ]?(control|ctrl|prb|probe)[\w.\- ]*|negative[_.\- ]?\d+"
    r"|systemcontrol[_.\- ]?\d+|falsecode[_.\- ]?\d+|antisense[_.\-]\w+|genomic[_.\- ]?control\w*"
    r"|intergenic[_.\-]region[_.\-]\w+",
    "Codeword": r"(unassigned|deprecated|blank|negative)[_.\- ]?codeword[_.\-\w]*|blank[_.\- ]?\d+",
    "Spike-in": r"ercc[_.\-]\d{5}",
    "Antibody Capture": r"(adt|prot|hto)[_:.\-].+|hashtag[_.\- ]?\d+.*|cmo3\d\d"
    r"|.+[_.\- ](adt|prot|total[_.\-]?(seq)?[_.\-]?[abcd]([_.\-]\w+)?)|.+_protein",
    "Peaks": r"((grch|grcm|hg|mm)\d+[_.\-]*)?chr(\d{1,2}[ab]?|x|y|mt?|un)(_\w+)?[:_\-.]\d+[_\-.]\d+"
    r"|(\d{1,2}|x|y|mt):\d+-\d+|[a-z]{2}\d{6}\.\d[:_\-.]\d+[_\-.]\d+",
    "CRISPR Guide Capture": r"s?grna[_.\-].+|non[_.\-]?targeting([_.\-].*)?",
}
_NAME = re.compile("|".join(f"(?P<k{i}>{pattern})" for i, pattern in enumerate(_NAMES.values())))
# One of these is in every such name: all names are searched for them at once, far faster than name by name.
_HINTS = (
    *("control", "ctrl", "negprb", "probe", "negative", "falsecode", "antisense", "intergenic", "codeword", "blank"),
    *("hashtag", "cmo3", "grna", "targeting", ":"),
    *(f"{word}{mark}" for word in ("ercc", "adt", "prot", "hto", "neg") for mark in "_.- "),
    *(f"{mark}{word}" for word in ("adt", "prot", "total") for mark in "_.- "),
)
_PLACES = (re.compile(r"chr\w+[_.\-]\d+[_.\-]\d"), re.compile(r"\.\d[_.\-]\d+[_.\-]\d"))
_LONGEST_NAME = 200  # the patterns take long for a name of a million letters
_MADE_UNIQUE = re.compile(r"(.+)[-.]\d+")


@dataclass(frozen=True)
class Features:
    """The genes among the features of a matrix, and what the others are.

    Parameters
    ----------
    var
        The genes; the same table if all are.
    columns
        Where they are in the matrix; None if all features are genes.
    left_out
        How many features of each kind are not genes.
    by
        What says so: a column of ``var``, or their names.
    """

    var: pd.DataFrame
    columns: NDArray[np.intp] | None = None
    left_out: tuple[tuple[str, int], ...] = ()
    by: str = ""

    @property
    def n_left_out(self) -> int:
        """Features that are not genes."""
        return sum(n for _, n in self.left_out)

    def describe(self) -> str:
        """Say what was left out, and why; empty if nothing was."""
        if not self.left_out:
            return ""
        kinds = ", ".join(f"{n:,} {kind}" for kind, n in self.left_out)
        return f"{self.n_left_out:,} features are not genes by {self.by} and are left out ({kinds})"


def features_of(var: pd.DataFrame) -> Features:
    """Return which features of a matrix are genes.

    A column that Cell Ranger, Xenium, CosMx or muon writes decides. A feature of which it says nothing is judged by
    its name, and only names that no gene has count.

    Parameters
    ----------
    var
        Features of the matrix.
    """
    kinds, by = _kinds_by_column(var)
    if _judge_by_name(var, kinds):
        by = f"{by} and their names" if by else "their names"
    other = np.array([bool(kind) for kind in kinds], dtype=bool)
    if not other.any():
        return Features(var)
    left_out = Counter(kind for kind in kinds if kind).most_common()
    return Features(_named_as_read(var, other), np.flatnonzero(~other), tuple(left_out), by)


def _kinds_by_column(var: pd.DataFrame) -> tuple[list[str | None], str]:
    """Return the kind of each feature, "" of a gene, None where no column says; and the column that names one."""
    kinds: list[str | None] = [None] * len(var)
    by = ""
    for name in _TYPE_COLUMNS:
        column = var.get(name)
        if not isinstance(column, pd.Series):
            continue
        codes, words = pd.factorize(np.array(texts_of(column), dtype=object))
        plain = [re.sub(r"[_\s]+", " ", word).strip().lower() for word in words]
        strict = _GENE_EXPRESSION in plain
        said = [_kind_of(word, p, strict=strict) for word, p in zip(words, plain, strict=True)]
        if any(kind is not None for kind in said):
            kinds = [said[code] if kind is None else kind for kind, code in zip(kinds, codes.tolist(), strict=True)]
        if not by and any(said):
            by = f"var['{name}']"
    return kinds, by


def _kind_of(word: str, plain: str, *, strict: bool) -> str | None:
    if plain in _MISSING:
        return None
    if plain in _GENE_WORDS:
        return ""
    return word if strict or _OTHER_WORDS.fullmatch(plain) else None


def _judge_by_name(var: pd.DataFrame, kinds: list[str | None]) -> bool:
    """Fill in the kind of each feature of which no column says one and whose name no gene has; say whether any is."""
    untold = [i for i, kind in enumerate(kinds) if kind is None]
    if not untold:
        return False
    names, found_any, approved = list(_NAMES), False, human_genes().ensembl
    columns: list[pd.Series | pd.Index] = [c for n in _NAME_COLUMNS if isinstance(c := var.get(n), pd.Series)]
    for column in [var.index, *columns]:
        texts = texts_of(column)
        odd = [t for t in texts if t not in approved and not t.startswith("ENS") and len(t) <= _LONGEST_NAME]
        text = "\n".join(odd).lower()
        if not any(hint in text for hint in _HINTS) and not any(p.search(text) for p in _PLACES):
            continue
        found = {t: names[int(str(m.lastgroup)[1:])] for t in odd if (m := _NAME.fullmatch(t.lower()))}
        for i in untold if found else ():
            if texts[i] in found:
                kinds[i], found_any = found[texts[i]], True
    return found_any


def _named_as_read(var: pd.DataFrame, other: NDArray[np.bool_]) -> pd.DataFrame:
    """Return the genes of ``var``; one that was numbered because an antibody has its name gets that back.

    anndata's ``var_names_make_unique`` makes "CD14-1" of the second CD14: the gene, where antibodies stand first.
    """
    genes, taken = var[~other], set(texts_of(var.index[other]))
    names = texts_of(genes.index)
    own, approved = set(names), human_genes().ensembl
    numbered = ((name, _MADE_UNIQUE.fullmatch(name)) for name in names)
    read = [
        found[1] if found and found[1] in taken and found[1] not in own and name not in approved else name
        for name, found in numbered
    ]
    return genes if read == names else genes.set_axis(pd.Index(read, name=genes.index.name), axis=0)
