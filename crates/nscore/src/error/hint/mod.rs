//! One table that turns an operation, an error number and what this machine is
//! into advice. A row speaks where operation and number have one cause known; where
//! they have several, only when a fact of this machine tells which it is.

pub(crate) mod advice;
pub(crate) mod calls;
pub(crate) mod exhausted;
pub(crate) mod facts;
pub(crate) mod harden;
pub(crate) mod layers;
pub(crate) mod missing;
pub(crate) mod rights;
pub(crate) mod root;
pub(crate) mod table;
