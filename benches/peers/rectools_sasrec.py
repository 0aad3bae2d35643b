"""RecTools' SASRec with a softmax over all items beside the Python package of dmran, on one log: seconds and the top ten.

Usage: python rectools_sasrec.py LOG EPOCHS [THREADS]   (needs "rectools[torch]" and the package dmran)

LOG has columns user, item and timestamp. Each user's last event is held out and asked for; both leave out what a user had.
RecTools learns from all events before it, dmran keeps one more for picking its epoch.
"""
import sys
import time

import numpy as np
import pandas as pd
import torch

log, epochs = sys.argv[1], int(sys.argv[2])
threads = int(sys.argv[3]) if len(sys.argv) > 3 else 2
torch.set_num_threads(threads)

separator = "\t" if ".tsv" in log else ","
events = pd.read_csv(log, sep=separator, dtype={"user": str, "item": str})
events = events.sort_values(["user", "timestamp"], kind="stable").reset_index(drop=True)
last = events.groupby("user").tail(1)
train = events.drop(last.index)
wanted = dict(zip(last.user, last.item))
print(f"{len(wanted)} users, {events.item.nunique()} items, {len(events)} events, {threads} threads", flush=True)


def figures(name, seconds, lists):
    ranks = np.array([items.index(wanted[user]) if wanted[user] in items else -1 for user, items in lists.items()])
    hits, users = ranks[ranks >= 0], len(wanted)
    hr, ndcg = len(hits) / users, (1 / np.log2(hits + 2)).sum() / users
    print(f"{name}: {seconds:.1f} s, HR@10 {hr:.4f}, NDCG@10 {ndcg:.4f}", flush=True)


def lists_of(table, user, item):
    return {name: list(group[item]) for name, group in table.sort_values("rank").groupby(user)}


try:
    import dmran
except ImportError:
    print("dmran is not installed here: `dmran train LOG --seed 1` is the same training")
else:
    start = time.perf_counter()
    model = dmran.DMRAN(threads=threads, seed=1).fit(events[["user", "item", "timestamp"]], progress=False)
    print(f"dmran: fit with the ranking of every epoch {time.perf_counter() - start:.1f} s, {model.report_['test']}", flush=True)

from rectools import Columns  # noqa: E402
from rectools.dataset import Dataset  # noqa: E402
from rectools.models import SASRecModel  # noqa: E402
from pytorch_lightning import Trainer  # noqa: E402


def trainer():
    return Trainer(max_epochs=epochs, accelerator="cpu", enable_progress_bar=False, enable_checkpointing=False, logger=False)


names = {"user": Columns.User, "item": Columns.Item, "timestamp": Columns.Datetime}
frame = train.rename(columns=names).assign(**{Columns.Weight: 1.0})
# RecTools orders by time; events of one moment keep the order of the log.
frame[Columns.Datetime] = pd.to_datetime(frame[Columns.Datetime], unit="s") + pd.to_timedelta(np.arange(len(frame)), unit="us")
dataset = Dataset.construct(frame[[Columns.User, Columns.Item, Columns.Weight, Columns.Datetime]])
torch.manual_seed(1)
sasrec = SASRecModel(
    n_factors=128, n_blocks=2, n_heads=1, session_max_len=50, loss="softmax", lr=1e-3, batch_size=128, dropout_rate=0.4,
    train_min_user_interactions=2, get_trainer_func=trainer, recommend_torch_device="cpu",
)
start = time.perf_counter()
sasrec.fit(dataset)
took = time.perf_counter() - start
best = sasrec.recommend(list(wanted), dataset, k=10, filter_viewed=True)
figures(f"RecTools SASRec, {epochs} epochs", took, lists_of(best, Columns.User, Columns.Item))
