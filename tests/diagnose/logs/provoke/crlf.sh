#!/bin/bash
# ids: crlf-scripts
# an install script with Windows line ends
. "$(dirname "$0")/helpers.sh"
printf '#!/bin/bash\r\nset -e\r\nsource .venv_wsl/bin/activate\r\nfor p in causal-conv1d mamba-ssm; do\r\n  pip install $p\r\ndone\r\n' > wsl_install.sh
bash wsl_install.sh
bash ./wsl_install.sh --install-only
printf '#!/usr/bin/env bash\r\necho hello\r\n' > run.sh; chmod +x run.sh; ./run.sh
