#!/bin/bash
# ids: cuda-major-mismatch
# an nvcc that says it is 12.4 beside torch of CUDA 13
. "$(dirname "$0")/helpers.sh"
stand_in_nvcc 12.4
sources mamba_ssm 2.3.2.post1
export MAMBA_FORCE_BUILD=TRUE
build
