//! Files in a folder of this machine.
//!
//! A file is written under a temporary name, brought to the disk and renamed, and then its folder
//! is brought to the disk: after a crash it is whole or absent. Symbolic links are never followed
//! below the picture's own folder. Everything here blocks and runs on the blocking pool.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    ops::Range,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use rustix::fs::OFlags;
use uuid::Uuid;

use super::{BlobError, BlobRead, removals::Removals};

/// What the name of a temporary file begins with. No key has such a segment.
const TEMPORARY: &str = ".feat-";

/// Bytes that are read at once.
const CHUNK: usize = 256 * 1024;

/// How often an operation begins again because another one changed the same folder meanwhile.
const ROUNDS: u32 = 4;

/// A folder that holds files.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: Arc<PathBuf>,
    removals: Removals<Doomed>,
}

/// What one removal takes away.
#[derive(Debug)]
struct Doomed {
    file: Option<PathBuf>,
    folder: PathBuf,
}

impl Folder {
    /// Opens or makes the folder, and proves that it can be written.
    pub(super) fn open(path: &Path) -> Result<Self, BlobError> {
        let trouble = |error| failure(path, &error);
        fs::create_dir_all(path).map_err(trouble)?;
        let root = path.canonicalize().map_err(trouble)?;
        let probe = temporary_in(&root);
        File::create_new(&probe).and_then(|_| fs::remove_file(&probe)).map_err(trouble)?;

        Ok(Self { root: Arc::new(root), removals: Removals::new(remove) })
    }

    pub(super) async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BlobError> {
        self.blocking(key, move |root, path| write_whole(root, path, &bytes)).await
    }

