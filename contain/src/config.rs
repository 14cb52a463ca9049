//! A container in a TOML file: the options under their long names, which become
//! arguments and are read as such, and the keys of files that were written for
//! other programs. The command line wins over the file.

mod mounts;

use std::ffi::OsString;
use std::fs;
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory as _, Parser as _};
use nscore::{Error, Mount, quoted};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::Args;

type Table<'a> = DeTable<'a>;
type Value<'a> = Spanned<DeValue<'a>>;

/// Keys that are no options.
const KEYS: [&str; 10] = [
    "root",
    "command",
    "chroot_dir",
    "working_dir",
    "namespaces",
    "uid",
    "gid",
    "uid_map",
    "gid_map",
    "mount",
];

/// Options that make no sense in a file.
const NOT_HERE: [&str; 4] = ["config", "explain", "help", "version"];

/// Options that are a path of the host, from the file's directory.
const HOST_PATHS: [&str; 2] = ["upper", "device"];

/// An option that the file sets.
struct FromFile {
    option: String,
    arguments: Vec<OsString>,
}

/// What a file says.
struct Config {
    settings: Vec<FromFile>,
    root: Option<PathBuf>,
    command: Vec<OsString>,
}

/// Adds what `file` says to the arguments that were given, `raw`, and to what
/// came of them.
///
/// # Errors
/// A file that cannot be read, or says what makes no sense: its line, and why.
pub(crate) fn merge(file: &Path, raw: &[OsString]) -> Result<(Args, Vec<Mount>), Error> {
    let text = fs::read_to_string(file)
        .map_err(|error| Error::io(format!("read {}", quoted(file)), &error))?;
    let absolute = std::path::absolute(file)
        .map_err(|error| Error::io(format!("find {}", quoted(file)), &error))?;
    let reader = Reader {
        file,
        dir: absolute.parent().unwrap_or(Path::new("/")),
        text: &text,
        options: Args::command(),
    };
    let table = DeTable::parse(&text)
        .map_err(|error| reader.error(error.span().unwrap_or_default(), error.message()))?
        .into_inner();
    let config = reader.read(&table)?;
    let given = reader.options.clone().try_get_matches_from(raw);
    let given = given.map_err(|error| reader.unlikely(&error))?;
    let program = raw.iter().take(1).cloned();
    let settings = config.settings.into_iter();
    let wins = |setting: &FromFile| !reader.is_beaten(&setting.option, &given);
    let from_file = settings.filter(wins).flat_map(|setting| setting.arguments);
    let all = program.chain(from_file).chain(raw.iter().skip(1).cloned());
    let mut args = Args::try_parse_from(all).map_err(|error| reader.unlikely(&error))?;
    if let Some(root) = config.root {
        args.operands.insert(0, root.into());
    }
    if args.operands.len() == 1 {
        args.operands.extend(config.command);
    }
    let root = args.operands.first().map(Path::new);
    let mounts = mounts::read(&reader, &table, root.unwrap_or(Path::new("/")))?;
    Ok((args, mounts))
}

/// What is needed to read a file and to say what is wrong with it.
struct Reader<'a> {
    file: &'a Path,
    /// Where it is, absolute.
    dir: &'a Path,
    text: &'a str,
    options: Command,
}

