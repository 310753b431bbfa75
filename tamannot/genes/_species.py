"""Which species the gene ids belong to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Literal

from tamannot.errors import SpeciesError
from tamannot.genes._table import human_genes

Species = Literal["human", "mouse", "unknown"]

_GENOME = {"hg19": "human", "hg38": "human", "grch37": "human", "grch38": "human"} | dict.fromkeys(
    ("mm9", "mm10", "mm39", "grcm38", "grcm39"), "mouse"
)
_PREFIX = re.compile(rf"^({'|'.join(_GENOME)})_+", re.IGNORECASE)


def strip_genome_prefix(ids: Sequence[str]) -> list[str]:
    """Return the ids without ``GRCh38_``, ``mm10___`` and the like.

    Raises
    ------
    SpeciesError
        The ids carry prefixes of two species.
    """
    genomes = Counter(_GENOME[m[1].lower()] for i in ids if "_" in i and (m := _PREFIX.match(i)))
    if len(genomes) > 1:
        seen = ", ".join(f"{n} {species}" for species, n in genomes.most_common())
        msg = f"The genes are of two species by their prefix ({seen}). Keep the cells and genes of one."
        raise SpeciesError(msg)
    return [_PREFIX.sub("", i) for i in ids] if genomes else list(ids)


def recognise_species(ids: Sequence[str]) -> Species:
    """Return the species that most ids belong to, or ``unknown``.

    Human symbols are approved or former symbols; mouse symbols are human ones in title case (``Cd68``).
    """
    table = human_genes()
    half, mouse = (len(ids) + 1) // 2, 0
    human = len(list(islice(filter(table.names.__contains__, ids), half)))
    if human and human == half:  # whatever the others are, they are not more
        return "human"
    for gene_id in (i for i in ids if i not in table.names):
        if gene_id.startswith("ENSMUSG"):
            mouse += 1
        elif gene_id.startswith("ENSG"):
            human += 1
        elif gene_id[:1].isupper() and gene_id != gene_id.upper() and gene_id.upper() in table.ensembl:
            mouse += 1
    if not human and not mouse:
        return "unknown"
    return "mouse" if mouse > human else "human"
