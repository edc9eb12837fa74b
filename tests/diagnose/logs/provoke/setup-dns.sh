#!/bin/bash
# ids: wheel-download-dns
# setup.py looks for a wheel where no name resolves
. "$(dirname "$0")/helpers.sh"
sources causal_conv1d 1.6.1
build