impl Reader<'_> {
    fn read(&self, table: &Table) -> Result<Config, Error> {
        let mut config = Config {
            settings: Vec::new(),
            root: None,
            command: Vec::new(),
        };
        for (key, value) in table {
            let option = self.options.get_arguments().find(|option| {
                option.get_long() == Some(key.get_ref()) && !NOT_HERE.contains(&&**key.get_ref())
            });
            let setting = |option: &str, argument: String| FromFile {
                option: option.replace('-', "_"),
                arguments: vec![format!("--{option}={argument}").into()],
            };
            let setting = match (key.get_ref().as_ref(), option) {
                (_, Some(option)) => self.setting(option, value)?,
                ("root" | "chroot_dir", _) => {
                    config.root = Some(self.path(value)?);
                    continue;
                }
                ("command", _) => {
                    let words = self.strings(value)?;
                    config.command = words.into_iter().map(OsString::from).collect();
                    continue;
                }
                // All of them at once, when the root is known.
                ("mount", _) => continue,
                ("working_dir", _) => setting("workdir", self.string(value)?),
                ("uid", _) => {
                    let group = table.get("gid").map(|gid| self.number(gid)).transpose()?;
                    let group = group.map(|group| format!(":{group}")).unwrap_or_default();
                    setting("user", format!("{}{group}", self.number(value)?))
                }
                ("gid", _) if table.contains_key("uid") => continue,
                ("gid", _) => setting("user", format!("0:{}", self.number(value)?)),
                ("uid_map", _) => setting("uid-map", self.map(value)?),
                ("gid_map", _) => setting("gid-map", self.map(value)?),
                ("namespaces", _) => {
                    if self.has_network(value)? {
                        continue;
                    }
                    FromFile {
                        option: "host_net".into(),
                        arguments: vec!["--host-net".into()],
                    }
                }
                (unknown, _) => {
                    let options = self.options.get_arguments().filter_map(Arg::get_long);
                    let known = options
                        .filter(|option| !NOT_HERE.contains(option))
                        .chain(KEYS);
                    return Err(self.unknown(key.span(), unknown, known));
                }
            };
            self.check(&setting, value)?;
            config.settings.push(setting);
        }
        Ok(config)
    }

    /// An option, with the values it takes.
    fn setting(&self, option: &Arg, value: &Value) -> Result<FromFile, Error> {
        let name = option.get_long().unwrap_or_default();
        let argument = |text: String| {
            let mut argument = OsString::from(format!("--{name}="));
            match name {
                "bind" => argument.push(self.bind(&text)),
                // An empty name is refused as it is.
                _ if HOST_PATHS.contains(&name) && !text.is_empty() => {
                    argument.push(self.dir.join(text));
                }
                _ => argument.push(text),
            }
            argument
        };
        let arguments = match (option.get_action(), value.get_ref()) {
            (ArgAction::SetTrue, DeValue::Boolean(true)) => vec![format!("--{name}").into()],
            (ArgAction::SetTrue, DeValue::Boolean(false)) => Vec::new(),
            (ArgAction::SetTrue, _) => return Err(self.wrong(value, "true or false")),
            (ArgAction::Append, DeValue::Array(_)) => {
                self.strings(value)?.into_iter().map(argument).collect()
            }
            _ => vec![argument(self.scalar(value)?)],
        };
        Ok(FromFile {
            option: option.get_id().to_string(),
            arguments,
        })
    }

    /// A value that the option does not take is the file's fault, and has a line
    /// there.
    fn check(&self, setting: &FromFile, value: &Value) -> Result<(), Error> {
        let program = OsString::from("contain");
        let arguments = [program]
            .into_iter()
            .chain(setting.arguments.iter().cloned());
        match self.options.clone().try_get_matches_from(arguments) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.error(value.span(), cli::first_line(&error))),
        }
    }

    /// Whether the command line has set this option, or one that excludes it.
    fn is_beaten(&self, id: &str, given: &ArgMatches) -> bool {
        let by_hand = |id: &str| given.value_source(id) == Some(ValueSource::CommandLine);
        let mut options = self.options.get_arguments();
        let Some(option) = options.find(|option| option.get_id() == id) else {
            return false;
        };
        let excluding = self.options.get_arg_conflicts_with(option);
        let adds = matches!(option.get_action(), ArgAction::Append);
        // Two names of one choice, which agree or are an error.
        let other = match id {
            "host_net" => Some("net"),
            "net" => Some("host_net"),
            _ => None,
        };
        by_hand(id) && !adds
            || other.is_some_and(by_hand)
            || excluding
                .iter()
                .any(|other| by_hand(other.get_id().as_str()))
    }

    /// SRC[:DST][:ro] with a source beside the file. A colon in the name of our
    /// directory is none of the grammar's.
    fn bind(&self, text: &str) -> OsString {
        if text.is_empty() || text.starts_with('/') {
            return text.into();
        }
        let mut bind = Vec::new();
        for byte in self.dir.as_os_str().as_bytes() {
            if b":\\".contains(byte) {
                bind.push(b'\\');
            }
            bind.push(*byte);
        }
        bind.extend([b"/", text.as_bytes()].concat());
        OsString::from_vec(bind)
    }

    /// Whether the list of namespaces has the network's. The others are always
    /// made.
    fn has_network(&self, value: &Value) -> Result<bool, Error> {
        const KNOWN: [&str; 10] = [
            "user", "mnt", "mount", "pid", "ipc", "uts", "net", "network", "cgroup", "time",
        ];
        let names = self.strings(value)?;
        match names.iter().find(|name| !KNOWN.contains(&name.as_str())) {
            Some(name) => Err(self.error(
                value.span(),
                format!("there is no namespace {}", quoted(name)),
            )),
            None => Ok(names.iter().any(|name| name == "net" || name == "network")),
        }
    }

    /// Tables with inside, outside and count, as the text of a map.
    fn map(&self, value: &Value) -> Result<String, Error> {
        let mut ranges = Vec::new();
        for table in self.tables(value)? {
            self.check_keys(table, &["inside", "outside", "count"])?;
            let number = |key: &str| match table.get(key) {
                Some(number) => self.number(number),
                None => Err(self.error(value.span(), format!("a range has no {key}"))),
            };
            ranges.push(format!(
                "{}:{}:{}",
                number("inside")?,
                number("outside")?,
                number("count")?
            ));
        }
        Ok(ranges.join(","))
    }

    fn check_keys(&self, table: &Table, known: &[&str]) -> Result<(), Error> {
        match table.keys().find(|key| !known.contains(&&**key.get_ref())) {
            Some(key) => Err(self.unknown(key.span(), key.get_ref(), known.iter().copied())),
            None => Ok(()),
        }
    }

    fn tables<'a>(&self, value: &'a Value<'a>) -> Result<Vec<&'a Table<'a>>, Error> {
        let array = value.get_ref().as_array();
        let tables = array.and_then(|array| array.iter().map(|v| v.get_ref().as_table()).collect());
        tables.ok_or_else(|| self.wrong(value, "a list of tables"))
    }

    fn strings(&self, value: &Value) -> Result<Vec<String>, Error> {
        let array = value.get_ref().as_array();
        let array = array.ok_or_else(|| self.wrong(value, "a list of strings"))?;
        array.iter().map(|value| self.string(value)).collect()
    }

    fn string(&self, value: &Value) -> Result<String, Error> {
        let string = value.get_ref().as_str().map(str::to_string);
        string.ok_or_else(|| self.wrong(value, "a string"))
    }

    /// A path of the host, from the file's directory.
    fn path(&self, value: &Value) -> Result<PathBuf, Error> {
        match self.string(value)? {
            empty if empty.is_empty() => Err(self.error(value.span(), "the name is empty")),
            path => Ok(self.dir.join(path)),
        }
    }

    fn number(&self, value: &Value) -> Result<String, Error> {
        match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_string()),
            _ => Err(self.wrong(value, "a decimal number")),
        }
    }

    fn scalar(&self, value: &Value) -> Result<String, Error> {
        match value.get_ref() {
            DeValue::Float(number) => Ok(number.as_str().to_string()),
            DeValue::Integer(_) => self.number(value),
            _ => self.string(value),
        }
    }

    fn wrong(&self, value: &Value, wanted: &str) -> Error {
        self.error(value.span(), format!("this is not {wanted}"))
    }

    fn unknown<'k>(
        &self,
        at: Range<usize>,
        key: &str,
        known: impl Iterator<Item = &'k str>,
    ) -> Error {
        let error = self.error(at, format!("there is no key {}", quoted(key)));
        let near = known.map(|known| (strsim::jaro_winkler(key, known), known));
        match near.max_by(|a, b| a.0.total_cmp(&b.0)) {
            // As clap has it for options.
            Some((likeness, nearest)) if likeness > 0.7 => {
                error.with_hint(format!("the nearest is {nearest}"))
            }
            _ => error,
        }
    }

    fn error(&self, at: Range<usize>, why: impl std::fmt::Display) -> Error {
        let before = self.text.get(..at.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        Error::usage(self.what(), format!("line {line}: {why}"))
    }

    /// Options that exclude each other.
    fn unlikely(&self, error: &clap::Error) -> Error {
        Error::usage(self.what(), cli::first_line(error))
    }

    fn what(&self) -> String {
        format!("read {}", quoted(self.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Keys that are known, or nearly.
    fn key() -> impl Strategy<Value = String> {
        let options = Args::command();
        let known = options
            .get_arguments()
            .filter_map(|option| option.get_long());
        let known: Vec<_> = known.chain(KEYS).map(String::from).collect();
        prop_oneof![prop::sample::select(known), "[a-z_-]{1,8}"]
    }

    fn value() -> impl Strategy<Value = String> {
        let one = prop_oneof![
            "\"[a-z0-9:/=,%. -]{0,12}\"",
            any::<i64>().prop_map(|number| number.to_string()),
            any::<f32>().prop_map(|number| number.to_string()),
            any::<bool>().prop_map(|on| on.to_string()),
            Just("{ source = \"/\", hostID = 1 }".to_string()),
        ];
        let some = vec(one.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(", ")));
        prop_oneof![one, some]
    }

    fn files() -> impl Strategy<Value = String> {
        let line = (key(), value()).prop_map(|(key, value)| format!("{key} = {value}\n"));
        let table = key().prop_map(|key| format!("[[{key}]]\n"));
        let lines = prop_oneof![8 => line, 1 => table, 1 => ".{0,20}\n"];
        vec(lines, 0..6).prop_map(|lines| lines.concat())
    }

    proptest! {
        /// Whatever a file says is taken, or refused in a line that names it.
        #[test]
        fn any_file_is_taken_or_refused(text in files()) {
            let file = std::env::temp_dir().join(format!("{}.toml", std::process::id()));
            fs::write(&file, text).unwrap();
            let merged = merge(&file, &["contain".into()]);
            fs::remove_file(&file).unwrap();
            if let Err(error) = merged {
                let said = error.to_string();
                prop_assert!(said.lines().count() == 1, "{}", said);
                prop_assert!(said.contains(".toml"), "{}", said);
            }
        }
    }
}
