//! A store of its own for each test, gone afterwards.

use secrecy::SecretString;
use store::Store;
use tempfile::TempDir;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Mongo,
}

/// Where a test keeps its records.
pub(crate) struct Place {
    pub(crate) store: Store,
    at: At,
}

enum At {
    Folder(TempDir),
    Database { uri: SecretString, name: String },
}

/// Address of the MongoDB replica set for tests.
pub(crate) fn mongodb() -> SecretString {
    std::env::var("FEAT_TEST_MONGODB_URL")
        .expect("FEAT_TEST_MONGODB_URL is not set: use `cargo xtask test`")
        .into()
}

impl Place {
    pub(crate) async fn new(engine: Engine) -> Self {
        let at = match engine {
            Engine::Sqlite => At::Folder(tempfile::tempdir().unwrap()),
            Engine::Mongo => {
                let name = format!("feat-store-{}", schemas::SessionId::generate());
                At::Database { uri: mongodb(), name }
            }
        };
        Self { store: at.open().await, at }
    }

    pub(crate) fn engine(&self) -> Engine {
        match self.at {
            At::Folder(_) => Engine::Sqlite,
            At::Database { .. } => Engine::Mongo,
        }
    }

    /// Closes the store and opens it again.
    pub(crate) async fn reopen(&self) -> Store {
        self.store.clone().close().await;
        self.at.open().await
    }

    pub(crate) async fn remove(self) {
        self.store.close().await;
        if let At::Database { uri, name } = self.at {
            raw_database(&uri, &name).await.drop().await.unwrap();
        }
    }
}

impl At {
    async fn open(&self) -> Store {
        match self {
            Self::Folder(folder) => Store::sqlite(folder.path()).await.unwrap(),
            Self::Database { uri, name } => {
                let store = Store::mongo(uri, name).await.unwrap();
                store.migrate().await.unwrap();
                store
            }
        }
    }
}

pub(crate) async fn raw_database(uri: &SecretString, name: &str) -> mongodb::Database {
    use secrecy::ExposeSecret;

    mongodb::Client::with_uri_str(uri.expose_secret()).await.unwrap().database(name)
}
