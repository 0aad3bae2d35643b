"""ONNX Runtime on the PyTorch DMRAN: microseconds (p50, p99) of scoring one user of 50 events, one thread.

Usage: python onnx_score.py [vanilla|everyday] [SECONDS a measurement]: the head `vanilla` with r = 10 and nothing else, or the
default preset, whose items' two parts stand in one table as they would for serving. Prints "CANDIDATES P50 P99" lines; all 63,001 items are scored by a
graph of its own that reads the item table in place of a gather.
"""
import sys
import tempfile
import time
from pathlib import Path

import onnxruntime as ort
import torch

from dmran_everyday import everyday, items_of, users
from dmran_torch import DMRAN, make_batch

ITEMS, EVENTS, HOPS = 63001, 50, 10
mode = sys.argv[1] if len(sys.argv) > 1 else "vanilla"
seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0


class WholeCatalogue(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, hist, tb, mask):
        m = self.model
        return m.core(m.V(hist), m.T(tb), mask, m.V.weight.unsqueeze(0), m.bias.weight.view(1, -1))[1]


class Everyday(torch.nn.Module):
    """Scores of some candidates, or of all items where `whole`."""

    def __init__(self, model, whole):
        super().__init__()
        self.model, self.whole = model, whole
        self.register_buffer("table", items_of(model).detach().clone())
        self.register_buffer("added", model.bias.weight.detach().clone().view(-1))

    def forward(self, hist, tb, mask, cand=None):
        u = users(self.model, hist, tb, mask)
        if self.whole:
            return u @ self.table.T + self.added
        return (self.table[cand] @ u.unsqueeze(-1)).squeeze(-1) + self.added[cand]


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(str(path), options)


def percentiles(call):
    for _ in range(5):
        call()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 20:
        start = time.perf_counter()
        call()
        times.append(1e6 * (time.perf_counter() - start))
    times.sort()
    return times[len(times) // 2], times[len(times) * 99 // 100]


torch.set_num_threads(1)
torch.manual_seed(0)
if mode == "everyday":
    model = everyday(ITEMS, sparse=False).eval()
    some_of, whole_of = Everyday(model, False), Everyday(model, True)
else:
    model = DMRAN(ITEMS, d=128, r=HOPS, sparse=False).eval()
    some_of, whole_of = model, WholeCatalogue(model)
hist, tb, mask, _ = make_batch(1, EVENTS, ITEMS)
dim = torch.export.Dim
n = dim("n")
with tempfile.TemporaryDirectory() as folder:
    some, whole = Path(folder, "some.onnx"), Path(folder, "whole.onnx")
    names = ["hist", "tb", "mask"]
    shapes = ({1: n}, {1: n}, {1: n})
    sample = torch.randint(0, ITEMS, (1, 7))
    torch.onnx.export(some_of, (hist, tb, mask, sample), dynamo=True, input_names=[*names, "cand"],
                      output_names=["score"], dynamic_shapes=(*shapes, {1: dim("C")}), verbose=False).save(some)
    torch.onnx.export(whole_of, (hist, tb, mask), dynamo=True, input_names=names,
                      output_names=["score"], dynamic_shapes=shapes, verbose=False).save(whole)
    some, whole = session(some), session(whole)
    user = dict(zip(names, (x.numpy() for x in (hist, tb, mask))))
    for count in (1, 100, 1000, ITEMS):
        candidates = torch.randint(0, ITEMS, (1, count))
        if count == ITEMS:
            def run():
                return whole.run(None, user)
            candidates = torch.arange(ITEMS)[None]
        else:
            inputs = dict(user, cand=candidates.numpy())

            def run():
                return some.run(None, inputs)
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(run()[0]), some_of(hist, tb, mask, candidates), atol=1e-4, rtol=1e-4)
        print(count, *(f"{x:.1f}" for x in percentiles(run)), flush=True)