    pub(super) async fn get(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobRead>, BlobError> {
        let first = move |_: &Path, path: &Path| Reading::start(path, range);
        let Some((size, first, reading)) = self.blocking(key, first).await? else {
            return Ok(None);
        };
        let rest = stream::try_unfold(reading, |reading| async {
            match reading {
                Some(reading) => off_thread(move || reading.next()).await,
                None => Ok(None),
            }
        });
        let first = stream::iter((!first.is_empty()).then_some(Ok(first)));

        Ok(Some(BlobRead { size, bytes: first.chain(rest).boxed() }))
    }

    pub(super) async fn remove(&self, key: &str, folder: &str) -> Result<u32, BlobError> {
        self.take_away(Some(self.root.join(key)), folder).await
    }

    pub(super) async fn remove_folder(&self, folder: &str) -> Result<u32, BlobError> {
        self.take_away(None, folder).await
    }

    async fn take_away(&self, file: Option<PathBuf>, folder: &str) -> Result<u32, BlobError> {
        let folder = self.root.join(folder);
        let removed = self.removals.remove(Doomed { file, folder: folder.clone() }).await;
        removed.map_err(|error| failure(&folder, &error))
    }

    pub(super) async fn list(&self, folder: &str) -> Result<Vec<String>, BlobError> {
        self.blocking(folder, |root, path| {
            let mut keys = Vec::new();
            collect(root, path, &mut keys)?;
            keys.sort_unstable();
            Ok(keys)
        })
        .await
    }

    /// Runs `work` with the root and the place of `key` on the blocking pool.
    async fn blocking<T: Send + 'static>(
        &self,
        key: &str,
        work: impl FnOnce(&Path, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, BlobError> {
        let root = Arc::clone(&self.root);
        let path = root.join(key);
        off_thread(move || work(&root, &path).map_err(|error| failure(&path, &error))).await
    }
}

/// Runs `work` on the blocking pool.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|stopped| Err(BlobError::Unavailable(stopped.to_string())))
}

fn temporary_in(folder: &Path) -> PathBuf {
    folder.join(format!("{TEMPORARY}{}.part", Uuid::now_v7().simple()))
}

/// Stores `bytes` at `path`: whole, and on the disk when this returns.
fn write_whole(root: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(root);
    for _ in 1..ROUNDS {
        match try_write(root, folder, path, bytes) {
            // The folder was removed in between.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            done => return done,
        }
    }
    try_write(root, folder, path, bytes)
}

fn try_write(root: &Path, folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    make_folder(root, folder)?;
    let temporary = temporary_in(folder);
    let written = File::create_new(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // It may never have been made; and what failed first is what the caller needs to know.
        fs::remove_file(&temporary).ok();
        return Err(error);
    }
    sync_folder(folder)
}

/// Makes `folder` and what lies between it and `root`, all of it on the disk.
fn make_folder(root: &Path, folder: &Path) -> io::Result<()> {
    if folder == root || folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(root);
    make_folder(root, parent)?;
    match DirBuilder::new().create(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_folder(parent),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A file that is being read, and how much of it is still wanted.
struct Reading {
    path: PathBuf,
    file: File,
    left: u64,
}

/// Size of the file, the first bytes, and what reads the others if there are any.
type Started = Option<(u64, Bytes, Option<Reading>)>;

impl Reading {
    /// Opens the file and reads its first bytes. `None` when there is no such file.
    fn start(path: &Path, range: Option<Range<u64>>) -> io::Result<Started> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let mut file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let about = file.metadata()?;
        if !about.is_file() {
            return Ok(None);
        }
        let size = about.len();
        let range = range.unwrap_or(0..size);
        let left = range.end.min(size).saturating_sub(range.start);
        if left > 0 && range.start > 0 {
            file.seek(SeekFrom::Start(range.start))?;
        }
        let mut reading = Self { path: path.to_owned(), file, left };
        let first = reading.read()?;

        Ok(Some((size, first, (reading.left > 0).then_some(reading))))
    }

    fn read(&mut self) -> io::Result<Bytes> {
        let length = usize::try_from(self.left).map_or(CHUNK, |left| left.min(CHUNK));
        let mut chunk = vec![0; length];
        self.file.read_exact(&mut chunk)?;
        self.left -= length as u64;
        Ok(chunk.into())
    }

    fn next(mut self) -> Result<Option<(Bytes, Option<Self>)>, BlobError> {
        let chunk = self.read().map_err(|error| failure(&self.path, &error))?;
        let rest = (self.left > 0).then_some(self);
        Ok(Some((chunk, rest)))
    }
}

/// Whether `error` says that there is no such file: nothing there, a link, or a file on the way.
fn is_absent(error: &io::Error) -> bool {
    let link = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    link || matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn remove(doomed: &Doomed) -> io::Result<u32> {
    let file = doomed.file.as_deref().map_or(Ok(0), remove_file)?;
    Ok(file + remove_all(&doomed.folder)?)
}

/// Removes the file at `path`, and reads back that it is gone.
fn remove_file(path: &Path) -> io::Result<u32> {
    let mut removed = 0;
    for _ in 0..ROUNDS {
        match unlink(path)? {
            0 => return Ok(removed),
            one => removed += one,
        }
    }
    Err(io::Error::other("the file keeps appearing"))
}

/// Removes the folder at `path` with everything in it, and reads back that it is gone.
fn remove_all(path: &Path) -> io::Result<u32> {
    let mut removed = 0;
    for _ in 0..ROUNDS {
        match fs::symlink_metadata(path) {
            Err(error) if is_absent(&error) => return Ok(removed),
            Err(error) => return Err(error),
            Ok(about) if about.is_dir() => {}
            // A link is not followed; a plain file is not a folder and has nothing below it.
            Ok(about) if about.is_file() => return Ok(removed),
            Ok(_) => {
                removed += unlink(path)?;
                continue;
            }
        }
        removed += remove_content(path)?;
        match fs::remove_dir(path) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty || is_absent(&error) => {}
            Err(error) => return Err(error),
            Ok(()) => {}
        }
    }
    match fs::symlink_metadata(path) {
        Err(error) if is_absent(&error) => Ok(removed),
        _ => Err(io::Error::other("files keep appearing in the folder")),
    }
}

fn remove_content(folder: &Path) -> io::Result<u32> {
    let mut removed = 0;
    let entries = match fs::read_dir(folder) {
        Err(error) if is_absent(&error) => return Ok(0),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            removed += remove_all(&path)?;
        } else {
            removed += unlink(&path)?;
        }
    }
    Ok(removed)
}

/// Removes one name; 0 when another call was faster.
fn unlink(path: &Path) -> io::Result<u32> {
    match fs::remove_file(path) {
        Err(error) if is_absent(&error) => Ok(0),
        Err(error) => Err(error),
        Ok(()) => Ok(1),
    }
}

fn collect(root: &Path, folder: &Path, keys: &mut Vec<String>) -> io::Result<()> {
    if !fs::symlink_metadata(folder).is_ok_and(|about| about.is_dir()) {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(root, &path, keys)?;
        } else if kind.is_file() && !is_temporary(&entry.file_name().to_string_lossy()) {
            let key = path.strip_prefix(root).unwrap_or(&path);
            keys.push(key.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY)
}

/// Sorts a trouble with `path` by what the caller may do next.
fn failure(path: &Path, error: &io::Error) -> BlobError {
    let text = format!("{}: {error}", path.display());
    match error.kind() {
        ErrorKind::InvalidFilename => BlobError::InvalidKey,
        ErrorKind::PermissionDenied
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::StorageFull
        | ErrorKind::QuotaExceeded
        | ErrorKind::NotADirectory
        | ErrorKind::AlreadyExists
        | ErrorKind::IsADirectory => BlobError::NotWritable(text),
        _ => BlobError::Unavailable(text),
    }
}
