#!/usr/bin/env bash
# Training steps of this crate and of the PyTorch model, on the same shapes, one after the other, and their ratios.
#
#   benches/compare_torch.sh [PYTHON]     PYTHON (default python3) must be able to `import torch`
#
# Environment: SHAPES="32,10,10 256,50,10 ..." THREADS="1 2" TORCH=eager|best (best also tries torch.compile).
# Run it on an idle machine: each side runs in a process of its own, medians are compared.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
shapes=${SHAPES:-"32,10,10 256,50,10 256,200,10 256,real,10"}
threads=${THREADS:-"1 2"}
"$python" -c 'import torch' || { echo "compare_torch.sh: $python has no torch (pip install torch)" >&2; exit 2; }

echo "| threads | B, n, r | this crate, samples/s | PyTorch ${TORCH:-eager}, samples/s | ratio |"
echo "|---|---|---|---|---|"
for t in $threads; do
    for shape in $shapes; do
        cargo bench -q --bench step -- --noplot "^fused/$t/$shape\$" >/dev/null 2>&1
        # Criterion writes a shape's comma into the folder's name as it is.
        ours=$("$python" - "target/criterion/fused_$t/$shape/new" "${shape%%,*}" <<'PY'
import json, sys
seconds = json.load(open(sys.argv[1] + "/estimates.json"))["median"]["point_estimate"] * 1e-9
print(round(int(sys.argv[2]) / seconds))
PY
)
        theirs=$(cd benches/peers && "$python" torch_step.py "$t" "$shape" "${TORCH:-eager}")
        ratio=$("$python" -c "print(f'{$ours / $theirs:.2f}')")
        echo "| $t | $shape | $ours | $theirs | $ratio |"
    done
done
