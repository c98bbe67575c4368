//! Files are written whole or not at all, and an error names its file.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes a file, creating its folder. Until all of it is on the disk, an existing file stays as it is; a path that is
/// no regular file (`/dev/stdout`, a pipe) is written directly. A symbolic link is refused.
///
/// # Errors
/// When the file system refuses; the text names the path.
pub fn write_whole(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    let content = content.as_ref();
    let refused = |error: io::Error| unwritten(path, &error);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(refused)?;
    }
    let before = std::fs::metadata(path).ok();
    // `/dev/stdout` is a link, too; to a file, if output is redirected.
    let is_device = path.starts_with("/dev") || path.starts_with("/proc");
    if before.as_ref().is_some_and(|before| is_device || !before.is_file()) {
        return std::fs::write(path, content).map_err(refused);
    }
    if path.is_symlink() {
        let why = "it is a symbolic link, which may lead to another file than intended; name the file itself";
        return Err(refused(io::Error::new(io::ErrorKind::InvalidInput, why)));
    }
    let (beside, opened) = beside(path);
    let written = opened.and_then(|mut file| {
        file.write_all(content)?;
        if let Some(before) = &before {
            file.set_permissions(before.permissions())?;
        }
        file.sync_all()?;
        std::fs::rename(&beside, path)
    });
    match written {
        Ok(()) => Ok(()),
        // A user who may not create files in a folder may still be allowed to write an existing one.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && before.is_some() => {
            std::fs::write(path, content).map_err(refused)
        }
        Err(error) => {
            let _ = std::fs::remove_file(&beside);
            Err(refused(error))
        }
    }
}

/// The error of a file that could not be written, with its path.
pub fn unwritten(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{} could not be written: {error}", path.display()))
}

/// A new file in the same folder, under an unused name: a process that was killed may have left its own file, and in a
/// container the next process may well have the same id.
fn beside(path: &Path) -> (PathBuf, io::Result<File>) {
    let named = |number: u32| {
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}.{number}", std::process::id()));
        let beside = path.with_file_name(name);
        let opened = File::create_new(&beside);
        (beside, opened)
    };
    let is_taken =
        |opened: &io::Result<File>| matches!(opened, Err(error) if error.kind() == io::ErrorKind::AlreadyExists);
    (0..99).map(named).find(|(_, opened)| !is_taken(opened)).unwrap_or_else(|| named(99))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_stays_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/one.txt");
        write_whole(&path, "one").unwrap();
        write_whole(&path, "two").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(std::fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
        // A process of the same id that was killed while it wrote.
        let left = path.with_file_name(format!(".one.txt.{}.0", std::process::id()));
        std::fs::write(&left, "tw").unwrap();
        write_whole(&path, "three").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three");
        assert_eq!(std::fs::read_to_string(&left).unwrap(), "tw", "it may be another's");
        let below_a_file = path.join("three.txt");
        let error = write_whole(&below_a_file, "three").unwrap_err().to_string();
        assert!(error.contains("one.txt/three.txt could not be written: ") || cfg!(windows), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_error_with_its_name_and_a_link_is_not_followed() {
        let error = write_whole(Path::new("/dev/full"), "text").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().starts_with("/dev/full could not be written: "), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "one").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let error = write_whole(&link, "two").unwrap_err().to_string();
        assert!(error.contains("link could not be written: it is a symbolic link"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "one");
    }
}
