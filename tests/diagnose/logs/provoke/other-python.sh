#!/bin/bash
# ids: wheel-not-supported
# a wheel of Python 3.10 for 3.11
. "$(dirname "$0")/helpers.sh"
name=causal_conv1d-1.5.0.post8+cu12torch2.4cxx11abiFALSE-cp310-cp310-linux_x86_64.whl
touch "$name"
$PIP install -v "./$name"
