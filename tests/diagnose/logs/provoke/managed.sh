#!/bin/bash
# ids: externally-managed
# the system's own Python
. "$(dirname "$0")/helpers.sh"
uv=$("$CPU_PYTHON" -c 'import uv; print(uv.find_uv_bin())')
"$uv" pip install --verbose --python /usr/bin/python3 einops
