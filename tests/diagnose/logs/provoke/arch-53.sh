#!/bin/bash
# ids: arch-removed-from-new-nvcc
# causal-conv1d 1.5.2 asks CUDA 13 for compute_53
. "$(dirname "$0")/helpers.sh"
sources causal_conv1d 1.5.2
export CAUSAL_CONV1D_FORCE_BUILD=TRUE
build
