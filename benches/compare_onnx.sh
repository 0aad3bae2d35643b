#!/usr/bin/env bash
# Scoring one user by this crate and by ONNX Runtime on the same shapes, one thread, one after the other: microseconds
# of p50 and p99, and ratios.
#
#   benches/compare_onnx.sh [PYTHON]     PYTHON (default python3) must be able to `import torch, onnx, onnxscript, onnxruntime`
#
# Run it on an idle machine: each side runs in a process of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
"$python" -c 'import torch, onnx, onnxscript, onnxruntime' ||
    { echo "compare_onnx.sh: $python lacks torch, onnx, onnxscript or onnxruntime (pip install them)" >&2; exit 2; }
cargo build -q --release --no-default-features --example score_latency

for model in everyday vanilla; do
    theirs=$(cd benches/peers && "$python" onnx_score.py "$model" 2>/dev/null)
    ours=$(target/release/examples/score_latency "$model")
    echo "$model"
    echo "| candidates | this crate p50, us | p99 | ONNX Runtime p50, us | p99 | ratio p50 | ratio p99 |"
    echo "|---|---|---|---|---|---|---|"
    while read -r count p50 p99; do
        own=$(grep "$model: $count candidates" <<<"$ours" | awk '{print $(NF-1), $NF}')
        awk -v n="$count" -v a="$p50" -v b="$p99" -v own="$own" 'BEGIN {
            split(own, o, " "); printf "| %d | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f |\n", n, o[1], o[2], a, b, a / o[1], b / o[2] }'
    done <<<"$theirs"
    echo
done
echo "The heads of this crate, and reading the item table once:"
target/release/examples/score_latency mean
