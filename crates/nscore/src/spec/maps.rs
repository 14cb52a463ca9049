//! Identity maps: their grammar, and the words that stand for the usual ones.
//! user_namespaces(7).

use std::fmt;
use std::str::FromStr;

use crate::error::digits::{are_digits, digits};
use crate::error::text::quoted;

/// Lines that the kernel accepts in one map, user_namespaces(7).
pub(crate) const MAX_EXTENTS: usize = 340;

/// The id 4294967295 means "no id" to the kernel and cannot be mapped.
pub(crate) const IDS: u64 = u32::MAX as u64;

/// Bytes of map text that the kernel takes in its single write: less than one
/// page, user_namespaces(7).
const MAX_TEXT: usize = 4095;

/// Which of the two identities a map is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdKind {
    User,
    Group,
}

impl IdKind {
    /// "user" or "group", as messages name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            IdKind::User => "user",
            IdKind::Group => "group",
        }
    }
}

/// `count` ids from `inside` in the container onto those from `outside`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First id in the container.
    pub inside: u32,
    /// First id in the caller's user namespace.
    pub outside: u32,
    /// How many, at least 1.
    pub count: u32,
}

impl Extent {
    pub(crate) fn new(inside: u32, outside: u32, count: u32) -> Extent {
        Extent {
            inside,
            outside,
            count,
        }
    }

    pub(crate) fn inside_end(self) -> u64 {
        u64::from(self.inside) + u64::from(self.count)
    }

    pub(crate) fn outside_end(self) -> u64 {
        u64::from(self.outside) + u64::from(self.count)
    }
}

/// A map that the kernel accepts: 1 to 340 extents, none empty, none past
/// 4294967294, none overlapping another on either side, as user_namespaces(7)
/// asks. Its text is the command line's, `START:LOWER:COUNT[,...]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMap(Vec<Extent>);

impl IdMap {
    /// Every id as itself, as in the initial user namespace.
    pub(crate) fn all() -> IdMap {
        IdMap(vec![Extent::new(0, 0, u32::MAX)])
    }

    /// This id as itself, and no other.
    pub(crate) fn only(id: u32) -> IdMap {
        IdMap(vec![Extent::new(id, id, 1)])
    }

    /// Checks the extents.
    ///
    /// # Errors
    /// The rule they break, in words.
    pub fn new(extents: Vec<Extent>) -> Result<IdMap, String> {
        if extents.is_empty() {
            return Err("it is empty".to_string());
        }
        if extents.len() > MAX_EXTENTS {
            return Err(format!("more than {MAX_EXTENTS} ranges"));
        }
        for (i, one) in extents.iter().enumerate() {
            if one.count == 0 {
                return Err(format!("the range {one} is empty"));
            }
            if one.inside_end() > IDS || one.outside_end() > IDS {
                return Err(format!("the range {one} goes past id {}", IDS - 1));
            }
            for two in &extents[..i] {
                let apart_inside =
                    one.inside_end() <= two.inside.into() || two.inside_end() <= one.inside.into();
                let apart_outside = one.outside_end() <= two.outside.into()
                    || two.outside_end() <= one.outside.into();
                if !(apart_inside && apart_outside) {
                    return Err(format!("the ranges {two} and {one} overlap"));
                }
            }
        }
        let map = IdMap(extents);
        if map.kernel_text().len() > MAX_TEXT {
            return Err(format!("more than {MAX_TEXT} bytes of ranges"));
        }
        Ok(map)
    }

    /// The extents in the order given.
    #[must_use]
    pub fn extents(&self) -> &[Extent] {
        &self.0
    }

    /// Whether the container has this id.
    #[must_use]
    pub fn has_inside(&self, id: u32) -> bool {
        self.outside(id).is_some()
    }

    /// Whether the container can act as this id of ours.
    #[must_use]
    pub fn has_outside(&self, id: u32) -> bool {
        self.0
            .iter()
            .any(|e| e.outside <= id && u64::from(id) < e.outside_end())
    }

    /// The id of ours that the container's `id` is.
    pub(crate) fn outside(&self, id: u32) -> Option<u32> {
        let has = |e: &&Extent| e.inside <= id && u64::from(id) < e.inside_end();
        self.0.iter().find(has).map(|e| e.outside + (id - e.inside))
    }

