#!/bin/bash
# ids: cusparse-h-missing
# a toolkit without the math libraries' headers
. "$(dirname "$0")/helpers.sh"
links_of_toolkit; rm cuda/include/cusparse*.h
site=$("$PY" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir nothing; mount --bind nothing "$site/nvidia/cu13/include"
printf '#include <torch/extension.h>\n#include <ATen/cuda/CUDAContext.h>\n' | extension selective_scan_cuda cpp "-I$WORK/cuda/include"
build
