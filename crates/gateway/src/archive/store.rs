//! The object store behind the archive: the only place that knows which kind it is.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::Error;
use super::index::{self, Index};

/// Where replays are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Directory(PathBuf),
    /// Any S3 compatible store. Credentials come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`) or the
    /// machine's role, as for Amazon's own tools.
    S3 {
        bucket: String,
        /// Unset: `AWS_REGION`.
        region: Option<String>,
        /// Of a store that is not Amazon's, `https://host:port`.
        endpoint: Option<String>,
        /// Put before every name.
        prefix: String,
    },
}

/// The place cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be made.
    #[error("cannot make the directory of replays {path}: {source}")]
    Directory { path: PathBuf, source: std::io::Error },
    /// The store's own configuration is not usable.
    #[error("object store: {0}")]
    Store(#[from] object_store::Error),
}

/// The objects of all replays.
#[derive(Clone)]
pub(super) struct Store {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl Store {
    pub fn open(place: &Place) -> Result<Self, OpenError> {
        let (objects, prefix): (Arc<dyn ObjectStore>, Path) = match place {
            Place::Directory(path) => {
                std::fs::create_dir_all(path).map_err(|source| OpenError::Directory { path: path.clone(), source })?;
                // What is written survives a power cut; a directory goes with its last file.
                let store = LocalFileSystem::new_with_prefix(path)?.with_fsync(true).with_automatic_cleanup(true);
                (Arc::new(store), Path::default())
            }
            Place::S3 { bucket, region, endpoint, prefix } => {
                let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
                if let Some(region) = region {
                    builder = builder.with_region(region);
                }
                if let Some(endpoint) = endpoint {
                    builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
                }
                (Arc::new(builder.build()?), Path::from(prefix.as_str()))
            }
        };
        Ok(Self { objects, prefix })
    }

    pub async fn put(&self, id: &str, name: &str, body: Bytes) -> Result<(), Error> {
        self.objects.put(&self.path(id, name), body.into()).await?;
        Ok(())
    }

    /// The whole object, which is at most `max` bytes long.
    pub async fn get(&self, id: &str, name: &str, max: u64) -> Result<Bytes, Error> {
        let found = self.objects.get(&self.path(id, name)).await.map_err(not_found)?;
        if found.meta.size > max {
            return Err(Error::Damaged { id: id.to_owned(), what: "an object" });
        }
        Ok(found.bytes().await?)
    }

    pub async fn range(&self, id: &str, name: &str, range: std::ops::Range<u64>) -> Result<Bytes, Error> {
        self.objects.get_range(&self.path(id, name), range).await.map_err(not_found)
    }

    /// What the pages say; empty when there is none.
    pub async fn index(&self, id: &str) -> Result<Index, Error> {
        let mut index = Index::default();
        for name in index::page_names() {
            match self.get(id, &name, index::PAGE_BYTES_MAX).await {
                Ok(page) => index.read_page(&page),
                Err(Error::NotFound) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(index)
    }

    /// Removes every object of a replay, the index last: what is interrupted can be found and done again.
    pub async fn delete_all(&self, id: &str) -> Result<(), Error> {
        let found = self.objects.list(Some(&self.path(id, "")));
        let mut objects: Vec<Path> = found.map_ok(|object| object.location).try_collect().await?;
        objects.sort_by_key(|path| path.filename().is_some_and(|name| name.starts_with("index-")));
        let all = futures::stream::iter(objects.into_iter().map(Ok)).boxed();
        let mut deleted = self.objects.delete_stream(all);
        while let Some(one) = deleted.next().await {
            match one {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn path(&self, id: &str, name: &str) -> Path {
        let parts = self.prefix.parts().chain([id.into()]);
        match name {
            "" => parts.collect(),
            name => parts.chain([name.into()]).collect(),
        }
    }
}

fn not_found(error: object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => Error::NotFound,
        error => error.into(),
    }
}
