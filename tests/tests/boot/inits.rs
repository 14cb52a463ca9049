//! The inits, as data: what the root of each needs, what its commands are, and
//! what contain does to stop it.

use crate::allowed::{Allowed, FINIT_ALLOWED, INITSCRIPTS, OPENRC_ALLOWED, RUNIT_ALLOWED};

/// One init.
pub struct Init {
    /// What the table calls it.
    pub name: &'static str,
    /// Whose packages the root has.
    pub packages: &'static str,
    /// What is changed in a root of Debian's packages, as whoever looks after
    /// the machine would: a getty on the one terminal that there is, and the
    /// services, where the packages bring no scripts for this init.
    pub setup: &'static str,
    /// Options of contain.
    pub options: &'static [&'static str],
    /// The command of contain.
    pub command: &'static [&'static str],
    /// A command inside that ends well in the normal state, when no service has
    /// failed.
    pub normal: &'static str,
    /// A command inside.
    pub poweroff: &'static str,
    /// A command inside.
    pub reboot: &'static str,
    /// What contain does when it is told to stop, by the init's own manual.
    pub stop: &'static str,
    /// What the console shows of an end in good order.
    pub last_words: &'static str,
    /// What looks like an error on the console, and is none.
    pub allowed: &'static [&'static [Allowed]],
}

/// For all: no password, and a job of cron's at the start of the machine.
pub const SETUP: &str = "
passwd --quiet --delete root
echo '@reboot root echo booted >>/var/log/boots' >/etc/cron.d/boots
";

pub const ALL: [&Init; 7] = [
    &RUNIT,
    &SYSVINIT,
    &OPENRC,
    &OPENRC_INIT,
    &FINIT,
    &BUSYBOX,
    &S6,
];

pub const RUNIT: Init = Init {
    name: "runit",
    packages: "runit",
    setup: r"
rm -r /etc/runit/runsvdir/default/getty*
mkdir /etc/sv/getty-console
printf '#!/bin/sh\nexec chpst -P getty --noclear 38400 console linux\n' >/etc/sv/getty-console/run
chmod 755 /etc/sv/getty-console/run
ln -s /etc/sv/getty-console /etc/service
",
    options: &[],
    command: &["/sbin/init"],
    normal: "sv check ssh && pgrep -x cron && ! sv status /etc/service/* | grep -v ^run:",
    poweroff: "poweroff",
    reboot: "reboot",
    stop: "`poweroff`",
    last_words: "Will now halt.",
    allowed: &[INITSCRIPTS, RUNIT_ALLOWED],
};

pub const SYSVINIT: Init = Init {
    name: "sysvinit",
    packages: "sysvinit",
    setup: "sed -i '/^1:/s/tty1/console/; /^[2-6]:/d' /etc/inittab",
    options: &[],
    command: &["/sbin/init"],
    normal: "runlevel | grep -x 'N 2' && service ssh status && service cron status",
    poweroff: "poweroff",
    reboot: "reboot",
    stop: "`poweroff`",
    last_words: "Will now halt.",
    allowed: &[INITSCRIPTS],
};

/// As Debian has it: by the init of sysvinit.
pub const OPENRC: Init = Init {
    name: "openrc",
    packages: "openrc",
    setup: "
sed -i '/^1:/s/tty1/console/; /^[2-6]:/d' /etc/inittab
rc-update --quiet delete cgroups sysinit
",
    options: &[],
    command: &["/sbin/init"],
    normal: OPENRC_IS_UP,
    poweroff: "poweroff",
    reboot: "reboot",
    stop: "`poweroff`",
    last_words: "Will now halt.",
    allowed: &[INITSCRIPTS, OPENRC_ALLOWED],
};

const OPENRC_IS_UP: &str = "rc-service ssh status && rc-service cron status && \
    rc-status --runlevel | grep -x default && ! rc-status default | grep -v -e : -e started";

