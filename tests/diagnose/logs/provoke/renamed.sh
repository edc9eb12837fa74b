#!/bin/bash
# ids: invalid-wheel-name
# a wheel whose name was shortened
. "$(dirname "$0")/helpers.sh"
touch mamba_ssm.whl
$PIP install -v ./mamba_ssm.whl
