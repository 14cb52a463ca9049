//! Completions: options and their values from the argument definitions, and
//! around them what the generators do not know: that option parsing stops at
//! the first operand, and what the operands are.

use anyhow::{Result, ensure};
use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, ValueHint};
use clap_complete::{Shell as Generator, generate};

/// The words that a map may be.
const MAP_WORDS: [&str; 3] = ["auto", "root", "keep"];

/// A shell that completes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    pub(crate) const ALL: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

    /// The name under which the shell looks for the completion of `program`.
    pub(crate) fn file_name(self, program: &str) -> String {
        match self {
            Shell::Bash => program.to_string() + ".bash",
            Shell::Zsh => format!("_{program}"),
            Shell::Fish => program.to_string() + ".fish",
        }
    }

    /// Where it looks, below the prefix.
    pub(crate) fn home(self) -> &'static str {
        match self {
            Shell::Bash => "share/bash-completion/completions",
            Shell::Zsh => "share/zsh/site-functions",
            Shell::Fish => "share/fish/vendor_completions.d",
        }
    }

    /// The completion of a program.
    pub(crate) fn complete(self, command: &Command) -> Result<String> {
        let generator = match self {
            Shell::Bash => Generator::Bash,
            Shell::Zsh => Generator::Zsh,
            Shell::Fish => Generator::Fish,
        };
        let mut out = Vec::new();
        generate(
            generator,
            &mut described(command),
            command.get_name(),
            &mut out,
        );
        let text = String::from_utf8(out)?;
        match self {
            Shell::Bash => Ok(text + &bash(command)),
            Shell::Zsh => zsh(command, &text),
            Shell::Fish => Ok(fish(command, &text)),
        }
    }
}

/// What the first operand is, and with it what the second is: another step, or
/// the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Directory,
    Container,
    Command,
}

impl First {
    /// As the usage line names it.
    fn of(command: &Command) -> First {
        let usage = command.clone().render_usage().to_string();
        match usage
            .split_whitespace()
            .find(|word| ["DIR", "CONTAINER"].contains(word))
        {
            Some("DIR") => First::Directory,
            Some(_) => First::Container,
            None => First::Command,
        }
    }
}

/// What stands for the containers that run in the script that zsh() changes.
const CONTAINERS: &str = "CONTAINERS";

/// Prints the containers that run, by process id and by name. Words of other
/// letters are left out, because shells may expand what they complete.
const LIST: &str = r#"inject -l 2>/dev/null | awk 'NR > 1 { print $1 }
        NR > 1 && $2 ~ "^[A-Za-z0-9][A-Za-z0-9._/-]*$" && $2 !~ "/-$" { print $2 }'"#;

/// The command with the kind of each value, which its name tells unless the
/// definition does, and with its operands one by one.
fn described(command: &Command) -> Command {
    let kind = |arg: &Arg| {
        let names = arg.get_value_names().unwrap_or_default();
        let name = names.first().map(|name| name.as_str());
        let arg = arg.clone();
        match name {
            _ if arg.get_value_hint() != ValueHint::Unknown => arg,
            Some("MAP") => arg.value_parser(PossibleValuesParser::new(MAP_WORDS)),
            Some("CMD") => arg.value_hint(ValueHint::CommandString),
            Some("DIR") => arg.value_hint(ValueHint::DirPath),
            Some("FILE" | "PATH") => arg.value_hint(ValueHint::AnyPath),
            _ => arg,
        }
    };
    let options = command.get_arguments();
    let options = options.filter(|arg| !arg.is_positional() && !arg.is_hide_set());
    // Neither name nor version reach the scripts, only that there is -V.
    let mut described = Command::new("program")
        .version("any")
        .args(options.map(kind));
    let first = match First::of(command) {
        First::Directory => Some(Arg::new("DIR").value_hint(ValueHint::DirPath)),
        First::Container => {
            Some(Arg::new("CONTAINER").value_parser(PossibleValuesParser::new([CONTAINERS])))
        }
        First::Command => None,
    };
    if let Some(first) = first {
        described = described.arg(first.required(true));
    }
    let rest = Arg::new("CMD").num_args(0..).trailing_var_arg(true);
    described.arg(rest.value_hint(ValueHint::CommandWithArguments))
}

