"""Writes golden_last.safetensors and golden_rows.safetensors: the oracle of README.md with the last event as a row of M
(`last = row`), read by the head `vanilla`; and the same with the head `rows`, whose readings are means, to which
`Wr [Mx_1; ...; Mx_R]` is added after the gate. Plain PyTorch in 64-bit floats. Needs torch and safetensors.
Usage: python make_rows.py FOLDER"""
import json, sys
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.set_default_dtype(torch.float64)


def normed(x, w, b):
    return F.layer_norm(x, x.shape[-1:], w, b, 1e-5)


def write(name, lens, n, d, r, I, K, post, d_ff, head, seed, lam=(0.03, 0.002, 0.005), lr=0.5):
    torch.manual_seed(seed)
    B, R = len(lens), r + 1
    shapes = {"V": (I, d), "bias": (I,), "T": (K, d), "dense.w": (d, 2 * d), "dense.b": (d,), "Ws1": (d, d), "Ws2": (r, d),
              "Ws3": (d, d), "Ws4": (d, d), "bs2": (d,), "Ws5": (d, d), "bs1": (d,), "Wf1": (d, d), "Wf2": (d, d), "bf": (d,)}
    if head == "rows":
        shapes["Wr"] = (d, R * d)
    if post:
        shapes |= {"ln1.w": (d,), "ln1.b": (d,), "ln2.w": (d,), "ln2.b": (d,),
                   "ff1.w": (d_ff, d), "ff1.b": (d_ff,), "ff2.w": (d, d_ff), "ff2.b": (d,)}
    w = {k: torch.randn(s) * (0.6 if len(s) > 1 else 0.3) for k, s in shapes.items()}
    for k in w:
        if k in ("ln1.w", "ln2.w"):
            w[k] += 1
        w[k].requires_grad_()
    hist, tb = torch.randint(0, I, (B, n)), torch.randint(0, K, (B, n))
    cand = torch.randint(0, I, (B, 2))
    hist[0, 0] = cand[0, 0]
    cand[-1, 1] = cand[0, 0]
    L = torch.tensor(lens)
    mask = torch.arange(n)[None] < L[:, None]
    hist, tb = torch.where(mask, hist, 0), torch.where(mask, tb, 0)
    o = {}

    def keep(key, x):
        x.retain_grad()
        o[key] = x
        return x

    v, c = w["V"][hist], w["V"][cand]
    H = keep("H", torch.cat([v, w["T"][tb]], -1) @ w["dense.w"].T + w["dense.b"])
    S = (torch.relu(H @ w["Ws1"].T) @ w["Ws2"].T).transpose(1, 2)
    S = keep("S", S.masked_fill(~mask[:, None], float("-inf")))
    A = keep("A", S.softmax(-1))
    last = H[torch.arange(B), L - 1]
    M = keep("M", torch.cat([A @ H, last[:, None]], 1))
    t = keep("t", torch.tanh((M @ w["Ws4"].T + w["bs2"])[:, :, None] + (M @ w["Ws3"].T)[:, None]))
    f = keep("f", t @ w["Ws5"].T + w["bs1"])
    beta = keep("beta", f.softmax(2))
    Mh = keep("Mh", (beta * M[:, None]).sum(2))
    if post:
        x = normed(M + Mh, w["ln1.w"], w["ln1.b"])
        fed = torch.relu(x @ w["ff1.w"].T + w["ff1.b"]) @ w["ff2.w"].T + w["ff2.b"]
        Mx = keep("Mx", normed(x + fed, w["ln2.w"], w["ln2.b"]))
    else:
        Mx = o["Mx"] = Mh

    def read(X):
        if head == "rows":
            return X.mean(1, keepdim=True).expand(B, 2, d) * 1.0
        return (c @ X.transpose(1, 2) / d**0.5).softmax(-1) @ X

    h, hh = keep("h", read(M)), keep("hh", read(Mx))
    gate = keep("gate", torch.sigmoid(h @ w["Wf1"].T + hh @ w["Wf2"].T + w["bf"]))
    hc = gate * h + (1 - gate) * hh
    if head == "rows":
        hc = hc + (Mx.reshape(B, R * d) @ w["Wr"].T)[:, None]
    hc = keep("hc", hc)
    score = keep("score", (hc * c).sum(-1) + w["bias"][cand])
    y = torch.zeros_like(score)
    y[:, 0] = 1
    bce = F.binary_cross_entropy_with_logits(score, y)
    pen = (A @ A.transpose(1, 2) - torch.eye(r)).square().sum((1, 2)).mean()
    l2w = sum(x.square().sum() for k, x in w.items() if k not in ("V", "bias"))
    l2e = (c.square().sum() + (v * mask[..., None]).square().sum()) / B
    lp, lw, le = lam
    total = bce + lp * pen + lw * l2w + le * l2e
    total.backward()
    D = {"in/hist": hist, "in/tb": tb, "in/cand": cand, "in/len": L}
    for k, x in w.items():
        D["w/" + k], D["g/" + k], D["sgd/" + k] = x, x.grad, x - lr * x.grad
    for k, x in o.items():
        D["o/" + k], D["go/" + k] = x, x.grad
    for k, x in dict(bce=bce, pen=pen, l2w=l2w, l2e=l2e, total=total).items():
        D["loss/" + k] = x.reshape(1)
    meta = dict(name=name, B=B, n=n, d=d, r=r, I=I, K=K, n_cats=0, post=post, d_ff=d_ff, lam_pen=lp, lam_w=lw, lam_e=le,
                lr=lr, last="row", head=head)
    meta = {k: x if isinstance(x, str) else json.dumps(x) for k, x in meta.items()}
    save_file({k: x.detach().contiguous().clone() for k, x in D.items()}, f"{sys.argv[1]}/golden_{name}.safetensors", meta)


write("last", [7, 1, 5, 3, 2], 7, 8, 3, 13, 5, False, 8, "vanilla", 11)
write("rows", [5, 1, 4, 2], 5, 10, 4, 11, 6, True, 7, "rows", 12)
