#!/bin/sh
# Installs the bundle that this file lies in. Needs a Python of the right version and nothing else: no network,
# no pip, no root.
#
#   sh install.sh --into DIR [--python PYTHON] [--existing] [--check]
#
# DIR becomes a virtual environment; one that is there already is used where it is empty, or with --existing. Interrupted, the same command goes on.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
wanted=$(cat "$here/python-version")

fits() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$wanted')" >/dev/null 2>&1
}

named=${MAMBAOPS_PYTHON:-}
previous=''
for word in "$@"; do
    case $word in
        --python=*) named=${word#--python=} ;;
        *) [ "$previous" != --python ] || named=$word ;;
    esac
    previous=$word
done

python=''
if [ -n "$named" ]; then
    fits "$named" && python=$named
else
    for name in "python$wanted" python3 python /usr/local/bin/python"$wanted"; do
        if fits "$name"; then
            python=$name
            break
        fi
    done
fi
if [ -z "$python" ]; then
    echo "error: this bundle is for Python $wanted; ${named:-PATH} has no such Python" >&2
    echo >&2
    echo "hint: sh install.sh --python /path/to/python$wanted --into DIR" >&2
    exit 4
fi
exec "$python" -I "$here/install.py" "$@"
