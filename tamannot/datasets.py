"""``tam.datasets``: example data and simulated cohorts."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

# numpy, scipy and anndata set filters of their own; an import leaves those of the user as they were.
with warnings.catch_warnings():
    import anndata as ad
    import numpy as np
    import pandas as pd
    import scipy.sparse as sp

    from tamannot import _simulated_cells as cells
    from tamannot._resources import resource_path
    from tamannot.scoring._njit import Array

__all__ = ["oligodendroglioma", "simulate"]

_FILE = "oligodendroglioma_tirosh2016.h5ad"
COMPOSITION = {"macrophage": 0.4, "malignant": 0.3, "t_nk": 0.12, "oligodendrocyte": 0.1, "endothelial": 0.08}
ORIGINS = {"microglia": 0.45, "monocyte_derived": 0.45}
STATES = {"lipid_associated": 0.2, "interferon_primed": 0.1, "inflammatory": 0.15, "immunoregulatory": 0.15}

NOT_MACROPHAGE, UNCLEAR = "not_macrophage", "unclear"


def oligodendroglioma() -> ad.AnnData:
    """Return 184 cells of human oligodendrogliomas with their authors' labels.

    Returns
    -------
    184 cells × 9,450 genes, TPM-like linear values. ``obs["author_label"]`` has the authors' cell classes: malignant
    cells of four tumours, oligodendrocytes, and 19 microglia or macrophages; ``obs["patient"]`` the tumour. Source:
    Tirosh et al. 2016, doi:10.1038/nature20123, GSE70630; the subset is that of the infercnvpy package (BSD-3-Clause).
    """
    return ad.read_h5ad(resource_path("example_data") / _FILE)


def simulate(
    n_cells: int = 300,
    *,
    n_samples: int = 6,
    conditions: Sequence[str] = ("control", "treated"),
    composition: Mapping[str, float] | None = None,
    origins: Mapping[str, float] | None = None,
    states: Mapping[str, float] | None = None,
    shift: Mapping[str, float] | None = None,
    crosstalk: float = 0.0,
    overdispersion: float = 0.05,
    depth: float = 4000.0,
    n_genes: int = 6000,
    ambient: float = 0.03,
    n_noise_cells: int = 0,
    n_unknown_cells: int = 0,
    rng: int | np.random.Generator = 0,
) -> ad.AnnData:
    """Simulate a cohort of tumours with known cells, programs and effects.

    Counts are gamma-Poisson around a cell's expected expression: that of its cell type, with its programs added in
    proportion to their usages, times effects of the sample on each gene, mixed with the ambient RNA of the sample. Each
    cell type and each program raises the genes of its bundled signature, and as many or more genes that are in no
    signature, drawn with the seed. A cell of a composite signature upregulates one of its modules.

    Use it to test methods and for examples; it does not replace real data. Programs are additive, state is
    independent of origin, and the signatures are correct by construction, so they are easier to find than in a tumour.
    There are no doublets, no overlays such as hypoxia and no batches of chemistry, and programs are either clearly
    present or clearly absent.

    Parameters
    ----------
    n_cells
        Number of cells per sample.
    n_samples
        Number of samples.
    conditions
        Names of conditions; samples are assigned to them in turn.
    composition
        Share of each compartment, scaled to sum to 1: ids of compartments, and ``malignant``, which has the genes of
        ``glial_like`` and its own effects in each sample. None: macrophages 0.4, malignant 0.3, T and NK cells 0.12,
        oligodendrocytes 0.1, endothelial cells 0.08.
    origins
        Share of macrophages of each origin; the rest is unclear. None: microglia and monocyte-derived, 0.45 each.
    states
        Share of macrophages in which each state dominates; the rest has little or no state. None:
        lipid-associated 0.2, interferon-primed 0.1, inflammatory and immunoregulatory 0.15 each.
    shift
        Factors by which shares differ in the second condition, such as ``{"lipid_associated": 2.0}``, by ids of
        compartments, origins and states; all others of the same kind are rescaled in proportion.
    crosstalk
        Correlation across samples, -1 to 1, between the share of lipid-associated macrophages (normal scores of its
        ranks) and the level of a ferroptosis-defence program in malignant cells. At 0 the program varies as much over
        samples, but independently of the macrophages.
    overdispersion
        Variation of shares between samples, 0 to 0.5: the intra-class correlation ρ of the beta-binomial. At 0 cells
        would be independent replicates.
    depth
        Median counts of a cell.
    n_genes
        Number of genes: those of the signatures, and others of the human genome.
    ambient
        Mean share of a cell's counts that comes from the other cells of its sample, 0 to 0.5.
    n_noise_cells
        Number of noise cells added to each sample; each expresses genes picked at random.
    n_unknown_cells
        Number of cells added to each sample that are of a type without a signature.
    rng
        Seed or generator. The same seed gives the same cohort with any number of threads, for the same version of
        numpy.

    Returns
    -------
    Cells × genes. ``X`` has counts (float32, CSR); ``obs`` has ``sample``, ``condition``, ``truth_compartment`` (with
    ``noise`` and ``unknown``), ``truth_origin`` and ``truth_state`` (the one with a usage above 0.35, else ``unclear``;
    ``not_macrophage``) and ``truth_ambient``, the share of ambient RNA; ``obsm["truth_usage"]`` the usage of each
    program in [0, 1], 0 in cells that cannot have it; origins sum to at most 1, and so do states. ``uns["truth"]`` has
    the simulated effects: ``samples``, a table with the condition, the expected share of each compartment, origin and
    state, and the level of the defence program (standard normal); ``shift``, ``crosstalk`` and ``overdispersion`` as
    given; ``own_genes``, the genes outside signatures that a cell type or a program upregulates.

    Raises
    ------
    ParameterError
        An id is unknown, or a number is out of range.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.simulate(50, n_samples=2, shift={"lipid_associated": 2.0}, n_genes=1000)
    >>> adata.shape
    (100, 1000)
    >>> adata.uns["truth"]["samples"]["condition"].tolist()
    ['control', 'treated']
    """
    design = cells.Design(
        n_cells=n_cells,
        n_samples=n_samples,
        conditions=tuple(conditions),
        composition=COMPOSITION if composition is None else composition,
        origins=ORIGINS if origins is None else origins,
        states=STATES if states is None else states,
        shift=shift or {},
        crosstalk=crosstalk,
        overdispersion=overdispersion,
        depth=depth,
        ambient=ambient,
        n_noise_cells=n_noise_cells,
        n_unknown_cells=n_unknown_cells,
    )
    design.check()
    rng = np.random.default_rng(rng)
    cohort = cells.draw_cohort(design, rng)
    kinds = [*design.composition, *([cells.UNKNOWN] if n_unknown_cells else [])]
    world = cells.make_world(kinds, list(cohort.usage.columns), n_genes, rng)
    counts, share = cells.draw_counts(cohort, world, design, rng)
    return _as_adata(cohort, world, design, counts, share)


def _as_adata(
    cohort: cells.Cohort, world: cells.World, design: cells.Design, counts: sp.csr_matrix, share: Array
) -> ad.AnnData:
    names = list(cohort.table.index)
    within = cohort.compartment == cells.MACROPHAGE
    known = [*design.composition, cells.NOISE, cells.UNKNOWN]
    columns = {
        "sample": pd.Categorical(np.array(names, dtype=object)[cohort.sample], names),
        "condition": pd.Categorical(cohort.table["condition"].to_numpy()[cohort.sample], list(design.conditions)),
        "truth_compartment": pd.Categorical(cohort.compartment, list(dict.fromkeys(known))),
        "truth_origin": _dominant(cohort.usage[list(design.origins)], within),
        "truth_state": _dominant(cohort.usage[list(design.states)], within),
        "truth_ambient": share,
    }
    number = pd.Series(cohort.sample).groupby(cohort.sample).cumcount()
    index = pd.Index([f"{names[s]}_cell{i:05d}" for s, i in zip(cohort.sample, number, strict=True)])
    truth = {
        "samples": cohort.table,
        "shift": {k: float(v) for k, v in design.shift.items()},
        "crosstalk": float(design.crosstalk),
        "overdispersion": float(design.overdispersion),
        "own_genes": dict(world.own_genes),
    }
    return ad.AnnData(
        counts,
        obs=pd.DataFrame(columns, index=index),
        var=pd.DataFrame(index=pd.Index(world.genes)),
        obsm={"truth_usage": cohort.usage.set_axis(index)},
        uns={"truth": truth},
    )


def _dominant(usage: pd.DataFrame, within: Array) -> pd.Categorical:
    """Name the program that dominates each macrophage."""
    names = np.array([*usage.columns, UNCLEAR], dtype=object)
    table = np.column_stack([usage.to_numpy(), np.full(len(usage), cells.DOMINANT, np.float32)])
    label = np.where(within, names[table.argmax(axis=1)], NOT_MACROPHAGE)
    return pd.Categorical(label, [*names, NOT_MACROPHAGE])
