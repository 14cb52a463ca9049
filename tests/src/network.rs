//! Networks for tests: namespaces that stand for the host and for what is
//! beyond it, so that the machine's own network is never touched.

use std::net::UdpSocket;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::{fs, thread};

use nix::sched::{CloneFlags, setns};

use crate::run::Cmd;
use crate::running::Running;
use crate::traces::MARK;
use crate::user::{As, User};

/// A network namespace, until it is dropped.
pub struct Network {
    holder: Running,
}

impl Network {
    /// A network in which root has run `script`; lo is up. Only for a suite
    /// that runs as root.
    ///
    /// # Panics
    /// When the script fails.
    #[must_use]
    #[track_caller]
    pub fn new(script: &str) -> Self {
        let root = User::get(As::Root).expect("root");
        let script = format!("set -e; ip link set lo up; {script}\necho made; exec sleep 1000");
        let holder = unmarked(&root, &["unshare", "-n", "sh", "-c", &script]).start();
        holder.wait_for("made");
        Self { holder }
    }

    /// The host of a container and, behind its default route, another one: the
    /// host is 10.88.0.2 and the other 10.88.0.1.
    #[must_use]
    pub fn pair() -> (Self, Self) {
        let beyond = Self::new("");
        let host = Self::new(&format!(
            "ip link add h0 type veth peer name b0 netns {}
             ip addr add 10.88.0.2/24 dev h0; ip link set h0 up
             ip route add default via 10.88.0.1",
            beyond.holder.pid()
        ));
        beyond.run("ip addr add 10.88.0.1/24 dev b0; ip link set b0 up");
        (host, beyond)
    }

    /// The path that names it.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.holder.pid())
    }

    /// The command with this as the host's network, after root has done `setup`
    /// in a mount namespace of its own. There /dev/net/tun is open to all.
    pub fn of(&self, cmd: Cmd, setup: &str) -> Cmd {
        cmd.setup(&format!(
            "mount -t tmpfs none /dev/net; mknod -m 666 /dev/net/tun c 10 200
             {setup}\nFRONT='nsenter --net={}'",
            self.path()
        ))
    }

    /// What a script of root's in this network says.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn run(&self, script: &str) -> String {
        let root = User::get(As::Root).expect("root");
        let net = format!("--net={}", self.path());
        let cmd = root.command("nsenter").args([&net, "sh", "-ec", script]);
        cmd.run().ok()
    }

    /// An HTTP server here whose one page is `word`, in a directory of its own.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn serve(&self, address: &str, dir: &Path, word: &str) -> Running {
        fs::write(dir.join("index.html"), word).expect("write");
        let root = User::get(As::Root).expect("root");
        let net = format!("--net={}", self.path());
        let httpd = [
            "nsenter", &net, "busybox", "httpd", "-f", "-p", address, "-h",
        ];
        let cmd = unmarked(&root, &httpd);
        let server = cmd.arg(dir).start();
        let fetch = format!(
            "i=0; until busybox wget -qO- http://{address}/ >&2; do sleep 0.05; i=$((i+1)); [ $i -lt 100 ]; done 2>/dev/null"
        );
        self.run(&fetch);
        server
    }

    /// A socket of this network.
    ///
    /// # Panics
    /// When it cannot be had.
    #[must_use]
    pub fn udp(&self, address: &'static str) -> UdpSocket {
        let namespace = fs::File::open(self.path()).expect("the namespace");
        // Of a thread that ends with it: namespaces are a thread's own.
        let made = thread::spawn(move || {
            setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).expect("setns");
            UdpSocket::bind(address).expect("bind")
        });
        made.join().expect("a socket")
    }
}

/// A command that is no trace of the container under test.
fn unmarked(root: &User, argv: &[&str]) -> Cmd {
    root.command("env").args(["-u", MARK]).args(argv)
}
