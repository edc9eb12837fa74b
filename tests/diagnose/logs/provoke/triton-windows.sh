#!/bin/bash
# ids: triton-no-distribution
# triton for Windows
. "$(dirname "$0")/helpers.sh"
$PIP download -v --no-deps --only-binary :all: --platform win_amd64 --python-version 3.11 triton
