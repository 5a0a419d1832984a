"""Cholesky factors of sparse matrices of one pattern: analysed once, factored for any values.

``P A P' = L L'`` of a symmetric positive definite matrix A (n, n). The order P keeps L sparse: an
approximate minimum degree order (Amestoy, Davis and Duff 1996, SIAM J. Matrix Anal. Appl. 17(4)).
Columns of L that have the same rows are stored together, as a dense panel (a supernode), so that
the work is products of small dense matrices (Ng and Peyton 1993, SIAM J. Sci. Comput. 14(5)).
The kernels release the interpreter's lock: factorisations run in threads beside each other.
"""

from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np
from scipy import sparse

from causalbias.inference.problem import FloatArray, IntArray

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
# Sums may be taken in any order, so that they are vectorised; the order does not change from run to
# run.
_summing = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})

# Neighbouring panels are merged where that adds at most this share of zeros, or this many.
_ZEROS_SHARE, _ZEROS = 0.2, 16
# Columns of a panel at most, so that most work is between panels: products of matrices, which
# above some size are BLAS's.
_WIDEST = 64
_PRODUCT = 16_000  # multiplications of a product for which a call is worth it
_MAX_BYTES = 2 * 2**30  # of one factor


@dataclass(frozen=True)
class Analysis:
    """The pattern of a factor, and where the entries of the matrix go in it.

    Attributes
    ----------
    order : ndarray (n,)
        ``P``: row i of the factored matrix is row ``order[i]`` of A.
    first : ndarray (panels + 1,)
        First column of each panel.
    row_start : ndarray (panels + 1,)
        Where the rows of each panel begin in `rows`.
    rows : ndarray
        Rows of each panel, ascending; its own columns come first.
    value_start : ndarray (panels + 1,)
        Where each panel (rows x columns, row by row) begins in the factor's values.
    panel_of : ndarray (n,)
        Panel of each column.
    target : ndarray (nnz,)
        Place in the factor's values of each entry given to `analyse`.
    """

    order: IntArray
    first: IntArray
    row_start: IntArray
    rows: IntArray
    value_start: IntArray
    panel_of: IntArray
    target: IntArray

    @property
    def n(self) -> int:
        """Number of rows of the matrix."""
        return len(self.order)

    @property
    def size(self) -> int:
        """Number of values of a factor, zeros in its panels included."""
        return int(self.value_start[-1])

    @cached_property
    def flops(self) -> float:
        """Multiplications of one factorisation: half the sum of squared lengths of columns."""
        height = np.repeat(np.diff(self.row_start), np.diff(self.first))
        own = np.arange(self.n) - np.repeat(self.first[:-1], np.diff(self.first))
        return float(0.5 * np.square((height - own).astype(float)).sum())


def analyse(
    rows: IntArray, columns: IntArray, n: int, *, most_flops: float = np.inf
) -> Analysis | None:
    """Order a symmetric pattern and lay out its factor.

    Parameters
    ----------
    rows, columns : ndarray (nnz,)
        Places of the entries of one triangle, the diagonal included, each once.
    n : int
    most_flops : float
        Multiplications of a factorisation above which there is no use in one.

    Returns
    -------
    Analysis or None
        None where a factorisation takes more than `most_flops`, or a factor more than 2 GiB:
        found out while the order is made, before anything is laid out.

    Examples
    --------
    >>> found = analyse(np.array([0, 1, 2, 1, 2]), np.array([0, 1, 2, 0, 0]), 3)
    >>> found.n, found.size
    (3, 9)
    """
    half = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), (n, n))
    pattern = sparse.csr_matrix(half + half.T)
    pattern.setdiag(0)
    pattern.eliminate_zeros()
    starts, others = pattern.indptr.astype(np.int64), pattern.indices.astype(np.int64)
    order = _minimum_degree(starts, others, _MAX_BYTES / 8, most_flops)
    if len(order) < n:
        return None
    order = order[_postorder(_elimination_tree(starts, others, order))]
    parent = _elimination_tree(starts, others, order)
    counts = _column_counts(starts, others, order, parent)
    first = _panels(parent, counts)
    row_start, panel_rows = _panel_rows(starts, others, order, parent, counts, first)
    widths = np.diff(first)
    value_start = np.concatenate([[0], np.cumsum(np.diff(row_start) * widths)]).astype(np.int64)
    panel_of = np.repeat(np.arange(len(widths)), widths).astype(np.int64)
    place = np.empty(n, np.int64)
    place[order] = np.arange(n)
    low, high = np.maximum(place[rows], place[columns]), np.minimum(place[rows], place[columns])
    target = _targets(low, high, first, row_start, panel_rows, value_start, panel_of)
    return Analysis(order, first, row_start, panel_rows, value_start, panel_of, target)


