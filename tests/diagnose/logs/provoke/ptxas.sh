#!/bin/bash
# ids: ptxas-older-than-nvcc
# PTX of a later release for this ptxas
. "$(dirname "$0")/helpers.sh"
printf '.version 9.5\n.target sm_80\n.address_size 64\n' > scan.ptx
/usr/local/cuda/bin/ptxas -v -arch=sm_80 scan.ptx -o scan.cubin
