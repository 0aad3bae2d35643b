"""Writes what independent PyTorch models give for the baselines: weights, inputs, scores, loss terms, all gradients.

Run it in a Python with torch (CPU) and numpy: `python make_baselines.py`. It writes one file for each
model and case beside itself; `tests/training/models.rs` compares both engines with them.

The models here are padded and masked, in float64, and use PyTorch's own layers where it has them (nn.LSTM over packed
sequences, conv1d, scaled_dot_product_attention, layer_norm), so that they share no code and no layout with the crate's.

Keys of a file (float64 unless noted):
  w/NAME, g/NAME   weights under the crate's names and shapes ([out, in]; tables [rows, width]) and their gradients
  in/history, in/buckets, in/offsets, in/rows, in/candidates, in/users, in/item_category   int64, ragged as in the crate
  out/scores [B, C], out/u [B C, d] (BPR-MF: [B, d]); for SASRec, whose every event is scored, B is the number of events
  loss/rank, loss/l2   the terms before their weights; gradients are those of rank + l2_weight * l2
"""

import os
import sys

import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from tensors import save  # noqa: E402

torch.set_default_dtype(torch.float64)
HERE = os.path.dirname(os.path.abspath(__file__))
WIDTHS = 10
CASES = {
    "plain": dict(seed=1, d=8, heads=2, ff=3, filters=4, buckets=4, time=False, cats=0, lens=[1, 3, 7, 2], C=2),
    "full": dict(seed=2, d=16, heads=4, ff=5, filters=3, buckets=5, time=True, cats=4, lens=[4, 1, 7, 5, 2], C=3),
}
# SASRec's blocks and positions.
CASES["plain"] |= dict(layers=1, cap=9)
CASES["full"] |= dict(layers=3, cap=7)
USERS, ITEMS, EPS, L2_WEIGHT = 6, 11, 1e-8, 0.05


class Weights(dict):
    """Draws a weight when it is first asked for."""

    def __init__(self, generator):
        super().__init__()
        self.generator = generator

    def make(self, name, *shape, scale=0.4, shift=0.0):
        if name not in self:
            w = torch.randn(*shape, generator=self.generator) * scale + shift
            self[name] = w.requires_grad_(True)
        return self[name]


def item_vectors(w, case, ids, category):
    d = case["d"]
    if case["cats"]:
        v, c = w.make("V", ITEMS, d // 2, scale=0.6), w.make("C", case["cats"], d // 2, scale=0.6)
        return torch.cat([v[ids], c[category[ids]]], -1)
    return w.make("V", ITEMS, d, scale=0.6)[ids]


def dense(w, name, x, n, suffix=""):
    weight = w.make(f"{name}W_{suffix}", n, x.shape[-1])
    return x @ weight.T + w.make(f"{name}b_{suffix}", 1, n, scale=0.2).reshape(n)


def time_layer(w, case, x, buckets):
    y = dense(w, "", x, case["d"], "v")
    if case["time"]:
        one_hot = F.one_hot(buckets, case["buckets"]).to(x.dtype)
        y = y + one_hot @ w.make("T", case["buckets"], case["d"])
    return y


def lstm_layer(w, case, name, suffix, module):
    """Copies our gates i, j, f, o into PyTorch's i, f, g, o; the forget gate gets TensorFlow's 1."""
    d = case["d"]
    w_x, w_h = w.make(f"{name}.W_x", 4 * d, d), w.make(f"{name}.W_h", 4 * d, d)
    b = w.make(f"{name}.b", 1, 4 * d, scale=0.3).reshape(4 * d)

    def theirs(m):
        i, j, f, o = m.chunk(4)
        return torch.cat([i, f, j, o])

    forget = torch.zeros(4 * d)
    forget[d : 2 * d] = 1.0
    return {
        f"weight_ih_l0{suffix}": theirs(w_x),
        f"weight_hh_l0{suffix}": theirs(w_h),
        f"bias_ih_l0{suffix}": theirs(b) + forget,
        f"bias_hh_l0{suffix}": torch.zeros(4 * d),
    }


def bi_lstm_outputs(w, case, x, lens):
    module = torch.nn.LSTM(case["d"], case["d"], batch_first=True, bidirectional=True)
    values = lstm_layer(w, case, "forward", "", module) | lstm_layer(w, case, "backward", "_reverse", module)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lens, batch_first=True, enforce_sorted=False)
    out, _ = torch.func.functional_call(module, values, (packed,))
    return torch.nn.utils.rnn.pad_packed_sequence(out, batch_first=True)[0]


