//! Networks: private, shared, by pasta, on a bridge. All traffic stays in
//! namespaces that the tests make.

use std::collections::BTreeSet;
use std::fs;

use tests::{
    Cmd, Network, Pty, Root, SECOND, User, alive, assert_no_traces, children, comm, each_user,
    empty_root, eventually, host_is_root, init_of, install, kill, namespace, root, scratch_dir,
    skip, some_users,
};

each_user!(
    pasta_reaches_and_is_reached,
    pasta_runs_for_every_container,
    pasta_ends_with_the_container,
    pasta_ends_when_the_supervisor_is_killed,
    the_end_of_pasta_is_told_and_survived,
    a_rebooted_machine_gets_a_pasta_of_its_own,
    pasta_gets_no_descriptor_of_the_callers,
    pasta_forwards_a_name_server_on_the_localhost,
    pasta_leaves_other_name_servers_alone,
    a_missing_pasta_is_named,
    a_pasta_without_an_interpreter_is_a_script,
    a_closed_tun_is_named,
    a_low_port_is_explained,
    what_is_no_network_is_refused,
    the_plan_tells_of_the_network,
);

some_users!(
    two_containers_on_a_bridge_exchange_tcp: root,
    an_interface_without_address_is_left_to_dhcp: root,
    bridged_interfaces_and_namespaces_go: root,
    a_rebooted_machine_stays_on_the_bridge: root,
    why_there_is_no_bridge: root,
    only_root_attaches_to_a_bridge: delegated plain,
    a_pair_made_by_hand: root,
    a_network_made_by_ip_netns: root,
);

/// `contain` on this network, in a root of busybox.
fn contain(me: &User, network: &Network, root: &Root, mode: &str, script: &str) -> Cmd {
    let cmd = me.contain().args(["-c", "--net", mode]).arg(root);
    network.of(cmd.args(["/bin/sh", "-c", script]), "")
}

/// The pasta of a supervisor.
fn pasta_of(supervisor: u32) -> Option<u32> {
    children(supervisor)
        .into_iter()
        .find(|&child| comm(child).starts_with("pas"))
}

/// Asserts that within a second no pasta is left on this host.
#[track_caller]
fn no_pasta(host: &Network) {
    let here = fs::read_link(host.path()).unwrap();
    let left = || -> Vec<String> {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let ours = entries.filter(|entry| {
            let net = fs::read_link(entry.path().join("ns/net"));
            net.is_ok_and(|net| net == here)
        });
        let names = ours.filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok());
        names.filter(|name| name.starts_with("pas")).collect()
    };
    assert!(eventually(SECOND, || left().is_empty()), "{:?}", left());
}

/// Fetches the page of a server that may not be up yet.
fn fetch(network: &Network, address: &str) -> String {
    network.run(&format!(
        "i=0; until busybox wget -qO- http://{address}/ 2>/dev/null
         do sleep 0.05; i=$((i+1)); [ $i -lt 100 ]; done"
    ))
}

fn pasta_reaches_and_is_reached(me: &User) {
    if !host_is_root() {
        skip!("a network of its own needs root");
    }
    let root = root(me);
    let dirs = [scratch_dir(me), scratch_dir(me)];
    let (host, beyond) = Network::pair();
    let far = beyond.serve("10.88.0.1:80", &dirs[0], "far");
    let near = host.serve("127.0.0.1:9999", &dirs[1], "near");
    let script = "wget -qO- http://10.88.0.1/; echo
        for at in 127.0.0.1 10.88.0.2; do wget -qO- http://$at:9999/ 2>/dev/null; done
        ls /sys/class/net; mkdir /tmp/www; echo inside >/tmp/www/index.html
        httpd -f -p 80 -h /tmp/www & echo up; wait";
    let mode = "pasta,tcp:8080:80,udp:5000:5001";
    let running = contain(me, &host, &root, mode, script).start();
    running.wait_for("up");
    assert_eq!(running.stdout(), "far\neth0\nlo\nup\n");
    assert_eq!(fetch(&host, "127.0.0.1:8080"), "inside");
    assert_eq!(fetch(&beyond, "10.88.0.2:8080"), "inside");
    let ports = host.run("ss -Hltun | grep -o ':[0-9]* ' | sort -u | tr -d '\\n'");
    assert_eq!(
        ports, ":5000 :8080 :9999",
        "more is open than was asked for"
    );
    kill(running.pid());
    drop((running.finish(), far, near));
    no_pasta(&host);
    assert_no_traces(&root);
    dirs.iter().for_each(|dir| fs::remove_dir_all(dir).unwrap());
}

