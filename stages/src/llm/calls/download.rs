//! Downloads. Takes an address; gives a file on disk.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    time::Duration,
};

use engine::{Context, StageError};

use super::{account, http};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The download fails if no byte comes for this time.
const READ_TIMEOUT: Duration = Duration::from_mins(1);

/// The size of the largest file that is downloaded, in bytes; benchmarks are far smaller.
const LARGEST: u64 = 4 << 30;

/// Downloads the file at an address to `path`.
///
/// # Errors
/// The network or the server fails, the file is too large or cannot be written, or the run is cancelled.
pub(crate) async fn download(ctx: &Context, address: &str, path: &Path) -> Result<(), StageError> {
    let failed = |reason: String| {
        StageError::environment(format!(
            "{address} cannot be downloaded: {reason}; download it elsewhere, and name the file by `path:` in place of `fetch:`"
        ))
    };
    let unsent = |error: &reqwest::Error| failed(http::reason(error));
    let client = account::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build();
    let get = client.map_err(|error| unsent(&error))?.get(address).send();
    let mut response = stoppable(ctx, get).await?.map_err(|error| unsent(&error))?;
    if !response.status().is_success() {
        return Err(failed(format!("the server answered {}", response.status().as_u16())));
    }
    let mut file = BufWriter::new(File::create(path)?);
    let mut written = 0;
    while let Some(chunk) = stoppable(ctx, response.chunk()).await?.map_err(|error| unsent(&error))? {
        written += chunk.len() as u64;
        if written > LARGEST {
            return Err(failed(format!("it has more than {} GiB", LARGEST >> 30)));
        }
        file.write_all(&chunk)?;
    }
    Ok(file.flush()?)
}

/// Awaits a future, and fails if the run is cancelled before it is ready.
async fn stoppable<T>(ctx: &Context, future: impl Future<Output = T>) -> Result<T, StageError> {
    tokio::select! {
        done = future => Ok(done),
        () = ctx.cancellation().cancelled() => Err(StageError::cancelled()),
    }
}
