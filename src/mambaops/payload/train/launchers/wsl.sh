#!/usr/bin/env bash
# Install and train stage 2 with one command:
#   bash FILE [--install-only | --train-only] [flags of the program]
# Without flags of your own those of the WSL machine with an RTX 5090 are used. MAMBA_MODEL, HF_HUB_OFFLINE and MAMBA_FORCE_CUDA count.
set -euo pipefail
mode=()
case "${1:-}" in
  --install-only | --train-only)
    mode=("$1")
    shift
    ;;
esac
if [ $# -eq 0 ]; then
  set -- --epochs 20 --batch_size 1 --max_visual_tokens 96 --max_text_len 512 --num_workers 4
fi
if [ "${mode[0]:-}" = --install-only ]; then
  exec mambaops train-stage2 --profile "@PROFILE@" --install-only
fi
exec mambaops train-stage2 --profile "@PROFILE@" ${mode[@]+"${mode[@]}"} -- "$@"
