#!/bin/bash
# Packages:  qemu-user-static 1:7.2+dfsg-7+deb12u18+b3 (Debian 12) and
#            qemu-user 1:10.0.13+ds-0+deb13u1 (Debian 13), amd64;
#            busybox-static 1:1.35.0-4+deb12u1+b1, arm64, as the program that is run.
# Expected:  a signal arrives as the signal that was sent, as for a native program.
# Behaviour: a real-time signal from outside arrives as a lower one, because QEMU keeps
#            the lowest of the host's for itself; two in one version, four in another. So
#            a caller that sends SIGRTMIN+3 to a foreign systemd does not halt it.
# Output:    qemu 7.2.22: 37 arrives as 35, 40 as 38
#            qemu 10.0.13: 37 arrives as none, 40 as 36
# Needs:     bash, curl, dpkg-deb.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
pool=http://deb.debian.org/debian/pool/main
for package in \
    q/qemu/qemu-user-static_7.2+dfsg-7+deb12u18+b3_amd64 \
    q/qemu/qemu-user_10.0.13+ds-0+deb13u1_amd64 \
    b/busybox/busybox-static_1.35.0-4+deb12u1+b1_arm64; do
    name=${package##*/}
    curl -sSfLo package.deb "$pool/$package.deb"
    dpkg-deb -x package.deb "${name%%_*}"
done

# What arrives in the program under emulator $1 for signal $2.
arrives() {
    local trapped
    trapped=$(for ((i = 34; i <= 64; i++)); do echo "trap 'echo $i; exit' $i;"; done)
    mkfifo up
    "$1" busybox-static/bin/busybox sh -c \
        "$trapped echo up >up; for i in 1 2 3 4 5; do read -t 1 none; done" \
        <>silence >heard 2>/dev/null &
    read -r _ <up
    kill "-$2" $!
    wait $! || true
    rm up
    heard=$(cat heard)
    echo "${heard:-none}"
}

mkfifo silence
for qemu in qemu-user-static/usr/bin/qemu-aarch64-static qemu-user/usr/bin/qemu-aarch64; do
    version=$("$qemu" --version | sed -n 's/.*version \([0-9.]*\).*/\1/p')
    echo "qemu $version: 37 arrives as $(arrives "$qemu" 37), 40 as $(arrives "$qemu" 40)"
done >seen
cat seen
diff - seen <<'END'
qemu 7.2.22: 37 arrives as 35, 40 as 38
qemu 10.0.13: 37 arrives as none, 40 as 36
END
