//! The folder with certificates, keys and authorities: opened once, at start, and read from again
//! whenever it is asked, also when the process may by then open nothing else.
//!
//! - `NAME.crt` and `NAME.key`: a certificate with its chain, and its key, both PEM. Who connects is
//!   shown the one for the name it asks for; if it asks for none, the first that is for the name by
//!   which it was told to come.
//! - `authorities.pem`: whom we trust when we connect to a peer whose fingerprint is not known.

use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{Dir, Mode, OFlags};

use crate::limits::{CERTIFICATE_FILE_BYTES_MAX, CERTIFICATES_MAX};
use crate::transport::tls::{Certificate, Identity, Tickets};

const AUTHORITIES: &str = "authorities.pem";

/// The opened folder.
#[derive(Debug)]
pub struct Certificates {
    folder: OwnedFd,
    path: PathBuf,
    tickets: Tickets,
}

/// Why no identity can be made of the folder: one sentence with the file and what is wrong.
#[derive(Debug)]
pub struct Unusable(pub String);

impl Certificates {
    /// Opens the folder, and makes keys for session tickets, which later readings share.
    ///
    /// # Errors
    /// It is no folder, or may not be read.
    pub fn open(path: &Path) -> Result<Certificates, Unusable> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| {
            let path = path.display();
            Unusable(format!(
                "cannot open the certificates' folder {path}: {error}"
            ))
        })?;
        let tickets = Tickets::new().map_err(|mistake| Unusable(mistake.0))?;
        Ok(Certificates {
            folder,
            path: path.to_owned(),
            tickets,
        })
    }

    /// The folder, for whoever closes all others.
    pub fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Reads all files anew; what it makes of them for each of our names, which a certificate must
    /// cover.
    ///
    /// # Errors
    /// A file cannot be read or used, or none is for a name. Nothing is left out silently.
    pub fn read(&self, names: &[String]) -> Result<Vec<(String, Identity)>, Unusable> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_secs());
        let mut certificates = Vec::new();
        for stem in self.stems()? {
            let (chain, key) = (format!("{stem}.crt"), format!("{stem}.key"));
            let read = Certificate::read(&self.octets(&chain)?, &self.octets(&key)?, now);
            certificates.push(read.map_err(|mistake| self.unusable(&chain, &mistake.0))?);
        }
        if certificates.is_empty() {
            return Err(self.unusable("", "holds no certificate: put NAME.crt and NAME.key there"));
        }
        let authorities = match self.file(AUTHORITIES) {
            Err(rustix::io::Errno::NOENT) => Vec::new(),
            _ => self.octets(AUTHORITIES)?,
        };
        let of_name = |name: &String| {
            let Some(own) = certificates.iter().position(|one| one.covers(name)) else {
                let what =
                    format!("holds no certificate for {name}, by which peers are told to connect");
                return Err(self.unusable("", &what));
            };
            let mut in_order = certificates.clone();
            in_order[..=own].rotate_right(1);
            let identity = Identity::new(&in_order, &authorities, &self.tickets)
                .map_err(|mistake| self.unusable(AUTHORITIES, &mistake.0))?;
            Ok((name.clone(), identity))
        };
        names.iter().map(of_name).collect()
    }

    /// The names before `.crt`, in order.
    fn stems(&self) -> Result<Vec<String>, Unusable> {
        let wrong =
            |error: rustix::io::Errno| self.unusable("", &format!("cannot be read: {error}"));
        let mut stems = Vec::new();
        for entry in Dir::read_from(&self.folder).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            if let Ok(name) = entry.file_name().to_str()
                && let Some(stem) = name.strip_suffix(".crt")
            {
                stems.push(stem.to_owned());
            }
        }
        if stems.len() > CERTIFICATES_MAX {
            let what = format!("holds more than {CERTIFICATES_MAX} certificates");
            return Err(self.unusable("", &what));
        }
        stems.sort();
        Ok(stems)
    }

    fn file(&self, name: &str) -> rustix::io::Result<File> {
        let name = CString::new(name).map_err(|_| rustix::io::Errno::INVAL)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.folder, &name, flags, Mode::empty()).map(File::from)
    }

    fn octets(&self, name: &str) -> Result<Vec<u8>, Unusable> {
        let wrong = |what: String| self.unusable(name, &format!("cannot be read: {what}"));
        let file = self.file(name).map_err(|error| wrong(error.to_string()))?;
        let mut octets = Vec::new();
        file.take(CERTIFICATE_FILE_BYTES_MAX + 1)
            .read_to_end(&mut octets)
            .map_err(|error| wrong(error.to_string()))?;
        if octets.len() as u64 > CERTIFICATE_FILE_BYTES_MAX {
            return Err(wrong(format!(
                "it has more than {CERTIFICATE_FILE_BYTES_MAX} octets"
            )));
        }
        Ok(octets)
    }

    fn unusable(&self, file: &str, what: &str) -> Unusable {
        Unusable(format!("{} {what}", self.path.join(file).display()))
    }
}

impl AsFd for Certificates {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let folder = format!("causeway-certificates-{}-{name}", std::process::id());
            let folder = std::env::temp_dir().join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            Folder(folder)
        }

        fn put(&self, stem: &str, name: &str) {
            let made = rcgen::generate_simple_self_signed([name.to_string()]).unwrap();
            let key = made.signing_key.serialize_pem();
            std::fs::write(self.0.join(format!("{stem}.crt")), made.cert.pem()).unwrap();
            std::fs::write(self.0.join(format!("{stem}.key")), key).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn read(certificates: &Certificates, name: &str) -> Result<Identity, Unusable> {
        let mut made = certificates.read(&[name.to_owned()])?;
        Ok(made.remove(0).1)
    }

    fn told(certificates: &Certificates, name: &str) -> String {
        read(certificates, name).unwrap_err().0
    }

    #[test]
    fn the_folder_is_read_anew_and_mistakes_are_told_with_their_file() {
        let folder = Folder::new("anew");
        let certificates = Certificates::open(&folder.0).unwrap();
        assert!(told(&certificates, "a.example").contains("put NAME.crt and NAME.key there"));
        folder.put("one", "a.example");
        let first = read(&certificates, "a.example").unwrap();
        assert!(told(&certificates, "b.example").contains("no certificate for b.example"));
        folder.put("two", "b.example");
        assert_ne!(
            read(&certificates, "b.example").unwrap().sha256(),
            first.sha256()
        );
        assert_eq!(
            read(&certificates, "a.example").unwrap().sha256(),
            first.sha256()
        );
        let key = std::fs::read(folder.0.join("two.key")).unwrap();
        std::fs::write(folder.0.join("one.key"), key).unwrap();
        let sentence = told(&certificates, "a.example");
        assert!(
            sentence.contains("one.crt does not belong to the key"),
            "{sentence}"
        );
        std::fs::remove_file(folder.0.join("one.key")).unwrap();
        assert!(told(&certificates, "a.example").contains("one.key cannot be read"));
        folder.put("one", "a.example");
        std::fs::write(folder.0.join(AUTHORITIES), "no such thing").unwrap();
        assert!(told(&certificates, "a.example").contains("holds no certificate of an"));
        std::fs::write(folder.0.join(AUTHORITIES), vec![b'x'; 3 << 20]).unwrap();
        assert!(told(&certificates, "a.example").contains("authorities.pem"));
    }

    #[test]
    fn what_is_no_folder_is_said_to_be_none() {
        let Err(unusable) = Certificates::open(Path::new("/nonexistent")) else {
            panic!("it is not there");
        };
        assert!(unusable.0.contains("/nonexistent"), "{}", unusable.0);
    }
}
