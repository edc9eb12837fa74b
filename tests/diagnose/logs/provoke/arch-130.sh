#!/bin/bash
# ids: arch-unknown-to-old-nvcc
# an architecture that this nvcc does not know yet
. "$(dirname "$0")/helpers.sh"
printf '#include <torch/extension.h>\n' | extension selective_scan_cuda_oflex cuda -arch=sm_130 -std=c++20
build
