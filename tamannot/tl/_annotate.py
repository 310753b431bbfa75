"""``tl.annotate`` and its steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from anndata import AnnData

from tamannot._settings import (
    DEFAULT_ACCURACY,
    AnnotateSettings,
    CompartmentKey,
    ScanpyWords,
    SpeciesChoice,
    Tissue,
    UseRaw,
    takes_scanpy_words,
)
from tamannot.signature import Signatures
from tamannot.tl._model import GivenModel
from tamannot.tl._run import annotate_in_memory

# What every step takes, and keeps in the record.
_OF_DATA = ("layer", "gene_symbols", "species")


@takes_scanpy_words(ScanpyWords)
def annotate(
    adata: AnnData,
    *,
    signatures: Signatures | None = None,
    model: GivenModel | Sequence[GivenModel] | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    tissue: Tissue = "auto",
    compartment_key: CompartmentKey | None = None,
    sample_key: str | None = None,
    target_accuracy: float = DEFAULT_ACCURACY,
    rng: int = 0,
    key_added: str = "tam",
    copy: bool = False,
    **_words: Unpack[ScanpyWords],
) -> AnnData | None:
    """Annotate tumour-associated macrophages: compartment, origin, state and ferroptosis programs.

    Cells are judged by a reference of many tissues, so that a call depends little on the other cells. Compartments are
    called by a classifier trained on the reference's profiles and by z of each panel, origins by how their z differ. A
    state is called by how far its signature stands above the baseline of these macrophages. Where enough cells are
    clear, a classifier trained on them calls by the whole expression, and a label still needs the support of the cell's
    own signature; ``uns`` says what was fitted.
    A label means that a program stands out in a cell's transcripts. Origin is resemblance, not lineage; the ferroptosis
    programs are the handling of iron and lipid peroxides, not death.

    Parameters
    ----------
    adata
        Cells by genes, non-negative: counts or log-normalised values; all genes, not only variable ones. A dask array
        is worked on by the dask scheduler that is active; lazy ``obs`` and ``var`` are loaded.
    signatures
        Added to the bundled library; those of a bundled id replace it.
    model
        What `train` returned, or the path of its file; a list of one of either kind for both.
        A model of a cohort, trained without labels: nothing is fitted here, and each cell's call depends on that cell
        and the model alone. Macrophages unlike those of the model are ``unfamiliar``; baselines, classifier and, unless
        given, tissue are the model's.
        A model of your own labels: it changes no call of the annotation. What `Model.predict` writes is written
        beside it, for all cells, under the key ``tam_model``.
    layer
        ``"X"``, ``"raw"`` or a layer; None takes the usable matrix with most genes of the signatures.
    gene_symbols
        Column of ``var`` with symbols or Ensembl ids; None looks for it.
    species
        Species of the data, human or mouse; ``"auto"`` recognises it from the ids, and where they are of both, from
        the cells.
    tissue
        ``"brain"``, ``"other"``, or ``"auto"``: brain if there are neural or glial cells or convincing
        microglia. Outside the brain microglia and border-associated macrophages are not offered.
    compartment_key
        Your own cell types instead of the gate: a column of ``obs`` that holds our ids, or
        ``(column, {your name: our id})``.
    sample_key
        Column of ``obs`` with the sample. Doublets are told from the ambient RNA of their own sample.
    target_accuracy
        Share of the states called that should be right. It changes no call: where you give one and the mean
        probability of the called states is lower, a note says what to expect instead.
    rng
        Seed: which macrophages the classifier is trained on, where there are more than 4,000.
    key_added
        Prefix of what is written.
    copy
        Return a copy with the results instead of writing into ``adata``.

    Returns
    -------
    None, or the copy. Written are, with ``tam`` as ``key_added``: ``obs`` columns ``tam_compartment``,
    ``tam_origin``, ``tam_state``, each with ``…_prob`` in [0, 1] and ``…_status``, ``tam_programs``,
    ``tam_mixed_lineage``, ``tam_dual_m1_m2`` and ``tam_ferroptosis_drive``, ``…_defence``, ``…_balance``
    (z); ``obsm`` tables ``tam_scores`` in [0, 1], ``tam_z``, ``tam_p``, ``tam_origin_proba``,
    ``tam_state_proba``, ``tam_ferroptosis`` (z); and provenance in ``uns["tamannot"]["tam"]``. With a model of
    labels also ``tam_model_label``, ``tam_model_prob``, ``tam_model_status``, ``obsm["tam_model_proba"]`` and
    ``uns["tamannot"]["tam_model"]``.

    Raises
    ------
    TamannotError
        No usable matrix, no known gene, another species or two, a parameter out of range, or a model that does not fit
        the data.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.oligodendroglioma()
    >>> tam.tl.annotate(adata, tissue="brain")
    >>> int((adata.obs["tam_compartment"] == "macrophage").sum())
    19
    """
    asked = AnnotateSettings(
        model=model,
        layer=layer,
        gene_symbols=gene_symbols,
        species=species,
        tissue=tissue,
        compartment_key=compartment_key,
        sample_key=sample_key,
        target_accuracy=target_accuracy,
        rng=rng,
    )
    return annotate_in_memory(adata, signatures, asked, key_added=key_added, copy=copy)


@takes_scanpy_words(UseRaw)
def gate(
    adata: AnnData,
    *,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    key_added: str = "tam",
    copy: bool = False,
    **_words: Unpack[UseRaw],
) -> AnnData | None:
    """Call the compartment of every cell: the first step of `annotate`, with its parameters.

    Returns
    -------
    None, or the copy. Written are ``obs["{key}_compartment"]``, ``…_prob``, ``…_status``, the tables of
    scores, and provenance.

    Raises
    ------
    TamannotError
        As `annotate`.
    """
    asked = AnnotateSettings(layer=layer, gene_symbols=gene_symbols, species=species, recorded=_OF_DATA)
    return annotate_in_memory(adata, None, asked, steps=("compartment",), key_added=key_added, copy=copy)


@takes_scanpy_words(UseRaw)
def classify_origin(
    adata: AnnData,
    *,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    tissue: Tissue = "auto",
    compartment_key: CompartmentKey | None = None,
    key_added: str = "tam",
    copy: bool = False,
    **_words: Unpack[UseRaw],
) -> AnnData | None:
    """Call the origin of macrophages: a step of `annotate`, with its parameters.

    Returns
    -------
    None, or the copy. Written are ``obs["{key}_origin"]``, ``…_prob``, ``…_status``,
    ``obsm["{key}_origin_proba"]``, the tables of scores, and provenance.

    Raises
    ------
    TamannotError
        As `annotate`.
    """
    asked = AnnotateSettings(
        layer=layer,
        gene_symbols=gene_symbols,
        species=species,
        tissue=tissue,
        compartment_key=compartment_key,
        recorded=(*_OF_DATA, "tissue", "compartment_key"),
    )
    return annotate_in_memory(adata, None, asked, steps=("origin",), key_added=key_added, copy=copy)


@takes_scanpy_words(UseRaw)
def classify_state(
    adata: AnnData,
    *,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    compartment_key: CompartmentKey | None = None,
    key_added: str = "tam",
    copy: bool = False,
    **_words: Unpack[UseRaw],
) -> AnnData | None:
    """Call the state of macrophages: a step of `annotate`, with its parameters.

    Returns
    -------
    None, or the copy. Written are ``obs["{key}_state"]``, ``…_prob``, ``…_status``, ``{key}_programs``,
    ``{key}_mixed_lineage``, ``{key}_dual_m1_m2``, ``obsm["{key}_state_proba"]``, the tables of scores, and
    provenance.

    Raises
    ------
    TamannotError
        As `annotate`.
    """
    asked = AnnotateSettings(
        layer=layer,
        gene_symbols=gene_symbols,
        species=species,
        compartment_key=compartment_key,
        recorded=(*_OF_DATA, "compartment_key"),
    )
    return annotate_in_memory(adata, None, asked, steps=("state",), key_added=key_added, copy=copy)


@takes_scanpy_words(UseRaw)
def ferroptosis(
    adata: AnnData,
    *,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    key_added: str = "tam",
    copy: bool = False,
    **_words: Unpack[UseRaw],
) -> AnnData | None:
    """Score the sixteen ferroptosis programs and their summaries: a step of `annotate`.

    They measure how a cell handles iron, glutathione and lipid peroxides, not whether it dies. Most rest
    on few detected genes: read them as summaries of samples and labels; ``uns["tamannot"]["{key}"]
    ["ferroptosis"]`` says in which share of cells a program has too little signal.

    What the sign of a summary means: drive, defence and balance are capacity. In 19 experiments where cells did
    undergo ferroptosis drive rose in 13, defence rose in 15 and balance fell in 15, so that a negative balance may be a
    cell that undergoes it. What rises there is the set ``ferroptosis_response``, for `score`.

    Returns
    -------
    None, or the copy. Written are ``obsm["{key}_ferroptosis"]`` (z), ``obs["{key}_ferroptosis_drive"]``,
    ``…_defence``, ``…_balance`` (z), the tables of scores, and provenance.

    Raises
    ------
    TamannotError
        As `annotate`.
    """
    asked = AnnotateSettings(layer=layer, gene_symbols=gene_symbols, species=species, recorded=_OF_DATA)
    return annotate_in_memory(adata, None, asked, steps=("ferroptosis",), key_added=key_added, copy=copy)