/// Whatever the container's root is outside, and however its mounts are made.
fn pasta_runs_for_every_container(me: &User) {
    if !host_is_root() {
        skip!("a network of its own needs root");
    }
    let root = root(me);
    for dir in ["/dev", "/proc", "/sys"] {
        root.mkdir(dir);
    }
    let (host, _beyond) = Network::pair();
    let keep: &[&str] = if me.many_ids() {
        &["-u", "keep", "-g", "keep"]
    } else {
        &["-u", "root"]
    };
    for options in [keep, &["-r"], &["-x"], &["--init"]] {
        let cmd = me
            .contain()
            .args(["--net", "pasta"])
            .args(options)
            .arg(&root);
        let cmd = cmd.args([
            "/bin/sh",
            "-c",
            "ip -o -4 addr show dev eth0 | grep -o 10.88.0.2/24",
        ]);
        assert_eq!(host.of(cmd, "").run().ok(), "10.88.0.2/24", "{options:?}");
    }
    assert_no_traces(&root);
}

fn pasta_ends_with_the_container(me: &User) {
    if !host_is_root() {
        skip!("a network of its own needs root");
    }
    let root = root(me);
    let (host, _beyond) = Network::pair();
    for script in ["exit 5", "kill -9 $$; exit 5"] {
        contain(me, &host, &root, "pasta", script)
            .run()
            .status_is(5);
        assert_no_traces(&root);
        no_pasta(&host);
    }
    let missing = me.contain().args(["--net", "pasta"]).arg(&root);
    host.of(missing.arg("/bin/missing"), "").run().refused(127);
    assert_no_traces(&root);
    no_pasta(&host);
    let running = contain(me, &host, &root, "pasta", "echo up; sleep 1000").start();
    running.wait_for("up");
    running.signal(libc::SIGTERM);
    running.finish().status_is(143);
    assert_no_traces(&root);
    no_pasta(&host);
}

/// Also during the start, which takes some 100 ms.
fn pasta_ends_when_the_supervisor_is_killed(me: &User) {
    if !host_is_root() {
        skip!("a network of its own needs root");
    }
    let root = root(me);
    let (host, _beyond) = Network::pair();
    let cmd = contain(me, &host, &root, "pasta", "echo up; sleep 1000");
    let mut running = cmd.start();
    running.wait_for("up");
    let pasta = pasta_of(running.pid()).expect("a pasta");
    let network = namespace(running.init(), "net");
    let interfaces = host.run("ip -br link");
    kill(running.pid());
    drop(running.finish());
    assert_no_traces(&root);
    no_pasta(&host);
    assert_eq!(host.run("ip -br link"), interfaces);
    // Another test's namespace may get its number for a moment.
    let gone = || !alive(pasta) && !namespaces().contains(&network);
    assert!(
        eventually(10 * SECOND, gone),
        "pasta or its network lives on"
    );
    for step in 0..25 {
        let running = cmd.start();
        let started = || comm(running.pid()) == "contain";
        assert!(eventually(10 * SECOND, started), "{}", running.stderr());
        std::thread::sleep(std::time::Duration::from_millis(step * 3));
        kill(running.pid());
        drop(running.finish());
        assert_no_traces(&root);
        no_pasta(&host);
    }
}

