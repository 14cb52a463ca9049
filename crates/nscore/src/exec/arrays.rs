//! Arguments and environment as execve(2) wants them, and room in them for who
//! a program runs as.

use std::cell::Cell;
use std::ffi::CString;

use crate::exec::login::Login;

/// The variables that say who a program runs as, in the order of
/// [`Login::variables`].
pub(crate) const LOGIN: [&str; 4] = ["HOME", "USER", "LOGNAME", "SHELL"];

/// A null-terminated array of strings, as execve(2) wants it.
#[derive(Debug)]
pub(super) struct Array {
    pub(super) strings: Vec<CString>,
    pub(super) pointers: Vec<*const libc::c_char>,
}

impl Array {
    pub(super) fn new(strings: Vec<CString>) -> Array {
        // The pointers are into the strings' own buffers, which stay where
        // they are when the vector moves.
        let pointers = strings
            .iter()
            .map(|s| s.as_ptr())
            .chain([std::ptr::null()])
            .collect();
        Array { strings, pointers }
    }
}

/// The same, with room behind the strings for the variables of `LOGIN`.
#[derive(Debug)]
pub(super) struct Environment {
    strings: Vec<CString>,
    pointers: Vec<Cell<*const libc::c_char>>,
}

/// Slots as the array that execve(2) reads.
pub(super) fn array(slots: &[Cell<*const libc::c_char>]) -> *const *const libc::c_char {
    // A Cell of a pointer is laid out as the pointer.
    slots.as_ptr().cast()
}

impl Environment {
    pub(super) fn new(strings: Vec<CString>) -> Environment {
        let ends = [std::ptr::null(); LOGIN.len() + 1];
        let pointers = strings.iter().map(|s| s.as_ptr()).chain(ends);
        Environment {
            pointers: pointers.map(Cell::new).collect(),
            strings,
        }
    }

    pub(super) fn as_ptr(&self) -> *const *const libc::c_char {
        array(&self.pointers)
    }

    /// Says in the room who `login` is, where the strings do not say it yet. The
    /// pointers are into the login, and good for as long as it lives.
    pub(super) fn say_who(&self, login: Option<&Login>) {
        let room = &self.pointers[self.strings.len()..];
        room.iter().for_each(|slot| slot.set(std::ptr::null()));
        let variables = login.map(Login::variables).unwrap_or_default();
        let unsaid = LOGIN.iter().zip(variables).filter_map(|(name, variable)| {
            let says = |text: &CString| {
                let rest = text.as_bytes().strip_prefix(name.as_bytes());
                rest.is_some_and(|rest| rest.starts_with(b"="))
            };
            variable.filter(|_| !self.strings.iter().any(says))
        });
        for (slot, variable) in room.iter().zip(unsaid) {
            slot.set(variable.as_ptr());
        }
    }
}
