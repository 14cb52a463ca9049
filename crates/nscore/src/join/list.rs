//! Containers as lists: a table for people, JSON for programs. What a container
//! or another user could have put into a field reaches no terminal as it is.

use std::time::Duration;

use crate::error::text::quoted;
use crate::host::accounts::Account;
use crate::join::containers::Container;
pub use crate::join::json::json;
use crate::sys::{descriptors, tty};

const TITLES: [&str; 7] = ["PID", "NAME", "ROOT", "INIT", "NET", "UPTIME", "COMMAND"];

/// Columns of numbers end at the right.
const NUMBERS: [bool; 7] = [true, false, false, true, false, false, false];

/// What is shortened where the terminal is too narrow, in this order, and to
/// what width. A path tells most at its end.
const NARROW: [(usize, usize, End); 3] =
    [(6, 12, End::Right), (2, 12, End::Left), (1, 8, End::Right)];

const GAP: &str = "  ";

#[derive(Clone, Copy)]
enum End {
    Left,
    Right,
}

/// A table of these containers, with a line for the titles. Root sees a
/// container of another user as USER/NAME. It fits `width` columns.
#[must_use]
pub fn table(containers: &[Container], width: Option<usize>) -> String {
    let mut rows = vec![TITLES.map(String::from)];
    rows.extend(containers.iter().map(row));
    let mut widths: [usize; 7] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    });
    let mut total = widths.iter().sum::<usize>() + GAP.len() * (widths.len() - 1);
    for (column, least, end) in NARROW {
        let surplus = total.saturating_sub(width.unwrap_or(total));
        let narrow = widths[column].saturating_sub(surplus).max(least);
        if narrow < widths[column] {
            total -= widths[column] - narrow;
            widths[column] = narrow;
            for row in &mut rows {
                row[column] = shortened(&row[column], narrow, end);
            }
        }
    }
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(widths).zip(NUMBERS);
        let cells: Vec<String> = cells
            .map(|((cell, width), number)| match number {
                true => blanks(cell, width) + cell,
                false => cell.clone() + &blanks(cell, width),
            })
            .collect();
        let line = cells.join(GAP);
        shortened(line.trim_end(), width.unwrap_or(usize::MAX), End::Right) + "\n"
    };
    rows.iter().map(line).collect()
}

/// The table for standard output, or the like.
#[must_use]
pub fn on_stdout(containers: &[Container]) -> String {
    table(containers, columns(1))
}

/// The table for what is said of an error.
pub(crate) fn on_stderr(containers: &[Container]) -> String {
    table(containers, columns(2))
}

/// How wide the terminal is, if the stream is one.
fn columns(stream: usize) -> Option<usize> {
    let size = tty::window_size(descriptors::streams()[stream]).ok()?;
    Some(size.columns()).filter(|columns| *columns > 0)
}

fn row(container: &Container) -> [String; 7] {
    [
        container.supervisor.to_string(),
        name(container),
        quoted(&container.root),
        container.init.to_string(),
        quoted(&container.net),
        duration(container.uptime),
        command(container),
    ]
}

/// As inject takes it; a dash where there is none.
fn name(container: &Container) -> String {
    let name = container.name.as_ref().map_or("-", |name| name.as_str());
    if container.user == nix::unistd::getuid().as_raw() {
        return name.to_string();
    }
    format!("{}/{name}", quoted(Account::of(container.user).shown()))
}

fn command(container: &Container) -> String {
    let words: Vec<String> = container.command.iter().map(quoted).collect();
    words.join(" ")
}

/// In its two largest units.
fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, ..) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// What the cell lacks to this width. The standard library's own way ends at 65,535.
fn blanks(cell: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(cell.chars().count()))
}

/// At most so many characters of the text, with a mark where some are missing.
fn shortened(text: &str, width: usize, end: End) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_string();
    }
    let kept = width.saturating_sub(1);
    match end {
        End::Right => text.chars().take(kept).chain(['…']).collect(),
        End::Left => std::iter::once('…')
            .chain(text.chars().skip(count - kept))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join::containers::Container;

    fn container(name: &str, root: &str) -> Container {
        Container {
            supervisor: 12,
            user: nix::unistd::getuid().as_raw(),
            init: 4711,
            name: name.parse().ok(),
            root: root.into(),
            net: "private".into(),
            uptime: Duration::from_secs(65),
            terms: crate::plan::profile::Terms::default(),
            command: vec!["/bin/sh".into(), "-c".into(), "echo \x1b[31m\n".into()],
        }
    }

    #[test]
    fn a_table_for_people() {
        let all = [container("web", "/tmp/void"), container("", "/")];
        assert_eq!(
            table(&all, None),
            "PID  NAME  ROOT       INIT  NET      UPTIME  COMMAND\n \
             12  web   /tmp/void  4711  private  1m05s   /bin/sh -c echo \\u{1b}[31m\\n\n \
             12  -     /          4711  private  1m05s   /bin/sh -c echo \\u{1b}[31m\\n\n"
        );
    }

    #[test]
    fn it_fits_the_terminal() {
        let all = [container(
            "a-rather-long-name",
            "/srv/containers/of/mine/web",
        )];
        let narrow = table(&all, Some(72));
        assert!(narrow.contains("  …of/mine/web  "), "{narrow}");
        assert!(narrow.contains("/bin/sh -c …"), "{narrow}");
        for width in [1, 10, 40, 60, 80, 100, 200] {
            for line in table(&all, Some(width)).lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn durations_in_two_units() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m00s"),
            (3599, "59m59s"),
            (3600, "1h00m"),
            (86399, "23h59m"),
            (86400, "1d00h"),
            (90 * 86400 + 7200, "90d02h"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }
}
