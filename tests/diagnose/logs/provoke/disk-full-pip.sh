#!/bin/bash
# ids: disk-full
# pip on a file system of 8 MB
. "$(dirname "$0")/helpers.sh"
mkdir small; mount -t tmpfs -o size=8m none small
export TMPDIR=$PWD/small
$PIP install -v --no-deps --no-cache-dir --target "$PWD/small/target" numpy==2.2.6