    /// How many ids are mapped.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|e| u64::from(e.count)).sum()
    }

    /// What is written to uid_map or gid_map: one line an extent.
    pub(crate) fn kernel_text(&self) -> String {
        self.0
            .iter()
            .map(|e| format!("{} {} {}\n", e.inside, e.outside, e.count))
            .collect()
    }

    /// Every id of the container onto itself: the map of a user namespace inside
    /// one that has this map. Its extents are the same, because the kernel wants
    /// each within one of those.
    ///
    /// # Errors
    /// More text than the kernel takes.
    pub(crate) fn identity(&self) -> Result<IdMap, String> {
        let same = |e: &Extent| Extent::new(e.inside, e.inside, e.count);
        IdMap::new(self.0.iter().map(same).collect())
    }

    /// Reads the text of a uid_map or gid_map file.
    pub(crate) fn from_kernel_text(text: &str) -> Option<IdMap> {
        let extent = |line: &str| {
            let fields = line.split_whitespace().map(|field| field.parse().ok());
            let [inside, outside, count] = fields.collect::<Option<Vec<u32>>>()?[..] else {
                return None;
            };
            Some(Extent::new(inside, outside, count))
        };
        IdMap::new(text.lines().map(extent).collect::<Option<_>>()?).ok()
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.inside, self.outside, self.count)
    }
}

impl fmt::Display for IdMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extents: Vec<_> = self.0.iter().map(Extent::to_string).collect();
        f.write_str(&extents.join(","))
    }
}

impl FromStr for IdMap {
    type Err = String;

    fn from_str(text: &str) -> Result<IdMap, String> {
        let extent = |range: &str| {
            let fields: Vec<&str> = range.split(':').collect();
            let [inside, outside, count] = fields[..] else {
                return Err(format!("{} is not START:LOWER:COUNT", quoted(range)));
            };
            Ok(Extent::new(id(inside)?, id(outside)?, id(count)?))
        };
        // A separator may stand before, between and after, as in the original.
        let ranges = text.split([',', ';']).filter(|range| !range.is_empty());
        IdMap::new(ranges.map(extent).collect::<Result<_, _>>()?)
    }
}

/// A decimal number of 32 bits.
fn id(text: &str) -> Result<u32, String> {
    if !are_digits(text) {
        return Err(format!("{} is not a number", quoted(text)));
    }
    digits(text).ok_or_else(|| format!("{text} is more than 32 bits"))
}

/// A map as it was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum MapSpec {
    /// Root: 0 onto the highest id, the others onto themselves. Anyone else: 0
    /// onto the caller, then 1 and up onto the delegated ids.
    #[default]
    Auto,
    /// 0 onto the caller, nothing else.
    Root,
    /// The caller's id onto itself, 0 and the others onto delegated ids.
    Keep,
    /// Just this.
    Explicit(IdMap),
}

impl FromStr for MapSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<MapSpec, String> {
        match text {
            "auto" => Ok(MapSpec::Auto),
            "root" => Ok(MapSpec::Root),
            "keep" => Ok(MapSpec::Keep),
            _ => {
                let map: IdMap = text.parse()?;
                if !map.has_inside(0) {
                    return Err("id 0 is not mapped, and the container starts as its root".into());
                }
                Ok(MapSpec::Explicit(map))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_grammar() {
        for (text, shown) in [
            ("0:1000:1", "0:1000:1"),
            ("0:1000:1,1:100000:65536", "0:1000:1,1:100000:65536"),
            ("0:1000:1;1:100000:65536;", "0:1000:1,1:100000:65536"),
            (",0:0:4294967295", "0:0:4294967295"),
        ] {
            assert_eq!(text.parse::<IdMap>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refuses_all_else() {
        for text in [
            "",
            ",",
            "0:0",
            "0:0:0",
            "-1:0:1",
            "+0:0:1",
            "0x0:0:1",
            "4294967296:0:1",
            "0:0:1x",
            "0:0:1:2",
            " 0:0:1",
            "0:0: 1",
            "0:0:4294967296",
            "1:0:4294967295",
            "4294967295:0:1",
            "0:4294967295:1",
            "0:0:2,1:5:1",
            "0:0:2,5:1:1",
            "a:b:c",
            "0:0:1,",
        ] {
            let parsed = text.parse::<IdMap>();
            assert_eq!(parsed.is_ok(), text == "0:0:1,", "{text:?} {parsed:?}");
        }
        let many = |n: u32| (0..n).map(|i| format!("{i}:{i}:1,")).collect::<String>();
        assert!(many(340).parse::<IdMap>().is_ok());
        assert!(many(341).parse::<IdMap>().unwrap_err().contains("340"));
        assert!("1:1000:5".parse::<MapSpec>().unwrap_err().contains("id 0"));
    }

    #[test]
    fn reads_what_the_kernel_prints() {
        let map = IdMap::from_kernel_text("         0          0 4294967295\n").unwrap();
        assert_eq!(map.extents(), [Extent::new(0, 0, u32::MAX)]);
        assert_eq!(map.kernel_text(), "0 0 4294967295\n");
        assert_eq!(IdMap::from_kernel_text(""), None);
    }
}