def bi_lstm(w, case, x, c, mask, lens, buckets):
    d, out = case["d"], bi_lstm_outputs(w, case, x, lens)
    last = out[torch.arange(len(lens)), lens - 1, :d]
    u = dense(w, "", torch.cat([last, out[:, 0, d:]], -1), d, "u")
    return u[:, None].expand(-1, case["C"], -1)


def bi_lstm_attention(w, case, x, c, mask, lens, buckets):
    out = bi_lstm_outputs(w, case, x, lens)
    read = F.scaled_dot_product_attention(torch.cat([c, c], -1), out, out, attn_mask=mask[:, None])
    return dense(w, "", read, case["d"], "u")


def cnn_pooling(w, case, x, c, mask, lens, buckets):
    d, filters = case["d"], case["filters"]
    h = time_layer(w, case, x, buckets) * mask[..., None]
    # Zeros behind the end, far enough for every width to see a window of nothing but zeros.
    h = F.pad(h, (0, 0, 0, WIDTHS)).transpose(1, 2)
    taps = [w.make(f"conv.{k}", (WIDTHS - k) * filters, d, scale=0.3) for k in range(WIDTHS)]
    bias = w.make("conv.b", 1, WIDTHS * filters, scale=0.3).reshape(-1)
    pooled = []
    for width in range(1, WIDTHS + 1):
        # Filters of this width stand at (width - 1 - k) * filters in tap k.
        kernel = torch.stack([taps[k][(width - 1 - k) * filters :][:filters] for k in range(width)], -1)
        answers = F.conv1d(h, kernel, bias[(width - 1) * filters :][:filters])
        pooled.append(F.relu(answers).amax(-1))
    u = dense(w, "", torch.cat(pooled, -1), d, "u")
    return u[:, None].expand(-1, case["C"], -1)


