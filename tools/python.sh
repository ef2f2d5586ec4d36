#!/bin/sh
# Run the first usable Python with the given arguments.
#
# A command on the PATH proves nothing: version managers leave commands that only print an error, and Debian ships a
# Python without `ensurepip`. So each candidate is started, and one sentence says why the candidates are unusable.
set -u

question='
import sys
if sys.version_info < (3, 11):
    print("old %d.%d" % sys.version_info[:2])
else:
    try:
        import ensurepip, ssl, sqlite3, venv, zlib
        print("good %d.%d" % sys.version_info[:2])
    except ImportError as error:
        print("part", error.name or "venv")
'

old='' part='' version=''
for candidate in ${PYTHON:+"$PYTHON"} python3.13 python3.12 python3.11 python3.14 python3 python; do
    answer=$("$candidate" -I -c "$question" 2>/dev/null </dev/null) || continue
    case $answer in
        good*) exec "$candidate" "$@" ;;
        old*) old=${old:-"$candidate is Python ${answer#old }"} ;;
        part*) part=${part:-$candidate} missing=${missing:-${answer#part }} ;;
    esac
done

if [ -n "$part" ]; then
    case $missing in
        ensurepip | venv)
            echo "Darkroom needs Python's venv module, which $part lacks:" \
                "install it (on Debian and Ubuntu: apt-get install python3-venv) and try again." ;;
        *) echo "Darkroom needs Python's $missing module, which $part was built without: install a complete Python." ;;
    esac
elif [ -n "$old" ]; then
    echo "Darkroom needs Python 3.11 or newer, and $old: install a newer one, or name it with PYTHON=<path>."
else
    echo "Darkroom needs Python 3.11 or newer, and there is no Python here that starts: install one, or name it" \
        "with PYTHON=<path>."
fi >&2
exit 1
