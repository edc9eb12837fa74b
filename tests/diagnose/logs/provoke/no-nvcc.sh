#!/bin/bash
# ids: nvcc-not-found-nameerror
# mamba-ssm's own setup.py on a machine without CUDA
. "$(dirname "$0")/helpers.sh"
no_usr_local
sources mamba_ssm 2.3.2.post1
build
