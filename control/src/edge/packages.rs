//! Reading an operator's folder of packages.

use std::io;
use std::path::Path;

use crate::packages::FOLDER_DEPTH;

/// Largest file that is read, in bytes. The scripts' own limit is lower.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Files at most.
const FILES_MAX: usize = 1000;

/// All texts of the folder: path relative to it, with `/`, and content. In order of their names.
///
/// # Errors
/// What could not be read, with its path.
pub fn read(folder: &Path) -> io::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    walk(folder, "", FOLDER_DEPTH, &mut files)?;
    files.sort();
    Ok(files)
}

fn walk(
    folder: &Path,
    prefix: &str,
    depth: usize,
    files: &mut Vec<(String, String)>,
) -> io::Result<()> {
    let named = |error: io::Error, path: &Path| {
        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    };
    for entry in std::fs::read_dir(folder).map_err(|error| named(error, folder))? {
        let path = entry.map_err(|error| named(error, folder))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        let relative = format!("{prefix}{name}");
        let about = std::fs::metadata(&path).map_err(|error| named(error, &path))?;
        if about.is_dir() {
            if depth > 1 {
                walk(&path, &format!("{relative}/"), depth - 1, files)?;
            }
            continue;
        }
        let is_text = [".rhai", ".json"].iter().any(|end| name.ends_with(end));
        if !is_text {
            continue;
        }
        if about.len() > FILE_BYTES_MAX || files.len() >= FILES_MAX {
            let text = format!("{}: too large, or one file too many", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| named(error, &path))?;
        files.push((relative, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_tests_are_read_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("causeway-packages-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("chat/deeper")).unwrap();
        for (path, text) in [
            ("chat/chat.rhai", "1"),
            ("chat/test.json", "2"),
            ("chat/notes.txt", "3"),
            ("chat/deeper/x.rhai", "4"),
            ("library.rhai", "5"),
        ] {
            std::fs::write(folder.join(path), text).unwrap();
        }
        let files = read(&folder);
        std::fs::remove_dir_all(&folder).unwrap();
        let own = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let expected = [
            own("chat/chat.rhai", "1"),
            own("chat/test.json", "2"),
            own("library.rhai", "5"),
        ];
        assert_eq!(files.unwrap(), expected);
        assert!(
            read(&folder)
                .unwrap_err()
                .to_string()
                .contains("causeway-packages")
        );
    }
}
