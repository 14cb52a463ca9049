#!/bin/sh
# Packages:  util-linux 2.38.1-5+deb12u3 and strace 6.1-0.1, Debian 12 amd64
# Expected:  setpriv --reuid --regid gives up the group first, then the user, as every
#            text on dropping privileges says, because the user may not change groups.
# Behaviour: the user goes first. The group can follow only because setpriv has asked
#            to keep its capabilities (PR_SET_KEEPCAPS) and raised SETGID again: whoever
#            answers or filters its calls must honour that, or the change of group fails.
# Output:    prctl(PR_SET_KEEPCAPS, 1 capset setresuid capset setresgid setgroups
# Needs:     apt, and root.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
apt-get -q -q -o APT::Sandbox::User=root download util-linux=2.38.1-5+deb12u3 strace=6.1-0.1
for package in *.deb; do dpkg-deb -x "$package" .; done
usr/bin/strace -o calls -e trace=prctl,capset,setresuid,setresgid,setgroups \
    usr/bin/setpriv --reuid 65534 --regid 65534 --clear-groups true
grep -o -E '^(prctl\(PR_SET_KEEPCAPS, 1|capset|setre[a-z]+|setgroups)' calls | tr '\n' ' ' >seen
cat seen
[ "$(cat seen)" = 'prctl(PR_SET_KEEPCAPS, 1 capset setresuid capset setresgid setgroups ' ]
