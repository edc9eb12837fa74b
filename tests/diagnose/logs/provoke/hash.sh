#!/bin/bash
# ids: pip-hash-mismatch
# a requirement with another file's hash
. "$(dirname "$0")/helpers.sh"
echo "einops==0.8.1 --hash=sha256:$(echo x | sha256sum | cut -d' ' -f1)" > requirements.txt
$PIP install -v --no-deps --no-cache-dir --target t -r requirements.txt
