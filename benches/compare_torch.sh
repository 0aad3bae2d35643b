#!/usr/bin/env bash
# Training steps of this crate and of the PyTorch model, on the same shapes, one after the other, and their ratios.
#
#   benches/compare_torch.sh [PYTHON]     PYTHON (default python3) must be able to `import torch`
#
# Then the losses against many items, and the preset `everyday`, at batch 256 with real lengths.
#
# Environment: SHAPES="32,10,10 256,50,10 ..." THREADS="1 2" TORCH=eager|best (best also tries torch.compile);
# MANY="softmax sampled-softmax everyday" ITEMS="12101 63001" (either empty: none).
# Run it on an idle machine: each side runs in a process of its own, medians are compared.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
shapes=${SHAPES:-"32,10,10 256,50,10 256,200,10 256,real,10"}
threads=${THREADS:-"1 2"}
many=${MANY-"softmax sampled-softmax everyday"}
items=${ITEMS-"12101 63001"}

# Samples/s of the bench GROUP, SHAPE with batches of SIZE.
ours() {
    cargo bench -q --bench step -- --noplot "^$1/$2\$" >/dev/null 2>&1
    # Criterion writes a shape's comma into the folder's name as it is, a group's slash as _.
    "$python" - "target/criterion/${1//\//_}/$2/new" "$3" <<'PY'
import json, sys
seconds = json.load(open(sys.argv[1] + "/estimates.json"))["median"]["point_estimate"] * 1e-9
print(round(int(sys.argv[2]) / seconds))
PY
}

"$python" -c 'import torch' || { echo "compare_torch.sh: $python has no torch (pip install torch)" >&2; exit 2; }

echo "| threads | B, n, r | this crate, samples/s | PyTorch ${TORCH:-eager}, samples/s | ratio |"
echo "|---|---|---|---|---|"
for t in $threads; do
    for shape in $shapes; do
        mine=$(ours "fused/$t" "$shape" "${shape%%,*}")
        theirs=$(cd benches/peers && "$python" torch_step.py "$t" "$shape" "${TORCH:-eager}")
        ratio=$("$python" -c "print(f'{$mine / $theirs:.2f}')")
        echo "| $t | $shape | $mine | $theirs | $ratio |"
    done
done

echo
echo "| threads | loss | items | this crate, samples/s | PyTorch eager, samples/s | ratio |"
echo "|---|---|---|---|---|---|"
for t in $threads; do
    for loss in $many; do
        for n in $items; do
            mine=$(ours "$loss/$t" "$n" 256)
            theirs=$(cd benches/peers && "$python" torch_many.py "$t" "$loss" "$n" | sed 's/.* \([0-9]*\) samples.*/\1/')
            ratio=$("$python" -c "print(f'{$mine / $theirs:.2f}')")
            echo "| $t | $loss | $n | $mine | $theirs | $ratio |"
        done
    done
done
