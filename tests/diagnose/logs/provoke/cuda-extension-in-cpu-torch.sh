#!/bin/bash
# ids: libc10-missing
# an extension of CUDA's torch, imported without torch
. "$(dirname "$0")/helpers.sh"
printf '#include <torch/extension.h>\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {}\n' | extension causal_conv1d_cuda cpp
build
cd /; "$PY" -c 'import causal_conv1d_cuda'
$PIP uninstall -y causal_conv1d_cuda
