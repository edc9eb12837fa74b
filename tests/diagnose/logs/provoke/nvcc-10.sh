#!/bin/bash
# ids: cuda-too-old-11-6
# an nvcc that says it is 10.1
. "$(dirname "$0")/helpers.sh"
stand_in_nvcc 10.1
sources mamba_ssm 2.3.2.post1
build
