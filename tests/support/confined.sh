#!/bin/sh
# Runs a command as in the image, in a mount namespace of its own: all that is mounted is read-only but
# for the data folder at /mnt and for /tmp, which is memory that nothing is executed from.
#
#   unshare --mount sh confined.sh DATA USER_ID COMMAND...
#
# PYTHON_AT, if set, is the folder of a Python below CLOSED_FOLDER, which that user may not enter: only
# that Python is in it then.
set -eu
data=$1 user=$2
shift 2
mount --make-rprivate /
mount --bind "$data" /mnt
if [ -n "${PYTHON_AT:-}" ]; then
    mount --bind "$PYTHON_AT" /opt
    mount -t tmpfs -o mode=755 tmpfs "$CLOSED_FOLDER"
    mkdir -p "$PYTHON_AT"
    mount --move /opt "$PYTHON_AT"
fi
findmnt --raw --noheadings --output TARGET | while read -r target; do
    case $target in
    /mnt | /proc | /proc/* | /dev | /dev/*) ;;
    *) mount -o remount,bind,ro "$target" 2>/dev/null || true ;;
    esac
done
mount -t tmpfs -o size=1g,mode=1777,noexec,nosuid,nodev tmpfs /tmp
cd /mnt
if [ "$user" -ne 0 ]; then
    set -- --reuid "$user" --regid "$user" --clear-groups "$@"
fi
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