def factor(analysis: Analysis, entries: FloatArray) -> tuple[FloatArray, float]:
    """Factor a matrix whose entries (nnz,) are as those given to `analyse`.

    Returns
    -------
    values : ndarray (size,)
        Of L, panel by panel.
    log_det : float
        Log determinant of the matrix; NaN if it is not positive definite.

    Examples
    --------
    >>> found = analyse(np.array([0, 1, 1]), np.array([0, 0, 1]), 2)
    >>> values, log_det = factor(found, np.array([4.0, 2.0, 3.0]))
    >>> round(float(np.exp(log_det)), 12)  # 4 * 3 - 2 * 2
    8.0
    """
    values = np.zeros(analysis.size)
    values[analysis.target] = entries
    return values, _factor(
        values,
        analysis.first,
        analysis.row_start,
        analysis.rows,
        analysis.value_start,
        analysis.panel_of,
    )


def solve_lower(analysis: Analysis, values: FloatArray, right: FloatArray) -> FloatArray:
    """Solve ``L x = P b`` for the columns of b (n, m); x is in the factor's order."""
    x = np.ascontiguousarray(right[analysis.order])
    _solve_lower(values, x, analysis.first, analysis.row_start, analysis.rows, analysis.value_start)
    return x


def solve_upper(analysis: Analysis, values: FloatArray, right: FloatArray) -> FloatArray:
    """Solve ``L' P x = b`` for the columns of b (n, m), given in the factor's order."""
    white = np.ascontiguousarray(right).copy()
    _solve_upper(
        values, white, analysis.first, analysis.row_start, analysis.rows, analysis.value_start
    )
    x = np.empty_like(white)
    x[analysis.order] = white
    return x


@_compiled
def _minimum_degree(
    starts: IntArray, others: IntArray, most_values: float, most_flops: float
) -> IntArray:
    """Approximate minimum degree order of a graph (n,), by the quotient graph.

    Shorter than n where the factor would have more values, or take more multiplications, than
    allowed: the column of p has an entry for p and for each variable in L_p.

    Eliminating a variable p makes it an element, the clique L_p of its neighbours. A variable i has
    a list of elements E_i and of variables A_i; the bound on its degree is
    ``|A_i| + |L_p - i| + sum over e in E_i - p of |L_e - L_p|``.
    """
    n = len(starts) - 1
    lists = np.empty(2 * len(others) + 4 * n + 64, np.int64)
    lists[: len(others)] = others
    at, length = starts[:-1].copy(), starts[1:] - starts[:-1]
    free = len(others)
    n_elements = np.zeros(n, np.int64)
    state = np.zeros(n, np.int8)  # 0: a variable, 1: an element, 2: absorbed by an element
    degree = length.copy()
    head, after, before = np.full(n + 1, -1), np.full(n, -1), np.full(n, -1)
    for i in range(n):
        _push(i, degree[i], head, after, before)
    mark, seen, outside = np.full(n, -1), np.full(n, -1), np.zeros(n, np.int64)
    order, kept = np.empty(n, np.int64), np.empty(n, np.int64)
    least, made, flops = 0, 0.0, 0.0
    for k in range(n):
        while head[least] < 0:
            least += 1
        p = head[least]
        _pop(p, degree[p], head, after, before)
        order[k] = p
        need = length[p]
        for t in range(at[p], at[p] + n_elements[p]):
            need += length[lists[t]]
        if free + need > len(lists):
            lists, free = _compacted(lists, at, length, state, need)
        begin = free
        free = _make_element(p, k, lists, free, at, length, n_elements, state, mark)
        made += free - begin + 1
        flops += 0.5 * (free - begin + 1) ** 2
        if made > most_values or flops > most_flops:
            return order[:k]
        _count_outside(k, lists[begin:free], lists, at, length, n_elements, state, seen, outside)
        for t in range(begin, free):
            i = lists[t]
            _pop(i, degree[i], head, after, before)
            bound = _update_lists(
                i, p, k, lists, at, length, n_elements, state, mark, outside, kept
            )
            degree[i] = min(n - k - 2, degree[i] + length[p] - 1, bound)
            _push(i, degree[i], head, after, before)
            least = min(least, degree[i])
    return order


