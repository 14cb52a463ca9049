//! The list as JSON, RFC 8259. Written here, because a terminal may show it:
//! every character that it would not show as it is is escaped, of which the format
//! itself asks only for some. Bytes outside UTF-8 become U+FFFD.

use std::fmt::Write as _;

use crate::error::text::is_shown;
use crate::join::containers::Container;

/// An array of objects, a line each.
#[must_use]
pub fn json(containers: &[Container]) -> String {
    let objects: Vec<String> = containers.iter().map(object).collect();
    match objects.is_empty() {
        true => "[]\n".to_string(),
        false => format!("[\n{}\n]\n", objects.join(",\n")),
    }
}

fn object(container: &Container) -> String {
    let name = container.name.as_ref();
    let name = name.map_or("null".to_string(), |name| string(name.as_str()));
    let words = container.command.iter();
    let words: Vec<String> = words.map(|word| string(&word.to_string_lossy())).collect();
    format!(
        "{{\"pid\":{},\"name\":{name},\"user\":{},\"root\":{},\"init\":{},\"net\":{},\
         \"uptime\":{},\"command\":[{}]}}",
        container.supervisor,
        container.user,
        string(&container.root.to_string_lossy()),
        container.init,
        string(&container.net),
        container.uptime.as_secs(),
        words.join(",")
    )
}

fn string(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if is_shown(c) => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Cannot fail: it is a String.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::join::containers::Container;
    use crate::plan::profile::Terms;

    #[test]
    fn reads_as_json() {
        let container = Container {
            supervisor: 12,
            user: 1000,
            init: 13,
            name: None,
            root: "/a\"b\\c\u{9b}\u{7f}\n".into(),
            net: "host".into(),
            uptime: Duration::from_millis(1900),
            terms: Terms::default(),
            command: vec!["é".into(), "".into()],
        };
        assert_eq!(json(&[]), "[]\n");
        assert_eq!(
            json(&[container]),
            "[\n{\"pid\":12,\"name\":null,\"user\":1000,\"root\":\"/a\\\"b\\\\c\\u009b\\u007f\\u000a\",\
             \"init\":13,\"net\":\"host\",\"uptime\":1,\"command\":[\"é\",\"\"]}\n]\n"
        );
    }
}
