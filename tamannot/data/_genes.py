"""The genes among the features of a matrix, their ids, and their species."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tamannot.data._slots import column_of, texts_of
from tamannot.signature import (
    OURS,
    UNKNOWN,
    GeneIndex,
    Ids,
    Sighting,
    Signature,
    human_genes,
    read_ids,
    recognise_species,
)

# Names that CELLxGENE, Cell Ranger, scanpy, Seurat and Bioconductor give to columns of gene ids, in small letters.
_KNOWN_COLUMNS = (
    *("feature_name", "gene_ids", "gene_name", "gene_symbols", "gene_symbol", "gene_names", "gene_short_name"),
    *("symbol", "symbols", "hgnc_symbol", "mgi_symbol", "external_gene_name", "features", "feature", "_index"),
    *("gene", "genes", "gene_id", "ensembl_id", "ensembl_ids", "ensembl", "ensembl_gene_id", "feature_id"),
)
VAR_NAMES = "var_names"


@dataclass(frozen=True)
class SpeciesOfIds:
    """The species of the genes of a matrix."""

    seen: Sighting
    ids_from: str  # the ids that show it: var_names or a column of var
    two_genomes: str  # pattern of the mouse ids where prefixes name the genomes of two species; else empty


@dataclass(frozen=True)
class GeneMatch:
    """The genes of a matrix, by the ids that match most signature genes."""

    index: GeneIndex
    ids_from: str  # var_names or a column of var
    n_found: int
    species: SpeciesOfIds


def gene_index(
    var: pd.DataFrame, signatures: Mapping[str, Signature], gene_symbols: str | None, species: str = "auto"
) -> GeneMatch:
    """Return the genes by the ids of ``gene_symbols``, or of the index or column that find most signature genes."""
    sources, seen = _sources(var, gene_symbols)
    genes = list({g.key: g for s in signatures.values() for g in s.all_genes}.values())
    indices, found = {}, {}
    for name, own in sources.items():
        # Beside these ids are those of Ensembl in the same texts, or else the ids of the best other place.
        others = [other.ids for place, other in sources.items() if place != name]
        second = next((ids for ids in others if len(set(ids)) == len(ids)), others[0] if others else None)
        if own.ensembl is not None:
            second = [e or i for e, i in zip(own.ensembl, second or own.ensembl, strict=True)]
        whose = seen[name].species if species == "auto" else species
        index = GeneIndex(own.ids, second, written=own.written, species=whose)
        indices[name], found[name] = index, sum(index.find(g.symbol, g.ensembl) >= 0 for g in genes)
    # The first of equals: var_names before columns.
    best = gene_symbols or max(found, key=lambda name: found[name])
    return GeneMatch(indices[best], best, found[best], _species_of(sources, seen, best))


def ids_by(var: pd.DataFrame, name: str) -> list[str]:
    """Return the gene ids that an index by this name has: ``var_names`` or a column; empty if there is none."""
    if name != VAR_NAMES and name not in var.columns:
        return []
    return read_ids(texts_of(var.index if name == VAR_NAMES else column_of(var, name, "var"))).ids


def species_of_ids(var: pd.DataFrame, gene_symbols: str | None) -> SpeciesOfIds:
    """Return the species of the genes."""
    sources, seen = _sources(var, gene_symbols)
    return _species_of(sources, seen, next(iter(sources)))


def _sources(var: pd.DataFrame, gene_symbols: str | None) -> tuple[dict[str, Ids], dict[str, Sighting]]:
    """Return the gene ids that ``var`` has, by where, with their species; what the user names comes first."""
    if gene_symbols is not None:
        columns = {gene_symbols: column_of(var, gene_symbols, "var")}
    else:
        lower = {str(c).lower().replace(" ", "_"): c for c in reversed(var.columns) if isinstance(c, str)}
        columns = {c: column_of(var, c, "var") for c in (lower[name] for name in _KNOWN_COLUMNS if name in lower)}
        # Numbers are no names, as those of Entrez.
        columns = {name: c for name, c in columns.items() if not pd.api.types.is_numeric_dtype(c.dtype)}
    sources = {name: read_ids(texts_of(column)) for name, column in columns.items()}
    index = {VAR_NAMES: read_ids(texts_of(var.index))}
    # The index stays at hand for ids that stand twice in the named column.
    sources = sources | index if gene_symbols else index | sources
    seen = {}
    for name, own in sources.items():
        ids = own.ids if not own.ensembl else [e or i for i, e in zip(own.ids, own.ensembl, strict=True)]
        seen[name] = recognise_species(ids)
    return sources, seen


def _species_of(sources: Mapping[str, Ids], seen: Mapping[str, Sighting], first: str) -> SpeciesOfIds:
    """Ask the ids that are used, then the others; ids of Ensembl of another species go before names."""
    if both := next((name for name, own in sources.items() if own.two_genomes), None):
        return SpeciesOfIds(Sighting("human", "mouse"), both, sources[both].two_genomes)
    told = [name for name in (first, *seen) if seen[name].species != UNKNOWN] or [first]
    # The genes of a rat are named as those of a mouse, and those of a pig as those of man.
    by = next((name for name in told if seen[name].by_ensembl and seen[name].species not in OURS), told[0])
    return SpeciesOfIds(seen[by], by, "")


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
    """The genes among the features of a matrix, and what the others are."""

    var: pd.DataFrame  # the genes; the same table if all are
    columns: NDArray[np.intp] | None = None  # where they are in the matrix; None if all features are genes
    left_out: tuple[tuple[str, int], ...] = ()  # how many features of each kind are not genes
    by: str = ""  # what says so: a column of var, or their names

    def describe(self) -> str:
        """Describe the ignored features; empty if there are none."""
        if not self.left_out:
            return ""
        kinds = ", ".join(f"{n:,} {kind}" for kind, n in self.left_out)
        n_left_out = sum(n for _, n in self.left_out)
        return f"{n_left_out:,} features are not genes according to {self.by} and are ignored ({kinds})"


def features_of(var: pd.DataFrame) -> Features:
    """Return which features are genes: a column of a program decides, else names that no gene has."""
    kinds, by = _kinds_by_column(var)
    if _judge_by_name(var, kinds):
        by = f"{by} and their names" if by else "their names"
    other = np.array([bool(kind) for kind in kinds], dtype=bool)
    if not other.any():
        return Features(var)
    left_out = Counter(kind for kind in kinds if kind).most_common()
    # anndata's var_names_make_unique makes "CD14-1" of the second CD14: the gene, where antibodies stand first. A gene
    # that was numbered because an antibody has its name gets that back.
    genes, taken = var[~other], set(texts_of(var.index[other]))
    names, approved = texts_of(var.index[~other]), human_genes().ensembl
    own, read = set(names), []
    for name in names:
        found = _MADE_UNIQUE.fullmatch(name)
        was_renamed = found and found[1] in taken and found[1] not in own and name not in approved
        read.append(found[1] if found and was_renamed else name)
    if read != names:
        genes = genes.set_axis(pd.Index(read, name=genes.index.name), axis=0)
    return Features(genes, np.flatnonzero(~other), tuple(left_out), by)


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
        said: list[str | None] = []
        for word, p in zip(words, plain, strict=True):
            is_other = p not in _MISSING and (strict or _OTHER_WORDS.fullmatch(p))
            said.append("" if p in _GENE_WORDS else word if is_other else None)
        if any(kind is not None for kind in said):
            kinds = [said[code] if kind is None else kind for kind, code in zip(kinds, codes.tolist(), strict=True)]
        if not by and any(said):
            by = f"var['{name}']"
    return kinds, by


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
