//! One responder per file.

pub(crate) mod playbook;
