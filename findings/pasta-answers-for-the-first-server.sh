#!/bin/sh
# Package:   passt 0.0~git20230309.7c7625d-1, Debian 12 amd64
# Expected:  `pasta --dns-forward ADDR` is a second address for the first name server of
#            resolv.conf; who asks that server by its own address is answered from there.
# Behaviour: the answer comes from ADDR all the same. A resolver that checks where answers
#            come from, as those of the C library do, drops it and waits for its time-out.
# Output:    asked 10.88.0.1, answered from 169.254.1.1
#            without --dns-forward: asked 10.88.0.1, answered from 10.88.0.1
# Needs:     apt, python3, ip(8), unshare(1), and user namespaces.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
cd "$tmp"
apt-get -q -q -o APT::Sandbox::User=root download passt=0.0~git20230309.7c7625d-1
dpkg-deb -x passt_*.deb passt
echo 'nameserver 10.88.0.1' >resolv.conf

cat >server.py <<'END'
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("10.88.0.1", 53))
server.settimeout(20)
for _ in range(2):
    query, whence = server.recvfrom(512)
    # A response, QR of RFC 1035, 4.1.1.
    server.sendto(query[:2] + bytes([query[2] | 0x80]) + query[3:], whence)
END
cat >client.py <<'END'
import socket
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(10)
query = b"\x12\x34\x01\0\0\1\0\0\0\0\0\0\7example\0\0\1\0\1"
client.sendto(query, ("10.88.0.1", 53))
print("asked 10.88.0.1, answered from", client.recvfrom(512)[1][0])
END
# A machine of its own: a network whose name server is one of its own addresses.
cat >machine.sh <<'END'
set -eu
ip link set lo up
ip address add 10.88.0.1/32 dev lo
ip link add eth0 type veth peer name eth1
ip link set eth1 up
ip address add 10.88.0.2/24 dev eth0
ip link set eth0 up
ip route add default via 10.88.0.254
mount --bind resolv.conf /etc/resolv.conf
python3 server.py &
pasta() { timeout 20 passt/usr/bin/pasta --config-net --quiet "$@" -- python3 client.py; }
pasta --dns-forward 169.254.1.1
pasta
wait
END
timeout 60 unshare -r -n -m sh machine.sh >seen
cat seen
diff - seen <<'END'
asked 10.88.0.1, answered from 169.254.1.1
asked 10.88.0.1, answered from 10.88.0.1
END
