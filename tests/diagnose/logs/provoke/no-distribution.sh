#!/bin/bash
# ids: no-matching-distribution
# a local version that only PyTorch's own index has
. "$(dirname "$0")/helpers.sh"
$PIP install -v --dry-run torch==2.0.0+cu117