@_compiled
def _make_element(  # type: ignore[no-untyped-def]
    p, k, lists, free, at, length, n_elements, state, mark
):
    """Write L_p, the variables in A_p and in the elements of E_p, from `free` on; its end.

    The elements of E_p are absorbed. `mark` is k of p and of the variables in L_p.
    """
    begin = free
    mark[p] = k
    for t in range(at[p] + n_elements[p], at[p] + length[p]):
        i = lists[t]
        if state[i] == 0 and mark[i] != k:
            mark[i] = k
            lists[free] = i
            free += 1
    for t in range(at[p], at[p] + n_elements[p]):
        e = lists[t]
        if state[e] != 1:
            continue
        for s in range(at[e], at[e] + length[e]):
            i = lists[s]
            if mark[i] != k:
                mark[i] = k
                lists[free] = i
                free += 1
        state[e] = 2
    at[p], length[p], n_elements[p], state[p] = begin, free - begin, 0, 1
    return free


@_compiled
def _count_outside(  # type: ignore[no-untyped-def]
    k, element, lists, at, length, n_elements, state, seen, outside
):
    """``|L_e - L_p|`` in `outside`, of each element e of a variable in L_p."""
    for i in element:
        for s in range(at[i], at[i] + n_elements[i]):
            e = lists[s]
            if state[e] == 1:
                if seen[e] != k:
                    seen[e], outside[e] = k, length[e]
                outside[e] -= 1


@_compiled
def _update_lists(  # type: ignore[no-untyped-def]
    i, p, k, lists, at, length, n_elements, state, mark, outside, kept
):
    """Put p in E_i, and take from A_i and E_i what p stands for; the bound on i's degree."""
    bound, to, n_kept = length[p] - 1, at[i], 0
    for s in range(at[i] + n_elements[i], at[i] + length[i]):
        j = lists[s]
        if state[j] == 0 and mark[j] != k:
            kept[n_kept] = j
            n_kept += 1
    for s in range(at[i], at[i] + n_elements[i]):
        e = lists[s]
        if state[e] == 1:
            if outside[e] == 0:  # all of it is in the new element
                state[e] = 2
                continue
            lists[to] = e
            to += 1
            bound += outside[e]
    lists[to] = p
    n_elements[i] = to + 1 - at[i]
    lists[to + 1 : to + 1 + n_kept] = kept[:n_kept]
    length[i] = n_elements[i] + n_kept
    return bound + n_kept


@_compiled
def _push(i: int, degree: int, head: IntArray, after: IntArray, before: IntArray) -> None:
    """Put a variable first among those of its degree."""
    after[i], before[i] = head[degree], -1
    if head[degree] >= 0:
        before[head[degree]] = i
    head[degree] = i


@_compiled
def _pop(i: int, degree: int, head: IntArray, after: IntArray, before: IntArray) -> None:
    """Take a variable from those of its degree."""
    if before[i] >= 0:
        after[before[i]] = after[i]
    else:
        head[degree] = after[i]
    if after[i] >= 0:
        before[after[i]] = before[i]


@_compiled
def _compacted(lists, at, length, state, need):  # type: ignore[no-untyped-def]
    """Lists of variables and elements without gaps, with room for more; `at` is changed."""
    live = 0
    for i in range(len(at)):
        if state[i] != 2:
            live += length[i]
    found, free = np.empty(max(len(lists), 2 * live + 2 * need), np.int64), 0
    for i in range(len(at)):
        if state[i] != 2:
            found[free : free + length[i]] = lists[at[i] : at[i] + length[i]]
            at[i] = free
            free += length[i]
    return found, free


@_compiled
def _elimination_tree(starts: IntArray, others: IntArray, order: IntArray) -> IntArray:
    """Parent of each column (n,), -1 of roots: the first row of L below its diagonal (Liu 1990)."""
    n = len(order)
    place = np.empty(n, np.int64)
    place[order] = np.arange(n)
    parent, ancestor = np.full(n, -1), np.full(n, -1)
    for k in range(n):
        for t in range(starts[order[k]], starts[order[k] + 1]):
            i = place[others[t]]
            while i != -1 and i < k:
                following = ancestor[i]
                ancestor[i] = k
                if following == -1:
                    parent[i] = k
                i = following
    return parent


