#!/bin/bash
# ids: cuda-runtime-h-missing-conda
# nvcc without headers, as conda's cuda-nvcc leaves it
. "$(dirname "$0")/helpers.sh"
links_of_toolkit; rm -r cuda/include; mkdir cuda/include
site=$("$PY" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir nothing; mount --bind nothing "$site/nvidia/cu13/include"
printf '#include <torch/extension.h>\n#include <c10/cuda/CUDAStream.h>\n' | extension selective_scan_cuda cpp "-I$WORK/cuda/include"
build
