#!/bin/bash
# ids: hf-offline
# transformers without a network
. "$(dirname "$0")/helpers.sh"
export HF_HOME=$WORK/hf HF_HUB_ETAG_TIMEOUT=2
unshare -n "$CPU_PYTHON" -c 'from transformers import AutoTokenizer; AutoTokenizer.from_pretrained("state-spaces/mamba-2.8b-hf")'