fn the_end_of_pasta_is_told_and_survived(me: &User) {
    if !host_is_root() {
        skip!("a network of its own needs root");
    }
    let root = root(me);
    let (host, _beyond) = Network::pair();
    let script = "echo up; read line; echo $line; exit 3";
    let pty = Pty::open();
    let cmd = me.contain().args(["--net", "pasta"]).arg(&root);
    let cmd = host.of(cmd.args(["/bin/sh", "-c", script]), "");
    let running = pty.run(&cmd);
    pty.wait_for("up\r\n");
    let pasta = pasta_of(running.pid()).expect("a pasta");
    kill(pasta);
    pty.wait_for("contain: the container has lost its network: pasta ended: killed by SIGKILL\r\n");
    pty.keys("still here\n")
        .wait_for("still here\r\nstill here");
    assert_eq!(running.ended(), Some(3), "{:?}", pty.screen());
    // To a pipe it is one line, and init has not seen it.
    let running = contain(
        me,
        &host,
        &root,
        "pasta",
        "echo up; sleep 1; echo on; exit 4",
    )
    .start();
    running.wait_for("up");
    kill(pasta_of(running.pid()).expect("a pasta"));
    let out = running.finish();
    out.status_is(4);
    assert_eq!(out.stdout(), "up\non\n");
    let told: Vec<&str> = out
        .stderr
        .lines()
        .filter(|line| line.contains("network"))
        .collect();
    assert_eq!(
        told,
        ["contain: the container has lost its network: pasta ended: killed by SIGKILL"]
    );
    assert_no_traces(&root);
}

fn a_rebooted_machine_gets_a_pasta_of_its_own(me: &User) {
    if !host_is_root() {
        skip!("a network of its own needs root");
    }
    let root = root(me);
    let dir = scratch_dir(me);
    let (host, beyond) = Network::pair();
    let server = beyond.serve("10.88.0.1:80", &dir, "far");
    let script = "wget -qO- http://10.88.0.1/; echo x >>/boots
        [ $(wc -l </boots) -lt 3 ] && reboot -f; exit 6";
    let out = contain(me, &host, &root, "pasta", script).run();
    assert_eq!(out.status_is(6).stdout(), "farfarfar");
    drop(server);
    assert_no_traces(&root);
    fs::remove_dir_all(dir).unwrap();
}

/// Its standard streams are ours, and it opens the rest itself.
fn pasta_gets_no_descriptor_of_the_callers(me: &User) {
    if !host_is_root() {
        skip!("a network of its own needs root");
    }
    let root = root(me);
    let dir = scratch_dir(me);
    let (host, _beyond) = Network::pair();
    let secret = dir.join("secret");
    fs::write(&secret, "").unwrap();
    let open = format!("exec 9<{0} 200<{0}; exec \"$@\"", secret.display());
    let cmd = me.contain().args(["-c", "--net", "pasta"]).arg(&root);
    let cmd = cmd
        .args(["/bin/sh", "-c", "echo up; sleep 1000"])
        .under_bash(&open);
    let running = host.of(cmd.env("SECRET", "x"), "").start();
    running.wait_for("up");
    let pasta = pasta_of(running.pid()).expect("a pasta");
    let at = |name: &str| format!("/proc/{pasta}/{name}");
    for entry in fs::read_dir(at("fd")).unwrap() {
        let link = fs::read_link(entry.unwrap().path()).unwrap_or_default();
        let link = link.to_string_lossy();
        let known = ["net:", "pipe:", "socket:", "anon_inode:", "/dev/n"];
        assert!(known.iter().any(|kind| link.starts_with(kind)), "{link}");
    }
    assert_eq!(fs::read(at("environ")).unwrap(), b"");
    // In the container's user namespace, where it has no power over the host.
    let init = init_of(running.pid()).expect("init");
    assert_eq!(namespace(pasta, "user"), namespace(init, "user"));
    kill(running.pid());
    drop(running.finish());
    assert_no_traces(&root);
    fs::remove_dir_all(dir).unwrap();
}

