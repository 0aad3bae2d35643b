"""The head `vanilla` (eq 14 to 17) for users who share their candidates, in float64 PyTorch: scores and gradients for
tests/training/shared_candidates.rs.

Usage: python make_shared.py [FOLDER]    (default: the script's own folder; needs torch)

The gate's tables M W_f1^T and Mhat W_f2^T are leaves of their own, as they are for the kernel.
"""
import pathlib
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tensors import save  # noqa: E402

FOLDER = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
FOLDER = FOLDER if FOLDER.is_dir() else FOLDER.parent

# name: rows of each user, width, candidates, whether there is the other side and its gate, size of M and of the candidates
CASES = {
    "one": ([1], 3, 1, True, 1.0),
    "two-candidates": ([2], 5, 2, True, 1.0),
    "plain": ([2, 5], 7, 65, False, 1.0),
    "odd": ([1, 3, 10], 19, 130, True, 1.0),
    "wide": ([10, 4], 48, 33, True, 0.5),
    # M c is some 1e4: one row has all the weight.
    "saturated": ([4, 2], 8, 20, True, 60.0),
    "saturated-plain": ([6], 8, 20, False, 60.0),
}


for number, (name, (rows, d, n, feature, size)) in enumerate(CASES.items()):
    g = torch.Generator().manual_seed(number)

    def leaf(*shape, scale=1.0):
        """Values that are the same in 32 bits."""
        return (torch.randn(shape, generator=g) * scale).double().requires_grad_()

    total = sum(rows)
    leaves = {"m": leaf(total, d, scale=size), "c": leaf(n, d, scale=size), "bias": leaf(n)}
    if feature:
        leaves |= {"mhat": leaf(total, d, scale=size), "gate_m": leaf(total, d), "gate_mhat": leaf(total, d), "gate_bias": leaf(d)}
    offsets = torch.tensor([0, *rows]).cumsum(0)
    scores = []
    for begin, end in zip(offsets, offsets[1:]):
        m, c = leaves["m"][begin:end], leaves["c"]
        w = (c @ m.T / d**0.5).softmax(1)
        hc = w @ m
        if feature:
            mhat = leaves["mhat"][begin:end]
            what = (c @ mhat.T / d**0.5).softmax(1)
            gate = w @ leaves["gate_m"][begin:end] + what @ leaves["gate_mhat"][begin:end] + leaves["gate_bias"]
            f = gate.sigmoid()
            hc = f * hc + (1 - f) * (what @ mhat)
        scores.append((hc * c).sum(1) + leaves["bias"])
    scores = torch.stack(scores)
    dscore = torch.randn(scores.shape, generator=g).double()
    gradients = torch.autograd.grad(scores, list(leaves.values()), dscore)
    tensors = {f"in/{k}": v for k, v in leaves.items()} | {"in/offsets": offsets, "in/dscore": dscore, "out/scores": scores}
    tensors |= {f"grad/{k}": v for k, v in zip(leaves, gradients)}
    save(FOLDER / f"{name}.safetensors", tensors, {"d": str(d), "feature": str(feature).lower()})
    print(f"{name}: scores {tuple(scores.shape)}, largest {scores.abs().max():.4g}")
