"""Training steps of the PyTorch DMRAN against many items: median milliseconds and samples/s (eager).

Usage: python torch_many.py THREADS softmax|sampled-softmax|everyday ITEMS...

256 histories of mean 8, padded to 50; d 128, the block of layer norms and a feed forward part, Adam. `softmax` compares
with all items (head `mean`, r 10), `sampled-softmax` with 1,024 shared ones (sparse gradients, SparseAdam); `everyday` is the
preset: `softmax` with r 5, the last event's row, the head `rows`, categories and dropout.
"""
import sys
import time

import torch
import torch.nn.functional as F

threads, mode, sizes = int(sys.argv[1]), sys.argv[2], [int(n) for n in sys.argv[3:]]
torch.set_num_threads(threads)
torch.set_num_interop_threads(1)
from dmran_everyday import everyday as everyday_model, gated, items_of, users as everyday_users  # noqa: E402
from dmran_torch import DMRAN, make_batch  # noqa: E402

BATCH, N, NEGATIVES = 256, 50, 1024
everyday, sampled = mode == "everyday", mode == "sampled-softmax"


def users(model, batch):
    hist, buckets, mask = batch
    if everyday:
        return everyday_users(model, hist, buckets, mask, dropout=0.4)
    _, m, mhat = model.encode(model.items(hist), model.T(buckets), mask)
    return gated(model, m, mhat)


def loss_of(model, batch, target):
    u = users(model, batch)
    if sampled:
        shared = torch.randint(model.V.num_embeddings, (NEGATIVES,))
        own = (u * model.items(target)).sum(-1) + model.bias(target).squeeze(-1)
        logits = u @ model.items(shared).T + model.bias(shared).squeeze(-1)
        logits = logits.masked_fill(shared == target.unsqueeze(1), -1e30)
        return F.cross_entropy(torch.cat([own.unsqueeze(1), logits], 1), torch.zeros_like(target))
    items = items_of(model) if everyday else model.V.weight
    return F.cross_entropy(u @ items.T + model.bias.weight.squeeze(-1), target)


for items in sizes:
    torch.manual_seed(0)
    model = everyday_model(items, sparse=False) if everyday else DMRAN(items, d=128, r=10, post=True, d_ff=32, sparse=sampled)
    tables = [p for k, p in model.named_parameters() if k in ("V.weight", "C.weight", "bias.weight")]
    if sampled:
        optimizers = [torch.optim.SparseAdam(tables, lr=1e-5), torch.optim.Adam(model.dense_weights(), lr=1e-5)]
    else:
        optimizers = [torch.optim.Adam(model.parameters(), lr=1e-5)]
    batches = []
    for seed in range(4):
        lengths = (1 + torch.distributions.Exponential(1 / 7.0).sample((BATCH,)).long()).clamp(1, N)
        batches.append((make_batch(BATCH, N, items, lengths=lengths, seed=seed)[:3], torch.randint(items, (BATCH,))))

    def step(batch, target):
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss_of(model, batch, target).backward()
        for optimizer in optimizers:
            optimizer.step()

    for batch in batches[:2]:
        step(*batch)
    times, end = [], time.perf_counter() + 3
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        step(*batches[len(times) % 4])
        times.append(time.perf_counter() - start)
    seconds = sorted(times)[len(times) // 2]
    print(f"{mode} {items} items, {threads} threads: {seconds * 1e3:.1f} ms, {BATCH / seconds:.0f} samples/s", flush=True)
