"""Ranking metrics on a given split: what is recommended against what came next."""

from __future__ import annotations

import math

from . import _tables


def pairs(source, user, item):
    """Users and items of a table, as text."""
    if isinstance(source, list):
        raise TypeError("evaluate_split takes a table, not a path")
    if isinstance(source, dict):
        columns = source
    else:
        columns = _dict_of(source)
    for name in (user, item):
        if name not in columns:
            raise KeyError(f"no column {name!r}; the columns are {', '.join(map(repr, columns))}")
    return _tables.ids(columns[user], "users"), _tables.ids(columns[item], "items")


def _dict_of(table):
    if hasattr(table, "to_pydict"):
        return table.to_pydict()
    if hasattr(table, "to_dict"):
        try:
            return table.to_dict(as_series=False)
        except TypeError:
            return table.to_dict(orient="list")
    for name in ("to_arrow_table", "fetch_arrow_table", "arrow"):
        if hasattr(table, name):
            return getattr(table, name)().to_pydict()
    import pyarrow

    return pyarrow.table(table).to_pydict()


def at_k(model, source, k, user, item, filter_viewed):
    """Means over the users of the test table."""
    if k < 1:
        raise ValueError(f"k is {k}; it must be at least 1")
    wanted = {}
    for who, what in zip(*pairs(source, user, item)):
        wanted.setdefault(who, set()).add(what)
    known = {_tables.identity(who, "users") for who in model.users}
    asked = [who for who in wanted if who in known]
    advice = {}
    if asked:
        table = model.recommend(asked, k, filter_viewed=filter_viewed).to_pydict()
        for who, what in zip(table["user"], table["item"]):
            advice.setdefault(_tables.identity(who, "users"), []).append(_tables.identity(what, "items"))
    sums = dict.fromkeys(("hr", "recall", "precision", "ndcg", "map", "mrr"), 0.0)
    for who, truth in wanted.items():
        hits = [what in truth for what in advice.get(who, [])]
        if not any(hits):
            continue
        places = [place for place, hit in enumerate(hits, 1) if hit]
        best = min(len(truth), k)
        sums["hr"] += 1
        sums["recall"] += len(places) / len(truth)
        sums["precision"] += len(places) / k
        sums["mrr"] += 1 / places[0]
        sums["map"] += sum(n / place for n, place in enumerate(places, 1)) / best
        ideal = sum(1 / math.log2(place + 1) for place in range(1, best + 1))
        sums["ndcg"] += sum(1 / math.log2(place + 1) for place in places) / ideal
    count = len(wanted)
    return {**{name: total / max(count, 1) for name, total in sums.items()}, "users": count}
