#!/bin/bash
# ids: graph-mamba-empty-stack
# torch.stack of nothing
. "$(dirname "$0")/helpers.sh"
"$CPU_PYTHON" -c 'import torch; torch.stack([])'