@_compiled
def _postorder(parent: IntArray) -> IntArray:
    """Columns (n,) with all descendants of a column just before it."""
    n = len(parent)
    child, sibling = np.full(n, -1), np.full(n, -1)
    for j in range(n - 1, -1, -1):
        if parent[j] >= 0:
            sibling[j] = child[parent[j]]
            child[parent[j]] = j
    order, stack, count = np.empty(n, np.int64), np.empty(n, np.int64), 0
    for root in range(n):
        if parent[root] >= 0:
            continue
        stack[0], top = root, 0
        while top >= 0:
            j = stack[top]
            below = child[j]
            if below < 0:
                order[count] = j
                count += 1
                top -= 1
            else:
                child[j] = sibling[below]
                top += 1
                stack[top] = below
    return order


@_compiled
def _column_counts(
    starts: IntArray, others: IntArray, order: IntArray, parent: IntArray
) -> IntArray:
    """Entries of each column of L (n,), the diagonal included."""
    n = len(order)
    place, mark, counts = np.empty(n, np.int64), np.full(n, -1), np.ones(n, np.int64)
    place[order] = np.arange(n)
    for k in range(n):
        mark[k] = k
        for t in range(starts[order[k]], starts[order[k] + 1]):
            j = place[others[t]]
            while j < k and mark[j] != k:
                mark[j] = k
                counts[j] += 1
                j = parent[j]
    return counts


@_compiled
def _panels(parent: IntArray, counts: IntArray) -> IntArray:
    """First columns of panels (panels + 1,): columns with the same rows, or nearly so."""
    n = len(parent)
    first = np.empty(n + 1, np.int64)
    first[0], made, zeros = 0, 1, 0
    full = counts[0] if n else 0  # entries of the panel that are in the pattern
    for j in range(1, n):
        begin = first[made - 1]
        width = j - begin
        whole = 0
        if parent[j - 1] == j:
            whole = width * counts[j] + width * (width + 1) // 2 + counts[j]
            zeros = whole - full - counts[j]
        if (
            parent[j - 1] == j
            and width < _WIDEST
            and (zeros <= _ZEROS_SHARE * whole or zeros <= _ZEROS)
        ):
            full += counts[j]
        else:
            first[made] = j
            made += 1
            full = counts[j]
    first[made] = n
    return first[: made + 1].copy() if n else first[:1].copy()


@_compiled
def _panel_rows(starts, others, order, parent, counts, first):  # type: ignore[no-untyped-def]
    """Rows of each panel: its own columns, and those of its last column, which has all others."""
    n, panels = len(order), len(first) - 1
    row_start = np.zeros(panels + 1, np.int64)
    panel_ending = np.full(n, -1)
    for s in range(panels):
        last = first[s + 1] - 1
        panel_ending[last] = s
        row_start[s + 1] = row_start[s] + first[s + 1] - first[s] + counts[last] - 1
    rows, to = np.empty(row_start[-1], np.int64), row_start[:-1].copy()
    place, mark = np.empty(n, np.int64), np.full(n, -1)
    place[order] = np.arange(n)
    for s in range(panels):
        for j in range(first[s], first[s + 1]):
            rows[to[s]] = j
            to[s] += 1
    for k in range(n):
        mark[k] = k
        for t in range(starts[order[k]], starts[order[k] + 1]):
            j = place[others[t]]
            while j < k and mark[j] != k:
                mark[j] = k
                s = panel_ending[j]
                if s >= 0:
                    rows[to[s]] = k
                    to[s] += 1
                j = parent[j]
    return row_start, rows


@_compiled
def _targets(
    low: IntArray,
    high: IntArray,
    first: IntArray,
    row_start: IntArray,
    rows: IntArray,
    value_start: IntArray,
    panel_of: IntArray,
) -> IntArray:
    """Places in the factor's values of entries in row `low` and column `high` of its triangle."""
    found = np.empty(len(low), np.int64)
    for t in range(len(low)):
        s = panel_of[high[t]]
        start, end = row_start[s], row_start[s + 1]
        row = start + np.searchsorted(rows[start:end], low[t]) - start
        width = first[s + 1] - first[s]
        found[t] = value_start[s] + row * width + high[t] - first[s]
    return found


