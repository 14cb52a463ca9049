#!/bin/sh
# Package:   systemd 252.39-1~deb12u2 (and libsystemd-shared), Debian 12 amd64
# Expected:  systemd-binfmt adds the handlers of binfmt.d, as its manual says; those that
#            somebody else has registered stay, for only --unregister speaks of removal.
# Behaviour: without an option, too, it writes -1 to binfmt_misc/status first: all handlers
#            vanish, of whatever origin. A machine that boots with systemd and a binfmt_misc
#            that was filled for it beforehand loses what it was given.
# Output:    before: mine
#            after: theirs
# Needs:     apt, unshare(1), Linux 6.7 for a binfmt_misc of a user namespace.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
version=252.39-1~deb12u2
apt-get -q -q -o APT::Sandbox::User=root download systemd=$version libsystemd-shared=$version
for package in *.deb; do dpkg-deb -x "$package" .; done
mkdir empty
cat >machine.sh <<'END'
set -eu
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
# One handler of the directory's, and the one that was there.
for dir in /etc /run /usr/lib; do
    [ ! -d $dir/binfmt.d ] || mount --bind empty $dir/binfmt.d
done
echo ':theirs:E::theirs::/bin/true:' >empty/theirs.conf
echo ':mine:E::mine::/bin/true:' >/proc/sys/fs/binfmt_misc/register
handlers() { ls /proc/sys/fs/binfmt_misc | grep -vx -e register -e status | xargs; }
echo "before: $(handlers)"
LD_LIBRARY_PATH=usr/lib/x86_64-linux-gnu/systemd lib/systemd/systemd-binfmt
echo "after: $(handlers)"
END
timeout 60 unshare -r -m sh machine.sh >seen
cat seen
diff - seen <<'END'
before: mine
after: theirs
END
