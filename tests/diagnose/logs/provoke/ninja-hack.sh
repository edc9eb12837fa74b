#!/bin/bash
# ids: ninja-version-hack-aftermath
# cpp_extension.py edited as blogs advise
. "$(dirname "$0")/helpers.sh"
file=$("$PY" -c 'import torch.utils.cpp_extension as c; print(c.__file__)')
cp "$file" edited.py; sed -i "s/'ninja', '-v'/'ninja', '--version'/" edited.py; mount --bind edited.py "$file"
printf '#include <torch/extension.h>\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {}\n' | extension causal_conv1d_cuda cpp
build