@_summing
def _factor(
    values: FloatArray,
    first: IntArray,
    row_start: IntArray,
    rows: IntArray,
    value_start: IntArray,
    panel_of: IntArray,
) -> float:
    """Factor panel by panel in place, looking left; the log determinant, NaN if there is none.

    Of panel J, with columns j and rows i: ``A_ij - sum over earlier panels K of L_iK L_jK'``, then
    ``L_jj L_jj'`` of the rows that are its columns and ``L_ij = (...) / L_jj'`` of those below.
    """
    panels = len(first) - 1
    waiting, following = np.full(panels, -1), np.full(panels, -1)  # panels by the one they reach
    reached = row_start[:-1].copy()
    position = np.zeros(len(panel_of), np.int64)
    log_det = 0.0
    for s in range(panels):
        width, height = first[s + 1] - first[s], row_start[s + 1] - row_start[s]
        panel = values[value_start[s] : value_start[s + 1]].reshape(height, width)
        for r in range(height):
            position[rows[row_start[s] + r]] = r
        earlier = waiting[s]
        while earlier >= 0:
            then = following[earlier]
            start, end = reached[earlier], row_start[earlier + 1]
            stop = start
            while stop < end and rows[stop] < first[s + 1]:
                stop += 1
            wide = first[earlier + 1] - first[earlier]
            source = values[value_start[earlier] : value_start[earlier + 1]].reshape(-1, wide)
            skip = start - row_start[earlier]
            _subtract(panel, source, rows, start, stop, end, skip, position, first[s])
            reached[earlier] = stop
            if stop < end:
                reaches = panel_of[rows[stop]]
                following[earlier], waiting[reaches] = waiting[reaches], earlier
            earlier = then
        for r in range(height):
            for c in range(min(r + 1, width)):
                total = panel[r, c]
                for m in range(c):
                    total -= panel[r, m] * panel[c, m]
                if r > c:
                    panel[r, c] = total / panel[c, c]
                elif total > 0.0:
                    panel[c, c] = np.sqrt(total)
                    log_det += np.log(total)
                else:
                    return np.nan
        reached[s] = row_start[s] + width
        if width < height:
            reaches = panel_of[rows[row_start[s] + width]]
            following[s], waiting[reaches] = waiting[reaches], s
    return log_det


@_summing
def _subtract(
    panel: FloatArray,
    source: FloatArray,
    rows: IntArray,
    start: int,
    stop: int,
    end: int,
    skip: int,
    position: IntArray,
    column: int,
) -> None:
    """Take ``L_iK L_jK'`` of an earlier panel from its rows i in a panel with columns j.

    Rows ``start`` to ``stop`` of the earlier panel are the columns, and those to ``end`` the rows.
    """
    width, high, wide = source.shape[1], end - start, stop - start
    if width * high * wide > _PRODUCT:
        below = source[skip : skip + high]
        product = np.dot(below, below[:wide].T)
        for r in range(high):
            into = panel[position[rows[start + r]]]
            for c in range(min(r + 1, wide)):
                into[rows[start + c] - column] -= product[r, c]
        return
    for c in range(wide):
        j = rows[start + c] - column
        for r in range(c, high):
            total = 0.0
            for m in range(width):
                total += source[skip + r, m] * source[skip + c, m]
            panel[position[rows[start + r]], j] -= total


@_compiled
def _solve_lower(
    values: FloatArray,
    x: FloatArray,
    first: IntArray,
    row_start: IntArray,
    rows: IntArray,
    value_start: IntArray,
) -> None:
    """Solve ``L x = b`` in place, for the columns of b (n, m)."""
    for s in range(len(first) - 1):
        width, height = first[s + 1] - first[s], row_start[s + 1] - row_start[s]
        panel = values[value_start[s] : value_start[s + 1]].reshape(height, width)
        for r in range(height):
            into = x[rows[row_start[s] + r]]
            for c in range(min(r, width)):
                source, times = x[first[s] + c], panel[r, c]
                for m in range(x.shape[1]):
                    into[m] -= times * source[m]
            if r < width:
                for m in range(x.shape[1]):
                    into[m] /= panel[r, r]


@_compiled
def _solve_upper(
    values: FloatArray,
    x: FloatArray,
    first: IntArray,
    row_start: IntArray,
    rows: IntArray,
    value_start: IntArray,
) -> None:
    """Solve ``L' x = b`` in place, for the columns of b (n, m)."""
    for s in range(len(first) - 2, -1, -1):
        width, height = first[s + 1] - first[s], row_start[s + 1] - row_start[s]
        panel = values[value_start[s] : value_start[s + 1]].reshape(height, width)
        for r in range(height - 1, -1, -1):
            source = x[rows[row_start[s] + r]]
            if r < width:
                for m in range(x.shape[1]):
                    source[m] /= panel[r, r]
            for c in range(min(r, width)):
                into, times = x[first[s] + c], panel[r, c]
                for m in range(x.shape[1]):
                    into[m] -= times * source[m]
