#!/bin/bash
# ids: unsupported-gnu-version
# host_config.h with its bound lowered below this gcc
. "$(dirname "$0")/helpers.sh"
links_of_toolkit
rm cuda/include/crt; mkdir cuda/include/crt; ln -s /usr/local/cuda/targets/*/include/crt/* cuda/include/crt/
rm cuda/include/crt/host_config.h
sed 's/__GNUC__ > 15/__GNUC__ > 11/; s/later than 15 are/later than 11 are/' /usr/local/cuda/targets/*/include/crt/host_config.h > cuda/include/crt/host_config.h
export NVCC_PREPEND_FLAGS="-I$PWD/cuda/include"
printf '#include <torch/extension.h>\n' | extension causal_conv1d_cuda cuda -gencode arch=compute_80,code=sm_80 -std=c++20
build
