#!/bin/bash
# ids: ninja-required
# torch compiles at run time without ninja
. "$(dirname "$0")/helpers.sh"
mkdir bin; for program in gcc g++ cc c++ ld as sh which; do ln -s "$(command -v $program)" bin/; done
printf '#include <torch/extension.h>\n' > scan.cpp
PATH=$WORK/bin "$PY" -c 'from torch.utils.cpp_extension import load; load("scan", ["scan.cpp"], verbose=True)'