/// A resolver like systemd's is out of the container's reach, and answers all
/// the same.
fn pasta_forwards_a_name_server_on_the_localhost(me: &User) {
    if !host_is_root() {
        skip!("a network of its own needs root");
    }
    let root = root(me);
    let dir = scratch_dir(me);
    let (host, _beyond) = Network::pair();
    let file = dir.join("resolv.conf");
    fs::write(&file, "search test\nnameserver 127.0.0.53\n").unwrap();
    let resolver = host.udp("127.0.0.53:53");
    let asked = std::thread::spawn(move || {
        let mut packet = [0; 512];
        let (len, from) = resolver.recv_from(&mut packet).expect("a question");
        // The same packet as a reply that refuses: QR and RCODE 5, RFC 1035.
        packet[2] |= 0x80;
        packet[3] = (packet[3] & 0xf0) | 5;
        resolver.send_to(&packet[..len], from).expect("an answer");
        String::from_utf8_lossy(&packet[..len]).into_owned()
    });
    let cmd = me.contain().args(["-c", "--net", "pasta"]).arg(&root);
    let cmd = cmd.args([
        "/bin/sh",
        "-c",
        "cat /etc/resolv.conf; nslookup name.far 2>&1",
    ]);
    let mount = format!("mount --bind {} /etc/resolv.conf", file.display());
    let out = host.of(cmd, &mount).run();
    assert!(
        out.stdout()
            .starts_with("search test\nnameserver 169.254.1.1\n"),
        "{out}"
    );
    let asked = asked.join().unwrap();
    assert!(asked.contains("\x04name\x03far"), "{asked:?}{out}");
    assert!(out.stdout().contains("REFUSED"), "{out}");
    fs::remove_dir_all(dir).unwrap();
}

/// What answers must be what was asked: the C library drops any other answer.
fn pasta_leaves_other_name_servers_alone(me: &User) {
    if !host_is_root() {
        skip!("a network of its own needs root");
    }
    let (root, dir) = (empty_root(me), scratch_dir(me));
    let (host, beyond) = Network::pair();
    let file = dir.join("resolv.conf");
    fs::write(&file, "nameserver 10.88.0.1\n").unwrap();
    let resolver = beyond.udp("10.88.0.1:53");
    resolver
        .set_read_timeout(Some(20 * SECOND))
        .expect("a time limit");
    let answers = std::thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((len, from)) = resolver.recv_from(&mut packet) {
            let mut answer = packet[..len].to_vec();
            // A reply with one answer to its question: an address, RFC 1035.
            answer[2] |= 0x80;
            (answer[7], answer[9], answer[11]) = (1, 0, 0);
            answer.truncate(12 + 1 + 4 + 1 + 3 + 1 + 4);
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
            if resolver.send_to(&answer, from).is_err() {
                return;
            }
        }
    });
    let cmd = me.contain().args(["-c", "-H", "--net", "pasta"]).arg(&root);
    let script = "cat /etc/resolv.conf; getent ahostsv4 name.far";
    let cmd = cmd.args(["/bin/sh", "-c", script]);
    let mount = format!("mount --bind {} /etc/resolv.conf", file.display());
    let out = host.of(cmd, &mount).run();
    let said = out.stdout();
    assert!(said.starts_with("nameserver 10.88.0.1\n"), "{out}");
    assert!(said.contains("192.0.2.7"), "{out}");
    drop(answers);
    fs::remove_dir_all(dir).unwrap();
}

fn a_missing_pasta_is_named(me: &User) {
    if !host_is_root() {
        skip!("hiding pasta needs root");
    }
    let root = root(me);
    let cmd = me
        .contain()
        .args(["--net", "pasta"])
        .arg(&root)
        .arg("/bin/true");
    let hide = "mount --bind /dev/null $(command -v pasta)";
    let out = cmd.setup(hide).run();
    out.refused_naming(1, &["pasta", "not installed", "Debian package passt"]);
    assert_no_traces(&root);
}

/// As execvp(3) has it: a text that names no interpreter is the shell's.
fn a_pasta_without_an_interpreter_is_a_script(me: &User) {
    if !host_is_root() {
        skip!("replacing pasta needs root");
    }
    let (root, dir) = (root(me), scratch_dir(me));
    let script = dir.join("pasta");
    install(b"echo \"this one has $1\" >&2; exit 1\n", &script, 0o755);
    let cmd = me.contain().args(["--net", "pasta"]).arg(&root);
    let replace = format!("mount --bind {} $(command -v pasta)", script.display());
    let out = cmd.arg("/bin/true").setup(&replace).run();
    out.refused_naming(1, &["cannot start pasta: this one has --foreground"]);
    assert_no_traces(&root);
    fs::remove_dir_all(dir).unwrap();
}

