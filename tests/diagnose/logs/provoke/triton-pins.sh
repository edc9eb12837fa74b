#!/bin/bash
# ids: resolver-triton-vs-torch
# torch 2.14.1 and another triton
. "$(dirname "$0")/helpers.sh"
$PIP install -v --dry-run --ignore-installed torch==2.14.1 triton==3.5.1
