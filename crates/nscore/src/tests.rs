//! Properties of what is read from others: for texts of any kind, and for what this
//! crate writes itself. A number of cases is tried each time; PROPTEST_CASES sets it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::error::text::{is_shown, quoted};
use crate::exec::header;
use crate::host::{accounts, resolv};
use crate::join::containers::Container;
use crate::join::{json, list};
use crate::plan::network::FORWARDER;
use crate::plan::profile::Terms;
use crate::proc::mountinfo;
use crate::spec::limits::{Cpus, Size};
use crate::spec::maps::{Extent, IdMap, MapSpec};
use crate::spec::mounts::Mount;
use crate::spec::name::Name;
use crate::spec::user::UserSpec;
use crate::supervise::record::Record;
use crate::supervise::resolv::forwarded;

/// Bytes that mean something to one of the grammars, and any others.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let telling =
        prop::sample::select(b"\0\n\t =:,;\\/-+.#%0123456789kKmMgGxX\x1b\x80\xff".to_vec());
    vec(prop_oneof![telling, any::<u8>()], 0..200)
}

fn text() -> impl Strategy<Value = String> {
    bytes().prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn word() -> impl Strategy<Value = OsString> {
    bytes().prop_map(|mut bytes| {
        bytes.retain(|byte| *byte != 0);
        OsString::from_vec(bytes)
    })
}

fn extent() -> impl Strategy<Value = Extent> {
    let id = prop_oneof![0..70_000_u32, any::<u32>()];
    (id.clone(), id.clone(), id)
        .prop_map(|(inside, outside, count)| Extent::new(inside, outside, count))
}

fn container() -> impl Strategy<Value = Container> {
    let name = prop::option::of("[a-z][a-z0-9]{0,20}");
    let command = vec(word(), 0..6);
    (
        1..i32::MAX,
        any::<u32>(),
        1..i32::MAX,
        name,
        word(),
        text(),
        any::<u32>(),
        command,
    )
        .prop_map(
            |(supervisor, user, init, name, root, net, uptime, command)| Container {
                supervisor,
                user,
                init,
                name: name.map(|name| name.parse().unwrap()),
                root: root.into(),
                net,
                uptime: Duration::from_secs(uptime.into()),
                command,
                terms: Terms::default(),
            },
        )
}

proptest! {
    #[test]
    fn a_map_reads_as_it_is_written(extents in vec(extent(), 0..8)) {
        if let Ok(map) = IdMap::new(extents.clone()) {
            prop_assert_eq!(map.to_string().parse::<IdMap>(), Ok(map.clone()));
            prop_assert_eq!(IdMap::from_kernel_text(&map.kernel_text()), Some(map.clone()));
            for extent in map.extents() {
                let (first, last) = (extent.inside, extent.inside + (extent.count - 1));
                prop_assert_eq!(map.outside(first), Some(extent.outside));
                prop_assert_eq!(map.outside(last), Some(extent.outside + (extent.count - 1)));
                prop_assert!(map.has_outside(extent.outside));
            }
        }
    }

    #[test]
    fn no_word_is_two_things(text in text()) {
        // None panics, and what is taken is shown as something that is taken alike.
        if let Ok(MapSpec::Explicit(map)) = text.parse::<MapSpec>() {
            prop_assert_eq!(map.to_string().parse::<IdMap>(), Ok(map));
        }
        if let Ok(size) = text.parse::<Size>() {
            prop_assert_eq!(size.kernel_text().parse::<Size>(), Ok(size));
        }
        if let Ok(user) = text.parse::<UserSpec>() {
            prop_assert_eq!(user.to_string().parse::<UserSpec>(), Ok(user));
        }
        let _ = text.parse::<Cpus>();
        if let Ok(name) = text.parse::<Name>() {
            prop_assert!(name.as_str().chars().all(is_shown));
        }
        if let Ok(mount) = Mount::bind(OsString::from(text)) {
            prop_assert!(mount.at.is_absolute());
        }
    }

    #[test]
    fn delegations_are_ranges(file in text(), uid in any::<u32>()) {
        let account = accounts::Account { uid, name: Some("me".into()) };
        for (_, count) in accounts::ranges(&file, &account) {
            prop_assert!(count > 0);
        }
        let _ = accounts::passwd_name(&file, uid);
    }

    #[test]
    fn mounts_are_read_or_passed_over(text in bytes()) {
        let lines = text.split(|byte| *byte == b'\n').count();
        prop_assert!(mountinfo::parse(&text).count() <= lines);
    }

    #[test]
    fn a_mount_point_of_any_name_is_read(name in word()) {
        use std::os::unix::ffi::OsStrExt as _;
        let escaped: Vec<u8> = name.as_bytes().iter().flat_map(|byte| match byte {
            b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}").into_bytes(),
            byte => vec![*byte],
        }).collect();
        let line = [b"36 35 98:0 / /", &escaped[..], b" rw - ext4 /dev/x rw\n"].concat();
        let found: Vec<_> = mountinfo::parse(&line).collect();
        prop_assert_eq!(found.len(), 1);
        let mut point = OsString::from("/");
        point.push(&name);
        prop_assert_eq!(found[0].point.as_os_str(), point.as_os_str());
    }

    #[test]
    fn a_header_of_any_kind_is_looked_at(bytes in bytes(), magic in prop::option::of(Just(b"\x7fELF\x02\x01\x01".to_vec()))) {
        let header = [magic.unwrap_or_default(), bytes].concat();
        let _ = (header::interpreter(&header), header::foreign_machine(&header));
    }

    #[test]
    fn a_record_reads_as_it_is_written(container in container()) {
        let record = Record {
            init: container.init,
            name: container.name,
            started: 77,
            root: container.root,
            command: container.command,
            net: container.net.replace('\0', ""),
            terms: container.terms,
            owner: 0,
        };
        prop_assert_eq!(Record::decode(&record.encode()), Some(record));
    }

    #[test]
    fn no_record_is_beyond_reading(bytes in bytes(), known in any::<bool>()) {
        let start: &[u8] = if known { b"version=contain 1\0profile=1,off\0init=1\0" } else { b"" };
        let _ = Record::decode(&[start, &bytes].concat());
    }

    #[test]
    fn lists_are_lines_that_a_terminal_shows(
        containers in vec(container(), 0..4),
        width in prop::option::of(1..300_usize),
    ) {
        let table = list::table(&containers, width);
        prop_assert_eq!(table.lines().count(), containers.len() + 1);
        for line in table.lines() {
            prop_assert!(line.chars().all(is_shown), "{:?}", line);
            prop_assert!(width.is_none_or(|width| line.chars().count() <= width));
        }
        let json = json::json(&containers);
        prop_assert!(json.chars().all(|c| c == '\n' || is_shown(c)), "{:?}", json);
        prop_assert_eq!(json.matches("{\"pid\":").count(), containers.len());
    }

    #[test]
    fn what_is_quoted_is_shown(word in word()) {
        prop_assert!(quoted(word).chars().all(is_shown));
    }

    #[test]
    fn no_name_server_on_the_localhost_is_left(text in bytes()) {
        let out = forwarded(&text);
        let servers = out.split(|byte| *byte == b'\n').filter_map(resolv::name_server);
        for server in servers {
            prop_assert!(!server.is_loopback());
            prop_assert!(resolv::has_others(&text) || server.to_string() == FORWARDER);
        }
    }
}
