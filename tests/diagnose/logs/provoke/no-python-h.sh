#!/bin/bash
# ids: python-h-missing
# the interpreter's headers are taken away
. "$(dirname "$0")/helpers.sh"
include=$("$PY" -c 'import sysconfig; print(sysconfig.get_path("include"))')
mount -t tmpfs none "$include"
printf '#include <Python.h>\n#include <torch/extension.h>\n' | extension causal_conv1d_cuda cpp
build
