"""One label for many cells by their votes: codes and groups, or codes and a graph, to winner and share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from tamannot.stats import Array

# What a cell has in place of the code of a label.
NO_LABEL = -1
ABSENT = -2

# Sums of fractional weights depend on the order of their terms; no two votes are closer than this unless they tie.
_SAME = 1e-9


@dataclass(frozen=True)
class Votes:
    """The outcome for every cell."""

    winner: Array  # code of the label, ``NO_LABEL`` where none won, ``ABSENT`` where the cell is; int64
    share: Array  # share of the leading label among the voters, float32 in [0, 1]; NaN where there was no vote


def vote_in_groups(codes: Array, group: Array, *, min_share: float) -> Votes:
    """Give each cell the label that most cells of its group have.

    ``codes`` is the label of each cell, from 0; ``NO_LABEL`` is a voter without a vote, ``ABSENT`` neither votes nor
    receives. ``group`` is from 0, and -1 for a cell in no group, which receives no label. A winner has at least
    ``min_share`` of the voters, and more votes than any other label.
    """
    groups = int(group.max(initial=-1)) + 1
    cells = np.flatnonzero(group >= 0)
    # One row more than there are groups: a cell in none looks up the last one, in which nobody votes.
    members = sp.csr_array((np.ones(cells.size), (group[cells], cells)), shape=(groups + 1, group.size))
    return vote_among_neighbours(codes, members, min_share=min_share, row=group)


def vote_among_neighbours(codes: Array, weights: sp.csr_array, *, min_share: float, row: Array | None = None) -> Votes:
    """Give each cell the label with the greatest weight among the cells of its row; see `vote_in_groups`.

    ``weights`` are rows × cells: how much the vote of a cell weighs in a row, 0 or more. ``row`` is that of each cell;
    None: each has its own. Shares are of the summed weight of the voters.
    """
    voting, absent = np.flatnonzero(codes >= 0), codes == ABSENT
    n_labels = int(codes.max(initial=0)) + 2  # one more than there are: the second of one label has no votes
    ballots = sp.csr_array((np.ones(voting.size), (voting, codes[voting])), shape=(codes.size, n_labels))
    voters = weights @ (~absent).astype(np.float64)
    votes = (weights @ ballots).toarray()
    second, first = np.partition(votes, -2, axis=1)[:, -2:].T
    clear = (first > 0) & (first - second > _SAME * voters) & (first >= (min_share - _SAME) * voters)
    share = np.minimum(np.divide(first, voters, out=np.full(first.size, np.nan), where=voters > 0), 1.0)
    winner = np.where(clear, votes.argmax(axis=1), NO_LABEL)
    if row is not None:
        winner, share = winner[row], share[row]
    return Votes(np.where(absent, ABSENT, winner), np.where(absent, np.nan, share).astype(np.float32))
