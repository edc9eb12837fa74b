#!/bin/bash
# ids: cuda-home-has-no-nvcc
# CUDA_HOME names a folder without a compiler
. "$(dirname "$0")/helpers.sh"
mkdir -p cuda/bin; export CUDA_HOME="$PWD/cuda"
sources mamba_ssm 2.3.2.post1
build
