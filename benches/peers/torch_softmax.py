"""PyTorch's softmax loss over a whole catalogue, forward + backward: median milliseconds and GFLOP/s of three products.

Usage: python torch_softmax.py THREADS ROWS WIDTH ITEMS...
"""
import sys
import time

import torch

threads, rows, width, *sizes = map(int, sys.argv[1:])
torch.set_num_threads(threads)
torch.set_num_interop_threads(1)
torch.manual_seed(0)
for items in sizes:
    h = (torch.randn(rows, width) * 0.17).requires_grad_()
    w = (torch.randn(items, width) * 0.17).requires_grad_()
    b = (torch.randn(items) * 0.1).requires_grad_()
    target = torch.randint(items, (rows,))

    def step():
        h.grad = w.grad = b.grad = None
        torch.nn.functional.cross_entropy(h @ w.T + b, target).backward()

    step()
    times, end = [], time.perf_counter() + 3
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    seconds = sorted(times)[len(times) // 2]
    print(f"{items} items: {seconds * 1e3:.1f} ms, {6 * rows * width * items / seconds / 1e9:.0f} GFLOP/s")
