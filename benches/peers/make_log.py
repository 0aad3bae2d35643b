"""A log of invented events, in the order of their times, for measuring how fast logs are read.

    python benches/peers/make_log.py ROWS log.csv log.jsonl log.parquet

Columns user, item, rating, timestamp (seconds), and category with the name `category` in the file's (`category.csv`). Users
and items are drawn with long tails (twenty rows a user, a hundred an item on average); a row of CSV has 35 bytes.
Needs polars and numpy.
"""
import sys

import numpy as np
import polars as pl

rows, files = int(sys.argv[1]), sys.argv[2:]
CHUNK = 5_000_000
users, items = max(rows // 20, 10), max(rows // 100, 10)
rng = np.random.default_rng(7)
# Names in another order than popularity, so that neither is the file's.
user_names = pl.Series([f"u{n}" for n in rng.permutation(np.arange(10 * users, 10 * users + users))])
item_names = pl.Series([f"item{n}" for n in rng.permutation(np.arange(10 * items, 10 * items + items))])
start, second = 1_500_000_000, 100_000_000 / rows


def drawn(count, names, power):
    """Places with a density that falls with the power of the rank."""
    ranks = (names * rng.random(count) ** power).astype(np.uint32)
    return np.minimum(ranks, names - 1)


def chunk(first, count):
    item = drawn(count, items, 3.0)
    times = start + ((first + np.arange(count)) * second).astype(np.int64) + rng.integers(0, 600, count)
    return pl.DataFrame({
        "user": user_names.gather(drawn(count, users, 2.0)),
        "item": item_names.gather(item),
        "rating": rng.integers(1, 11, count) / 2,
        "timestamp": times,
        "category": pl.Series([f"c{n}" for n in range(500)]).gather(item % 500),
    })


def write(frame, file, out, first):
    frame = frame if "category" in file else frame.drop("category")
    if file.endswith(".jsonl"):
        frame.write_ndjson(out)
    else:
        frame.write_csv(out, include_header=first)


texts = {file: open(file, "wb") for file in files if not file.endswith(".parquet")}
parts = []
for first in range(0, rows, CHUNK):
    frame = chunk(first, min(CHUNK, rows - first))
    for file, out in texts.items():
        write(frame, file, out, first == 0)
    parts.append(frame if any(file.endswith(".parquet") for file in files) else None)
for file in files:
    if file.endswith(".parquet"):
        frame = pl.concat(parts)
        frame = frame if "category" in file else frame.drop("category")
        frame.write_parquet(file, row_group_size=1_000_000)
