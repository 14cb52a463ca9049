//! No option is missing anywhere, and no prose speaks of one that is not there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Debug;

use cli::Arguments;

use crate::completions::Shell;
use crate::{Program, pages, programs};

const README: &str = include_str!("../../../README.md");

/// Every option as it is typed, `-n` and `--host-net`.
fn options(program: &Program) -> Vec<String> {
    let mut command = program.command.clone();
    command.build();
    let visible = command
        .get_arguments()
        .filter(|arg| !arg.is_positional() && !arg.is_hide_set());
    visible
        .flat_map(|arg| {
            let short = arg.get_short().map(|letter| format!("-{letter}"));
            let long = arg.get_long().map(|name| format!("--{name}"));
            short.into_iter().chain(long)
        })
        .collect()
}

/// What of `text` may be an option.
fn words(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '-'))
        .filter(|word| word.starts_with('-'))
        .collect()
}

/// A page without its fonts and escapes.
fn plain(page: &str) -> String {
    let fonts = ["\\fB", "\\fI", "\\fR"];
    let text = fonts
        .iter()
        .fold(page.to_string(), |text, font| text.replace(font, " "));
    text.replace("\\-", "-").replace("\\(aq", "'")
}

#[test]
fn every_option_is_in_every_place() {
    for program in programs() {
        let mut command = program.command.clone();
        let mut texts = vec![
            ("-h".to_string(), command.render_help().to_string()),
            ("--help".to_string(), command.render_long_help().to_string()),
            ("page".to_string(), plain(&pages::man(&program).unwrap())),
        ];
        for shell in Shell::ALL {
            let mut text = shell.complete(&program.command).unwrap();
            if let Shell::Fish = shell {
                // It names them without their dashes.
                text = text.replace(" -l ", " --").replace(" -s ", " -");
            }
            texts.push((format!("{shell:?}"), text));
        }
        for (place, text) in texts {
            let words = words(&text);
            for option in options(&program) {
                let known = words.contains(option.as_str());
                assert!(known, "{} {option} is not in {place}", program.name());
            }
        }
    }
}

/// Bold words with a dash in the prose are options of this program.
#[test]
fn prose_names_no_option_that_is_not_there() {
    for program in programs() {
        let options = options(&program);
        let page = plain(&pages::man(&program).unwrap());
        let bold = page.lines().filter(|line| line.starts_with(".B"));
        for word in bold
            .flat_map(str::split_whitespace)
            .filter(|word| word.starts_with('-'))
        {
            let known = options.contains(&word.to_string());
            assert!(known, "{} has no {word}", program.name());
        }
    }
}

/// Options in the commands of the pages and of the README are options of the
/// program that the line begins with.
#[test]
fn examples_use_no_option_that_is_not_there() {
    let mut found = 0;
    let pages = programs().map(|program| plain(&pages::man(&program).unwrap()));
    let lines = pages
        .iter()
        .flat_map(|page| page.lines())
        .chain(README.lines());
    for line in lines {
        let mut line = line
            .trim_start_matches("$ ")
            .trim_start_matches("sudo ")
            .split(' ');
        let name = line.next();
        for program in programs()
            .iter()
            .filter(|program| name == Some(program.name()))
        {
            let options = options(program);
            let known = |word: &str| options.iter().any(|option| option == word);
            // The words up to the operands, as far as values allow.
            for word in line.clone().take_while(|word| word.starts_with('-')) {
                let bundle = word
                    .chars()
                    .skip(1)
                    .all(|letter| known(&format!("-{letter}")));
                assert!(known(word) || bundle, "{} has no {word}", program.name());
                found += 1;
            }
        }
    }
    assert!(found > 5, "only {found} options in examples");
}

#[test]
fn every_page_tells_every_exit_status() {
    for program in programs() {
        let page = plain(&pages::man(&program).unwrap());
        let (_, section) = page.split_once(".SH \"EXIT STATUS\"").unwrap();
        let section = section.split(".SH").next().unwrap();
        let told: Vec<&str> = section
            .lines()
            .filter_map(|line| line.strip_prefix(".B"))
            .filter_map(|line| {
                line.split([' ', '+'])
                    .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
            })
            .collect();
        for status in ["1", "64", "126", "127", "128"] {
            assert!(
                told.contains(&status),
                "{} {status}: {told:?}",
                program.name()
            );
        }
    }
}

#[test]
fn pages_have_their_sections_once() {
    for program in programs() {
        let page = pages::man(&program).unwrap();
        for section in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "\"EXIT STATUS\"",
            "ENVIRONMENT",
            "EXAMPLES",
            "NOTES",
            "\"SEE ALSO\"",
        ] {
            let heading = format!(".SH {section}");
            let count = page.lines().filter(|line| *line == heading).count();
            assert_eq!(count, 1, "{} {section}", program.name());
        }
    }
}

#[test]
fn clap_agrees_where_it_is_not_asked() {
    agrees::<contain::Args>(&["-n", "-c", "-cn", "-c -n"]);
    agrees::<pseudo::Args>(&["-f", "-m", "-fm", "-mf", "-f -m", "-m -f"]);
    agrees::<inject::Args>(&["-l"]);
}

/// The flags that a program reads by itself, and others, before these operands.
fn agrees<A: Arguments + Debug>(flags: &[&str]) {
    let letters: Vec<_> = ('!'..='~').map(|letter| format!("-{letter}")).collect();
    let others = [
        "",
        "--",
        "-nn",
        "-n -n",
        "-nx",
        "-xn",
        "--help",
        "--host-net",
    ];
    let lines = letters.iter().map(String::as_str).chain(others);
    for options in lines.chain(flags.iter().copied()) {
        for operands in ["", "R", "R CMD -n -x --net -- -c"] {
            let words = ["program"].into_iter();
            let words = words.chain(options.split(' ')).chain(operands.split(' '));
            let line = words.filter(|word| !word.is_empty()).map(OsString::from);
            let plain = cli::plain::<A>(line.clone());
            let expected = options.is_empty() || flags.contains(&options);
            assert_eq!(plain.is_some(), expected, "{options} {operands}");
            if let Some(args) = plain {
                let by_clap = A::try_parse_from(line).unwrap();
                let text = |args: &A| format!("{args:?}");
                assert_eq!(text(&args), text(&by_clap), "{options} {operands}");
            }
        }
    }
}
