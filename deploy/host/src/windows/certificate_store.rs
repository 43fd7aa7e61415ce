//! The certificate store, through crypt32 and CNG. Keys sign where they are: rustls-cng knows how.

mod key_access;

use std::io;
use std::ptr;

use rustls::SignatureScheme;
use rustls::sign::SigningKey as _;
use rustls_cng::key::NCryptKey;
use rustls_cng::signer::CngSigningKey;
use windows_sys::Win32::Foundation::{
    CRYPT_E_NO_KEY_PROPERTY, CRYPT_E_NOT_FOUND, E_ACCESSDENIED, ERROR_INVALID_PASSWORD, NTE_BAD_KEYSET, NTE_NO_KEY,
    NTE_PERM,
};
use windows_sys::Win32::Security::Cryptography::{
    CERT_CHAIN_CACHE_ONLY_URL_RETRIEVAL, CERT_CHAIN_CONTEXT, CERT_CHAIN_PARA, CERT_CONTEXT, CERT_FIND_HASH,
    CERT_KEY_PROV_INFO_PROP_ID, CERT_NCRYPT_KEY_SPEC, CERT_STORE_ADD_REPLACE_EXISTING, CERT_STORE_OPEN_EXISTING_FLAG,
    CERT_STORE_PROV_SYSTEM_W, CERT_STORE_READONLY_FLAG, CERT_SYSTEM_STORE_CURRENT_USER,
    CERT_SYSTEM_STORE_LOCAL_MACHINE, CERT_TRUST_IS_SELF_SIGNED, CRYPT_ACQUIRE_ONLY_NCRYPT_KEY_FLAG,
    CRYPT_ACQUIRE_SILENT_FLAG, CRYPT_EXPORTABLE, CRYPT_INTEGER_BLOB, CRYPT_MACHINE_KEYSET, CRYPT_USER_KEYSET,
    CertAddCertificateContextToStore, CertCloseStore, CertEnumCertificatesInStore, CertFindCertificateInStore,
    CertFreeCertificateChain, CertFreeCertificateContext, CertGetCertificateChain, CertGetCertificateContextProperty,
    CertOpenStore, CryptAcquireCertificatePrivateKey, CryptReleaseContext, HCERTCHAINENGINE, HCERTSTORE,
    PFXImportCertStore, PKCS_7_ASN_ENCODING, PKCS12_ALWAYS_CNG_KSP, X509_ASN_ENCODING,
};

pub(crate) use self::key_access::{grant_key, may_use_key};
use super::file::wide;
use crate::certificate_store::{Location, StoreName, Stored};

pub(crate) const AVAILABLE: bool = true;

/// HCCE_LOCAL_MACHINE, HCCE_CURRENT_USER.
const MACHINE_ENGINE: usize = 1;
const USER_ENGINE: usize = 0;

/// A key that signs in the store.
#[derive(Debug)]
pub(crate) struct Key(CngSigningKey);

impl Key {
    pub(crate) fn schemes(&self) -> Vec<u16> {
        self.0.supported_schemes().iter().map(|scheme| u16::from(*scheme)).collect()
    }

    pub(crate) fn sign(&self, scheme: u16, message: &[u8]) -> io::Result<Vec<u8>> {
        let signer = self.0.choose_scheme(&[SignatureScheme::from(scheme)]);
        let signer = signer.ok_or_else(|| io::Error::other("the key does not sign in this way"))?;
        signer.sign(message).map_err(io::Error::other)
    }
}

/// An open store.
struct Store(HCERTSTORE);

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: open, and not used again; what was taken from it has counts of its own.
        unsafe { CertCloseStore(self.0, 0) };
    }
}

impl Store {
    fn open(store: &StoreName, flags: u32) -> io::Result<Self> {
        let name = wide(store.name.as_str());
        let location = match store.location {
            Location::LocalMachine => CERT_SYSTEM_STORE_LOCAL_MACHINE,
            Location::CurrentUser => CERT_SYSTEM_STORE_CURRENT_USER,
        };
        // SAFETY: the provider of system stores takes a name that ends in NUL.
        let opened = unsafe { CertOpenStore(CERT_STORE_PROV_SYSTEM_W, 0, 0, location | flags, name.as_ptr().cast()) };
        if opened.is_null() {
            return Err(crate::context(io::Error::last_os_error(), format_args!("failed to open the store {store}")));
        }
        Ok(Self(opened))
    }

    fn of_existing(store: &StoreName) -> io::Result<Self> {
        Self::open(store, CERT_STORE_OPEN_EXISTING_FLAG | CERT_STORE_READONLY_FLAG)
    }

