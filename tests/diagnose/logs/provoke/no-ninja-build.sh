#!/bin/bash
# ids: 
# a build without ninja is slow and succeeds
. "$(dirname "$0")/helpers.sh"
mkdir bin; for program in gcc g++ cc c++ ld as sh which x86_64-linux-gnu-gcc x86_64-linux-gnu-g++; do ln -s "$(command -v $program)" bin/; done
printf '#include <torch/extension.h>\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {}\n' | extension causal_conv1d_cuda cpp
export PATH=$WORK/bin
build
$PIP uninstall -y causal_conv1d_cuda
