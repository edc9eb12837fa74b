#!/bin/bash
# ids: 
# a small extension that compiles, installs and imports
. "$(dirname "$0")/helpers.sh"
printf '#include <torch/extension.h>\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {}\n' | extension causal_conv1d_cuda cpp
build
cd /; "$PY" -c 'import torch, causal_conv1d_cuda; print("ok")'
$PIP uninstall -y causal_conv1d_cuda
