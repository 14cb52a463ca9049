//! What --fake-owner costs: the same work on the same tree as with delegated ids, which
//! need nobody to be asked, and against fakeroot and proot, which do without ids.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Result, ensure};

use crate::lab::{Lab, find_tool};
use crate::process::Program;
use crate::race::Budget::{AtMost, Below};
use crate::race::{Budget, Race, Score};

/// A tree of 1,800 files, half of them root's, and links to them.
const MAKE: &str = "mkdir $0; cd $0; for d in 0 1 2 3 4 5 6 7 8; do mkdir $d; (cd $d
    i=0; while [ $i -lt 200 ]; do echo text >$i; i=$((i+1)); done
    chown 33:44 1*; ln -s 0 link; chown -h 7:8 link; chmod 4755 2*) & done; wait
    cd ..; tar -cf $0.tar $0";

/// What is measured: title, script, and the budgets against delegated ids and fakeroot.
const WORK: [(&str, &str, f64, Option<Budget>); 5] = [
    (
        "tar -x",
        "mkdir $0.$$; tar --numeric-owner -xf $0.tar -C $0.$$",
        1.8,
        Some(AtMost(1.5)),
    ),
    (
        "tar -c",
        "tar -cf - $0 | cat >/dev/null",
        2.0,
        Some(Below(1.0)),
    ),
    ("cp -a", "cp -a $0 $0.$$", 2.0, Some(Below(1.0))),
    (
        "find -printf %u",
        "find $0 -printf '%u\\n' >/dev/null",
        4.0,
        None,
    ),
    (
        "100 execs",
        "for i in 0 1 2 3 4 5 6 7 8 9; do for j in 0 1 2 3 4 5 6 7 8 9; do /bin/true; done; done",
        1.1,
        None,
    ),
];

pub fn measure(lab: &Lab, score: &mut Score) -> Result<()> {
    if !lab.person.delegated {
        println!("left out: owners are compared with delegated ids, and there are none");
        return Ok(());
    }
    let tree = lab.dir.join("owners");
    let run = |program: Program, script: &str| program.args("sh -ec").arg(script).arg(&tree);
    let fake = || {
        lab.ours("pseudo")
            .labelled("pseudo -f")
            .args("-f -u root -g root")
    };
    let made = run(fake(), MAKE).command().stdout(Stdio::null()).status()?;
    ensure!(made.success(), "the tree cannot be made: {made}");
    for (title, script, budget, against_fakeroot) in WORK {
        let mut race = Race::new(title, run(fake(), script));
        race.against(run(lab.ours("pseudo"), script), Some(AtMost(budget)));
        if let Some(fakeroot) = tool("fakeroot") {
            race.against(run(fakeroot.arg("--"), script), against_fakeroot);
        }
        if let Some(proot) = tool("proot") {
            race.against(run(proot.arg("-0"), script), Some(Below(1.0 / 3.0)));
        }
        race.run(lab, score)?;
    }
    clear(lab, &tree)
}

/// Files of delegated ids are not the caller's to remove.
fn clear(lab: &Lab, tree: &Path) -> Result<()> {
    let rm = lab
        .ours("pseudo")
        .args("sh -c")
        .arg("rm -rf $0 $0.*")
        .arg(tree);
    let status = rm.command().status()?;
    ensure!(status.success(), "the trees cannot be removed: {status}");
    Ok(())
}

fn tool(name: &str) -> Option<Program> {
    let path = find_tool(name)?;
    Some(Program::new(name, path))
}