/// By an init of its own.
pub const OPENRC_INIT: Init = Init {
    name: "openrc-init",
    packages: "openrc",
    setup: "
rc-update --quiet delete cgroups sysinit
ln -s agetty /etc/init.d/agetty.console
rc-update --quiet add agetty.console default
",
    options: &[],
    command: &["/sbin/openrc-init"],
    normal: OPENRC_IS_UP,
    poweroff: "openrc-shutdown --poweroff now",
    reboot: "openrc-shutdown --reboot now",
    stop: "`openrc-shutdown`",
    last_words: "Sending the final kill signal",
    allowed: &[INITSCRIPTS, OPENRC_ALLOWED],
};

/// Its sshd is to wait for lo to come up, and it was up before.
pub const FINIT: Init = Init {
    name: "finit",
    packages: "finit",
    setup: "
rm /etc/finit.d/rsyslogd.conf /etc/finit.d/acpid.conf
echo 'tty [12345] /dev/console linux noclear nowait' >/etc/finit.d/getty.conf
echo 'service [2345] /usr/sbin/cron -f -- cron' >/etc/finit.d/cron.conf
echo 'service [2345] /usr/sbin/sshd -D -- sshd' >/etc/finit.d/sshd.conf
",
    options: &[],
    command: &["/sbin/init"],
    normal: "PATH=$PATH:/lib/finit; initctl runlevel | grep -x 'N 2' && \
        ! initctl --plain --no-heading status | grep -v running",
    poweroff: "poweroff",
    reboot: "reboot",
    stop: "USR2",
    last_words: "Stopping Getty on /dev/console",
    allowed: &[FINIT_ALLOWED],
};

pub const BUSYBOX: Init = Init {
    name: "busybox",
    packages: "busybox",
    setup: "
for name in init halt poweroff reboot; do ln -s /bin/busybox /sbin/$name; done
mkdir -p /etc/init.d
cat >/etc/init.d/rcS <<'SCRIPT'
#!/bin/sh
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs /run
mkdir /run/sshd
SCRIPT
chmod 755 /etc/init.d/rcS
cat >/etc/inittab <<'TABLE'
::sysinit:/etc/init.d/rcS
::respawn:/usr/sbin/cron -f
::respawn:/usr/sbin/sshd -D
::respawn:/sbin/getty 38400 console
TABLE
",
    options: &[],
    command: &["/sbin/init"],
    normal: "pgrep -x cron && pgrep -x sshd && pgrep -x getty",
    poweroff: "poweroff",
    reboot: "reboot",
    stop: "USR2",
    last_words: "Requesting system poweroff",
    allowed: &[],
};

/// No more than its supervisor: what a machine does besides is up to scripts of
/// its own. There is no poweroff, so it is the signal that stops it.
pub const S6: Init = Init {
    name: "s6",
    packages: "s6",
    setup: r#"
service() {
    mkdir -p /etc/s6/$1
    printf '#!/bin/sh\n%s\n' "$2" >/etc/s6/$1/run
    chmod 755 /etc/s6/$1/run
}
service cron 'exec cron -f'
service sshd 'mkdir -p /run/sshd; exec /usr/sbin/sshd -D'
service getty 'exec getty --noclear 38400 console linux'
mkdir /etc/s6/.s6-svscan
printf '#!/bin/sh\necho s6 is down\n! [ -e /run/reboot ] || exec busybox reboot -f\n' \
    >/etc/s6/.s6-svscan/finish
chmod 755 /etc/s6/.s6-svscan/finish
"#,
    options: &["--tmpfs", "/run"],
    command: &["s6-svscan", "/etc/s6"],
    normal: "for service in cron sshd getty; do \
        s6-svstat -o up /etc/s6/$service | grep -x true || exit; done",
    poweroff: "s6-svscanctl -t /etc/s6",
    reboot: "touch /run/reboot; s6-svscanctl -t /etc/s6",
    stop: "TERM",
    last_words: "s6 is down",
    allowed: &[],
};
