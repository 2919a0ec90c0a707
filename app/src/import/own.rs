//! `flyball.toml` becomes a design without a detour.

use super::Problem;
use crate::{
    design::{Design, Platform},
    document::{FileId, Files},
};

/// The design of an application file. `None`: it could not be read, and the problems say why.
pub(crate) fn design(files: &Files, file: FileId, problems: &mut Vec<Problem>) -> Option<Design> {
    let _ = (file, problems);
    Some(Design::new(files.clone(), Platform::Flyball))
}