    /// Calls for each certificate.
    fn each(&self, mut call: impl FnMut(*const CERT_CONTEXT) -> io::Result<()>) -> io::Result<()> {
        let mut certificate: *mut CERT_CONTEXT = ptr::null_mut();
        loop {
            // SAFETY: the store is open; each call frees the one before.
            certificate = unsafe { CertEnumCertificatesInStore(self.0, certificate) };
            if certificate.is_null() {
                return Ok(());
            }
            if let Err(error) = call(certificate) {
                // SAFETY: from the call above, and not used again.
                unsafe { CertFreeCertificateContext(certificate) };
                return Err(error);
            }
        }
    }
}

/// A certificate that is counted for us.
struct Certificate(*const CERT_CONTEXT);

impl Drop for Certificate {
    fn drop(&mut self) {
        // SAFETY: ours, and not used again.
        unsafe { CertFreeCertificateContext(self.0) };
    }
}

/// DER of a valid certificate.
fn der(certificate: *const CERT_CONTEXT) -> Vec<u8> {
    // SAFETY: callers pass a valid one, whose bytes are as many as it says.
    unsafe {
        let certificate = &*certificate;
        std::slice::from_raw_parts(certificate.pbCertEncoded, certificate.cbCertEncoded as usize).to_vec()
    }
}

/// Whether a valid certificate names a key.
fn has_key(certificate: *const CERT_CONTEXT) -> bool {
    let mut size = 0;
    // SAFETY: callers pass a valid one; only the size is asked for.
    unsafe {
        CertGetCertificateContextProperty(certificate, CERT_KEY_PROV_INFO_PROP_ID, ptr::null_mut(), &mut size) != 0
    }
}

fn stored(certificate: *const CERT_CONTEXT) -> Stored {
    let der = der(certificate);
    Stored { thumbprint: thumbprint(&der), has_key: has_key(certificate), certificate: der }
}

fn thumbprint(der: &[u8]) -> String {
    use sha1::{Digest as _, Sha1};
    Sha1::digest(der).iter().map(|byte| format!("{byte:02X}")).collect()
}

pub(crate) fn list(store: &StoreName) -> io::Result<Vec<Stored>> {
    let store = Store::of_existing(store)?;
    let mut all = Vec::new();
    store.each(|certificate| {
        all.push(stored(certificate));
        Ok(())
    })?;
    Ok(all)
}

pub(crate) fn open(name: &StoreName, thumbprint: &str) -> io::Result<(Key, Vec<Vec<u8>>)> {
    let certificate = find(name, thumbprint)?;
    let key = acquire(&certificate).map_err(explained)?;
    let key = CngSigningKey::new(key).map_err(io::Error::other)?;
    Ok((Key(key), issuers(&certificate, name.location)))
}

fn find(name: &StoreName, thumbprint: &str) -> io::Result<Certificate> {
    let store = Store::of_existing(name)?;
    let mut hash: Vec<u8> = (0..thumbprint.len() / 2)
        .filter_map(|at| u8::from_str_radix(thumbprint.get(2 * at..2 * at + 2)?, 16).ok())
        .collect();
    let blob = CRYPT_INTEGER_BLOB { cbData: hash.len() as u32, pbData: hash.as_mut_ptr() };
    // SAFETY: the store is open, and the bytes outlive the call.
    let found = unsafe {
        CertFindCertificateInStore(
            store.0,
            X509_ASN_ENCODING | PKCS_7_ASN_ENCODING,
            0,
            CERT_FIND_HASH,
            ptr::from_ref(&blob).cast(),
            ptr::null(),
        )
    };
    if found.is_null() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "it is not in the store any more"));
    }
    Ok(Certificate(found))
}

fn acquire(certificate: &Certificate) -> io::Result<NCryptKey> {
    let (mut key, mut kind) = (0, 0);
    // SAFETY: the certificate is valid, key and kind are writable; nothing may be shown to anybody.
    let acquired = unsafe {
        CryptAcquireCertificatePrivateKey(
            certificate.0,
            CRYPT_ACQUIRE_SILENT_FLAG | CRYPT_ACQUIRE_ONLY_NCRYPT_KEY_FLAG,
            ptr::null(),
            &mut key,
            &mut kind,
            ptr::null_mut(),
        )
    };
    if acquired == 0 {
        return Err(io::Error::last_os_error());
    }
    if kind != CERT_NCRYPT_KEY_SPEC {
        // Asked for or not: taken for a CNG key, such a handle would be read as memory.
        // SAFETY: it is one of the older interface, ours, and not used again.
        unsafe { CryptReleaseContext(key, 0) };
        let why = "its key is kept by a provider from before CNG";
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    }
    // Without the flag that caches it, the key is ours to free, which the wrapper does.
    Ok(NCryptKey::new_owned(key))
}

