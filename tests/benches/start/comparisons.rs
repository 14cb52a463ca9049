//! Who is compared with whom, and the budgets.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::container::Container;
use crate::lab::{Lab, find_tool};
use crate::process::Program;
use crate::race::Budget::{AtMost, Below};
use crate::race::{Race, Score};

const UNSHARE_ALL: &str = "-m -p -f -i -u -C -T --mount-proc -R";
const MAP_AUTO: &str = "--map-auto --map-root-user";

pub fn start(lab: &Lab, score: &mut Score) -> Result<()> {
    let in_root = |program: Program| program.arg(&lab.root).arg("/bin/true");
    let ours = lab.ours("contain").arg("-n");
    let mut race = Race::new("contain -n R /bin/true", in_root(ours));
    let plain = lab.reference("C, plain", "");
    race.against(in_root(plain), Some(AtMost(1.25)));
    let pty = lab.reference("C, pty, guard, filter", "-p");
    race.against(in_root(pty), Some(AtMost(1.15)));
    if let Some(bwrap) = tool("bwrap") {
        // It maps one id: with more, newuidmap alone costs as much as its whole start.
        let budget = (!lab.person.delegated).then_some(Below(1.0));
        let bwrap = bwrap
            .args("--unshare-all --share-net --bind")
            .arg(&lab.root);
        race.against(bwrap.args("/ --proc /proc --dev /dev /bin/true"), budget);
    }
    // Does less: no mounts but /proc, and one id unless told otherwise.
    if let Some(unshare) = tool("unshare") {
        race.against(in_root(unshare.args("-r").args(UNSHARE_ALL)), None);
    }
    if lab.person.delegated
        && let Some(unshare) = tool("unshare")
    {
        let unshare = unshare.labelled("unshare --map-auto");
        race.against(
            in_root(unshare.args(MAP_AUTO).args(UNSHARE_ALL)),
            Some(AtMost(1.0)),
        );
    }
    if let Some(original) = lab.original("contain") {
        race.against(in_root(original.arg("-n")), None);
    }
    race.run(lab, score)
}

/// Twenty directories of the host, and the same read-only, which container root
/// cannot undo.
pub fn binds(lab: &Lab, score: &mut Score) -> Result<()> {
    for (option, mode, what) in [
        ("--bind", "", "20 binds"),
        ("--ro-bind", ":ro", "20 binds :ro"),
    ] {
        let mut ours = lab.ours("contain").labelled("contain").arg("-n");
        for n in 0..20 {
            ours = ours.arg("-b").arg(format!("/usr/bin:/mnt/{n}{mode}"));
        }
        let title = format!("contain -n, {what}, R /bin/true");
        let mut race = Race::new(&title, ours.arg(&lab.root).arg("/bin/true"));
        if let Some(bwrap) = tool("bwrap") {
            let bwrap = bwrap.args("--unshare-all --share-net --bind");
            let mut bwrap = bwrap.arg(&lab.root).args("/ --proc /proc --dev /dev");
            for n in 0..20 {
                bwrap = bwrap.args(&format!("{option} /usr/bin /mnt/{n}"));
            }
            let budget = (!lab.person.delegated).then_some(Below(1.0));
            race.against(bwrap.arg("/bin/true"), budget);
        }
        race.run(lab, score)?;
    }
    Ok(())
}

/// Changes in memory: what that costs on top of a plain start, and against the
/// one rival that has the like.
pub fn ephemeral(lab: &Lab, score: &mut Score) -> Result<()> {
    let in_root = |program: Program| program.arg(&lab.root).arg("/bin/true");
    let ours = lab.ours("contain").labelled("contain -x");
    let mut race = Race::new("contain -x R /bin/true", in_root(ours.arg("-x")));
    race.against(in_root(lab.ours("contain")), None);
    match find_tool("bwrap") {
        Some(path) if offers(&path, "--tmp-overlay") => {
            let bwrap = Program::new("bwrap --tmp-overlay", path);
            let bwrap = bwrap.args("--unshare-all --overlay-src").arg(&lab.root);
            let bwrap = bwrap.args("--tmp-overlay / --proc /proc --dev /dev /bin/true");
            race.against(bwrap, None);
        }
        Some(_) => println!("left out: the bwrap installed here has no --tmp-overlay"),
        None => println!("left out: bwrap is not installed"),
    }
    race.run(lab, score)
}