def block(w, case, name, q, x, mask):
    d, heads = case["d"], case["heads"]

    def split(y):
        return F.relu(y).reshape(y.shape[0], y.shape[1], heads, d // heads).transpose(1, 2)

    parts = [split(dense(w, f"{name}.", source, d, part)) for source, part in [(q, "q"), (x, "k"), (x, "u")]]
    read = F.scaled_dot_product_attention(*parts, attn_mask=mask[:, None, None])
    read = read.transpose(1, 2).reshape(q.shape)

    def norm(y, part):
        gain = w.make(f"{name}.{part}.g", 1, d, scale=0.3, shift=1.0).reshape(d)
        return F.layer_norm(y, (d,), gain, w.make(f"{name}.{part}.b", 1, d, scale=0.3).reshape(d), EPS)

    y = norm(q + read, "ln1")
    inner = F.relu(dense(w, f"{name}.", y, case["ff"], "1"))
    return norm(y + dense(w, f"{name}.", inner, d, "2"), "ln2")


def atrank(w, case, x, c, mask, lens, buckets):
    h = time_layer(w, case, x, buckets)
    return block(w, case, "candidate", c, block(w, case, "history", h, h, mask), mask)


def sasrec(w, case, x, c, mask, lens, buckets):
    """Padded on the left, so that a position counted from the end is a column of its own. A row an event."""
    d, heads, B, n = case["d"], case["heads"], *mask.shape
    from_right = torch.arange(n) - (n - lens)[:, None]
    real = from_right >= 0
    x = x.gather(1, from_right.clamp(min=0)[..., None].expand(-1, -1, d))
    x = d**0.5 * x + w.make("P", case["cap"], d, scale=0.6)[:n].flip(0)
    # Padding sees itself, lest its softmax has no terms.
    seen = torch.ones(n, n, dtype=torch.bool).tril() & real[:, None] | torch.eye(n, dtype=torch.bool)
    hidden = ~seen.repeat_interleave(heads, 0)

    def norm(y, name):
        gain = w.make(f"{name}.g", 1, d, scale=0.3, shift=1.0).reshape(d)
        return F.layer_norm(y, (d,), gain, w.make(f"{name}.b", 1, d, scale=0.3).reshape(d), EPS)

    for name in [f"block{k + 1}" for k in range(case["layers"])]:
        weight = {part: w.make(f"{name}.W_{part}", d, d) for part in "qkvo"}
        bias = {part: w.make(f"{name}.b_{part}", 1, d, scale=0.2).reshape(d) for part in "qvo"}
        # Of no effect: it adds the same to all scores of a query.
        bias["k"] = torch.randn(d, generator=w.generator)
        values = {
            "in_proj_weight": torch.cat([weight[part] for part in "qkv"]),
            "in_proj_bias": torch.cat([bias[part] for part in "qkv"]),
            "out_proj.weight": weight["o"],
            "out_proj.bias": bias["o"],
        }
        q = norm(x, f"{name}.ln1")
        attention = torch.nn.MultiheadAttention(d, heads, batch_first=True)
        how = dict(attn_mask=hidden, need_weights=False)
        z = norm(q + torch.func.functional_call(attention, values, (q, x, x), how)[0], f"{name}.ln2")
        x = z + dense(w, f"{name}.", F.relu(dense(w, f"{name}.", z, d, "1")), d, "2")
    u = norm(x, "ln")[real]
    return u[:, None].expand(-1, case["C"], -1)


MODELS = {
    "bpr-mf": None,
    "bi-lstm": bi_lstm,
    "bi-lstm-attention": bi_lstm_attention,
    "cnn-pooling": cnn_pooling,
    "atrank": atrank,
    "sasrec": sasrec,
}


def make(model, case_name):
    case = CASES[case_name]
    g = torch.Generator().manual_seed(case["seed"] * 100 + list(MODELS).index(model))
    w = Weights(g)
    lens, B, C = torch.tensor(case["lens"]), len(case["lens"]), case["C"]
    n = int(lens.max())

    def draw(high, *shape):
        return torch.randint(0, high, shape, generator=g)

    every = model == "sasrec"
    rows = int(lens.sum()) if every else B
    history, buckets, candidates = draw(ITEMS, B, n), draw(case["buckets"], B, n), draw(ITEMS, rows, C)
    users, category = draw(USERS, B), draw(max(case["cats"], 1), ITEMS)
    mask = torch.arange(n)[None] < lens[:, None]
    c = item_vectors(w, case, candidates, category)
    if model == "bpr-mf":
        once = w.make("U", USERS, case["d"], scale=0.6)[users]
        u, counted = once[:, None].expand(-1, C, -1), once
    else:
        x = item_vectors(w, case, history, category) * mask[..., None]
        u = counted = MODELS[model](w, case, x, c, mask, lens, buckets)
    scores = (u * c).sum(-1) + w.make("bias", ITEMS, 1)[candidates, 0]
    if model == "bpr-mf":
        rank = F.softplus(scores[:, 1:] - scores[:, :1]).mean()
    else:
        target = torch.zeros(rows, C)
        target[:, 0] = 1.0
        rank = F.binary_cross_entropy_with_logits(scores, target)
    l2 = 0.5 * (counted.square().sum() + c.square().sum())
    (rank + L2_WEIGHT * l2).backward()

    out = {f"w/{name}": value.detach() for name, value in w.items()}
    out |= {f"g/{name}": value.grad for name, value in w.items()}
    out |= {"in/history": history[mask], "in/buckets": buckets[mask], "in/candidates": candidates.reshape(-1)}
    out |= {"in/users": users, "in/item_category": category}
    if every:
        out["in/rows"] = torch.arange(rows)
    out["in/offsets"] = torch.cat([torch.zeros(1, dtype=torch.int64), lens.cumsum(0)])
    out |= {"out/scores": scores.detach(), "out/u": counted.detach().reshape(-1, case["d"])}
    out |= {"loss/rank": rank.detach().reshape(1), "loss/l2": l2.detach().reshape(1)}
    meta = {k: str(case[k]) for k in ("d", "heads", "ff", "filters", "buckets", "cats", "C")}
    meta |= {"time": str(case["time"]).lower(), "users": str(USERS), "items": str(ITEMS), "eps": str(EPS)}
    if every:
        meta |= {k: str(case[k]) for k in ("layers", "cap")}
    meta |= {"l2_weight": str(L2_WEIGHT), "weights": ",".join(w)}
    path = os.path.join(HERE, f"{model}_{case_name}.safetensors")
    save(path, out, meta)


for name in MODELS:
    for case_name in CASES:
        make(name, case_name)
