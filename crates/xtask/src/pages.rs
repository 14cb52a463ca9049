//! Man pages: the reference part generated from the argument definitions, the
//! prose from the files in `pages`.

use anyhow::Result;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use crate::Program;

/// When the words of the pages last changed.
const DATE: &str = "2026-11-28";

/// No hyphens, in groff's own way, and a ragged margin: names and paths stay in
/// one piece and spaces as wide as they are.
const NO_HYPHENS: &str = ".nr HY 0\n";
const RAGGED: &str = ".ad l\n";

/// How MAP reads, for the programs that take one.
const MAPS: &str = include_str!("../pages/maps.roff");

/// A page in the man(7) language. Prose before its first section continues the
/// description; the rest follows the options.
pub(crate) fn man(program: &Program) -> Result<String> {
    let mut command = program.command.clone();
    command.build();
    let man = Man::new(command.clone())
        .title(program.name().to_uppercase())
        .date(DATE)
        .manual("User Commands");
    let sections = program.prose.find(".SH").unwrap_or(program.prose.len());
    let (description, rest) = program.prose.split_at(sections);
    let takes_map = |name: &clap::builder::Str| name == "MAP";
    let maps = command
        .get_arguments()
        .filter_map(|arg| arg.get_value_names())
        .any(|names| names.iter().any(takes_map));

    let mut page = NO_HYPHENS.to_string();
    page += &part(|out| man.render_title(out))?;
    page += RAGGED;
    page += &body(|out| man.render_name_section(out))?;
    page += &synopsis(&command);
    page += &generated_description(&command);
    page += description;
    page += &options(&man)?;
    page += if maps { MAPS } else { "" };
    page += rest;
    Ok(page)
}

fn part(render: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Result<String> {
    let mut out = Vec::new();
    render(&mut out)?;
    Ok(String::from_utf8(out)?)
}

/// A part without the definitions that open the page once.
fn body(render: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Result<String> {
    let text = part(render)?;
    let section = text.find(".SH").unwrap_or(0);
    Ok(text[section..].to_string())
}

/// The options, those under a heading of --help in a subsection of the name.
fn options(man: &Man) -> Result<String> {
    let text = body(|out| man.render_options_section(out))?;
    let (first, rest) = text.split_at(".SH".len().min(text.len()));
    Ok(format!("{first}{}", rest.replace("\n.SH ", "\n.SS ")))
}

/// What --help says, but for the first paragraph, which is the page's name line.
fn generated_description(command: &clap::Command) -> String {
    let about = command.get_long_about().map(ToString::to_string);
    let about = about.unwrap_or_default();
    let mut roff = Roff::default();
    roff.control("SH", ["DESCRIPTION"]);
    for paragraph in about.split("\n\n").skip(1) {
        for sentence in paragraph.split_inclusive(". ") {
            roff.text([roman(sentence.trim())]);
        }
    }
    roff.to_roff()
}

/// The usage lines: the program's name in bold, what stands for something else
/// in italics.
fn synopsis(command: &clap::Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let name = command.get_name();
    let mut roff = Roff::default();
    roff.control("SH", ["SYNOPSIS"]);
    for (i, line) in usage.lines().map(str::trim).enumerate() {
        if i > 0 {
            roff.control("br", []);
        }
        let mut words: Vec<Inline> = vec![bold(name)];
        let is_name = |c: char| c.is_ascii_uppercase();
        let mut rest = line.strip_prefix(name).unwrap_or(line);
        while !rest.is_empty() {
            let italics = rest.starts_with(is_name);
            let end = rest.find(|c| is_name(c) != italics).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            words.push(if italics { italic(word) } else { roman(word) });
            rest = after;
        }
        roff.text(words);
    }
    roff.to_roff()
}