fn a_closed_tun_is_named(me: &User) {
    if !host_is_root() {
        skip!("a network of its own needs root");
    }
    let root = root(me);
    let (host, _beyond) = Network::pair();
    let cmd = || {
        me.contain()
            .args(["--net", "pasta"])
            .arg(&root)
            .arg("/bin/true")
    };
    let out = host.of(cmd(), "chmod 600 /dev/net/tun").run();
    out.refused_naming(
        1,
        &["start pasta", "/dev/net/tun", "chmod 666 /dev/net/tun"],
    );
    let out = host.of(cmd(), "rm /dev/net/tun").run();
    out.refused_naming(1, &["start pasta", "/dev/net/tun is missing"]);
    assert_no_traces(&root);
}

fn a_low_port_is_explained(me: &User) {
    if !host_is_root() {
        skip!("a network of its own needs root");
    }
    let root = root(me);
    let (host, _beyond) = Network::pair();
    host.run("sysctl -qw net.ipv4.ip_unprivileged_port_start=500");
    let out = contain(me, &host, &root, "pasta,tcp:8080:80,tcp:443:443", "exit 0").run();
    out.refused_naming(
        1,
        &[
            "start pasta",
            "443",
            "net.ipv4.ip_unprivileged_port_start is 500",
        ],
    );
    contain(me, &host, &root, "pasta,tcp:500:500", "exit 0")
        .run()
        .ok();
    // Under -n no error of ours is possible: the plan says it.
    let plan = me.contain().args(["-n", "--explain"]).arg(&root);
    let plan = host.of(plan, "").run().ok();
    let line =
        "share the host's network, but no port below 500 (net.ipv4.ip_unprivileged_port_start)";
    assert!(plan.lines().any(|step| step == line), "{plan}");
    assert_no_traces(&root);
}

fn what_is_no_network_is_refused(me: &User) {
    let root = root(me);
    for mode in [
        "",
        "none",
        "host,x",
        "pasta,tcp:80",
        "pasta,tcp:0:80",
        "pasta,tcp:80:80,tcp:80:81",
        "bridge",
        "bridge:",
        "bridge:a/b",
        "bridge:br0,ip=10.0.0.1",
        "bridge:br0,ip=10.0.0.1/33",
        "bridge:br0,gw=10.0.0.1",
        "bridge:br0,ip=10.0.0.2/24,gw=10.9.0.1",
        "bridge:br0,mtu=9000",
    ] {
        let cmd = me
            .contain()
            .arg(format!("--net={mode}"))
            .arg(&root)
            .arg("/bin/true");
        cmd.run().refused_naming(64, &["--net"]);
    }
    let both = |mode| {
        me.contain()
            .args(["-n", "--net", mode])
            .arg(&root)
            .arg("/bin/true")
            .run()
    };
    both("private").refused_naming(64, &["private", "-n"]);
    both("host").ok();
    assert_no_traces(&root);
}

fn the_plan_tells_of_the_network(me: &User) {
    let root = root(me);
    let plan = |options: &[&str]| {
        me.contain()
            .arg("--explain")
            .args(options)
            .arg(&root)
            .run()
            .ok()
    };
    let bridged = plan(&["--net", "bridge:br0,ip=10.0.0.2/24,gw=10.0.0.1"]);
    for step in [
        "attach an interface to bridge br0, and its other end, eth0, inside",
        "give eth0 the address 10.0.0.2/24",
        "route to everywhere by 10.0.0.1",
    ] {
        assert!(bridged.lines().any(|line| line == step), "{bridged}");
    }
    assert!(!bridged.contains("resolv.conf"), "{bridged}");
    let shared = plan(&["-n"]);
    assert!(
        shared.contains("show a copy of the host's /etc/resolv.conf"),
        "{shared}"
    );
    assert!(!plan(&["-n", "--no-dns"]).contains("resolv.conf"));
    if host_is_root() {
        let forwarded = plan(&["--net", "pasta,tcp:8080:80"]);
        assert!(
            forwarded.contains("forward tcp port 8080 to 80 of the container"),
            "{forwarded}"
        );
    }
}

/// A host with a bridge, 10.77.0.1/24, that has a port already.
fn bridge() -> Network {
    Network::new(
        "ip link add br0 type bridge; ip addr add 10.77.0.1/24 dev br0; ip link set br0 up
        ip link add p0 type veth peer name p1; ip link set p0 master br0 up",
    )
}

