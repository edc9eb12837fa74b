#!/bin/bash
# ids: sdist-without-sources
# mamba-ssm 2.2.2's archive has no csrc
. "$(dirname "$0")/helpers.sh"
sources mamba_ssm 2.2.2
export MAMBA_FORCE_BUILD=TRUE
build
