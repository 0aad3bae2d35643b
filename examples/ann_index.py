"""An approximate index over the vectors of a model, and what it costs in recall.

    dmran vectors shop.dmran log.csv --items items.npy --users users.npy
    pip install numpy usearch
    python3 examples/ann_index.py items.npy users.npy

With the head `mean` a score is one dot product: a row of users.npy times a row of items.npy, the item's bias among them.
"""
import json
import sys
import time

import numpy as np
from usearch.index import Index

items_file, users_file, k = sys.argv[1], sys.argv[2], 10
items, users = np.load(items_file), np.load(users_file)
ids = json.load(open(items_file + ".ids.json"))

# The exact answer, in blocks of users.
started = time.perf_counter()
exact = np.empty((len(users), k), dtype=np.int64)
for at in range(0, len(users), 1024):
    scores = users[at : at + 1024] @ items.T
    best = np.argpartition(-scores, k, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
    exact[at : at + 1024] = np.take_along_axis(best, order, axis=1)
print(f"exact: {time.perf_counter() - started:.2f} s for {len(users)} users and {len(items)} items")

# Largest dot product as smallest angle: one more number makes all items equally long (users get a 0 there), so that an index
# over cosines is one over dot products. Indices by "inner product" need no such thing, but find less where lengths differ.
lengths = np.linalg.norm(items, axis=1)
rest = np.sqrt(np.maximum(lengths.max() ** 2 - lengths**2, 0))
longer = np.hstack([items, rest[:, None]]).astype(np.float32)
asked = np.hstack([users, np.zeros((len(users), 1))]).astype(np.float32)

index = Index(ndim=longer.shape[1], metric="cos", dtype="f32")
started = time.perf_counter()
index.add(np.arange(len(longer), dtype=np.uint64), longer)
print(f"index: {time.perf_counter() - started:.2f} s to build")
for width in (16, 64, 256):
    index.expansion_search = width
    started = time.perf_counter()
    found = index.search(asked, k).keys
    seconds = time.perf_counter() - started
    recall = np.mean([len(set(a) & set(b)) for a, b in zip(exact.tolist(), found.tolist())]) / k
    print(f"expansion {width:4}: {seconds:.2f} s, recall@{k} {recall:.4f}")
print("the first user's best:", [ids[item] for item in exact[0][:5]])
