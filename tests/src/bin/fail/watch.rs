//! Which process of the start makes a call, which of its calls that is, and what
//! becomes of it.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

/// Which call is to fail, and how.
struct Fault {
    role: String,
    call: String,
    count: usize,
    errno: i32,
}

/// A process of the start.
struct Process {
    role: &'static str,
    /// Its calls are those of the program under test.
    counts: bool,
}

/// What is known of all processes.
pub struct Watch {
    /// What the program is called.
    name: String,
    fault: Option<Fault>,
    /// The calls by their numbers.
    calls: Vec<&'static str>,
    processes: HashMap<u32, Process>,
    /// By role and call.
    counts: HashMap<(&'static str, &'static str), usize>,
    /// The supervisor's user namespace, once it is known.
    users: Option<PathBuf>,
    pub log: String,
}

impl Fault {
    /// # Panics
    /// When it is no ROLE:CALL:COUNT:ERRNO.
    fn of_words(which: &str) -> Self {
        let fields: Vec<_> = which.split(':').collect();
        let [role, call, count, errno] = fields[..] else {
            panic!("not ROLE:CALL:COUNT:ERRNO: {which}");
        };
        Self {
            role: role.to_owned(),
            call: call.to_owned(),
            count: count.parse().expect("a number"),
            errno: errno.parse().expect("a number"),
        }
    }

    fn is(&self, role: &str, call: &str, count: usize) -> bool {
        (&*self.role, &*self.call, self.count) == (role, call, count)
    }
}

impl Watch {
    pub fn new(name: &str, which: &str) -> Self {
        Self {
            name: name.to_owned(),
            fault: (which != "-").then(|| Fault::of_words(which)),
            calls: tests::call_names(),
            processes: HashMap::new(),
            counts: HashMap::new(),
            users: None,
            log: String::new(),
        }
    }

    /// The error number that this call of the process is to fail with, or 0.
    pub fn errno(&mut self, pid: u32, data: &libc::seccomp_data) -> i32 {
        let number = usize::try_from(data.nr).unwrap_or(usize::MAX);
        let call = self.calls.get(number).copied().unwrap_or_default();
        if !self.processes.contains_key(&pid) {
            let process = self.introduce(pid);
            self.processes.insert(pid, process);
        }
        let process = self.processes.get_mut(&pid).expect("just put there");
        let begins = ["getuid", "geteuid"].contains(&call);
        if begins && self.users.is_none() && tests::comm(pid) == self.name {
            process.counts = true;
            self.users = users(pid);
        }
        if !process.counts {
            return 0;
        }
        let role = process.role;
        let count = self.counts.entry((role, call)).or_default();
        *count += 1;
        let errno = match &self.fault {
            Some(fault) if fault.is(role, call, *count) => fault.errno,
            _ => 0,
        };
        if call.starts_with("execve") && errno == 0 {
            process.counts = false;
        }
        if self.fault.is_none() || errno != 0 {
            let arguments = arguments(pid, call, data);
            let line = format!("{role} {call} {count} {arguments}\n");
            self.log.push_str(&line);
        }
        errno
    }

    fn introduce(&self, pid: u32) -> Process {
        let Some(ours) = &self.users else {
            let (role, counts) = ("supervisor", false);
            return Process { role, counts };
        };
        let ids = tests::status_field(pid, "NSpid").unwrap_or_default();
        let role = match ids.split_whitespace().nth(1) {
            Some("1") => "init",
            Some(_) => "inside",
            None if users(pid).as_ref() != Some(ours) && self.name == "pseudo" => "holder",
            None if users(pid).as_ref() != Some(ours) => "mounter",
            None if tests::comm(pid) == self.name => "helper",
            None => "guard",
        };
        Process { role, counts: true }
    }
}

fn users(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/user")).ok()
}

/// Calls with fewer than four arguments, by how many they have: what is in the
/// other registers is left from something else.
const FEW: [&str; 4] = [
    "getppid setsid",
    "chdir close epoll_create1 fchdir unshare",
    "access capget capset clone3 dup2 fchmod flock fsopen keyctl memfd_create \
     pipe2 pivot_root prctl setgroups sethostname setns umount2",
    "close_range execve fchown fcntl fsmount getdents64 getresgid getresuid ioctl \
     lseek mkdirat open_tree poll read readlink recvmsg seccomp sendmsg setresgid \
     setresuid socket symlinkat unlinkat write",
];

/// Calls whose first argument is a descriptor of what tells what for.
const OF_FILES: [&str; 6] = ["fchdir", "ioctl", "newfstatat", "read", "statx", "write"];

/// The first four, as far as they tell something.
fn arguments(pid: u32, call: &str, data: &libc::seccomp_data) -> String {
    let few = |calls: &&str| calls.split(' ').any(|it| it == call);
    let count = FEW.iter().position(few).unwrap_or(FEW.len());
    let words = data.args[..count].iter().map(|value| argument(pid, *value));
    let mut words: Vec<_> = words.collect();
    if OF_FILES.contains(&call)
        && let Ok(path) = fs::read_link(format!("/proc/{pid}/fd/{}", words[0]))
    {
        words[0] = path.display().to_string();
    }
    words.join(" ")
}

/// A number, a text that is in memory there, or * for something else.
fn argument(pid: u32, value: u64) -> String {
    const SMALL: u64 = 0x10000;
    let number = value as i32;
    if value < SMALL || (-100..0).contains(&number) {
        return number.to_string();
    }
    let mut bytes = [0; 80];
    let memory = fs::File::open(format!("/proc/{pid}/mem"));
    let read = memory.and_then(|memory| memory.read_at(&mut bytes, value));
    let mut texts = bytes[..read.unwrap_or(0)].split(|byte| *byte == 0);
    let text = texts.next().unwrap_or_default();
    let plain = !text.is_empty() && text.iter().all(|byte| (b' '..=b'~').contains(byte));
    if plain {
        format!("{:?}", String::from_utf8_lossy(text))
    } else {
        "*".to_owned()
    }
}
