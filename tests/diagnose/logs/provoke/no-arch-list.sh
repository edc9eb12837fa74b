#!/bin/bash
# ids: arch-list-index-error
# a CUDA extension without architectures and without a GPU
. "$(dirname "$0")/helpers.sh"
printf '#include <torch/extension.h>\n' | extension torch_scatter cuda -O2
build
