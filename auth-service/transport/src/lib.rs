//! What the transport layers of Evergreen's servers share: error statuses with reasons, request
//! deadlines, page tokens, one observation per RPC, TLS, and the server with health and reflection; and
//! what their operators are given: settings, a doctor, backups.

#![warn(missing_docs)]

pub mod commands;
pub mod config;
pub mod data_dir;
pub mod database_url;
pub mod deadline;
pub mod doctor;
pub mod drain;
pub mod embedded;
mod health;
mod log_lines;
mod methods;
pub mod metrics;
pub mod observe;
pub mod ops;
pub mod otlp;
pub mod overload;
mod oversize;
pub mod page_token;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod recorder;
pub mod reload;
pub mod schema;
pub mod serve;
pub mod service;
pub mod service_manager;
pub mod settings;
mod severed;
pub mod sqlite;
pub mod status;
pub mod tls;
pub mod whole_file;
