//! The command line of `tidegate certificate`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tidegate_host::certificate_store::StoreName;

use super::ServiceSet;

#[derive(Debug, Subcommand)]
pub(crate) enum Certificate {
    /// Show what is in a PEM or PFX file and whether the key belongs to the certificate, or a certificate of a Windows
    /// certificate store and who may use its key.
    Show(CertificateShow),
    /// List the certificates of a Windows certificate store.
    List {
        /// The store.
        #[arg(long, value_name = "STORE", default_value = r"LocalMachine\My", value_parser = store)]
        store: StoreName,
    },
    /// Import a PFX file into a Windows certificate store, and let the proxy's account use its key, which cannot be taken
    /// out again.
    Import(CertificateImport),
}

#[derive(Debug, Args)]
pub(crate) struct CertificateShow {
    /// The file.
    #[arg(value_name = "FILE", required_unless_present = "thumbprint", conflicts_with = "thumbprint")]
    pub(crate) file: Option<PathBuf>,

    /// The PEM file with its private key, unless it is in the same file.
    #[arg(long, value_name = "FILE", requires = "file")]
    pub(crate) key: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) password: Password,

    /// Instead of a file: the certificate with this thumbprint in a Windows certificate store.
    #[arg(long, value_name = "THUMBPRINT")]
    pub(crate) thumbprint: Option<String>,

    /// The store.
    #[arg(long, value_name = "STORE", default_value = r"LocalMachine\My", value_parser = store)]
    pub(crate) store: StoreName,

    #[command(flatten)]
    pub(crate) proxy: ProxyAccount,
}

#[derive(Debug, Args)]
pub(crate) struct CertificateImport {
    /// The PFX file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) password: Password,

    /// The store.
    #[arg(long, value_name = "STORE", default_value = r"LocalMachine\My", value_parser = store)]
    pub(crate) store: StoreName,

    /// Let administrators take the key out again.
    #[arg(long)]
    pub(crate) exportable: bool,

    #[command(flatten)]
    pub(crate) proxy: ProxyAccount,

    /// Leave the key to those who may use it already.
    #[arg(long, conflicts_with = "account")]
    pub(crate) no_grant: bool,
}

/// Who serves the certificate.
#[derive(Debug, Args)]
pub(crate) struct ProxyAccount {
    /// The account of the proxy. Default: that of its service, or the one that `service install` would give it.
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,

    #[command(flatten)]
    pub(crate) set: ServiceSet,
}

/// Where the password of a PFX file is; without either it is empty.
#[derive(Debug, Args)]
pub(crate) struct Password {
    /// The file whose first line is the password of the PFX file.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,

    /// The environment variable that holds it.
    #[arg(long, value_name = "NAME", conflicts_with = "password_file")]
    pub(crate) password_variable: Option<String>,
}

fn store(text: &str) -> Result<StoreName, String> {
    text.parse().map_err(|()| r"expected a store such as LocalMachine\My or LocalMachine\WebHosting".to_owned())
}
