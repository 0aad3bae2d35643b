"""The user vector of dmran's preset `everyday` in PyTorch: five hops, the last event's row, the head `rows`, categories."""
import torch
import torch.nn.functional as F

from dmran_torch import DMRAN

HOPS, CATEGORIES = 5, 250


def everyday(items, **more):
    model = DMRAN(items, d=128, r=HOPS, n_cats=CATEGORIES, post=True, d_ff=32, **more)
    model.Wr = torch.nn.Linear(128 * (HOPS + 1), 128, bias=False)
    return model


def gated(model, m, mhat):
    h, hh = m.mean(1), mhat.mean(1)
    gate = torch.sigmoid(model.Wf1(h) + model.Wf2(hh))
    return gate * h + (1 - gate) * hh


def users(model, hist, buckets, mask, dropout=0.0):
    v = F.dropout(model.items(hist), dropout)
    h = model.embed(v, model.T(buckets))
    _, m = model.ila(h, mask)
    last = h[torch.arange(hist.shape[0]), mask.sum(1) - 1]
    m = torch.cat([m, last.unsqueeze(1)], 1)
    mhat = model.post_block(m, model.flsa(m))
    return gated(model, m, mhat) + model.Wr(mhat.flatten(1))


def items_of(model):
    """Both parts of every item's vector, `[items, d]`."""
    return torch.cat([model.V.weight, model.C.weight[model.cat_of]], 1)