/// With a kind that tells what to do. That a key is not there is also what an account hears that may not use it.
fn explained(error: io::Error) -> io::Error {
    let kind = match error.raw_os_error() {
        Some(CRYPT_E_NO_KEY_PROPERTY | CRYPT_E_NOT_FOUND | NTE_NO_KEY) => io::ErrorKind::NotFound,
        Some(NTE_BAD_KEYSET | NTE_PERM | E_ACCESSDENIED | ACCESS_DENIED) => io::ErrorKind::PermissionDenied,
        _ => return error,
    };
    io::Error::new(kind, error)
}

/// ERROR_ACCESS_DENIED.
const ACCESS_DENIED: i32 = 5;

/// What clients need beside the certificate; none where the system cannot tell. Nothing is fetched from elsewhere.
fn issuers(certificate: &Certificate, location: Location) -> Vec<Vec<u8>> {
    let engine = match location {
        Location::LocalMachine => MACHINE_ENGINE,
        Location::CurrentUser => USER_ENGINE,
    } as HCERTCHAINENGINE;
    let how = CERT_CHAIN_PARA { cbSize: size_of::<CERT_CHAIN_PARA>() as u32, ..Default::default() };
    let mut context: *mut CERT_CHAIN_CONTEXT = ptr::null_mut();
    // SAFETY: the certificate is valid, `how` says its size, `context` is writable, the rest is not asked for.
    let built = unsafe {
        CertGetCertificateChain(
            engine,
            certificate.0,
            ptr::null(),
            ptr::null_mut(),
            &how,
            CERT_CHAIN_CACHE_ONLY_URL_RETRIEVAL,
            ptr::null(),
            &mut context,
        )
    };
    if built == 0 || context.is_null() {
        return Vec::new();
    }
    let mut issuers = Vec::new();
    // SAFETY: the context is valid until it is freed below, and its arrays are as long as it says.
    unsafe {
        if (*context).cChain > 0 {
            let chain = *(*context).rgpChain;
            let elements = std::slice::from_raw_parts((*chain).rgpElement, (*chain).cElement as usize);
            for &element in elements.iter().skip(1) {
                if (*element).TrustStatus.dwInfoStatus & CERT_TRUST_IS_SELF_SIGNED != 0 {
                    break;
                }
                issuers.push(der((*element).pCertContext));
            }
        }
        CertFreeCertificateChain(context);
    }
    issuers
}

pub(crate) fn import(name: &StoreName, pfx: &[u8], password: &str, exportable: bool) -> io::Result<Vec<String>> {
    // CNG alone: keys of older providers cannot be used.
    import_with(name, pfx, password, PKCS12_ALWAYS_CNG_KSP | if exportable { CRYPT_EXPORTABLE } else { 0 })
}

fn import_with(name: &StoreName, pfx: &[u8], password: &str, flags: u32) -> io::Result<Vec<String>> {
    let keys = match name.location {
        Location::LocalMachine => CRYPT_MACHINE_KEYSET,
        Location::CurrentUser => CRYPT_USER_KEYSET,
    };
    let size = u32::try_from(pfx.len()).map_err(io::Error::other)?;
    let blob = CRYPT_INTEGER_BLOB { cbData: size, pbData: pfx.as_ptr().cast_mut() };
    let password = wide(password);
    // SAFETY: the bytes are only read and outlive the call; the password ends in NUL.
    let opened = unsafe { PFXImportCertStore(&blob, password.as_ptr(), keys | flags) };
    if opened.is_null() {
        let error = io::Error::last_os_error();
        return Err(match error.raw_os_error().map(i32::cast_unsigned) {
            Some(ERROR_INVALID_PASSWORD) => io::Error::new(io::ErrorKind::InvalidInput, error),
            _ => error,
        });
    }
    let contents = Store(opened);
    let store = Store::open(name, 0)?;
    let others = Store::open(&StoreName { location: name.location, name: "CA".to_owned() }, 0)?;
    let mut imported = Vec::new();
    contents.each(|certificate| {
        let keyed = has_key(certificate);
        let to = if keyed { &store } else { &others };
        // SAFETY: both are valid; the copy is not asked for.
        let added = unsafe {
            CertAddCertificateContextToStore(to.0, certificate, CERT_STORE_ADD_REPLACE_EXISTING, ptr::null_mut())
        };
        if added == 0 {
            return Err(io::Error::last_os_error());
        }
        if keyed {
            imported.push(thumbprint(&der(certificate)));
        }
        Ok(())
    })?;
    Ok(imported)
}

#[cfg(test)]
mod tests;
