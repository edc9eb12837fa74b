#!/bin/bash
# ids: disk-full
# nvcc on a file system of 2 MB
. "$(dirname "$0")/helpers.sh"
mkdir small; mount -t tmpfs -o size=2m none small
printf '#include <torch/extension.h>\n' | extension causal_conv1d_cuda cuda -gencode arch=compute_80,code=sm_80 -std=c++20
cd "$WORK/extension" || exit
TMPDIR=$WORK/small "$PY" setup.py build_ext
