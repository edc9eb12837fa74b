#!/bin/bash
# ids: ext-module-absent
# the compiled part of mamba-ssm is not installed
. "$(dirname "$0")/helpers.sh"
"$CPU_PYTHON" -c 'import torch, selective_scan_cuda'
