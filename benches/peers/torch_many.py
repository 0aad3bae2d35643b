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
from dmran_torch import DMRAN, make_batch  # noqa: E402

BATCH, N, NEGATIVES, CATEGORIES = 256, 50, 1024, 250
everyday, sampled = mode == "everyday", mode == "sampled-softmax"


def users(model, batch):
    hist, buckets, mask = batch
    v = model.items(hist)
    if everyday:
        v = F.dropout(v, 0.4)
        h = model.embed(v, model.T(buckets))
        _, m = model.ila(h, mask)
        last = h[torch.arange(BATCH), mask.sum(1) - 1]
        m = torch.cat([m, last.unsqueeze(1)], 1)
        mhat = model.post_block(m, model.flsa(m))
    else:
        _, m, mhat = model.encode(v, model.T(buckets), mask)
    h, hh = m.mean(1), mhat.mean(1)
    gate = torch.sigmoid(model.Wf1(h) + model.Wf2(hh))
    u = gate * h + (1 - gate) * hh
    return u + model.Wr(mhat.flatten(1)) if everyday else u


def loss_of(model, batch, target):
    u = users(model, batch)
    if sampled:
        shared = torch.randint(model.V.num_embeddings, (NEGATIVES,))
        own = (u * model.items(target)).sum(-1) + model.bias(target).squeeze(-1)
        logits = u @ model.items(shared).T + model.bias(shared).squeeze(-1)
        logits = logits.masked_fill(shared == target.unsqueeze(1), -1e30)
        return F.cross_entropy(torch.cat([own.unsqueeze(1), logits], 1), torch.zeros_like(target))
    items = model.V.weight
    if everyday:
        items = torch.cat([items, model.C.weight[model.cat_of]], 1)
    return F.cross_entropy(u @ items.T + model.bias.weight.squeeze(-1), target)


for items in sizes:
    torch.manual_seed(0)
    hops = 5 if everyday else 10
    model = DMRAN(items, d=128, r=hops, n_cats=CATEGORIES if everyday else 0, post=True, d_ff=32, sparse=sampled)
    if everyday:
        model.Wr = torch.nn.Linear(128 * (hops + 1), 128, bias=False)
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
