#!/bin/bash
# ids: cuda-home-not-set
# a CUDA extension on a machine without CUDA
. "$(dirname "$0")/helpers.sh"
no_usr_local
echo '#include <torch/extension.h>' | extension selective_scan cuda -gencode arch=compute_80,code=sm_80
build
