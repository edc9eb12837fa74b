#!/bin/bash
# ids: carried-wheel-truncated
# a wheel of which 90 percent arrived
. "$(dirname "$0")/helpers.sh"
name=mamba_ssm-2.3.0+cu12torch2.7cxx11abiTRUE-cp311-cp311-linux_x86_64.whl
$PIP download -q --no-deps numpy==2.2.6
head -c 15000000 numpy-2.2.6*.whl > "$name"
$PIP install -v --no-deps "./$name"
