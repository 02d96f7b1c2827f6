//! The server around the routes.
