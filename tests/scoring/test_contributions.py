from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import rankdata

from tamannot.scoring import SignedGenes, UCell, depths_by_method, make_plan, null_bins, null_contributions, score_rows
from tamannot.scoring._rows import CsrRows
from tamannot.signature import Gene, Signature, SignatureSet

N_GENES = 900


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    counts = rng.poisson(rng.gamma(0.4, 2.0, N_GENES), (30, N_GENES)).astype(np.float32)
    counts[0] = 0  # an empty cell
    return CsrRows(sp.csr_matrix(counts))


@pytest.fixture(scope="module")
def null(rows):
    return null_bins(depths_by_method(rows, [UCell()], threads=1)[0])


@pytest.fixture(scope="module")
def signed():
    rng = np.random.default_rng(5)
    columns = rng.permutation(N_GENES)[:40]
    weights = np.where(np.arange(40) < 30, rng.choice([0.5, 1.0, 2.0], 40), -1.0)
    return SignedGenes(columns, weights)


def test_contributions_sum_to_z(rows, null, signed):
    genes = tuple(
        Gene(symbol=f"g{c}", weight=abs(w), direction="up" if w > 0 else "down")
        for c, w in zip(signed.columns, signed.weights, strict=True)
    )
    plan = make_plan(SignatureSet([Signature(id="s", genes=genes)]), lambda symbol, _: int(symbol[1:]), N_GENES)
    z = score_rows(rows, plan, UCell(), null=null, threads=1).column("z", "s")
    found = null_contributions(rows.block(0, 30), N_GENES, UCell(), [signed], null)[0]
    np.testing.assert_allclose(found.sum(axis=1), z, rtol=1e-5, atol=1e-6)
    assert not found[0].any()


def test_a_gene_is_held_against_the_mean_depth_of_its_bin(rows, null):
    """The first bin is large enough for one gene, so that no other is merged with it."""
    cell = 4
    row = rows.block(cell, cell + 1)
    values = np.zeros(N_GENES)
    values[row.indices] = row.values
    depth = np.maximum(N_GENES - rankdata(-values), 0)
    column = int(np.flatnonzero(null.bin_of == 0)[0])
    mine = depth[null.bin_of == 0]
    assert mine.size >= 12
    expected = (depth[column] - mine.mean()) / mine.std()
    parts = [SignedGenes(np.array([column]), np.array([1.0]))]
    found = null_contributions(row, N_GENES, UCell(), parts, null)[0]
    np.testing.assert_allclose(found, [[expected]], rtol=1e-9)


def test_signatures_do_not_touch_each_other(rows, null, signed):
    other = SignedGenes(signed.columns[:7][::-1].copy(), np.ones(7))
    block = rows.block(0, 30)
    together = null_contributions(block, N_GENES, UCell(), [signed, other], null)
    for part, both in zip([signed, other], together, strict=True):
        np.testing.assert_array_equal(null_contributions(block, N_GENES, UCell(), [part], null)[0], both)
