//! Directories where no handles of directories are to be had: kinds are checked by path before a file is opened.
//!
//! Weaker: somebody who may write to the directory while it is read could swap a file for a link in between.

use std::fs::{File, read_dir, symlink_metadata};
use std::io::Error;
use std::path::{Path, PathBuf};

use super::{About, Protection};
use crate::manifest::Mode;

pub(super) struct Folder(PathBuf);

pub(super) enum Opened {
    File(File, About),
    Folder(Folder),
    Other(&'static str),
}

pub(super) fn open_root(dir: &Path) -> Result<Folder, Error> {
    Ok(Folder(dir.to_owned()))
}

impl Folder {
    pub(super) fn protection(&self) -> Protection {
        Protection::ByPath
    }

    pub(super) fn names(&self, most: u64) -> Result<Vec<Result<String, String>>, Error> {
        let mut names = Vec::new();
        for entry in read_dir(&self.0)? {
            let name = entry?.file_name();
            names.push(name.into_string().map_err(|name| name.to_string_lossy().into_owned()));
            if names.len() as u64 >= most {
                break;
            }
        }
        names.sort();
        Ok(names)
    }

    pub(super) fn open(&self, name: &str) -> Result<Opened, Error> {
        let path = self.0.join(name);
        let kind = symlink_metadata(&path)?.file_type();
        if kind.is_symlink() {
            return Ok(Opened::Other("symbolic link"));
        }
        if kind.is_dir() {
            return Ok(Opened::Folder(Folder(path)));
        }
        if !kind.is_file() {
            return Ok(Opened::Other("special file"));
        }
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Opened::File(file, About { length, mode: Mode::Any }))
    }
}
