"""Training steps of the PyTorch DMRAN: median samples/s of one shape (eager, or the better of eager and compiled).

Usage: python torch_step.py THREADS B,n,r [eager|best]. `n` may be `real`: histories of mean 8, padded to 50.
"""
import sys
import time

import torch

threads, shape, mode = int(sys.argv[1]), sys.argv[2].split(","), (sys.argv[3:] + ["eager"])[0]
torch.set_num_threads(threads)
torch.set_num_interop_threads(1)
from dmran_torch import DMRAN, make_batch, make_step  # noqa: E402

batch_size, hops = int(shape[0]), int(shape[2])
n, lengths = (50, "real") if shape[1] == "real" else (int(shape[1]), None)
torch.manual_seed(0)
model = DMRAN(63001, d=128, r=hops)
if lengths:
    lengths = (1 + torch.distributions.Exponential(1 / 7.0).sample((batch_size,)).long()).clamp(1, n)
batches = [make_batch(batch_size, n, 63001, lengths=lengths, seed=s) for s in range(4)]


def rate(step, seconds=4.0):
    for batch in batches:
        step(*batch)
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 8:
        batch = batches[len(times) % 4]
        start = time.perf_counter()
        step(*batch)
        times.append(time.perf_counter() - start)
    return batch_size / sorted(times)[len(times) // 2]


best = rate(make_step(model))
if mode == "best":
    try:
        best = max(best, rate(make_step(model, compiled=True)))
    except Exception as error:  # no compiler on this machine, say
        print(f"compiled step failed: {error}", file=sys.stderr)
print(f"{best:.0f}")