fn two_containers_on_a_bridge_exchange_tcp(me: &User) {
    let (root, other) = (root(me), tests::root(me));
    let host = bridge();
    let address = || host.run("ip -o link show br0 | grep -o 'ether [^ ]*'");
    let before = address();
    let serve = "mkdir /tmp/www; echo served >/tmp/www/index.html
        httpd -f -p 80 -h /tmp/www & echo up; wait";
    let server = contain(
        me,
        &host,
        &root,
        "bridge:br0,ip=10.77.0.2/24,gw=10.77.0.1",
        serve,
    )
    .start();
    server.wait_for("up");
    let client = "i=0; until wget -qO- http://10.77.0.2/; do sleep 0.05; i=$((i+1)); [ $i -lt 100 ] || exit 1; done 2>/dev/null
        ip -o -4 addr show dev eth0 | grep -o '10.77.0.3/24 brd 10.77.0.255'; ip route | grep default; ls /sys/class/net";
    let out = contain(
        me,
        &host,
        &other,
        "bridge:br0,ip=10.77.0.3/24,gw=10.77.0.1",
        client,
    )
    .run();
    assert_eq!(
        out.ok(),
        "served\n10.77.0.3/24 brd 10.77.0.255\ndefault via 10.77.0.1 dev eth0 \neth0\nlo"
    );
    // The host reaches it, and over IPv6 no probe delays the address.
    assert_eq!(fetch(&host, "10.77.0.2"), "served");
    host.run("ip addr add fd77::1/64 dev br0 nodad");
    let six =
        "ping -c 1 -W 5 fd77::1 >/dev/null && ip -6 route | grep -o 'default via fd77::1 dev eth0'";
    contain(
        me,
        &host,
        &other,
        "bridge:br0,ip=fd77::2/64,gw=fd77::1",
        six,
    )
    .run()
    .says("default via fd77::1 dev eth0");
    assert_eq!(address(), before, "the bridge's own address changed");
    drop(server);
    assert_no_traces(&root);
}

fn an_interface_without_address_is_left_to_dhcp(me: &User) {
    let root = root(me);
    let host = bridge();
    let script = "ip -o link show eth0 | grep -o 'BROADCAST,MULTICAST,UP,LOWER_UP'; ip -o -4 addr show dev eth0
        ip link set eth0 address 02:00:00:00:00:01; ip addr add 10.77.0.9/24 dev eth0; ping -c 1 -W 5 10.77.0.1 | grep -c 'bytes from'";
    let out = contain(me, &host, &root, "bridge:br0", script).run();
    assert_eq!(out.ok(), "BROADCAST,MULTICAST,UP,LOWER_UP\n1");
}

/// The network namespaces of all processes.
fn namespaces() -> BTreeSet<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let links = entries.filter_map(|entry| fs::read_link(entry.path().join("ns/net")).ok());
    links.map(|link| link.display().to_string()).collect()
}

fn bridged_interfaces_and_namespaces_go(me: &User) {
    let root = root(me);
    let host = bridge();
    let interfaces = || host.run("ls /proc/sys/net/ipv4/conf; ip -o link | wc -l");
    let before = interfaces();
    let mode = "bridge:br0,ip=10.77.0.2/24";
    let gone = || eventually(10 * SECOND, || interfaces() == before);
    contain(me, &host, &root, mode, "exit 0").run().ok();
    assert!(gone(), "{}", interfaces());
    contain(me, &host, &root, "bridge:br0", "exit 7")
        .run()
        .status_is(7);
    for signal in [libc::SIGKILL, libc::SIGTERM] {
        let mut running = contain(me, &host, &root, mode, "echo up; sleep 1000").start();
        running.wait_for("up");
        assert_ne!(interfaces(), before);
        let network = namespace(running.init(), "net");
        running.signal(signal);
        drop(running.finish());
        assert_no_traces(&root);
        assert!(gone(), "{}", interfaces());
        let ended = || !namespaces().contains(&network);
        assert!(eventually(10 * SECOND, ended), "the network lives on");
    }
    // Killed while it attaches: about 20 ms.
    let cmd = contain(me, &host, &root, mode, "echo up; sleep 1000");
    for step in 0..25 {
        let running = cmd.start();
        let started = || comm(running.pid()) == "contain";
        assert!(eventually(10 * SECOND, started), "{}", running.stderr());
        std::thread::sleep(std::time::Duration::from_millis(step));
        kill(running.pid());
        drop(running.finish());
    }
    assert_no_traces(&root);
    assert!(gone(), "{}", interfaces());
}

