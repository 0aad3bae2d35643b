"""Softmax over the whole catalogue (eq 18, 19) in float64 PyTorch: losses and gradients for tests/training/catalogue.rs.

Usage: python make_cross_entropy.py [FOLDER]    (default: the script's own folder; needs torch)
"""
import pathlib
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tensors import save  # noqa: E402

FOLDER = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
FOLDER = FOLDER if FOLDER.is_dir() else FOLDER.parent

# name: rows, items, width, categories, category width, bias, excluded items, size of the logits
CASES = {
    "one-item": (3, 1, 4, 0, 0, True, False, 1.0),
    "two-items": (1, 2, 5, 0, 0, False, False, 1.0),
    "categories": (7, 60, 6, 5, 3, True, True, 1.0),
    "repeated": (150, 20, 3, 0, 0, True, True, 1.0),
    "many-rows": (260, 90, 4, 7, 2, True, True, 2.0),
    "several-runs": (5, 2100, 3, 9, 1, True, True, 1.0),
    "saturated": (9, 40, 8, 0, 0, True, False, 1e4),
}


def exact(shape, scale, generator):
    """Values that are the same in 32 bits."""
    return (torch.randn(shape, generator=generator) * scale).double()


for number, (name, (rows, items, width, categories, category_width, bias, excluded, size)) in enumerate(CASES.items()):
    g = torch.Generator().manual_seed(number)
    d = width + category_width
    users = exact((rows, d), size / d**0.5, g).requires_grad_()
    table = exact((items, width), 1.0, g).requires_grad_()
    targets = torch.randint(items, (rows,), generator=g)
    weights = (torch.rand(rows, generator=g) / rows).double()
    tensors = {"users": users, "items": table, "targets": targets, "weights": weights}
    leaves = {"users": users, "items": table}
    vectors, logits_bias = table, 0.0
    if categories:
        of = torch.randint(categories, (items,), generator=g)
        second = exact((categories, category_width), 1.0, g).requires_grad_()
        vectors = torch.cat([table, second[of]], 1)
        tensors |= {"item_category": of, "categories": second}
        leaves["categories"] = second
    if bias:
        logits_bias = exact((items,), 0.5, g).requires_grad_()
        tensors["bias"] = leaves["bias"] = logits_bias
    logits = users @ vectors.T + logits_bias
    left_out = torch.zeros(rows, items, dtype=torch.bool)
    if excluded:
        # Some rows list their own target, which stays in.
        listed = torch.rand(rows, items, generator=g) < 0.1
        tensors["excluded"] = listed.nonzero().reshape(-1)
        left_out = listed.clone()
        left_out[torch.arange(rows), targets] = False
    losses = torch.nn.functional.cross_entropy(logits.masked_fill(left_out, -torch.inf), targets, reduction="none")
    loss = (losses * weights).sum()
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    tensors = {f"in/{k}": v.detach() for k, v in tensors.items()}
    tensors |= {f"grad/{k}": v for k, v in zip(leaves, gradients)}
    tensors |= {"out/losses": losses.detach(), "out/loss": loss.detach().reshape(1)}
    meta = {"rows": rows, "items": items, "width": width, "categories": categories, "category_width": category_width}
    meta = {k: str(v) for k, v in meta.items()}
    meta |= {"bias": str(bias).lower(), "excluded": str(excluded).lower()}
    save(FOLDER / f"{name}.safetensors", tensors, meta)
    print(f"{name}: loss {loss.item():.6f}")
