#!/bin/bash
# ids: no-module-torch-in-isolation
# mamba-ssm 2.3.2.post1 in pip's isolated environment
. "$(dirname "$0")/helpers.sh"
$PIP install -v --no-deps --no-binary :all: mamba-ssm==2.3.2.post1
