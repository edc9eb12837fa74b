#!/bin/bash
# ids: hf-offline
# transformers in offline mode with an empty cache
. "$(dirname "$0")/helpers.sh"
export HF_HOME=$WORK/hf HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1
"$CPU_PYTHON" -c 'from transformers import AutoTokenizer; AutoTokenizer.from_pretrained("state-spaces/mamba-2.8b-hf")'
