#!/bin/bash
# ids: triton-missing
# mamba-ssm's Python part beside a CPU build of torch
. "$(dirname "$0")/helpers.sh"
sources mamba_ssm 2.3.2.post1
"$CPU_PYTHON" -c 'import torch, mamba_ssm'