fn a_rebooted_machine_stays_on_the_bridge(me: &User) {
    let root = root(me);
    let host = bridge();
    let script = "ping -c 1 -W 5 10.77.0.1 >/dev/null && echo reached; echo x >>/boots
        [ $(wc -l </boots) -lt 3 ] && reboot -f; exit 6";
    let out = contain(me, &host, &root, "bridge:br0,ip=10.77.0.2/24", script).run();
    assert_eq!(out.status_is(6).stdout(), "reached\nreached\nreached\n");
}

fn why_there_is_no_bridge(me: &User) {
    let root = root(me);
    let host = Network::new("ip link add br0 type bridge; ip link add one type veth peer name two");
    let refused = |mode: &str, facts: &[&str]| {
        let out = contain(me, &host, &root, mode, "exit 0").run();
        out.refused_naming(1, facts);
        assert_no_traces(&root);
    };
    refused("bridge:br7", &["bridge br7", "no such interface"]);
    refused("bridge:one", &["bridge one", "not a bridge"]);
    let before = host.run("ip -o link | wc -l");
    let cmd = me
        .contain()
        .args(["--net", "bridge:br0"])
        .arg(&root)
        .arg("/bin/true");
    let without = cmd.under(["setpriv", "--bounding-set", "-net_admin"]);
    host.of(without, "")
        .run()
        .refused_naming(1, &["bridge br0", "CAP_NET_ADMIN"]);
    // The name is taken by what the outside helper has made.
    let cmd = me.contain().args(["--net", "bridge:br0", "-o"]);
    let cmd = cmd
        .arg("ip link add eth0 netns $PPID type bridge")
        .arg(&root)
        .arg("/bin/true");
    host.of(cmd, "")
        .run()
        .refused_naming(1, &["bridge br0", "file exists"]);
    assert!(eventually(5 * SECOND, || host.run("ip -o link | wc -l") == before));
}

fn only_root_attaches_to_a_bridge(me: &User) {
    if !host_is_root() {
        skip!("a bridge to be refused needs root");
    }
    let root = root(me);
    let out = contain(me, &bridge(), &root, "bridge:br0", "exit 0").run();
    out.refused_naming(1, &["bridge br0", "only root", "--net pasta"]);
    assert_no_traces(&root);
}

fn a_pair_made_by_hand(me: &User) {
    let root = root(me);
    let host = Network::new("");
    let by_hand = "ip link add veth1 type veth peer name c0; ip link set c0 netns $PPID
        ip addr add 10.66.0.1/24 dev veth1; ip link set veth1 up";
    let script = "ip addr add 10.66.0.2/24 dev c0; ip link set c0 up
        ping -c 1 -W 5 10.66.0.1 | grep -c 'bytes from'; ls /sys/class/net";
    let cmd = me.contain().args(["-c", "-o", by_hand]).arg(&root);
    let out = host.of(cmd.args(["/bin/sh", "-c", script]), "").run();
    assert_eq!(out.ok(), "1\nc0\nlo");
}

fn a_network_made_by_ip_netns(me: &User) {
    let root = root(me);
    let cmd = me.contain().args(["-c", "-n"]).arg(&root);
    let cmd = cmd.args([
        "/bin/sh",
        "-c",
        "ls /sys/class/net; ip -o -4 addr show dev lo | grep -o 10.9.9.9",
    ]);
    let cmd = cmd.under(["ip", "netns", "exec", "made"]);
    let setup =
        "mount -t tmpfs none /run; ip netns add made; ip -n made addr add 10.9.9.9/32 dev lo";
    let out = cmd.setup(setup).run();
    assert_eq!(out.ok().lines().last(), Some("10.9.9.9"), "{out}");
}
