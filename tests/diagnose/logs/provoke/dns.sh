#!/bin/bash
# ids: dns-failure
# an index whose name does not exist
. "$(dirname "$0")/helpers.sh"
$PIP install -v --retries 2 --index-url https://index.mirror.invalid/simple mamba-ssm