/// A copy of the whole machine, and how many mounts that is inside.
pub fn whole_machine(lab: &Lab, score: &mut Score) -> Result<()> {
    let ours = lab.ours("contain").args("-c -x /");
    let mounts = ours.clone().arg("/bin/cat").arg("/proc/self/mounts");
    let out = mounts.command().stdout(Stdio::piped()).output()?;
    if out.status.success() {
        let count = out.stdout.iter().filter(|&&byte| byte == b'\n').count();
        println!("contain -x / {}: {count} mounts inside", lab.person);
    }
    let ours = ours.labelled("contain -x /").arg("/bin/true");
    let mut race = Race::new("contain -c -x / /bin/true", ours);
    let plain = lab.ours("contain").arg("-c").arg(&lab.root);
    race.against(plain.labelled("contain R").arg("/bin/true"), None);
    race.run(lab, score)
}

fn offers(tool: &Path, option: &str) -> bool {
    let help = Command::new(tool).arg("--help").output();
    help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains(option))
}

pub fn pseudo(lab: &Lab, score: &mut Score) -> Result<()> {
    let ours = lab.ours("pseudo").arg("true");
    let mut race = Race::new("pseudo true", ours);
    if let Some(unshare) = tool("unshare") {
        // With delegated ids the two do not do the same work: see the next one.
        let budget = (!lab.person.delegated).then_some(AtMost(1.0));
        race.against(unshare.labelled("unshare -r").args("-r true"), budget);
    }
    if lab.person.delegated
        && let Some(unshare) = tool("unshare")
    {
        let unshare = unshare
            .labelled("unshare --map-auto")
            .args(MAP_AUTO)
            .arg("true");
        race.against(unshare, Some(AtMost(1.0)));
    }
    if let Some(original) = lab.original("pseudo") {
        race.against(original.arg("true"), None);
    }
    race.run(lab, score)
}

/// With a private network, because nsenter -a cannot enter the host's as an
/// ordinary user.
pub fn inject(lab: &Lab, score: &mut Score) -> Result<()> {
    let ours = lab.ours("contain").arg(&lab.root);
    let container = match Container::start(&ours) {
        Ok(container) => container,
        Err(reason) => {
            println!("inject S true {}\n  skipped: {reason:#}\n", lab.person);
            score.skipped += 1;
            return Ok(());
        }
    };
    let supervisor = container.supervisor().to_string();
    let ours = lab.ours("inject").arg(supervisor).arg("true");
    let mut race = Race::new("inject S true", ours);
    if let Some(nsenter) = tool("nsenter") {
        let mut nsenter = nsenter.arg("-a");
        // It wants to drop the groups even where the kernel forbids it.
        if setgroups_denied(container.init) {
            nsenter = nsenter.arg("--preserve-credentials");
        }
        let nsenter = nsenter
            .arg("-t")
            .arg(container.init.to_string())
            .arg("true");
        race.against(nsenter, Some(AtMost(1.0)));
    }
    let theirs = lab
        .original("contain")
        .map(|contain| Container::start(&contain.arg(&lab.root)));
    let theirs = theirs.transpose()?;
    if let (Some(theirs), Some(inject)) = (&theirs, lab.original("inject")) {
        race.against(
            inject.arg(theirs.supervisor().to_string()).arg("true"),
            None,
        );
    }
    race.run(lab, score)
}

fn setgroups_denied(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/setgroups")).is_ok_and(|text| text.trim() == "deny")
}

/// A tool of the host under its own name, unless it is missing.
fn tool(name: &str) -> Option<Program> {
    let path = find_tool(name);
    if path.is_none() {
        println!("left out: {name} is not installed");
    }
    Some(Program::new(name, path?))
}
