//! Debian machines with one init or another: a tar ball of what they share, with
//! the packages of each init in it, made once; and roots of one test each, in
//! which the pseudo under test installs them.

use std::path::Path;
use std::time::Duration;

use crate::debian::{tar, unpack};
use crate::roots::{Root, empty_root};
use crate::user::User;

/// What runs on all of them, the tools of the tests, and no documentation.
const RECIPE: [&str; 5] = [
    "--variant=minbase",
    "--include=procps,iproute2,cron,openssh-server",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "bookworm",
];

/// The packages of each init.
const INITS: [(&str, &str); 6] = [
    ("runit", "runit-init"),
    ("sysvinit", "sysvinit-core"),
    ("openrc", "openrc sysvinit-core"),
    ("finit", "finit-sysv finit-plugins"),
    ("s6", "s6 execline busybox-static"),
    ("busybox", "busybox-static"),
];

/// Downloads packages into the root "$1", to be installed later.
const DOWNLOAD: &str = "\
    dir=/var/tmp/inits/$name; mkdir -p $1$dir/partial; \
    chroot $1 apt-get -qq --download-only --no-install-recommends -o Dir::Cache::Archives=$dir \
    install -y $packages >/dev/null; ";

/// Installs the packages of an init, in a root as chroot(8) enters it: some ask
/// whether that is a running machine, and would restart its init.
const INSTALL: &str = "\
    mount --rbind /dev \"$1/dev\"; mount --rbind /proc \"$1/proc\"; \
    exec chroot \"$1\" sh -c 'dpkg --install /var/tmp/inits/$0/*.deb' \"$2\"";

/// A fresh machine with this init, which `setup` then changes from inside: a
/// shell script.
///
/// # Errors
/// Why there is none, as a skip records it.
///
/// # Panics
/// When it cannot be made.
pub fn machine(user: &User, init: &str, setup: &str) -> Result<Root, String> {
    let hook = INITS
        .map(|(name, packages)| format!("name={name}; packages='{packages}'; {DOWNLOAD}"))
        .concat();
    let hook = format!("--customize-hook=set -e; {hook}");
    let tar = tar("machine.tar", &[&RECIPE[..], &[&hook]].concat())?;
    let root = empty_root(user);
    unpack(user, &tar, root.as_ref()).run().ok();
    let install = user
        .pseudo()
        .args(["-m", "sh", "-ec", INSTALL, "sh"])
        .arg(&root)
        .arg(init)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .limit(Duration::from_secs(180))
        .run();
    assert_eq!(install.code(), Some(0), "{install}");
    let path: &Path = root.as_ref();
    user.sh(path, &format!("set -e\n{setup}")).run().ok();
    Ok(root)
}
