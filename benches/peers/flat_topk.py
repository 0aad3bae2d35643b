"""The ten best of all items by exact dot products: faiss's flat index and implicit's topk on written vectors.

    dmran vectors mean.dmran beauty.tsv.gz --items items.npy --users users.npy
    python benches/peers/flat_topk.py items.npy users.npy THREADS
"""
import os
import sys
import time

items_file, users_file, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = str(threads)

import faiss
import numpy as np
from implicit.cpu.topk import topk

faiss.omp_set_num_threads(threads)
items, users, k = np.load(items_file), np.load(users_file), 10


def best(run, times=3):
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


index = faiss.IndexFlatIP(items.shape[1])
index.add(items)
print(f"faiss {faiss.__version__} IndexFlatIP: {best(lambda: index.search(users, k)):.2f} s")
print(f"implicit topk: {best(lambda: topk(items, users, k, num_threads=threads)):.2f} s")