/// Options end at the first operand, and the words of the command are its own.
fn zsh(command: &Command, text: &str) -> Result<String> {
    let list = format!("({CONTAINERS})");
    let mut text = text.to_string();
    if First::of(command) == First::Container {
        // Before the last lines, which call what the file is about.
        let function = format!("_inject_containers() {{\n    compadd -- $({LIST})\n}}\n\n");
        let at = text.find("_inject() {").unwrap_or(text.len());
        text.insert_str(at, &function);
    }
    let changes = [
        ("_options=(-s -S -C)", "_options=(-s -S -C -A '-*')"),
        ("'*::CMD:", "'*:::CMD:"),
        (&list, "_inject_containers"),
    ];
    for (old, _) in &changes[..2] {
        ensure!(text.contains(old), "no {old} in what clap_complete wrote");
    }
    // To zsh : ends the name of a value.
    for arg in options(command) {
        for name in arg.get_value_names().unwrap_or_default() {
            text = text.replace(
                &format!(":{name}:"),
                &format!(":{}:", name.replace(':', "\\:")),
            );
        }
    }
    let change = |text: String, (old, new): (&str, &str)| text.replace(old, new);
    Ok(changes.into_iter().fold(text, change))
}

/// A function around the generated one, which knows options only.
fn bash(command: &Command) -> String {
    let (valued, flags): (Vec<Arg>, Vec<Arg>) = options(command)
        .into_iter()
        .partition(|arg| arg.get_action().takes_values());
    let letters = |args: &[Arg]| args.iter().filter_map(Arg::get_short).collect::<String>();
    let names: Vec<&str> = valued.iter().filter_map(Arg::get_long).collect();
    // A bundle of flags may end in an option whose value is the next word.
    let takes_value = match valued[..] {
        [] => "^$".to_string(),
        _ => format!(
            "^(-[{}]*[{}]|--({}))$",
            letters(&flags),
            letters(&valued),
            names.join("|")
        ),
    };
    let (before, first) = match First::of(command) {
        First::Directory => (
            "1",
            "COMPREPLY=($(compgen -d -- \"$2\"))\n        compopt -o filenames",
        ),
        First::Container => ("1", "COMPREPLY=($(compgen -W \"$(@LIST@)\" -- \"$2\"))"),
        First::Command => ("0", ":"),
    };
    include_str!("../completions/operands.bash")
        .replace("@NAME@", command.get_name())
        .replace("@TAKES_VALUE@", &takes_value)
        .replace("@FIRST@", first)
        .replace("@LIST@", LIST)
        .replace("@BEFORE_CMD@", before)
}

/// The generated lines for as long as there is no operand, then the operands.
fn fish(command: &Command, text: &str) -> String {
    let name = command.get_name();
    let specification = |arg: &Arg| {
        let short = arg.get_short().map(String::from);
        let names: Vec<String> = short
            .into_iter()
            .chain(arg.get_long().map(String::from))
            .collect();
        names.join("/")
            + if arg.get_action().takes_values() {
                "="
            } else {
                ""
            }
    };
    let specifications: Vec<String> = options(command).iter().map(specification).collect();
    let mut script = include_str!("../completions/operands.fish")
        .replace("@NAME@", name)
        .replace("@OPTIONS@", &specifications.join(" "));
    let at = |operands: usize| format!("complete -c {name} -n '__{name}_operands {operands}' ");
    script += &text.replace(&format!("complete -c {name} "), &at(0));
    if First::of(command) == First::Container {
        script += &format!("function __inject_containers\n    {LIST}\nend\n");
    }
    let first = match First::of(command) {
        First::Directory => Some("__fish_complete_directories"),
        First::Container => Some("__inject_containers"),
        First::Command => None,
    };
    for (i, words) in first
        .into_iter()
        .chain(["__fish_complete_command"])
        .enumerate()
    {
        script += &format!("{}-f -a '({words})'\n", at(i));
    }
    script
}

/// All options, help and version among them.
fn options(command: &Command) -> Vec<Arg> {
    let mut command = command.clone();
    command.build();
    let options = command
        .get_arguments()
        .filter(|arg| !arg.is_positional() && !arg.is_hide_set());
    options.cloned().collect()
}
