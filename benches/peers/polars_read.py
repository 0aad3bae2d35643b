"""polars reading the columns of a log that `dmran` reads: names as categories, events sorted by user and time.

    POLARS_MAX_THREADS=1 python benches/peers/polars_read.py log.csv

Prints the elapsed seconds, the CPU seconds and the most memory that was resident.
"""
import resource
import sys
import time

import polars as pl

file = sys.argv[1]
started = time.perf_counter()
names = ["user", "item"] + (["category"] if "category" in file else [])
if file.endswith(".parquet"):
    log = pl.scan_parquet(file)
elif ".jsonl" in file:
    log = pl.scan_ndjson(file)
else:
    log = pl.scan_csv(file)
log = log.select(names + ["timestamp"]).with_columns(pl.col(names).cast(pl.Categorical))
log = log.collect().sort("user", "timestamp", maintain_order=True)
used = resource.getrusage(resource.RUSAGE_SELF)
print(
    f"{file}: {len(log)} rows, {log['user'].n_unique()} users; {time.perf_counter() - started:.2f} s, "
    f"CPU {used.ru_utime + used.ru_stime:.2f} s, {used.ru_maxrss // 1024} MiB"
)
