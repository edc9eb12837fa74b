#!/bin/bash
# ids: 
# mamba-ssm's sources, one architecture, one file: nvcc succeeds
. "$(dirname "$0")/helpers.sh"
sources causal_conv1d 1.6.1
one_arch
sed -i '/causal_conv1d_bwd.cu/d' setup.py
export CAUSAL_CONV1D_FORCE_BUILD=TRUE
build
$PIP uninstall -y causal-conv1d
