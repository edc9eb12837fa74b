#!/bin/bash
# ids: torch-is-cpu
# a CPU build is asked for CUDA
. "$(dirname "$0")/helpers.sh"
"$CPU_PYTHON" -c 'import torch; torch.zeros(3).cuda()'
