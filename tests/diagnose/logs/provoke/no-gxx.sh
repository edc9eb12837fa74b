#!/bin/bash
# ids: cxx-compiler-missing
# gcc without its C++ part
. "$(dirname "$0")/helpers.sh"
mount --bind /dev/null "$(gcc -print-prog-name=cc1plus)"
mkdir empty; for program in gcc cc ld as sh bash ninja which; do ln -s "$(command -v $program)" empty/; done
printf '#include <torch/extension.h>\n' | extension causal_conv1d_cuda cpp
export PATH=$WORK/empty
cd "$WORK/extension" || exit
"$PY" setup.py build_ext
